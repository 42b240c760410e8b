"""The process that decodes photos, and what happens when it falls."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from dermaxai.api import decoding
from dermaxai.api.decoding import Decoders, receive, send
from dermaxai.errors import ImageTooLarge, ImageUnreadable
from dermaxai.images import Limits, read_image
from tests.api.hostile_files import png_of, saved, small_photo, sound_photos


@pytest.fixture
def decoders():
    found = Decoders()
    yield found
    found.close()


@pytest.mark.parametrize("name", sound_photos())
def test_a_photo_is_the_same_as_read_here(decoders, name):
    data = sound_photos()[name]
    there, here = decoders.read(data, Limits()), read_image(data)
    assert np.array_equal(there.pixels, here.pixels)
    assert (there.sha256, there.format, there.removed, there.notes) == (
        here.sha256, here.format, here.removed, here.notes,
    )  # fmt: skip


def test_errors_are_the_same_as_read_here(decoders):
    for data, limits in (
        (b"", Limits()),
        (png_of(60_000, 60_000), Limits()),
        (b"x" * 200, Limits(max_bytes=100)),
    ):
        with pytest.raises((ImageTooLarge, ImageUnreadable)) as here:
            read_image(data, limits=limits)
        with pytest.raises(type(here.value)) as there:
            decoders.read(data, limits)
        assert str(there.value) == str(here.value)


def test_one_process_reads_many_photos(decoders):
    data = saved(small_photo(), "PNG")
    decoders.read(data, Limits())
    (child,) = decoders._idle
    decoders.read(data, Limits())
    assert decoders._idle == [child]


def test_a_file_that_takes_too_long_is_refused_and_its_process_ended():
    decoders = Decoders(seconds=0.01)
    with pytest.raises(ImageUnreadable, match="takes too long"):
        decoders.read(saved(small_photo(), "PNG"), Limits())
    assert decoders._idle == []


@pytest.mark.skipif(sys.platform != "linux", reason="the system ends it where it counts its time")
def test_a_file_that_takes_too_much_work_is_refused(decoders, monkeypatch):
    busy = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)"]
    start = subprocess.Popen
    monkeypatch.setattr(decoding.subprocess, "Popen", lambda _command, **told: start(busy, **told))
    with pytest.raises(ImageUnreadable, match="takes too long"):
        decoders.read(saved(small_photo(), "PNG"), Limits())


@pytest.mark.skipif(sys.platform != "linux", reason="the system counts its time")
def test_each_photo_gets_its_time(decoders):
    import resource

    for _ in range(2):
        decoders.read(saved(small_photo(), "PNG"), Limits())
        soft, _ = resource.prlimit(decoders._idle[0].pid, resource.RLIMIT_CPU)
        assert decoding.WORK <= soft <= decoding.WORK + 10


def test_a_process_that_was_ended_from_outside_costs_nobody_a_photo(decoders):
    data = saved(small_photo(), "PNG")
    decoders.read(data, Limits())
    decoders._idle[0].kill()
    decoders._idle[0].wait()
    assert decoders.read(data, Limits()).format == "PNG"


def test_a_file_that_brings_its_process_down_is_refused(decoders, monkeypatch):
    falling = [sys.executable, "-c", "import os; os.abort()"]
    start = subprocess.Popen
    monkeypatch.setattr(decoding.subprocess, "Popen", lambda _command, **told: start(falling, **told))
    with pytest.raises(ImageUnreadable, match="brings its decoder down"):
        decoders.read(saved(small_photo(), "PNG"), Limits())
    assert decoders._idle == []


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the limit is set where the kernel tells")
def test_a_file_that_needs_too_much_memory_is_refused():
    decoders = Decoders(memory=150_000_000)
    large = saved(small_photo(side=(9_000, 9_000)), "JPEG", quality=1)
    with pytest.raises(ImageTooLarge, match="memory"):
        decoders.read(large, Limits())
    assert decoders.read(saved(small_photo(), "PNG"), Limits()).format == "PNG", "it goes on with the next"
    decoders.close()


def test_the_process_knows_nothing_secret(monkeypatch):
    monkeypatch.setenv("DERMAXAI_SECRET", "x")
    told = {}
    monkeypatch.setattr(decoding.subprocess, "Popen", lambda _command, **given: told.update(given))
    Decoders()._new_one()
    assert "DERMAXAI_SECRET" not in told["env"]
    assert told["stderr"] == subprocess.DEVNULL


def test_the_process_ends_with_whoever_started_it():
    child = Decoders()._new_one()
    child.stdin.close()
    assert child.wait(timeout=30) == 0
    child.stdout.close()


def test_what_is_sent_is_received():
    pipe = io.BytesIO()
    send(pipe, {"a": "ё"}, b"123\n")
    send(pipe, {}, b"")
    pipe.seek(0)
    told, data = receive(io.BufferedReader(pipe))
    assert (told["a"], bytes(data)) == ("ё", b"123\n")
    for broken in (b"", b'{"bytes": 4}\n12', b"{}\n"):
        with pytest.raises(EOFError):
            receive(io.BufferedReader(io.BytesIO(broken)))


def test_nothing_heavy_is_loaded_to_decode(heavy_after):
    assert heavy_after("import dermaxai.api.decoding") == ["numpy"]
