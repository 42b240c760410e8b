"""Names and bytes of uploads."""

import io
import tempfile
import unicodedata

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser

from dermaxai.api import uploads
from dermaxai.api.limits import Places
from dermaxai.api.state import ServeOptions
from dermaxai.api.uploads import clean_name, keep_in_memory, read_upload
from dermaxai.errors import ImageTooLarge, ImageUnreadable, TooFast
from tests.api.hostile_files import saved, small_photo

OPTIONS = ServeOptions()


def read(data, name="mole.png", options=OPTIONS):
    return anyio.run(read_upload, UploadFile(io.BytesIO(data), filename=name), options)


def test_the_content_decides_not_the_name():
    image, name = read(saved(small_photo(), "PNG"), "mole.jpg")
    assert (image.format, name) == ("PNG", "mole.jpg")
    assert not any("named as" in note for note in image.notes)


def test_the_name_stands_in_no_error():
    with pytest.raises(ImageUnreadable, match=r"^The file is no picture") as refused:
        read(b"x", "Ivanova.png")
    assert "Ivanova" not in str(refused.value)
    assert "given bytes" not in str(refused.value)


def test_the_limits_are_those_of_the_server():
    data = saved(small_photo(), "PNG")
    with pytest.raises(ImageTooLarge, match="MB"):
        read(data, options=ServeOptions(max_bytes=100))
    with pytest.raises(ImageTooLarge, match="64 x 48 pixels"):
        read(data, options=ServeOptions(max_pixels=100))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("mole.jpg", "mole.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\mole.jpg", "mole.jpg"),
        ("a\0b.png", "ab.png"),
        ("a\r\nb.png", "a b.png"),
        ("mole\u202egnp.exe", "molegnp.exe"),
        ("\u2066mole\u2069.png", "mole.png"),
        ("й.png", "й.png"),
        ("снимок 3.png", "снимок 3.png"),
        ("😀.png", "😀.png"),
        ("\ud800.png", "png"),
        ("...", "photo"),
        ("", "photo"),
        ("  a   b.png ", "a b.png"),
        (".htaccess", "htaccess"),
        ("x" * 500, "x" * 120),
    ],
)
def test_names_as_they_are_shown(given, shown):
    assert clean_name(given) == shown


@given(st.text(max_size=400))
def test_every_name_is_one_short_line_that_hides_nothing(text):
    name = clean_name(text)
    assert 1 <= len(name) <= 120
    assert name.isprintable()
    assert not set(name) & set("/\\")
    assert not any(unicodedata.bidirectional(sign) in ("RLO", "LRO", "RLE", "LRE", "PDF") for sign in name)
    assert not name.startswith(".")
    assert clean_name(name) == name


def test_no_upload_touches_a_disk(monkeypatch):
    monkeypatch.setattr(MultiPartParser, "spool_max_size", 1024)
    keep_in_memory(3_000_000)
    assert MultiPartParser.spool_max_size > 3_000_000
    with tempfile.SpooledTemporaryFile(max_size=MultiPartParser.spool_max_size) as file:
        file.write(b"x" * 3_000_000)
        assert not file._rolled
    keep_in_memory(10)
    assert MultiPartParser.spool_max_size > 3_000_000, "another server in this process may need it"


def test_photos_wait_for_each_other_and_not_for_ever(monkeypatch):
    async def run():
        full = Places(1, waiting=0, seconds=1, what="photos are being read")
        uploads._DECODING.set(full)
        with pytest.raises(TooFast, match="photos are being read"):
            await read_upload(UploadFile(io.BytesIO(b"x"), filename="x"), OPTIONS)

    anyio.run(run)
