"""A photo as it arrives: read at once, in memory, under limits; only pixels and a clean name go on."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import anyio.to_thread
from anyio.lowlevel import RunVar
from starlette.formparsers import MultiPartParser

from dermaxai.api.bodies import AROUND_A_PHOTO
from dermaxai.api.decoding import Decoders
from dermaxai.api.limits import Places
from dermaxai.errors import ImageError
from dermaxai.images import Limits

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

    from dermaxai.api.state import ServeOptions
    from dermaxai.types import SkinImage

LONGEST_NAME = 120
"""Characters."""
NAMELESS = "photo"
AT_ONCE = 2
"""Photos that are decoded at the same time: each may need several bytes per pixel."""
WAITING = 64
PATIENCE = 60.0
"""Seconds."""
DECODERS = Decoders()
_DECODING: RunVar[Places] = RunVar("decoding")


def keep_in_memory(most: int) -> None:
    """Let no upload of up to `most` bytes touch a disk, where its identity data could be found again."""
    MultiPartParser.spool_max_size = max(MultiPartParser.spool_max_size, most + AROUND_A_PHOTO)


async def read_upload(file: UploadFile, options: ServeOptions) -> tuple[SkinImage, str]:
    """Photo and clean display name of an upload; decoded in a process of its own, a few at a time.

    The content decides what it is, not the name and not the declared type.

    Raises: ImageTooLarge, ImageUnreadable, MissingExtra, TooFast where too many photos are being read.
    """
    limits = Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)
    data = await file.read(options.max_bytes + 1)
    async with _decoding().place():
        image = await anyio.to_thread.run_sync(_decode, data, limits)
    return image, clean_name(file.filename or "")


def clean_name(text: str) -> str:
    r"""A file's name as it may be shown: its last part, one line, nothing that hides or reorders letters.

    >>> clean_name("..\\..\\C:/photos/mole\u202egpj.exe\x00")
    'molegpj.exe'
    >>> clean_name("../..")
    'photo'
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", text[: LONGEST_NAME * 100]))[-1]
    shown = "".join(" " if sign.isspace() else sign for sign in last if not _is_hidden(sign))
    name = re.sub(" +", " ", shown).strip(" .")[:LONGEST_NAME].strip()
    return name or NAMELESS


def _is_hidden(sign: str) -> bool:
    """Control and format characters, lone surrogates, unassigned and private ones."""
    return unicodedata.category(sign).startswith("C") and sign not in "\t\n\r"


def _decode(data: bytes, limits: Limits) -> SkinImage:
    try:
        return DECODERS.read(data, limits)
    except ImageError as error:
        said = error.message.replace("'the given bytes'", "The file")
        raise type(error)(said, hint=error.hint) from None


def _decoding() -> Places:
    """One per event loop."""
    try:
        return _DECODING.get()
    except LookupError:
        places = Places(AT_ONCE, waiting=WAITING, seconds=PATIENCE, what="photos are being read")
        _DECODING.set(places)
        return places
