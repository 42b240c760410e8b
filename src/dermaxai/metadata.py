"""Names of what a picture file tells beside its pixels; values are never kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageFile, IptcImagePlugin

PIXEL_TAGS = frozenset(
    """NewSubfileType SubfileType ImageWidth ImageLength BitsPerSample Compression PhotometricInterpretation
    Thresholding CellWidth CellLength FillOrder StripOffsets Orientation SamplesPerPixel RowsPerStrip
    StripByteCounts MinSampleValue MaxSampleValue XResolution YResolution PlanarConfiguration
    FreeOffsets FreeByteCounts GrayResponseUnit GrayResponseCurve T4Options T6Options ResolutionUnit
    TransferFunction Predictor WhitePoint PrimaryChromaticities ColorMap HalftoneHints TileWidth TileLength
    TileOffsets TileByteCounts SubIFDs ExtraSamples SampleFormat SMinSampleValue SMaxSampleValue JPEGTables
    YCbCrCoefficients YCbCrSubSampling YCbCrPositioning ReferenceBlackWhite ExifOffset
    ExifInteroperabilityOffset ExifVersion ComponentsConfiguration FlashPixVersion ColorSpace
    ExifImageWidth ExifImageHeight
    InterColorProfile XMLPacket IPTCNAA ImageResources JPEGInterchangeFormat JPEGInterchangeFormatLength
    JpegIFOffset JpegIFByteCount InteropIndex InteropVersion""".split()  # noqa: SIM905 - quotes would hide the names
)
"""Exif and TIFF tags that only say how pixels are stored, or are listed by their content instead."""

IPTC_NAMES = {
    (2, 5): "ObjectName",
    (2, 25): "Keywords",
    (2, 40): "SpecialInstructions",
    (2, 55): "DateCreated",
    (2, 60): "TimeCreated",
    (2, 80): "By-line",
    (2, 85): "By-lineTitle",
    (2, 90): "City",
    (2, 92): "Sub-location",
    (2, 95): "Province-State",
    (2, 101): "Country",
    (2, 103): "OriginalTransmissionReference",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 115): "Source",
    (2, 116): "CopyrightNotice",
    (2, 118): "Contact",
    (2, 120): "Caption",
    (2, 122): "Writer",
}
KNOWN_SEGMENTS = frozenset({"APP0", "APP1", "APP2", "APP13", "APP14", "COM"})
LONGEST_NAME = 40


def list_removed(image: Image.Image) -> tuple[str, ...]:
    """Sorted names of Exif, GPS, XMP, IPTC, ICC-text, comment and PNG-text fields of a loaded picture.

    A field whose container cannot be read is listed by the container's name.
    """
    found: set[str] = set()
    for container, read in READERS.items():
        try:
            found.update(read(image))
        except Exception:  # Broken metadata raises anything at all, and must not stop the reading.
            found.add(f"{container} (unreadable)")
    return tuple(sorted(_shortened(found)))


def _shortened(names: Iterable[str]) -> set[str]:
    """A name as long as a sentence is rather a value."""
    printable = (re.sub(r"[^\w :.()#-]", "", name).strip() for name in names)
    return {name if len(name) <= LONGEST_NAME else f"{name[:12]}..." for name in printable if name}


def _exif_names(image: Image.Image) -> Iterator[str]:
    exif = image.getexif()
    yield from _tag_names(exif, ExifTags.TAGS)
    yield from _tag_names(exif.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS)
    places = exif.get_ifd(ExifTags.IFD.GPSInfo)
    if places:
        yield "GPSInfo"
        yield from _tag_names(places, ExifTags.GPSTAGS)


def _tag_names(tags: Iterable[int], names: dict[int, str]) -> Iterator[str]:
    for tag in tags:
        name = names.get(tag, f"Exif tag {tag:#06x}")
        if name not in PIXEL_TAGS:
            yield name


def _xmp_names(image: Image.Image) -> Iterator[str]:
    """Properties of an XMP packet, as elements or as attributes."""
    packet: Any = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if not packet and image.format == "TIFF":
        packet = getattr(image, "tag_v2", {}).get(700, b"")
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    if text:
        yield "XMP"
    for name in re.findall(r"[<\s]([A-Za-z]\w*:[A-Za-z]\w*)(?=[\s=/>])", re.sub(r">[^<]*<", "><", text)):
        if not name.startswith(("rdf:", "x:", "xmlns:", "xml:")):
            yield f"XMP {name}"


def _iptc_names(image: Image.Image) -> Iterator[str]:
    if not isinstance(image, ImageFile.ImageFile) or image.format not in ("JPEG", "MPO", "TIFF"):
        return
    for record, number in IptcImagePlugin.getiptcinfo(image) or {}:
        if record >= 2 and number:
            yield f"IPTC {IPTC_NAMES.get((record, number), f'{record}:{number}')}"


def _profile_names(image: Image.Image) -> Iterator[str]:
    """Free texts of an ICC profile; some cameras write serial numbers there."""
    raw = image.info.get("icc_profile")
    if not raw:
        return
    profile = ImageCms.ImageCmsProfile(BytesIO(raw)).profile
    for field in ("copyright", "manufacturer", "model", "profile_description"):
        if getattr(profile, field, None):
            yield f"ICC {field}"


def _comment_names(image: Image.Image) -> Iterator[str]:
    if image.info.get("comment"):
        yield "Comment"
    for marker, _ in getattr(image, "applist", []):
        if marker not in KNOWN_SEGMENTS:
            yield f"{marker} segment"


def _text_names(image: Image.Image) -> Iterator[str]:
    """Keywords of PNG text chunks, those behind the pixels included."""
    if image.format == "PNG":
        for name in getattr(image, "text", {}):
            yield f"PNG text {name}"


READERS = {
    "Exif": _exif_names,
    "XMP": _xmp_names,
    "IPTC": _iptc_names,
    "ICC": _profile_names,
    "Comment": _comment_names,
    "PNG text": _text_names,
}
