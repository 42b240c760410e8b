from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import SettingError
from dermaxai.training.batches import (
    CYCLE,
    Batches,
    BatchPlan,
    Epochs,
    Mixture,
    balanced,
    check_world,
    spread,
)

seeds = st.integers(0, 2**40)


def pool(count, start=0):
    return balanced(np.arange(start, start + count), [""] * count, 0.0)


@given(st.integers(1, 60), seeds, st.integers(0, 5))
def test_every_photo_once_per_epoch(count, seed, epoch):
    numbers = np.arange(epoch * count, (epoch + 1) * count)
    assert sorted(Epochs(pool(count, 7), (seed,)).rows(numbers)) == list(range(7, 7 + count))


@given(st.integers(2, 60), seeds)
def test_epochs_differ_and_need_no_history(count, seed):
    numbers = np.arange(3 * count)
    whole = Epochs(pool(count), (seed,)).rows(numbers)
    late = Epochs(pool(count), (seed,)).rows(numbers[2 * count + 1 :])
    assert (whole[2 * count + 1 :] == late).all()
    if count > 10:
        assert (whole[:count] != whole[count : 2 * count]).any()


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=50), st.floats(0, 1), seeds)
def test_balance_keeps_the_due_of_each_photo(classes, balance, seed):
    made = balanced(np.arange(len(classes)), classes, balance)
    drawn = Counter(Epochs(made, (seed,)).rows(np.arange(len(classes))).tolist())
    due = made.chances * len(classes)
    for row, share in enumerate(due):
        assert np.floor(share - 1e-9) <= drawn[row] <= np.ceil(share + 1e-9)


def test_full_balance_makes_classes_equal():
    classes = ["nv"] * 90 + ["mel"] * 10
    made = balanced(np.arange(100), classes, 1.0)
    assert made.chances[:90].sum() == pytest.approx(0.5)
    with pytest.raises(SettingError, match="no photo"):
        balanced(np.arange(0), [], 1.0)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(0.05, 10), min_size=1),
    st.integers(1, 40),
    seeds,
)
def test_weights_of_datasets_hold_in_every_cycle(weights, size, seed):
    pools = {name: pool(size, 1000 * index) for index, name in enumerate(sorted(weights))}
    mixture = Mixture(pools, weights, seed)
    for cycle in (0, 3):
        rows = mixture.rows(np.arange(cycle * CYCLE, (cycle + 1) * CYCLE))
        for index, name in enumerate(sorted(weights)):
            share = ((rows >= 1000 * index) & (rows < 1000 * index + 1000)).mean()
            assert abs(share - weights[name] / sum(weights.values())) <= 2 / CYCLE * len(weights)


def test_datasets_have_epochs_of_their_own():
    mixture = Mixture({"a": pool(100), "b": pool(7, 1000)}, {"a": 1, "b": 1}, 0)
    rows = mixture.rows(np.arange(3 * CYCLE))
    counts = Counter(rows[rows < 1000].tolist())
    assert set(counts.values()) == {15}
    early = Mixture({"a": pool(100), "b": pool(7, 1000)}, {"a": 1, "b": 1}, 0).rows(np.arange(2500, 2600))
    assert (rows[2500:2600] == early).all()


plans = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@given(plans, seeds)
def test_processes_share_a_step_without_loss_or_gain(numbers, seed):
    micro, accumulate, bucket, world = numbers
    plan = BatchPlan(micro * accumulate * world, accumulate, bucket, seed)
    lengths = np.random.default_rng(seed).integers(1, 99, 50)
    batches = Batches(Epochs(pool(50), (seed,)), plan, lengths)
    for step in range(3):
        whole = [sorted(part.numbers) for part in batches.step(step)]
        shares = [batches.share(step, rank=rank, world=world) for rank in range(world)]
        assert len(whole) == accumulate
        for place, part in enumerate(whole):
            assert sorted(n for share in shares for n in share[place].numbers) == part
            assert {len(share[place]) for share in shares} == {micro}


@given(st.integers(1, 5), st.integers(1, 4), seeds)
def test_buckets_show_every_photo_as_often(bucket, accumulate, seed):
    """Sorting by length must neither lose nor repeat a photo, nor give long ones an earlier place."""
    plan = BatchPlan(4 * accumulate, accumulate, bucket, seed)
    count = plan.batch * bucket
    batches = Batches(Epochs(pool(count), (seed,)), plan, np.arange(count))
    seen = [row for step in range(2 * bucket) for part in batches.step(step) for row in part.rows]
    assert Counter(seen) == dict.fromkeys(range(count), 2)


def test_buckets_hold_similar_lengths_at_no_fixed_place():
    lengths = np.random.default_rng(0).integers(1, 1000, 640)
    batches = Batches(Epochs(pool(640), (0,)), BatchPlan(16, 2, 10), lengths)
    parts = [part for step in range(40) for part in batches.step(step)]
    assert np.mean([np.ptp(lengths[part.rows]) for part in parts]) < 80
    places = [np.mean([lengths[p.rows].mean() for p in parts[place::2]]) for place in (0, 1)]
    assert abs(places[0] - places[1]) < 100


def test_one_bucket_leaves_each_step_its_photos():
    lengths = np.random.default_rng(0).integers(1, 1000, 64)
    for accumulate in (1, 2, 4):
        sorted_ones = Batches(Epochs(pool(64), (0,)), BatchPlan(8, accumulate), lengths)
        plain = Batches(Epochs(pool(64), (0,)), BatchPlan(8))
        for step in range(8):
            numbers = [n for part in sorted_ones.step(step) for n in part.numbers]
            assert sorted(numbers) == sorted(plain.step(step)[0].numbers)


def test_what_cannot_be_shared():
    check_world(BatchPlan(8, 2), 4)
    with pytest.raises(SettingError, match="multiple of 6"):
        check_world(BatchPlan(8, 2), 3)


def test_spread():
    assert list(spread(4, 9)) == [0, 1, 2, 3]
    assert list(spread(100, 1)) == [50]
