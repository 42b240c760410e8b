"""Files that are no photos, hardly photos, or photos made to hurt; everything is drawn from one seed."""

import io
import random
import struct
import zlib

import numpy as np
from PIL import Image

SIDE = (64, 48)


def small_photo(mode="RGB", side=SIDE):
    """Noise, so that nothing compresses away."""
    width, height = side
    values = np.random.default_rng(7).integers(0, 255, (height, width, 4), np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode) if mode != "I;16" else grey_16(side)


def grey_16(side=SIDE):
    return Image.fromarray(np.random.default_rng(7).integers(0, 65535, side[::-1], np.uint16))


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def dicom(*, interpretation="RGB", jpeg=False, frames=1, patient="Doe^Jane"):
    """A dermoscopic photograph with a patient's name."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.7"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3.4"
    data.PatientName, data.PatientID, data.InstitutionName = patient, "P-123456", "Clinic of Someplace"
    data.Columns, data.Rows = SIDE
    grey = interpretation.startswith("MONO")
    data.SamplesPerPixel, data.PhotometricInterpretation = 1 if grey else 3, interpretation
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    if not grey:
        data.PlanarConfiguration = 0
    if frames > 1:
        data.NumberOfFrames = frames
    one = saved(small_photo(), "JPEG") if jpeg else small_photo("L" if grey else "RGB").tobytes()
    data.PixelData = encapsulate([one] * frames) if jpeg else one * frames
    data["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def sound_photos():
    """Photos as they are meant, of every format that is read."""
    rgb = small_photo()
    return {
        "jpeg": saved(rgb, "JPEG"),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg cmyk": saved(small_photo("CMYK"), "JPEG"),
        "png": saved(rgb, "PNG"),
        "png alpha": saved(small_photo("RGBA"), "PNG"),
        "png palette": saved(small_photo("P"), "PNG"),
        "png 16 bit": saved(grey_16(), "PNG"),
        "tiff": saved(rgb, "TIFF"),
        "tiff lzw": saved(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "webp": saved(rgb, "WEBP"),
        "webp lossless": saved(small_photo("RGBA"), "WEBP", lossless=True),
        "bmp": saved(rgb, "BMP"),
        "dicom": dicom(),
        "dicom jpeg": dicom(jpeg=True),
        "dicom grey": dicom(interpretation="MONOCHROME2"),
    }


EXTREMES = [struct.pack("<I", value) for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x0000FFFF)]


def mutated(data, rng, others):
    """One to three things done to a file."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place, length = rng.randrange(len(out) or 1), rng.randint(1, 64)
        head = rng.randrange(min(len(out), 400) or 1)
        match rng.randrange(9):
            case 0:
                out[place : place + length] = rng.randbytes(length)
            case 1:
                del out[place:]
            case 2:
                del out[place : place + length]
            case 3:
                out[place:place] = rng.randbytes(length)
            case 4:
                out[head : head + 4] = rng.choice(EXTREMES)
            case 5:
                out[head : head + 2] = rng.choice([b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\x7f"])
            case 6:
                out[place:place] = out[max(0, place - 200) : place] * rng.randint(1, 20)
            case 7:
                other = rng.choice(others)
                out[place:] = other[min(place, len(other)) :]
            case 8:
                out[head] ^= 1 << rng.randrange(8)
        out = out or bytearray(b"\0")
    return bytes(out)


def mutations(count, seed=20261127):
    """(what it was, bytes) of so many damaged photos."""
    rng, sound = random.Random(seed), sound_photos()
    names, files = list(sound), list(sound.values())
    for index in range(count):
        name = names[index % len(names)]
        yield f"{name} {index}", mutated(sound[name], rng, files)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, *extra, pixels=None, depth=(8, 2)):
    """A PNG that says it has this size."""
    head = struct.pack(">IIBBBBB", width, height, *depth, 0, 0, 0)
    packed = zlib.compress(b"\0" * 64) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), *extra, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    )


TAGS = [
    (256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
    (277, 3, 1, 1), (278, 3, 1, 64), (279, 4, 1, 4096),
]  # fmt: skip


def tiff_page(following=0, changes=()):
    tags = [(tag, *dict(changes).get(tag, rest)) for tag, *rest in TAGS]
    return (
        struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", following)
    )


def tiff_of(pages=1, *, circle=False, changes=()):
    """A TIFF with so many pages, the last of which may lead back to the first."""
    size, out = len(tiff_page()), b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        last = page == pages - 1
        out += tiff_page((8 if circle else 0) if last else 8 + size * (page + 1), changes)
    return out + b"\0" * 4096


def jpeg_scans(side, count):
    """A progressive JPEG that tells its last scan again and again."""
    data = saved(Image.new("RGB", (side, side), (120, 90, 60)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def bmp_head(width, height, bits, packing=0):
    size = (40, width, height, 1, bits, packing, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack("<IiiHHIIiiII", *size)


def bombs():
    """Small files that would need much memory or much time."""
    text = zlib.compress(b"a" * 20_000_000, 9)
    jpeg = saved(small_photo(), "JPEG")
    start = jpeg.index(b"\xff\xc0") + 5
    return {
        "png of 60000 x 60000": png_of(60_000, 60_000),
        "png of 2 billion pixels a side": png_of(2**31 - 1, 2**31 - 1),
        "png text": png_of(64, 64, chunk(b"zTXt", b"a\0\0" + text)),
        "png many texts": png_of(64, 64, *[chunk(b"zTXt", b"a%d\0\0" % n + text[:1]) for n in range(99)]),
        "png profile": png_of(64, 64, chunk(b"iCCP", b"a\0\0" + text)),
        "png chunks": png_of(64, 64, chunk(b"abCd", b"") * 60_000),
        "png too little": png_of(9_000, 9_000),
        "tiff of 4 billion pixels": tiff_of(changes={256: (4, 1, 65_000), 257: (4, 1, 65_000)}),
        "tiff pages": tiff_of(3_000),
        "tiff circle": tiff_of(3, circle=True),
        "tiff strip beyond the end": tiff_of(changes={273: (4, 1, 2**31), 279: (4, 1, 2**31)}),
        "tiff rows": tiff_of(changes={278: (4, 1, 0)}),
        "tiff strips": tiff_of(changes={273: (4, 2**29, 8), 279: (4, 2**29, 8)}),
        "jpeg of 65500 x 65500": jpeg[:start] + b"\xff\xdc\xff\xdc" + jpeg[start + 4 :],
        "jpeg scans": jpeg_scans(1_000, 3_000),
        "jpeg segments": jpeg[:2] + b"\xff\xfe\x00\x02" * 60_000 + jpeg[2:],
        "bmp of 30000 x 30000": bmp_head(30_000, 30_000, 24),
        "bmp negative": bmp_head(-64, 2**31 - 1, 24),
        "bmp runs": bmp_head(5_000, 5_000, 8, 1) + b"\0" * 1024 + b"\x01\x00" * 4_100_000,
        "webp canvas": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff" + b"VP8 \0\0\0\0",
        "dicom of 65535 x 65535": _dicom_changed(Columns=65_535, Rows=65_535),
        "dicom of nothing": _dicom_changed(Columns=0, Rows=0),
        "dicom frames": _dicom_changed(NumberOfFrames=2**31 - 1),
        "dicom deflated": _dicom_deflated(),
        "dicom scans": _dicom_scans(),
    }  # fmt: skip


def _dicom_changed(**changes):
    from pydicom import dcmread

    data = dcmread(io.BytesIO(dicom()))
    for name, value in changes.items():
        setattr(data, name, value)
    buffer = io.BytesIO()
    data.save_as(buffer)
    return buffer.getvalue()


def _dicom_deflated():
    """Says that it is deflated; unpacked it would be 200 MB."""
    plain = dicom()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(b"\0" * 200_000_000) + squeeze.flush()
    return plain[:400].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99\0"[:20]) + body


def _dicom_scans():
    from pydicom import dcmread
    from pydicom.encaps import encapsulate

    data = dcmread(io.BytesIO(dicom(jpeg=True)))
    data.PixelData = encapsulate([jpeg_scans(1_000, 3_000)])
    data.Columns = data.Rows = 1_000
    buffer = io.BytesIO()
    data.save_as(buffer)
    return buffer.getvalue()


def strangers():
    """Files of other kinds, and of two kinds at once whose first is no photo."""
    jpeg, png = saved(small_photo(), "JPEG"), saved(small_photo(), "PNG")
    gif = saved(small_photo("P"), "GIF")
    script = b"*/=1;alert(document.cookie)/*"
    return {
        "empty": b"",
        "one byte": b"\xff",
        "zeros": b"\0" * 5_000,
        "text": b"not a photo at all",
        "gif": gif,
        "gif and script": b"GIF89a/*" + gif[8:] + script,
        "html": b"<!doctype html><script>alert(1)</script>",
        "html before a jpeg": b"<html><script>alert(1)</script>" + jpeg,
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "xml entities": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
        "pdf": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF",
        "pdf with a jpeg": b"%PDF-1.7\n" + jpeg,
        "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 300,
        "exe": b"MZ" + b"\0" * 300,
        "zip": b"PK\x03\x04" + b"\0" * 26 + b"../../x",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
        "wmf": b"\xd7\xcd\xc6\x9a" + b"\0" * 200,
        "psd": b"8BPS\0\1" + b"\0" * 200,
        "ico": saved(small_photo("RGBA"), "ICO"),
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 200,
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200,
        "pickle": b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.",
        "numpy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}",
        "dicom mark alone": b"\0" * 128 + b"DICM",
        "dicom mark and html": b"<script>alert(1)</script>".ljust(128, b" ")
        + b"DICM"
        + b"\x02\0\0\0UL\x04\0",
        "half a png": png[: len(png) // 2],
        "icon": saved(small_photo(side=(8, 8)), "PNG"),
        "one line": saved(small_photo(side=(5_000, 1)), "PNG"),
    }


def two_kinds():
    """Photos in truth, with something behind or inside them that is not."""
    jpeg, png = saved(small_photo(), "JPEG"), saved(small_photo(), "PNG")
    script = b"<script>alert(document.cookie)</script>"
    return {
        "png and zip": png + b"PK\x03\x04" + b"\0" * 26 + b"../../x" + b"PK\x05\x06" + b"\0" * 18,
        "jpeg and html": jpeg + script,
        "jpeg with html inside": jpeg[:2]
        + b"\xff\xfe"
        + struct.pack(">H", len(script) + 2)
        + script
        + jpeg[2:],
        "png with php inside": png[:33] + chunk(b"tEXt", b"Comment\0<?php system($_GET[0]); ?>") + png[33:],
        "jpeg and elf": jpeg + b"\x7fELF\x02\x01\x01" + b"\0" * 300,
        "dicom with html before": script.ljust(128, b" ") + dicom()[128:],
    }


NAMES = [
    "../../x.png", "..\\..\\x.png", "/etc/passwd", "C:\\Windows\\x.png", "CON", "NUL.png", "a\0b.png",
    "a\r\nb: c.png", "\u202egnp.exe", "a" * 10_000 + ".png", "😀👩‍⚕️.png", ".", "..", "...", "", " ", "-rf",
    "$(touch x).png", "`x`.png", "<script>alert(1)</script>.png", "' OR 1=1 --.png", "%2e%2e%2fx.png",
    "%s%n.png", "a\u0000\u200b\ufeffb.png", "снимок больного.png", "a;b.png", 'a"b.png', "\ud800.png",
    "x.png/..", "🏳️‍🌈" * 200, "é" * 200, "\x7f\x1b[31m.png",
]  # fmt: skip
