from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.errors import SettingError
from dermaxai.training import streaming
from dermaxai.training.shards import Shard, ShardItem, read_index, write_shards
from dermaxai.training.streaming import BatchStream, ShardStream


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shards([ShardItem(f"{i:03d}", {"txt": b"%d" % i}) for i in range(60)], folder, per_shard=7)
    return read_index(str(folder))


def keys(items):
    return [item.key for item in items]


def test_an_epoch_of_one_lane_gives_each_photo_once(shards):
    stream = ShardStream(shards, window=2)
    first, second = keys(islice(stream.lane(0), 60)), keys(islice(stream.lane(0, 60), 60))
    assert sorted(first) == sorted(second) == [f"{i:03d}" for i in range(60)]
    assert first != second


def test_lanes_share_the_photos(shards):
    stream = ShardStream(shards, lanes=3)
    length = stream.epoch_length(0)
    given_out = Counter(key for lane in range(3) for key in keys(islice(stream.lane(lane), length)))
    assert max(given_out.values()) == 1
    assert length * 3 > 60 - 3 * 7


@settings(max_examples=30, deadline=None)
@given(
    position=st.integers(0, 200), lanes=st.integers(1, 4), window=st.integers(1, 5), seed=st.integers(0, 9)
)
def test_any_place_is_reached_without_state(shards, position, lanes, window, seed):
    stream = ShardStream(shards, lanes=lanes, window=window, seed=seed)
    through = keys(islice(stream.lane(lanes - 1), position, position + 10))
    assert keys(islice(stream.lane(lanes - 1, position), 10)) == through


def test_what_lies_before_is_not_read(shards, monkeypatch):
    opened = []
    read = streaming.read_shard
    monkeypatch.setattr(streaming, "read_shard", lambda shard: opened.append(shard.url) or read(shard))
    next(ShardStream(shards, window=1).lane(0, 40))
    assert len(opened) == 1


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_a_batch_that_does_not_depend_on_their_number(shards, world):
    stream = ShardStream(shards, lanes=4, window=1)
    whole = BatchStream(stream, 8)
    parts = [BatchStream(stream, 8, rank=rank, world=world) for rank in range(world)]
    for step in (0, 1, 2, 9):
        assert keys(whole.at(step)) == [key for part in parts for key in keys(part.at(step))]


def test_a_process_opens_its_own_shards_only(shards, monkeypatch):
    opened = {0: set(), 1: set()}
    read = streaming.read_shard
    for rank, urls in opened.items():
        monkeypatch.setattr(
            streaming, "read_shard", lambda shard, urls=urls: urls.add(shard.url) or read(shard)
        )
        batches = BatchStream(ShardStream(shards, lanes=2, window=1), 4, rank=rank, world=2)
        for step in range(3):
            batches.at(step)
    assert not opened[0] & opened[1]


@pytest.mark.parametrize(("lanes", "window"), [(0, 1), (10, 1), (1, 0)])
def test_settings_that_cannot_be(shards, lanes, window):
    with pytest.raises(SettingError):
        ShardStream(shards, lanes=lanes, window=window)


def test_what_does_not_divide_is_told():
    stream = ShardStream([Shard("a", 1), Shard("b", 1), Shard("c", 1)], lanes=3)
    with pytest.raises(SettingError, match="cannot be shared by 2"):
        BatchStream(stream, 6, world=2)
    with pytest.raises(SettingError, match="batch of 4"):
        BatchStream(stream, 4)
