"""Adding to a cache, and what a writer leaves that is stopped at any moment."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dermaxai.errors import DataError, ShapeError, UsageError
from dermaxai.features import FeatureCache, FeatureWriter, writing
from tests.features.conftest import features_of, fill, key_of, name_of

RECORD = 2 * 3 * 8 * 2


class Killed(BaseException):
    """In place of the signal."""


def whole(folder, numbers):
    cache = FeatureCache.open(folder)
    assert cache.check().tolist() == []
    positions = cache.locate([name_of(number) for number in numbers])
    assert (positions >= 0).all()
    assert torch.equal(cache.read(positions).float(), features_of(numbers, cache.key))
    return cache


def write_on(cache, told):
    """Three batches of three; `told` gains how many photos are said to be there."""
    with FeatureWriter(cache, shard_bytes=6 * RECORD) as writer:
        for first in (4, 7, 10):
            numbers = range(first, first + 3)
            writer.append([name_of(n) for n in numbers], [0] * 3, features_of(numbers, cache.key))
            told.append(first + 3)


@pytest.mark.parametrize("step", range(1, 11))
def test_stopped_at_any_step(cache, monkeypatch, step):
    """Three batches, two of them over a shard's end, are ten writes; each is cut in the middle in turn."""
    fill(cache, range(4), shard_bytes=6 * RECORD)
    genuine, steps = writing._write_all, iter(range(1, 100))

    def cut_short(file, data, offset):
        if next(steps) == step:
            half = data.view("u1").reshape(-1)[: data.nbytes // 2 + 7]
            genuine(file, half, offset)
            raise Killed
        genuine(file, data, offset)

    monkeypatch.setattr(writing, "_write_all", cut_short)
    told = [4]
    with pytest.raises(Killed):
        write_on(cache, told)
    monkeypatch.undo()
    found = whole(cache.folder, range(told[-1]))
    assert told[-1] <= len(found) < told[-1] + 3
    fill(found, range(len(found), 15), shard_bytes=6 * RECORD)
    after = whole(cache.folder, range(15))
    assert after.bytes == 15 * (RECORD + 56)


def test_killed_for_real(tmp_path):
    command = [sys.executable, "-m", "benchmarks.kill_cache", "--rounds", "5", "--seed", "3"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path), "--json", str(tmp_path / "rounds.json")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rounds = json.loads((tmp_path / "rounds.json").read_text())
    assert len(rounds) == 6
    assert rounds[-1]["found"] > 1
    assert all(entry["told"] <= entry["found"] and not entry["wrong"] for entry in rounds)


def test_data_reach_the_disk_before_their_entries(cache, monkeypatch):
    events = []
    genuine_write, genuine_sync = os.pwrite, os.fsync

    def kind(file):
        return os.readlink(f"/proc/self/fd/{file}")[-3:]

    monkeypatch.setattr(os, "pwrite", lambda f, d, o: events.append(kind(f)) or genuine_write(f, d, o))
    monkeypatch.setattr(os, "fsync", lambda f: events.append(f"sync {kind(f)}") or genuine_sync(f))
    with FeatureWriter(cache) as writer:
        events.clear()
        writer.append([name_of(1)], [0], features_of([1], cache.key))
    assert events == ["bin", "sync bin", "idx", "sync idx"]


def test_one_writer_at_a_time(cache):
    with (
        FeatureWriter(cache),
        pytest.raises(UsageError, match=rf"written by process {os.getpid()} on .*Wait"),
    ):
        FeatureWriter(FeatureCache.open(cache.folder)).__enter__()
    fill(cache, [1])
    (cache.folder / "writer.lock").write_text("process 1 on elsewhere")
    fill(cache, [2])
    assert len(cache) == 2


def test_the_lock_of_another_process_is_seen_and_dies_with_it(cache):
    code = (
        "import sys, time; from pathlib import Path; from dermaxai.features.writing import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(cache.folder)], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"process {child.pid} "):
            fill(cache, [1])
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    fill(cache, [1])
    assert len(cache) == 1


def test_a_failed_start_frees_the_lock(cache):
    fill(cache, range(3), shard_bytes=RECORD)
    (cache.folder / "shard-00001.idx").rename(cache.folder / "kept")
    with pytest.raises(DataError, match="is missing"):
        FeatureWriter(cache).__enter__()
    (cache.folder / "kept").rename(cache.folder / "shard-00001.idx")
    fill(cache, [3])


def test_shapes_and_names_are_checked(cache):
    with FeatureWriter(cache) as writer:
        with pytest.raises(ShapeError, match=r"\(1, 6, 8\) are stored; \(1, 8, 6\)"):
            writer.append([name_of(1)], [0], torch.zeros(1, 8, 6))
        with pytest.raises(UsageError, match="64 hex digits"):
            writer.append(["x"], [0], torch.zeros(1, 6, 8))
    assert FeatureCache.open(cache.folder).bytes == 0


def test_a_full_disk(tmp_path):
    """The limit of a file's size stands for the disk's; both fail in the same call."""
    cache = FeatureCache.create(tmp_path, key_of())
    fill(cache, range(3))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * RECORD + 10, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written: File too large.*is kept"):
            fill(cache, range(3, 9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(whole(cache.folder, range(3))) == 3
    fill(cache, range(3, 9))
    whole(cache.folder, range(9))


def test_a_folder_that_cannot_be_written(cache, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"cannot be written: Permission denied.*another folder"):
        FeatureWriter(cache).__enter__()


def test_a_place_where_no_cache_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written: (Not a directory|File exists)"):
        FeatureCache.create(tmp_path / "file", key_of())


def test_a_place_without_locks(cache, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DataError, match=r"without locks.*local disk"):
        FeatureWriter(cache).__enter__()


def test_forgotten_entries_can_be_written_again(cache):
    fill(cache, range(6), shard_bytes=4 * RECORD)
    with FeatureWriter(cache) as writer:
        writer.forget([1, 5])
    assert len(cache) == 4
    assert cache.locate([name_of(n) for n in range(6)]).tolist() == [0, -1, 2, 3, 4, -1]
    fill(cache, [1, 5])
    whole(cache.folder, range(6))


def test_the_loss_is_kept(cache):
    with FeatureWriter(cache) as writer:
        writer.tell_loss(0.0125, 256)
    assert FeatureCache.open(cache.folder).loss == 0.0125
