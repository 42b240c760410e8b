"""Files that are small and take very long to read."""

import struct

import pytest

from dermaxai import bombs
from dermaxai.errors import ImageTooLarge
from tests.api.hostile_files import (
    bmp_head,
    chunk,
    jpeg_scans,
    png_of,
    saved,
    small_photo,
    sound_photos,
    tiff_of,
)

KINDS = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF", "webp": "WEBP", "bmp": "BMP"}


@pytest.mark.parametrize("name", [name for name in sound_photos() if "dicom" not in name])
def test_sound_photos_pass(name):
    bombs.check(sound_photos()[name], KINDS[name.split()[0]], 64 * 48, "photo")


def test_scans_are_weighed_by_the_size_of_the_photo():
    data = jpeg_scans(64, 500)
    bombs.check_jpeg(data, 64 * 64, "photo")
    with pytest.raises(ImageTooLarge, match="scans of 100,000,000 pixels"):
        bombs.check_jpeg(data, 100_000_000, "photo")


def test_a_progressive_photo_of_the_largest_size_may_be_read():
    bombs.check_jpeg(saved(small_photo(), "JPEG", progressive=True), 100_000_000, "photo")


def test_what_lies_behind_the_picture_is_not_counted():
    data = saved(small_photo(), "JPEG") + b"\xff\xda\x00\x02" * 100_000
    bombs.check_jpeg(data, 100_000_000, "photo")


def test_marks_inside_segments_and_values_are_not_counted():
    data = saved(small_photo(), "JPEG")
    inside = b"\xff\xda" * 10_000
    segment = b"\xff\xe5" + struct.pack(">H", len(inside) + 2) + inside
    bombs.check_jpeg(data[:2] + segment + data[2:], 100_000_000, "photo")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 60_000, "JPEG"),
        (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 60_000, "MPO"),
        (png_of(64, 64, chunk(b"abCd", b"") * 60_000), "PNG"),
        (tiff_of(1_001), "TIFF"),
        (tiff_of(2, circle=True), "TIFF"),
        (bmp_head(64, 64, 8, 1) + b"\0" * 9_000_000, "BMP"),
    ],
)
def test_too_many_parts_are_refused(data, kind):
    with pytest.raises(ImageTooLarge, match=r"'photo' has .*too much work"):
        bombs.check(data, kind, 64 * 64, "photo")


def test_what_is_just_allowed_is_allowed():
    bombs.check(tiff_of(1_000), "TIFF", 64 * 64, "photo")
    bombs.check(bmp_head(64, 64, 24) + b"\0" * 9_000_000, "BMP", 64 * 64, "photo")


@pytest.mark.parametrize("length", range(0, 64, 3))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_file_that_breaks_off_is_left_to_its_decoder(kind, length):
    data = {"JPEG": saved(small_photo(), "JPEG"), "PNG": png_of(64, 64), "TIFF": tiff_of(2)}[kind]
    bombs.check(data[: length + 4], kind, 64 * 64, "photo")


def test_big_tiffs_are_walked_too():
    def page(following):
        return struct.pack("<QHHQQQ", 1, 256, 3, 1, 64, following)

    size = len(page(0))
    head = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16)
    circle = head + page(16 + size) + page(16)
    bombs.check(head + page(16 + size) + page(0), "TIFF", 64 * 64, "photo")
    with pytest.raises(ImageTooLarge):
        bombs.check(circle, "TIFF", 64 * 64, "photo")
