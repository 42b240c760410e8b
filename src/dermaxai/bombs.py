"""Finds files that are small and take very long to read, before they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import unpack_from

from dermaxai.errors import ImageTooLarge

MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""Of a JPEG, outside its compressed values."""
START, END, SCAN, LONE = 0xD8, 0xD9, 0xDA, 0x01
MOST_PARTS = 50_000
"""Segments of a JPEG, chunks of a PNG."""
MOST_SCANS = 20
"""Of a JPEG of the largest size; a smaller one may have as many as are read in the same time."""
SCANNED = 2_000_000_000
"""Pixels of all scans together."""
MOST_PAGES = 1_000
MOST_RUNS = 8_000_000
"""Bytes of a BMP that stores runs of one colour, which Pillow reads one by one."""


def check(data: bytes, kind: str, pixels: int, name: str) -> None:
    """`kind`: as Pillow names it. Raises: ImageTooLarge for a file that is built to keep its reader busy."""
    if kind in ("JPEG", "MPO"):
        check_jpeg(data, pixels, name)
    elif kind == "PNG" and sum(1 for _ in _chunks(data)) > MOST_PARTS:
        raise _refusal(name, f"more than {MOST_PARTS:,} chunks")
    elif kind == "TIFF" and sum(1 for _ in _pages(data)) > MOST_PAGES:
        raise _refusal(name, f"more than {MOST_PAGES:,} pages")
    elif kind == "BMP" and len(data) > MOST_RUNS and unpack_from("<I", data, 30)[0] in (1, 2):
        raise _refusal(name, f"more than {MOST_RUNS / 1e6:.0f} MB of runs")


def check_jpeg(data: bytes, pixels: int, name: str) -> None:
    """Raises: ImageTooLarge for more scans or segments than any camera writes.

    Each scan goes over all `pixels`, and may be a few bytes long.
    """
    scans = 0
    for parts, kind in enumerate(_segments(data), start=1):
        scans += kind == SCAN
        if parts > MOST_PARTS:
            raise _refusal(name, f"more than {MOST_PARTS:,} segments")
        if scans > MOST_SCANS and scans * pixels > SCANNED:
            raise _refusal(name, f"{scans} or more scans of {pixels:,} pixels")


def _refusal(name: str, what: str) -> ImageTooLarge:
    return ImageTooLarge(f"'{name}' has {what}, too much work to read.", hint="Export the photo again.")


def _segments(data: bytes) -> Iterator[int]:
    """Kinds of the segments of the first picture of a JPEG file."""
    place = 0
    while found := MARKER.search(data, place):
        kind, place = found[1][0], found.end()
        if kind == END:
            return
        if kind in (START, LONE):
            continue
        yield kind
        place += max(2, int.from_bytes(data[place : place + 2]))


def _chunks(data: bytes) -> Iterator[int]:
    """Places of the chunks of a PNG; at most one more than may be."""
    place = 8
    for _ in range(MOST_PARTS + 1):
        if place + 8 > len(data):
            return
        yield place
        place += 12 + int.from_bytes(data[place : place + 4])


def _pages(data: bytes) -> Iterator[int]:
    """Places of the pages of a TIFF; at most one more than may be, so that a circle has an end."""
    order = "<" if data[:2] == b"II" else ">"
    if unpack_from(f"{order}H", data, 2)[0] == 43:
        start, head, count, entry, following = 8, 8, "Q", 20, "Q"
    else:
        start, head, count, entry, following = 4, 2, "H", 12, "I"
    size = 8 if following == "Q" else 4
    place: int = unpack_from(order + following, data, start)[0] if start + size <= len(data) else 0
    for _ in range(MOST_PAGES + 1):
        if not place or place + head > len(data):
            return
        yield place
        after = place + head + entry * unpack_from(order + count, data, place)[0]
        place = unpack_from(order + following, data, after)[0] if after + size <= len(data) else 0
