"""What a report carries, made small: one text of scripts, styles, markup and data that nothing in it can end.

Nothing is lost but what only authors read: indentation and comments. A browser takes it apart again, in
`web/unpacking.js` and `web/painting.js`.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

LEVELS, MIDDLE = 4096, 2048
"""Values that a cell can have, and the one of a cell that says nothing."""
FIRST = ord("0")
"""Sign of six bits that are 0; the others follow it."""
ALPHABET = "".join(chr(code) for code in range(32, 127) if chr(code) != "<")
BYTES, DIGITS = 9, 11
"""94 to the power of 11 is just above 256 to the power of 9: less is lost than in base 85."""
BETWEEN = "\0"
"""Ends a part; no script, style or markup has one, and JSON writes it in other signs."""


def squeeze_script(text: str) -> str:
    r"""Without indentation and comments.

    >>> squeeze_script("// What it is.\nif (a) {\n  b(); // why\n}")
    'if (a) {\nb();\n}'
    """
    lines = (re.sub(r" +// [^\"'`]*$", "", line.strip()) for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def squeeze_style(text: str) -> str:
    r"""On one line, without the spaces that mean nothing.

    >>> squeeze_style("a, b {\n  color: red;\n}")
    'a,b{color:red}'
    """
    line = re.sub(r"\s*([{};,])\s*", r"\1", squeeze_script(text).replace("\n", " "))
    return re.sub(r": +", ":", line).replace(";}", "}")


def squeeze_markup(text: str) -> str:
    """Without indentation and empty lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def as_json(document: object) -> str:
    """The shortest JSON; the same document gives the same text."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":"))


def pack(texts: Sequence[str], numbers: Sequence[str]) -> str:
    """All parts, each with `BETWEEN` behind it, deflated without a header, in the signs of `in_signs`.

    Each part has codes of its own. A text refers to those before it; in `numbers` little comes again, and
    what does is not worth telling where.
    """
    reader = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    counter = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    packed = b"".join(
        packer.compress(f"{part}{BETWEEN}".encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
        for packer, parts in ((reader, texts), (counter, numbers))
        for part in parts
    )
    return in_signs(packed + counter.flush())


def in_signs(packed: bytes) -> str:
    """Bytes as signs that can be typed, without '<': first how many zeros were added, then eleven for nine.

    >>> in_signs(b""), in_signs(b"report..!")
    (' ', ' H0n@g}%?G,b')
    """
    missing = -len(packed) % BYTES
    whole = packed + bytes(missing)
    groups = (int.from_bytes(whole[at : at + BYTES]) for at in range(0, len(whole), BYTES))
    return ALPHABET[missing] + "".join(map(_eleven, groups))


def _eleven(number: int) -> str:
    found = ""
    for _ in range(DIGITS):
        number, place = divmod(number, len(ALPHABET))
        found = ALPHABET[place] + found
    return found


def pack_maps(page: Mapping[str, Any]) -> tuple[dict[str, Any], str, str]:
    """A page of `viewer.case_to_page` with its maps as a table, and the cells of all maps one after another.

    The table has the names of fields once. Of each cell, as `less_neighbours` has it, the two texts hold the
    upper and the lower six bits, a sign each: the upper ones are much alike, and that deflates.
    """
    maps = page["maps"]
    columns = list(dict.fromkeys(name for entry in maps for name in entry if name != "cells"))
    rows = [[entry.get(name) for name in columns] for entry in maps]
    told = [less_neighbours(_cells(entry["cells"], page["places"][entry["place"]])) for entry in maps]
    upper = "".join(_signs(cells // 64) for cells in told)
    lower = "".join(_signs(cells % 64) for cells in told)
    return {**page, "maps": {"columns": columns, "rows": rows}}, upper, lower


def less_neighbours(cells: Int[np.ndarray, "rows columns"]) -> Int[np.ndarray, "rows columns"]:
    """Each cell less the mean of those to its left and above it, as numbers from 0.

    0, -1, 1, -2 are 0, 1, 2, 3. `MIDDLE` stands beyond the edge. Modulo `LEVELS`, so that 12 bits are enough.

    >>> less_neighbours(np.array([[2048, 2047], [2050, 2050]])).tolist()
    [[0, 1], [4, 4]]
    """
    left = np.pad(cells, ((0, 0), (1, 0)), constant_values=MIDDLE)[:, :-1]
    above = np.pad(cells, ((1, 0), (0, 0)), constant_values=MIDDLE)[:-1]
    steps = (cells - (left + above) // 2 + MIDDLE) % LEVELS - MIDDLE
    found: Int[np.ndarray, "rows columns"] = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    return found


def _cells(text: str, place: Mapping[str, Any]) -> Int[np.ndarray, "rows columns"]:
    """What `viewer.pack_cells` packed, as whole numbers from 0."""
    rows, columns = place["rows"], place["columns"]
    packed = np.frombuffer(base64.b64decode(text) + b"\0\0", np.uint8).astype(np.int64)
    first, middle, last = packed[: packed.size // 3 * 3].reshape(-1, 3).T
    pairs = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=-1)
    found: Int[np.ndarray, "rows columns"] = pairs.ravel()[: rows * columns].reshape(rows, columns)
    return found


def _signs(sixes: Int[np.ndarray, "rows columns"]) -> str:
    """Numbers of six bits, a sign each."""
    return (sixes + FIRST).astype(np.uint8).tobytes().decode("ascii")
