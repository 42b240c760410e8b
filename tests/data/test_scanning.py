"""Each photo is read once, whatever happens in between."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from PIL import Image

from dermaxai.data import scanning
from dermaxai.data.appearance import measure
from dermaxai.data.hashing import sign
from dermaxai.data.scanning import ScanIndex, scan
from dermaxai.errors import DataError
from tests.data.copies import draw_skin, encode, open_pixels
from tests.data.drawn import disc, paint


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for seed in range(4):
        (place / f"{seed}.jpg").write_bytes(encode(Image.fromarray(draw_skin(seed, side=64))))
    return place


def paths_of(folder):
    return sorted(folder.iterdir())


@pytest.fixture
def reads(monkeypatch):
    """Paths in the order in which they were read."""
    read, paths = scanning.read_image, []
    monkeypatch.setattr(scanning, "read_image", lambda path: paths.append(str(path)) or read(path))
    return paths


def test_what_a_photo_tells(folder, tmp_path):
    paths = paths_of(folder)
    found = scan(paths, tmp_path / "index", workers=1)
    assert list(found) == paths
    data = paths[2].read_bytes()
    one = found[paths[2]]
    assert one.sha256 == hashlib.sha256(data).hexdigest()
    assert (one.width, one.height, one.error, one.appearance) == (64, 64, "", None)
    assert one.signature == sign(open_pixels(data))


def test_width_and_height_are_those_of_the_upright_photo(tmp_path):
    path = tmp_path / "turned.jpg"
    image = Image.fromarray(draw_skin(1)[:64])
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    one = scan([path], tmp_path / "index", workers=1)[path]
    assert (one.width, one.height) == (64, 128)


def test_a_second_scan_reads_nothing(folder, tmp_path, reads):
    first = scan(paths_of(folder), tmp_path / "index", workers=1)
    assert len(reads) == 4
    assert scan(paths_of(folder), tmp_path / "index", workers=1) == first
    assert len(reads) == 4


def test_a_changed_photo_is_read_again(folder, tmp_path, reads):
    paths = paths_of(folder)
    scan(paths, tmp_path / "index", workers=1)
    paths[1].write_bytes(encode(Image.fromarray(draw_skin(9, side=64))))
    os.utime(paths[3], ns=(5, 5))
    found = scan(paths, tmp_path / "index", workers=1)
    assert reads[4:] == [str(paths[1]), str(paths[3])]
    assert found[paths[1]].sha256 == hashlib.sha256(paths[1].read_bytes()).hexdigest()


def test_measuring_comes_later_and_stays(tmp_path, reads):
    path = tmp_path / "lesion.png"
    Image.fromarray(paint(disc(0.2))).save(path)
    index = tmp_path / "index"
    assert scan([path], index, workers=1)[path].appearance is None
    measured = scan([path], index, measured=True, workers=1)[path].appearance
    expected = measure(paint(disc(0.2)))
    assert measured is not None
    assert (measured.area, measured.colours) == (expected.area, expected.colours)
    assert measured.contrast == float(expected.contrast)
    assert len(reads) == 2
    assert scan([path], index, workers=1)[path].appearance is not None
    assert len(reads) == 2


def test_a_photo_without_lesion_is_measured_once(tmp_path, reads):
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(path)
    for _ in range(2):
        assert scan([path], tmp_path / "index", measured=True, workers=1)[path].appearance is None
    assert len(reads) == 1


def test_a_measure_that_fails_loses_the_numbers_only(tmp_path, folder, monkeypatch):
    def fail(pixels):
        raise np.linalg.LinAlgError("no axes")

    monkeypatch.setattr(scanning, "measure", fail)
    path = paths_of(folder)[0]
    one = scan([path], tmp_path / "index", measured=True, workers=1)[path]
    assert one.appearance is None
    assert one.sha256


def test_broken_and_absent_photos_tell_why(folder, tmp_path, broken):
    absent = folder / "absent.jpg"
    found = scan([broken, absent], tmp_path / "index", workers=1)
    assert "damaged" in found[broken].error
    assert "no file" in found[absent].error
    assert found[broken].sha256 == ""
    assert found[broken].signature is None


def test_an_absent_photo_is_tried_again(folder, tmp_path):
    late = folder / "late.jpg"
    scan([late], tmp_path / "index", workers=1)
    late.write_bytes(encode(Image.fromarray(draw_skin(8, side=64))))
    assert scan([late], tmp_path / "index", workers=1)[late].error == ""


def test_names_that_are_no_text(folder, tmp_path):
    path = folder / os.fsdecode(b"\xff\xfe.jpg")
    path.write_bytes(paths_of(folder)[0].read_bytes())
    assert scan([path], tmp_path / "index", workers=1)[path].width == 64


def test_processes_find_the_same(folder, tmp_path):
    for seed in range(4, 36):
        (folder / f"{seed}.jpg").write_bytes((folder / f"{seed % 4}.jpg").read_bytes())
    paths = paths_of(folder)
    assert scan(paths, tmp_path / "two", workers=2) == scan(paths, tmp_path / "one", workers=1)


def test_a_process_that_dies_is_told_and_what_was_read_stays(folder, tmp_path, monkeypatch):
    paths = paths_of(folder)
    scan(paths[:2], tmp_path / "index", workers=1)

    class Dying:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def map(self, *_, **__):
            raise BrokenProcessPool

    monkeypatch.setattr(scanning, "ProcessPoolExecutor", Dying)
    absent = [folder / f"absent{number}.jpg" for number in range(40)]
    with pytest.raises(DataError, match=r"between '.*absent0.jpg' and '.*absent39.jpg'"):
        scan([*paths[:2], *absent], tmp_path / "index", workers=2)
    assert scan(paths[:2], tmp_path / "index", workers=1)[paths[0]].error == ""


def test_progress_counts_what_was_known(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "_COMMIT_SECONDS", -1)
    paths, told = paths_of(folder), []
    scan(paths[:3], tmp_path / "index", workers=1)
    scan(paths, tmp_path / "index", workers=1, on_progress=lambda *step: told.append(step))
    assert told == [("photos", 4, 4), ("photos", 4, 4)]


def test_a_repeated_path_is_read_once(folder, tmp_path, reads):
    path = paths_of(folder)[0]
    with ScanIndex(tmp_path / "index", workers=1) as index:
        assert index.scan([path, path]) == 1
        assert [one.sha256 for one in index.find([path, path])] == [
            hashlib.sha256(path.read_bytes()).hexdigest()
        ] * 2
        assert index.find([folder / "unknown"]) == [None]
    assert len(reads) == 1


def test_an_index_of_another_format_starts_anew(folder, tmp_path, reads):
    index = tmp_path / "index"
    scan(paths_of(folder), index, workers=1)
    base = sqlite3.connect(index)
    base.execute("PRAGMA user_version = 99")
    base.commit()
    base.close()
    scan(paths_of(folder), index, workers=1)
    assert len(reads) == 8


def test_something_else_is_no_index(tmp_path):
    path = tmp_path / "index"
    path.write_text("this is a letter, not a base of photos" * 50)
    with pytest.raises(DataError, match="cannot be used as an index"):
        ScanIndex(path)


KILLED = """
import sys, time
from pathlib import Path
from dermaxai.data import scanning
read = scanning.read_image
def slowly(path):
    time.sleep(0.02)
    return read(path)
scanning.read_image, scanning._COMMIT_SECONDS = slowly, 0.05
scanning.scan(sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2]), workers=1,
              on_progress=lambda *told: print(*told, flush=True))
"""


def test_a_killed_scan_goes_on(folder, tmp_path, reads):
    data = paths_of(folder)[0].read_bytes()
    for number in range(200):
        (folder / f"more{number}.jpg").write_bytes(data)
    index = tmp_path / "index"
    command = [sys.executable, "-c", KILLED, str(folder), str(index)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    found = scan(paths_of(folder), index, workers=1)
    assert len(found) == 204
    assert all(one.error == "" for one in found.values())
    assert 0 < len(reads) < 204


ORPHANS = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from dermaxai.data.scanning import _follow_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), _follow_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    sys.stdin.read()
"""


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(ORPHANS)
    command = [sys.executable, str(script)]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    for _ in range(200):
        if not is_running(child):
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process outlives its parent")


def is_running(process):
    """Whether it is there and no zombie."""
    try:
        with open(f"/proc/{process}/stat") as state:
            return state.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
