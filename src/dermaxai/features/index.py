"""Which photo and view lies where: fixed-size entries that prove themselves, and a sorted look-up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt8, UInt64

from dermaxai.errors import UsageError

ENTRY = np.dtype(
    [
        ("sha256", "u1", (32,)),  # of the photo's file
        ("view", "<u4"),
        ("coverage", "<f4"),  # share of the view that the lesion covers, NaN where not measured
        ("record", "<u4"),  # number of the record in its shard; an entry moved elsewhere is no entry
        ("crc", "<u4"),  # CRC-32 of the record
        ("check", "<u8"),  # of all of the above
    ]
)
_BASIS, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_SPREAD = 0x9E3779B97F4A7C15


def checksum(entries: Shaped[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """Of everything in each entry before its own `check`; a change within any one word always shows.

    It tells torn writes and rotten bits, not forgery.
    Source: FNV-1a (draft-eastlake-fnv) over words of 64 bits instead of bytes.
    """
    words = np.ascontiguousarray(entries).view("<u8").reshape(-1, ENTRY.itemsize // 8)[:, :-1]
    total = np.full(len(entries), _BASIS, np.uint64)
    for column in words.T:
        total = (total ^ column) * np.uint64(_PRIME)
    return total


def make_entries(
    sha256s: UInt8[np.ndarray, "n 32"],
    views: Sequence[int],
    coverage: Sequence[float],
    crcs: Sequence[int],
    first: int,
) -> Shaped[np.ndarray, "n"]:
    """Sealed entries of the records `first`, `first + 1`, … of a shard."""
    entries = np.zeros(len(sha256s), ENTRY)
    entries["sha256"], entries["view"], entries["coverage"], entries["crc"] = sha256s, views, coverage, crcs
    entries["record"] = np.arange(first, first + len(entries))
    entries["check"] = checksum(entries)
    return entries


def read_entries(
    index: Path, data: Path, record: int
) -> tuple[Shaped[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Whole entries of a shard's index, and which are sound: unchanged, with their `record` bytes of data."""
    entries = np.zeros(0, ENTRY)
    if index.is_file() and (whole := index.stat().st_size // ENTRY.itemsize):
        entries = np.fromfile(index, ENTRY, count=whole)
    # The data are measured after the index was read: a writer puts them there first.
    records = data.stat().st_size // record if data.is_file() else 0
    row = np.arange(len(entries))
    sound = (entries["check"] == checksum(entries)) & (entries["record"] == row) & (row < records)
    return entries, sound


def to_bytes(sha256s: Sequence[str]) -> UInt8[np.ndarray, "n 32"]:
    """Hex digits as bytes. Raises: UsageError for what is no sha256."""
    wrong = next((text for text in sha256s if len(text) != 64), None)
    try:
        if wrong is not None:
            raise ValueError(wrong)
        data = bytes.fromhex("".join(sha256s))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"A photo is named by its sha256, 64 hex digits; {str(error)[:70]!r} came.",
            hint="Take it from the manifest.",
        ) from None
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


@final
class Lookup:
    """Row numbers of entries by photo and view, by binary search."""

    def __init__(self, entries: Shaped[np.ndarray, "n"], sound: Bool[np.ndarray, "n"]) -> None:
        self._entries = entries
        rows = np.flatnonzero(sound)
        keys = _keys(entries["sha256"][rows], entries["view"][rows])
        order = np.argsort(keys, kind="stable")
        self._keys, self._rows = keys[order], rows[order]

    def find(self, sha256s: UInt8[np.ndarray, "n 32"], view: int) -> Int64[np.ndarray, "n"]:
        """The newest row of each, -1 where there is none."""
        wanted = _keys(sha256s, np.full(len(sha256s), view, np.uint32))
        place = np.searchsorted(self._keys, wanted, side="right") - 1
        found = np.full(len(wanted), -1, np.int64)
        left = np.flatnonzero((place >= 0) & (self._keys[place] == wanted)) if len(self._keys) else place[:0]
        while len(left):  # more than once only where two photos share 64 bits of their key
            rows = self._rows[place[left]]
            same = (self._entries["sha256"][rows] == sha256s[left]).all(axis=1)
            same &= self._entries["view"][rows] == view
            found[left[same]] = rows[same]
            left = left[~same]
            place[left] -= 1
            left = left[(place[left] >= 0) & (self._keys[place[left]] == wanted[left])]
        return found


def _keys(sha256s: UInt8[np.ndarray, "n 32"], views: Shaped[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """64 bits of the hash, moved by the view."""
    first = np.ascontiguousarray(sha256s[:, :8]).view("<u8")[:, 0]
    return np.asarray(first + views.astype(np.uint64) * np.uint64(_SPREAD))
