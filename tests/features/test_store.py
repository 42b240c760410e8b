"""Reading a cache."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import DataError, UsageError
from dermaxai.features import FeatureCache, FeatureWriter
from tests.features.conftest import features_of, fill, key_of, name_of

RECORD = 2 * 3 * 8 * 2


def positions_of(cache, numbers, view=0):
    return cache.locate([name_of(number) for number in numbers], view)


def test_what_was_written_is_read_bit_for_bit(cache):
    fill(cache, range(10))
    numbers = [3, 4, 5, 0, 9, 9]
    read = cache.read(positions_of(cache, numbers))
    assert read.dtype == torch.float16
    assert read.is_contiguous()
    assert torch.equal(read.float(), features_of(numbers, cache.key))
    assert (cache.tokens, cache.width, len(cache), cache.photos, cache.views) == (6, 8, 10, 10, 1)


def test_int8_is_read_back_within_its_levels(tmp_path):
    cache = FeatureCache.create(tmp_path, key_of(dtype="int8"))
    fill(cache, range(5))
    expected = features_of([4, 0], cache.key)
    error = (cache.read(positions_of(cache, [4, 0])).float() - expected).abs()
    assert (error <= expected.abs().amax(dim=-1, keepdim=True) / 127 * 0.51).all()
    assert cache.bytes == 5 * (6 * (8 + 4) + 56)


def test_an_empty_cache(cache):
    assert (len(cache), cache.views, cache.photos, cache.loss, cache.bytes) == (0, 0, 0, None, 0)
    assert positions_of(cache, [1, 2]).tolist() == [-1, -1]
    assert cache.read([]).shape == (0, 6, 8)
    assert cache.coverage([]).shape == (0,)
    assert cache.check().tolist() == []


def test_views_and_their_coverage(cache):
    fill(cache, [1, 2])
    fill(cache, [2], view=3)
    assert (cache.views, cache.photos, len(cache)) == (4, 2, 3)
    assert positions_of(cache, [1, 2], view=3).tolist() == [-1, 2]
    assert cache.coverage([2, 0]).tolist() == [0.75, 0.0]


@given(st.lists(st.integers(0, 29), max_size=40))
def test_any_order_over_many_shards(shards, numbers):
    read = shards.read(positions_of(shards, numbers))
    assert read.shape == (len(numbers), 6, 8)
    if numbers:
        assert torch.equal(read.float(), features_of(numbers, shards.key))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Thirty photos, seven in each file."""
    cache = FeatureCache.create(tmp_path_factory.mktemp("shards"), key_of())
    fill(cache, range(10), shard_bytes=7 * RECORD)
    fill(cache, range(10, 30), shard_bytes=7 * RECORD)
    assert len(list(cache.folder.glob("*.bin"))) == 5
    return cache


def test_into_a_buffer_of_the_reader(shards):
    out = torch.empty(3, 6, 8, dtype=torch.float16)
    assert shards.read([0, 1, 2], out) is out
    assert torch.equal(out.float(), features_of([0, 1, 2], shards.key))
    for wrong in (
        torch.empty(2, 6, 8).half(),
        torch.empty(3, 6, 8),
        torch.empty(8, 6, 3).half().permute(2, 1, 0),
    ):
        with pytest.raises(UsageError, match="float16, contiguous"):
            shards.read([0, 1, 2], wrong)


@pytest.mark.parametrize("position", [-1, 30, 1000])
def test_a_position_that_is_not_there(shards, position):
    for ask in (shards.read, shards.coverage):
        with pytest.raises(UsageError, match="answers -1"):
            ask([0, position])


def test_positions_stay_while_others_write(cache):
    fill(cache, range(3))
    reader = FeatureCache.open(cache.folder)
    before = positions_of(reader, range(3))
    fill(cache, range(3, 6), shard_bytes=4 * RECORD)
    assert positions_of(reader, [4]).tolist() == [-1]
    reader.refresh()
    assert np.array_equal(positions_of(reader, range(3)), before)
    assert torch.equal(reader.read(positions_of(reader, [4, 0])).float(), features_of([4, 0], cache.key))


def test_two_readers_while_a_writer_writes(cache):
    readers = [FeatureCache.open(cache.folder) for _ in range(2)]
    with FeatureWriter(cache, shard_bytes=5 * RECORD) as writer:
        for number in range(12):
            writer.append([name_of(number)], [0], features_of([number], cache.key))
            for reader in readers[: 1 + number % 2]:
                reader.refresh()
                known = range(number + 1)
                assert torch.equal(
                    reader.read(positions_of(reader, known)).float(), features_of(known, cache.key)
                )


def test_it_can_be_sent_to_another_process(shards):
    again = pickle.loads(pickle.dumps(shards))
    assert again.folder == shards.folder
    assert torch.equal(again.read([5]), shards.read([5]))


def test_check_finds_the_damaged_record(cache):
    fill(cache, range(9), shard_bytes=4 * RECORD)
    told = []
    assert cache.check(lambda done, total: told.append((done, total))).tolist() == []
    assert told == [(9, 9)]
    place = cache.folder / "shard-00001.bin"
    data = bytearray(place.read_bytes())
    data[RECORD + 5] ^= 1
    place.write_bytes(data)
    assert FeatureCache.open(cache.folder).check().tolist() == [5]


def test_a_record_cut_off_is_absent_not_wrong(cache):
    fill(cache, range(4))
    place = cache.folder / "shard-00000.bin"
    place.write_bytes(place.read_bytes()[:-1])
    cache.refresh()
    assert positions_of(cache, range(4)).tolist() == [0, 1, 2, -1]


def test_a_damaged_entry_is_a_hole(cache):
    fill(cache, range(4))
    place = cache.folder / "shard-00000.idx"
    data = bytearray(place.read_bytes())
    data[56 + 3] ^= 255
    place.write_bytes(data)
    cache.refresh()
    assert positions_of(cache, range(4)).tolist() == [0, -1, 2, 3]
    with pytest.raises(UsageError, match="does not hold"):
        cache.read([1])
    fill(cache, [1])
    assert positions_of(cache, range(4)).tolist() == [0, 4, 2, 3]
    assert torch.equal(cache.read([4]).float(), features_of([1], cache.key))


def test_a_missing_shard(cache):
    fill(cache, range(9), shard_bytes=3 * RECORD)
    (cache.folder / "shard-00001.idx").unlink()
    with pytest.raises(DataError, match=r"shard-00001.idx' is missing"):
        FeatureCache.open(cache.folder)


def test_folders_of_caches(tmp_path):
    key, other = key_of(), key_of(seed=1)
    made = FeatureCache.create(tmp_path, key)
    assert made.folder == tmp_path / key.folder_name
    assert FeatureCache.open(tmp_path).folder == made.folder
    assert FeatureCache.create(made.folder, key).folder == made.folder
    second = FeatureCache.create(tmp_path, other)
    assert FeatureCache.open(tmp_path, other).folder == second.folder
    with pytest.raises(DataError, match=r"holds 2 feature caches: tiny-all.*Name one"):
        FeatureCache.open(tmp_path)
    with pytest.raises(DataError, match="seed is 1, asked for 0"):
        FeatureCache.open(second.folder, key)
    with pytest.raises(DataError, match="seed is 1, asked for 0"):
        FeatureCache.create(second.folder, key)
    with pytest.raises(DataError, match=r"key\.json is missing"):
        FeatureCache.open(tmp_path, key_of(seed=2))


def test_a_damaged_loss_is_told(cache):
    (cache.folder / "loss.json").write_text("{")
    with pytest.raises(DataError, match="Delete it"):
        _ = cache.loss


def anonymous_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_flat_over_epochs(tmp_path):
    cache = FeatureCache.create(tmp_path, key_of(rows=14, columns=14, width=64))
    fill(cache, range(600))
    order, out = np.random.default_rng(0), torch.empty(50, 196, 64, dtype=torch.float16)

    def epoch():
        for start in range(0, 600, 50):
            cache.read(order.permutation(600)[start : start + 50], out)

    epoch()
    before = anonymous_kilobytes()
    for _ in range(20):
        epoch()
    assert cache.bytes > 15_000_000
    assert anonymous_kilobytes() - before < 2_000
