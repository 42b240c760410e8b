"""Every odd file has a clear outcome: pixels and a note, or one of two errors."""

import contextlib
import hashlib
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from dermaxai.errors import ImageError, ImageTooLarge, ImageUnreadable, UsageError
from dermaxai.images import IMAGE_SUFFIXES, PILLOW_LIMIT, Limits, find_images, read_image, write_photo

SECRET = "Ivanova-Secret-4711"


def make_pixels(height=40, width=60) -> np.ndarray:
    """A smooth scene without symmetry, so that every turn shows."""
    rows, columns = np.mgrid[:height, :width]
    return (
        np.stack([rows * 5 + 20, columns * 3 + 30, 200 - rows * 2 - columns], axis=2)
        .clip(0, 255)
        .astype(np.uint8)
    )


PIXELS = make_pixels()


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo() -> Image.Image:
    return Image.fromarray(PIXELS)


def difference(left, right) -> int:
    return int(np.abs(np.asarray(left, int) - np.asarray(right, int)).max())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
    ],
)
def test_every_format_is_read(kind, options, tolerance):
    data = encode(photo(), kind, **options)
    image = read_image(data)
    assert image.format == kind
    assert image.pixels.shape == PIXELS.shape
    assert image.pixels.dtype == np.uint8
    assert difference(image.pixels, PIXELS) <= tolerance
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.notes == ()
    assert image.removed == ()


def test_gif_and_svg_are_refused():
    moving = encode(photo(), "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40))])
    for data in (
        encode(photo(), "GIF"),
        moving,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7 nothing",
    ):
        with pytest.raises(ImageUnreadable, match="JPEG, PNG, TIFF, WebP, BMP and DICOM"):
            read_image(data)


# Names and places


@pytest.mark.parametrize("name", ["родинка.png", "黑色素瘤.png", "mole 🔬.png", "-rf.png", "a'b\"c.png"])
def test_names_of_any_script(tmp_path: Path, name):
    path = tmp_path / "снимки пациента" / name
    path.parent.mkdir()
    photo().save(path)
    assert difference(read_image(path).pixels, PIXELS) == 0
    assert difference(read_image(str(path)).pixels, PIXELS) == 0


def test_message_holds_a_name_that_is_not_unicode(tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    with pytest.raises(ImageUnreadable) as caught:
        read_image(path)
    str(caught.value).encode("utf-8")


def test_wrong_extension_is_read_by_content_with_a_note(tmp_path: Path):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(photo(), "JPEG"))
    image = read_image(path)
    assert image.format == "JPEG"
    assert image.notes == ("named as PNG, is JPEG",)


def test_no_extension_and_upper_case_need_no_note(tmp_path: Path):
    for name in ("photo", "PHOTO.JPG", "photo.jpeg"):
        (tmp_path / name).write_bytes(encode(photo(), "JPEG"))
        assert read_image(tmp_path / name).notes == ()


def test_missing_file_folder_and_pipe(tmp_path: Path):
    with pytest.raises(ImageUnreadable, match=r"no file 'нет\.jpg'"):
        read_image(tmp_path / "нет.jpg")
    with pytest.raises(ImageUnreadable, match="is a folder"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageUnreadable, match="not an ordinary file"):
        read_image(tmp_path / "pipe.jpg")
    with pytest.raises(ImageUnreadable):
        read_image("name with a nul\0.png")


def test_zero_bytes(tmp_path: Path):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageUnreadable, match=r"'empty\.jpg' is empty \(0 bytes\)"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageUnreadable, match="empty"):
        read_image(b"")


# Limits


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_truncated_files_are_unreadable(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(ImageUnreadable, match=r"damaged|no picture"):
        read_image(data[: int(len(data) * share)])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: tuple[int, int], bits: int, colour: int, rows: bytes = b"", *, extra: bytes = b"") -> bytes:
    """A PNG of `size` (width, height), depth and colour type, whose `rows` have a filter byte each."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    return png((width, height), 8, 2)


def deep_png(values: np.ndarray, colour: int, *, extra: bytes = b"") -> bytes:
    """A PNG of 16 bit; Pillow writes only grey. Colour type 0 is grey, 2 RGB, 4 grey with alpha, 6 RGBA."""
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    return png((values.shape[1], values.shape[0]), 16, colour, rows, extra=extra)


UNSIGNED, SIGNED, FLOAT = 1, 2, 3


def tiff(values: np.ndarray, order: str, numbers: int, *, ink: int | None = None, bits: int = 0) -> bytes:
    """An uncompressed TIFF, also of depths, byte orders ('II', 'MM') and numbers that Pillow does not write.

    `bits` says that `values` are the packed bytes of 60 pixels a row.
    """
    mark = "<" if order == "II" else ">"
    body = values.astype(values.dtype.newbyteorder(mark)).tobytes()
    bands = values.shape[2] if values.ndim == 3 else 1
    each = bits or values.dtype.itemsize * 8
    ink = (2 if bands == 3 else 1) if ink is None else ink
    tags = {
        256: [60 if bits else values.shape[1]],
        257: [len(values)],
        258: [each] * bands,
        259: [1],
        262: [ink],
    }
    tags |= {273: [8], 277: [bands], 278: [len(values)], 279: [len(body)], 339: [numbers] * bands}
    fields = b""
    for tag, numbers_of_tag in tags.items():
        packed = struct.pack(f"{mark}{len(numbers_of_tag)}I", *numbers_of_tag)
        if len(packed) > 4:
            body, packed = body + packed, struct.pack(f"{mark}I", 8 + len(body))
        fields += struct.pack(f"{mark}HHI", tag, 4, len(numbers_of_tag)) + packed
    head = order.encode() + struct.pack(f"{mark}HI", 42, 8 + len(body))
    return head + body + struct.pack(f"{mark}H", len(tags)) + fields + bytes(4)


@pytest.mark.parametrize("size", [(10_001, 10_000), (16_000, 16_000), (1_000_000, 1_000_000)])
def test_huge_picture_is_refused_from_its_header(size):
    with pytest.raises(ImageTooLarge, match="pixels"):
        read_image(png_header(*size))


def test_decompression_bomb_is_not_decoded(monkeypatch):
    bomb = encode(Image.new("L", (3000, 3000)), "PNG")
    assert len(bomb) < 20_000
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageTooLarge, match="3000 x 3000 pixels; at most 1,000,000"):
        read_image(bomb, limits=Limits(max_pixels=1_000_000))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP"])
def test_a_limit_above_that_of_pillow_is_kept(kind, monkeypatch):
    """Numbers are small here: Pillow's own limit is twice `MAX_IMAGE_PIXELS`."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    monkeypatch.setattr("dermaxai.images.PILLOW_LIMIT", 1000)
    data = encode(photo(), kind)
    assert read_image(data, limits=Limits(max_pixels=2400)).pixels.shape == PIXELS.shape
    assert Image.MAX_IMAGE_PIXELS == 500
    with pytest.raises(ImageTooLarge, match="60 x 40 pixels; at most 2,399 are read"):
        read_image(data, limits=Limits(max_pixels=2399))
    with pytest.raises(ImageTooLarge, match="more than 1,000 pixels; at most 900 are read"):
        read_image(data, limits=Limits(max_pixels=900))
    with pytest.raises(ImageUnreadable):
        read_image(data[: len(data) * 7 // 10], limits=Limits(max_pixels=2400))
    assert Image.MAX_IMAGE_PIXELS == 500


def test_the_limit_of_pillow_is_known_and_ours_speaks_above_it():
    assert 2 * Image.MAX_IMAGE_PIXELS == PILLOW_LIMIT
    with pytest.raises(ImageTooLarge, match="20000 x 20000 pixels; at most 300,000,000 are read"):
        read_image(png_header(20_000, 20_000), limits=Limits(max_pixels=300_000_000))
    with pytest.raises(ImageTooLarge, match="at most 100,000,000 are read"):
        read_image(png_header(20_000, 20_000))


def test_limit_of_bytes_is_checked_before_reading(tmp_path: Path, monkeypatch):
    path = tmp_path / "big.jpg"
    path.write_bytes(bytes(2000))
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(ImageTooLarge, match=r"'big\.jpg' has 0\.0 MB"):
        read_image(path, limits=Limits(max_bytes=1000))
    with pytest.raises(ImageTooLarge):
        read_image(bytes(2000), limits=Limits(max_bytes=1000))


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 15)])
def test_tiny_picture_is_refused(size):
    with pytest.raises(ImageUnreadable, match="needs 16 on each side"):
        read_image(encode(Image.new("RGB", size), "PNG"))
    assert read_image(encode(Image.new("RGB", (16, 16)), "PNG")).pixels.shape == (16, 16, 3)


# Frames


@pytest.mark.parametrize(
    ("kind", "word"), [("PNG", "frame"), ("WEBP", "frame"), ("TIFF", "page"), ("MPO", "picture")]
)
def test_first_of_several_frames_is_used(kind, word):
    others = [Image.new("RGB", (60, 40), colour) for colour in ("white", "black")]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(encode(photo(), kind, save_all=True, append_images=others, **options))
    assert f"only the first {word} of 3 is used" in image.notes
    assert difference(image.pixels, PIXELS) <= (12 if kind == "MPO" else 0)
    assert image.format == ("JPEG" if kind == "MPO" else kind)


# Colour modes


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_grey_becomes_rgb(kind):
    grey = PIXELS[..., 0]
    image = read_image(encode(Image.fromarray(grey), kind))
    assert difference(image.pixels, np.repeat(grey[..., None], 3, axis=2)) <= 4
    assert image.notes == ()


def test_one_bit():
    bits = PIXELS[..., 0] > 100
    for kind in ("PNG", "TIFF", "BMP"):
        image = read_image(encode(Image.fromarray(bits), kind))
        assert np.array_equal(image.pixels[..., 1], np.where(bits, 255, 0))


def test_palette():
    palette = photo().quantize(64)
    expected = np.asarray(palette.convert("RGB"))
    for kind in ("PNG", "TIFF", "BMP"):
        assert difference(read_image(encode(palette, kind)).pixels, expected) == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_flattened_on_white(kind):
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:20] = 0
    alpha[20:30] = 128
    data = encode(
        Image.fromarray(np.dstack([PIXELS, alpha])), kind, **({"lossless": True} if kind == "WEBP" else {})
    )
    image = read_image(data)
    assert (image.pixels[:20] == 255).all()
    assert difference(image.pixels[20:30], (PIXELS[20:30].astype(int) + 255) / 2) <= 2
    assert difference(image.pixels[30:], PIXELS[30:]) == 0
    assert image.notes == ("alpha flattened on white",)


def test_alpha_of_palette_grey_and_colour_key():
    key = tuple(int(value) for value in PIXELS[5, 5])
    colour = read_image(encode(photo(), "PNG", transparency=key))
    assert (colour.pixels[5, 5] == 255).all()
    grey = read_image(encode(Image.merge("LA", [photo().getchannel(0), Image.new("L", (60, 40), 0)]), "PNG"))
    assert (grey.pixels == 255).all()
    palette = read_image(encode(photo().quantize(8), "PNG", transparency=0))
    assert (palette.pixels == 255).all(axis=2).any()
    for image in (colour, grey, palette):
        assert image.notes == ("alpha flattened on white",)


def test_opaque_alpha_is_not_worth_a_note():
    image = read_image(encode(photo().convert("RGBA"), "PNG"))
    assert difference(image.pixels, PIXELS) == 0
    assert image.notes == ()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_profile(kind):
    image = read_image(encode(photo().convert("CMYK"), kind))
    assert difference(image.pixels, PIXELS) <= 12
    assert image.notes == ("CMYK without a profile, converted by formula",)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 40 * 60).astype(np.uint16).reshape(40, 60)
    image = read_image(encode(Image.fromarray(ramp), kind))
    assert difference(image.pixels[..., 0], ramp / 257) <= 1
    assert len(np.unique(image.pixels)) == 256
    assert image.notes == ("16 bit scaled to 8",)


def test_sixteen_bit_colour_png():
    image = read_image(deep_png(PIXELS.astype(int) * 257, 2))
    assert difference(image.pixels, PIXELS) <= 1
    assert image.notes == ("16 bit scaled to 8",)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_deep_tiff_of_both_byte_orders(order):
    deep = PIXELS.astype(np.uint16) * 257
    for values in (deep, deep[..., 0]):
        image = read_image(tiff(values, order, UNSIGNED))
        assert difference(image.pixels, PIXELS if values.ndim == 3 else PIXELS[..., :1]) <= 1
        assert image.notes == ("16 bit scaled to 8",)


def test_twelve_bit_tiff_is_scaled_by_its_own_range():
    values = PIXELS[..., 0].astype(int) * 4095 // 255
    left, right = values[:, ::2], values[:, 1::2]
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=2).reshape(40, 90)
    image = read_image(tiff(packed.astype(np.uint8), "II", UNSIGNED, bits=12))
    assert difference(image.pixels[..., 0], PIXELS[..., 0]) <= 1
    assert image.notes == ("12 bit scaled to 8",)


@pytest.mark.parametrize("colour", [4, 6], ids=["grey", "colour"])
def test_sixteen_bit_alpha_is_flattened_on_white(colour):
    alpha = np.repeat([0, 128, 255], [10, 10, 20])[:, None, None] * np.ones((1, 60, 1), int)
    shown = PIXELS[..., :1] if colour == 4 else PIXELS
    image = read_image(deep_png(np.concatenate([shown, alpha], axis=2) * 257, colour))
    assert (image.pixels[:10] == 255).all()
    assert difference(image.pixels[10:20], (shown[10:20].astype(int) + 255) / 2) <= 2
    assert difference(image.pixels[20:], shown[20:]) <= 1
    assert image.notes == ("16 bit scaled to 8", "alpha flattened on white")


def test_a_clear_grey_is_honoured_at_any_depth():
    grey = PIXELS[..., 0].astype(int)
    clear = grey == grey[7, 7]
    eight = encode(Image.fromarray(PIXELS[..., 0]), "PNG", transparency=int(grey[7, 7]))
    deep = deep_png(grey * 257, 0, extra=chunk(b"tRNS", struct.pack(">H", int(grey[7, 7]) * 257)))
    for data, notes in ((eight, ()), (deep, ("16 bit scaled to 8",))):
        image = read_image(data)
        assert (image.pixels[clear] == 255).all()
        assert difference(image.pixels[~clear], np.repeat(grey[~clear][:, None], 3, axis=1)) == 0
        assert image.notes == (*notes, "alpha flattened on white")
    unused = deep_png(grey * 257, 0, extra=chunk(b"tRNS", struct.pack(">H", int(grey[7, 7]) * 257 + 1)))
    assert read_image(unused).notes == ("16 bit scaled to 8",)


def test_a_clear_sixteen_bit_colour_is_refused():
    key = chunk(b"tRNS", struct.pack(">HHH", *(int(value) * 257 for value in PIXELS[5, 5])))
    with pytest.raises(ImageUnreadable, match=r"marked as clear.*alpha channel, or as 8 bit"):
        read_image(deep_png(PIXELS.astype(int) * 257, 2, extra=key))


@pytest.mark.parametrize("scale", [1, 257, 2**16, 2**22])
def test_integers_beyond_sixteen_bit_are_refused(scale):
    values = PIXELS[..., 0].astype(np.int32) * scale
    unsigned = tiff(values.astype(np.uint32), "II", UNSIGNED)
    with pytest.raises(
        ImageUnreadable, match=r"32-bit integers came.*at most 16 bit.*Export it as 8 or 16 bit"
    ):
        read_image(unsigned)
    for data in (tiff(values, "MM", SIGNED), encode(Image.fromarray(values), "TIFF")):
        with pytest.raises(ImageUnreadable, match=r"Signed 32-bit integers came.*Export it as 8 or 16 bit"):
            read_image(data)


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_signed_integers_are_refused(kind):
    with pytest.raises(ImageUnreadable, match=f"Signed {np.dtype(kind).itemsize * 8}-bit integers came"):
        read_image(tiff((PIXELS[..., 0] // 2).astype(kind), "II", SIGNED))


@pytest.mark.parametrize("order", ["II", "MM"])
def test_floats_reach_from_black_to_white(order):
    unit = (PIXELS[..., 0] / 255).astype(np.float32)
    image = read_image(tiff(unit, order, FLOAT))
    assert difference(image.pixels[..., 0], PIXELS[..., 0]) <= 1
    assert image.notes == ("32 bit scaled to 8",)
    inverted = read_image(tiff(unit, order, FLOAT, ink=0))
    assert difference(inverted.pixels[..., 0], 255 - PIXELS[..., 0].astype(int)) <= 1
    for odd in (unit * 1000, unit - 1, np.full_like(unit, np.nan), np.full_like(unit, np.inf)):
        with pytest.raises(ImageUnreadable, match=r"0 to 1 is expected.*Export it as 8 or 16 bit"):
            read_image(tiff(odd, order, FLOAT))


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_tiff_of_other_colour_spaces(mode, compression):
    pale = PIXELS // 2 + 80
    other = Image.fromarray(pale).convert(mode)
    other.info.clear()
    image = read_image(encode(other, "TIFF", compression=compression))
    assert difference(image.pixels, pale) <= 4
    assert image.notes == ()


# Colour profiles


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB whose red and blue primaries have changed places."""
    return (
        srgb_profile().replace(b"rXYZ", b"xxxx", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"xxxx", b"bXYZ", 1)
    )


def s15(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def wide_profile() -> bytes:
    """A matrix profile with the primaries of Adobe RGB (1998), adapted to D50, and gamma 2.2."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(s15, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + b"\0\0"
    text = SECRET.encode() + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78 + 9)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, offset = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"test", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249) + bytes(48)
    assert len(head) == 128
    return head + table + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_swapped_profile_swaps_red_and_blue(kind):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(kind, {})
    image = read_image(encode(photo(), kind, icc_profile=swapped_profile(), **options))
    assert difference(image.pixels, PIXELS[..., ::-1]) <= 8
    assert image.notes == ("colour profile converted to sRGB",)


def test_wide_profile_makes_colours_stronger():
    flat = np.full((32, 32, 3), (100, 160, 90), np.uint8)
    image = read_image(encode(Image.fromarray(flat), "PNG", icc_profile=wide_profile()))
    assert difference(image.pixels[16, 16], (53, 162, 85)) <= 4
    grey = read_image(encode(Image.new("RGB", (32, 32), (128, 128, 128)), "PNG", icc_profile=wide_profile()))
    assert difference(grey.pixels[16, 16], (128, 128, 128)) <= 3


def test_srgb_profile_leaves_pixels_bit_exact():
    image = read_image(encode(photo(), "PNG", icc_profile=srgb_profile()))
    assert difference(image.pixels, PIXELS) == 0
    assert not any("profile" in note for note in image.notes)


@pytest.mark.parametrize("profile", [b"nonsense", srgb_profile()[:200], b"\0" * 128])
def test_broken_profile_is_a_note(profile):
    image = read_image(encode(photo(), "PNG", icc_profile=profile))
    assert difference(image.pixels, PIXELS) == 0
    assert image.notes == ("colour profile not usable (damaged), taken as sRGB",)


def test_profile_of_another_colour_space_is_a_note():
    image = read_image(encode(photo().convert("CMYK"), "JPEG", icc_profile=srgb_profile()))
    assert "colour profile not usable (made for RGB, not for CMYK), taken as sRGB" in image.notes


def cyan_only_profile() -> bytes:
    """A CMYK profile of a strange press: cyan makes black, the other inks are invisible."""
    ramp = bytes(range(256))
    corners = b"".join(bytes([255 if index < 8 else 0, 128, 128]) for index in range(16))
    matrix = b"".join(s15(float(row == column)) for row in range(3) for column in range(3))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + corners + ramp * 3
    white = b"XYZ \0\0\0\0" + s15(0.9642) + s15(1.0) + s15(0.8249)
    offset = 132 + 24
    tags = struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", offset, 20)
    tags += b"A2B0" + struct.pack(">II", offset + 20, len(table))
    head = struct.pack(
        ">I4sI4s4s4s", offset + 20 + len(table), b"test", 0x02100000, b"prtr", b"CMYK", b"Lab "
    )
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249) + bytes(48)
    return head + tags + white + table


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_with_profile(kind):
    inks = np.zeros((32, 32, 4), np.uint8)
    inks[:16] = (0, 200, 200, 200)
    inks[16:] = (255, 0, 0, 0)
    image = read_image(encode(Image.fromarray(inks, "CMYK"), kind, icc_profile=cyan_only_profile()))
    assert image.notes == ("CMYK converted by its colour profile",)
    assert (image.pixels[:8] > 245).all()
    assert (image.pixels[24:] < 10).all()


def test_profile_is_applied_below_alpha():
    half = Image.fromarray(np.dstack([PIXELS, np.full((40, 60), 128, np.uint8)]))
    image = read_image(encode(half, "PNG", icc_profile=swapped_profile()))
    assert difference(image.pixels, (PIXELS[..., ::-1].astype(int) + 255) / 2) <= 3


# Orientation

STORED = {  # What a camera stores for the upright PIXELS, by the rows and columns of the Exif standard.
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[:, ::-1].transpose(1, 0, 2)[:, :],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_orientations_end_upright(orientation, kind):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](PIXELS)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(kind, {})
    image = read_image(encode(stored, kind, exif=exif, **options))
    assert image.pixels.shape == PIXELS.shape
    assert difference(image.pixels, PIXELS) <= (8 if kind == "JPEG" else 0)
    assert any("upright" in note for note in image.notes) == (orientation != 1)
    assert image.pixels.flags["C_CONTIGUOUS"]


def test_impossible_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 42
    assert difference(read_image(encode(photo(), "PNG", exif=exif)).pixels, PIXELS) == 0


# Identity


def identifying_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x013B] = SECRET  # Artist
    exif[0x010E] = SECRET  # ImageDescription
    exif.get_ifd(0x8769)[0xA431] = SECRET  # BodySerialNumber
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 10:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (55.0, 45.0, 1.0)
    return exif


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description photoshop:AuthorsPosition="{SECRET}"><dc:creator>{SECRET}</dc:creator>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()


def iptc_block() -> bytes:
    value = SECRET.encode()
    record = b"\x1c\x02\x50" + struct.pack(">H", len(value)) + value
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + bytes(len(record) % 2)
    return b"Photoshop 3.0\0" + resource


def insert_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]


def test_jpeg_identity_is_listed_by_name_only():
    data = encode(
        photo(), "JPEG", exif=identifying_exif(), comment=SECRET.encode(), xmp=XMP, icc_profile=wide_profile()
    )
    data = insert_segment(insert_segment(data, 0xED, iptc_block()), 0xEB, b"JP" + SECRET.encode())
    image = read_image(data)
    expected = {
        "Artist",
        "ImageDescription",
        "BodySerialNumber",
        "DateTimeOriginal",
        "GPSInfo",
        "GPSLatitude",
        "Comment",
        "XMP",
        "XMP dc:creator",
        "XMP photoshop:AuthorsPosition",
        "IPTC By-line",
        "ICC profile_description",
        "APP11 segment",
    }
    assert expected <= set(image.removed)
    assert image.removed == tuple(sorted(image.removed))
    assert "Orientation" not in image.removed
    assert SECRET not in repr((image.removed, image.notes))
    assert "55" not in repr(image.removed)


def test_png_text_also_behind_the_pixels():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET)
    texts.add_itxt("Patient", SECRET, lang="ru")
    data = encode(photo(), "PNG", pnginfo=texts, exif=identifying_exif())
    late = b"Comment\0" + SECRET.encode()
    chunk = struct.pack(">I", len(late)) + b"tEXt" + late + struct.pack(">I", zlib.crc32(b"tEXt" + late))
    image = read_image(data[:-12] + chunk + data[-12:])
    assert {"PNG text Author", "PNG text Patient", "PNG text Comment", "Artist", "GPSInfo"} <= set(
        image.removed
    )
    assert SECRET not in repr(image.removed)


def test_a_keyword_as_long_as_a_sentence_is_shortened():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Patient Ivanova born 1961 in Saint Petersburg, Nevsky 1", "x")
    (name,) = read_image(encode(photo(), "PNG", pnginfo=texts)).removed
    assert name.endswith("...")
    assert "Petersburg" not in name


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_tiff_and_webp_identity(kind):
    options = {} if kind == "TIFF" else {"xmp": XMP}
    image = read_image(encode(photo(), kind, exif=identifying_exif(), **options))
    assert {"Artist", "ImageDescription"} <= set(image.removed)
    assert "ImageWidth" not in image.removed
    assert SECRET not in repr(image)


def test_broken_exif_does_not_stop_reading():
    data = insert_segment(encode(photo(), "JPEG"), 0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20))
    assert read_image(data).pixels.shape == PIXELS.shape


# Damage of any kind


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_random_bytes_raise_only_image_errors(data):
    with pytest.raises(ImageError):
        read_image(data)


HEADS = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"BM", b"RIFF\x20\0\0\0WEBPVP8 "]


@settings(max_examples=200)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_random_bytes_behind_a_true_head(head, data):
    try_read(head + data)


SAMPLES = [
    encode(photo(), "JPEG", exif=identifying_exif(), icc_profile=wide_profile(), xmp=XMP),
    encode(photo(), "PNG", exif=identifying_exif(), icc_profile=wide_profile()),
    encode(photo(), "TIFF", exif=identifying_exif(), compression="tiff_lzw"),
    encode(photo(), "TIFF", save_all=True, append_images=[photo()]),
    encode(photo(), "WEBP", exif=identifying_exif()),
    encode(photo(), "PNG", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
    encode(photo(), "BMP"),
    encode(photo().convert("CMYK"), "JPEG"),
]


@settings(max_examples=200)
@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_truncation_raises_only_image_errors(data, share):
    try_read(data[: int(len(data) * share)])


@settings(max_examples=300)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_flipped_bytes_raise_only_image_errors(data, changes):
    broken = bytearray(data)
    for place, value in changes:
        broken[min(int(place * len(broken)), len(broken) - 1)] = value
    try_read(bytes(broken))


def try_read(data: bytes) -> None:
    with warnings.catch_warnings(), contextlib.suppress(ImageError):
        warnings.simplefilter("error")
        image = read_image(data, limits=Limits(max_pixels=4_000_000))
        assert image.pixels.ndim == 3
        assert image.pixels.shape[2] == 3
        assert image.pixels.dtype == np.uint8


# Writing and finding


def test_png_round_trip_and_jpeg_close(tmp_path: Path):
    image = read_image(SAMPLES[0])
    write_photo(image, tmp_path / "a.png")
    assert difference(read_image(tmp_path / "a.png").pixels, image.pixels) == 0
    write_photo(image, tmp_path / "a.jpg")
    assert difference(read_image(tmp_path / "a.jpg").pixels, image.pixels) <= 20


@pytest.mark.parametrize("name", ["a.jpg", "b.JPEG", "c.png"])
def test_written_photo_is_clean_and_deterministic(tmp_path: Path, name):
    image = read_image(SAMPLES[0])
    write_photo(image, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    write_photo(image, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    again = read_image(first)
    assert again.removed == ()
    assert again.notes == ()
    assert SECRET.encode() not in first


def test_other_endings_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"\.jpg or \.png"):
        write_photo(read_image(SAMPLES[0]), tmp_path / "a.gif")


def test_find_images(tmp_path: Path):
    for name in (
        "b.jpg",
        "a.PNG",
        "sub/c.tiff",
        "sub/deep/d.dcm",
        ".hidden.jpg",
        ".git/e.jpg",
        "notes.txt",
        "sub/._c.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a.PNG",
        "b.jpg",
        "sub/c.tiff",
        "sub/deep/d.dcm",
    ]
    missing = tmp_path / "missing.jpg"
    text = tmp_path / "notes.txt"
    assert find_images([text, missing, tmp_path / "sub", tmp_path / "sub/c.tiff"]) == [
        text,
        missing,
        tmp_path / "sub/c.tiff",
        tmp_path / "sub/deep/d.dcm",
    ]
    assert find_images([]) == []


def test_suffixes_are_lower_case():
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dcm"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


def test_what_another_library_allows_is_not_allowed_here(monkeypatch):
    """WeasyPrint sets this for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    with pytest.raises(ImageUnreadable):
        read_image(buffer.getvalue()[:2000])
