import json
import tarfile

import pytest

from dermaxai.errors import DataError
from dermaxai.training.shards import Shard, ShardItem, read_index, read_shard, write_shards


def items(count, start=0):
    return [
        ShardItem(f"ham/{i:04d}", {"jpg": b"photo%d" % i, "json": json.dumps({"id": i}).encode()})
        for i in range(start, start + count)
    ]


def test_what_is_written_is_read(tmp_path):
    write_shards(items(23), tmp_path, per_shard=10)
    shards = read_index(str(tmp_path))
    assert [shard.count for shard in shards] == [10, 10, 3]
    assert [item for shard in shards for item in read_shard(shard)] == items(23)


def test_the_same_items_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_shards(items(7), tmp_path / name, per_shard=4)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_finished_shards_of_a_broken_writing_are_kept(tmp_path):
    def broken():
        yield from items(14)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(broken(), tmp_path, per_shard=5)
    assert not (tmp_path / "index.json").exists()
    first = (tmp_path / "shard-000000.tar").stat().st_mtime_ns
    write_shards(items(23), tmp_path, per_shard=5)
    assert (tmp_path / "shard-000000.tar").stat().st_mtime_ns == first
    assert [item for shard in read_index(str(tmp_path)) for item in read_shard(shard)] == items(23)


def test_shards_of_other_photos_are_not_taken_for_ours(tmp_path):
    write_shards(items(5), tmp_path)
    with pytest.raises(DataError, match="other photos"):
        write_shards(items(5, start=1), tmp_path)


def test_the_files_of_a_photo_are_neighbours_as_the_format_asks(tmp_path):
    write_shards(items(3), tmp_path)
    with tarfile.open(tmp_path / "shard-000000.tar") as tar:
        assert tar.getnames()[:3] == ["ham/0000.jpg", "ham/0000.json", "ham/0001.jpg"]


def test_addresses_of_other_systems(tmp_path):
    write_shards(items(4), tmp_path)
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for file in tmp_path.iterdir():
        memory.pipe(f"/shards/{file.name}", file.read_bytes())
    (shard,) = read_index("memory://shards")
    assert shard.url == "memory://shards/shard-000000.tar"
    assert list(read_shard(shard)) == items(4)


@pytest.mark.parametrize("key", ["", "a.b", "twice"])
def test_keys_that_cannot_be(tmp_path, key):
    with pytest.raises(DataError, match="cannot name a photo"):
        write_shards([ShardItem("twice", {"jpg": b""}), ShardItem(key, {"jpg": b""})], tmp_path)


def test_a_cut_shard_is_told(tmp_path):
    write_shards(items(9), tmp_path)
    path = tmp_path / "shard-000000.tar"
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(DataError, match="shard-000000"):
        list(read_shard(read_index(str(tmp_path))[0]))


def test_a_count_that_is_not_the_index_s_is_told(tmp_path):
    write_shards(items(9), tmp_path)
    with pytest.raises(DataError, match="holds 9 photos, its index says 8"):
        list(read_shard(Shard(str(tmp_path / "shard-000000.tar"), 8)))


@pytest.mark.parametrize("text", ["", "{}", '{"shardlist": []}', '{"shardlist": [{"url": "x"}]}'])
def test_what_is_no_index(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(DataError, match="index"):
        read_index(str(tmp_path))
