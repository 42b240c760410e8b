"""The ISIC Archive's public API: which photos a collection holds, and their bytes.

Source: https://api.isic-archive.com/api/docs/swagger/ (version 2).
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

from dermaxai.errors import DataError

Result = TypeVar("Result")
ADDRESS = "https://api.isic-archive.com/api/v2/"
TIMEOUT = 60.0
"""Seconds without a byte."""
ATTEMPTS = 5
LONGEST_WAIT = 60.0
"""Seconds between two attempts, also where the archive asks for more."""
CHUNK = 1 << 18
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that another attempt may change."""


@dataclass(frozen=True, slots=True)
class ArchivePhoto:
    """One photo as the archive describes it."""

    isic_id: str
    """'ISIC_' and 7 digits."""
    attribution: str
    licence: str
    """'CC-0', 'CC-BY' or 'CC-BY-NC'."""
    url: str
    """Where its bytes are, for a short time."""
    size: int
    """Bytes."""
    fields: Mapping[str, str]
    """Metadata by column of an export, only what is present."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some photos of a selection."""

    total: int
    """Photos of the whole selection."""
    photos: tuple[ArchivePhoto, ...]


@final
class Archive:
    """A polite client: it waits and asks again where the archive is busy, and says what went wrong."""

    def __init__(self, address: str = ADDRESS, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._address = address if address.endswith("/") else f"{address}/"
        self._wait = wait

    def pages(self, collections: Sequence[int] = (), *, size: int = 100) -> Iterator[Page]:
        """The photos of some collections, of the whole archive where none is named, `size` at a time.

        Raises: DataError where the archive cannot be reached, refuses, or answers in an unknown form.
        """
        asked = {"collections": ",".join(map(str, collections)), "limit": str(size)}
        address: str | None = f"{self._address}images/search/?{urlencode(asked)}"
        while address:
            answer = self._ask(address)
            yield _read_page(answer, address)
            following = answer.get("next")
            address = urljoin(address, str(following)) if following else None

    def _ask(self, address: str) -> dict[str, Any]:
        """Raises: DataError."""
        text = self._persist(lambda: _get(self._checked(address)), address)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _strange(address, "its answer is no JSON object")
        return answer

    def save(self, photo: ArchivePhoto, target: Path) -> None:
        """Write the bytes of a photo, continuing what an earlier call left in `target`.

        Raises: DataError as `pages`, and where the file does not have the size that the archive tells.
        """
        address = self._checked(photo.url)
        self._persist(lambda: _continue(address, target, photo.size), photo.isic_id)
        if (found := target.stat().st_size) != photo.size:
            target.unlink()
            raise DataError(
                f"{photo.isic_id} has {found} bytes, but the archive tells of {photo.size}.",
                hint="Run the command again; what is complete is kept.",
            )

    def _checked(self, address: str) -> str:
        """No file and no plain HTTP, unless the archive itself is asked by plain HTTP. Raises: DataError."""
        if urlsplit(address).scheme not in ("https", urlsplit(self._address).scheme):
            raise DataError(f"The archive names an address that is no web page: {address}.")
        return address

    def _persist(self, attempt: Callable[[], Result], about: str) -> Result:
        """An attempt's result, repeated while the archive is busy or the line breaks. Raises: DataError."""
        for number in range(1, ATTEMPTS + 1):
            try:
                return attempt()
            except (OSError, http.client.HTTPException) as error:
                if number == ATTEMPTS or not _may_pass(error):
                    raise _explained(error, about) from error
                self._wait(_pause(error, number))
        raise AssertionError("unreachable")


def _get(address: str) -> bytes:
    with urlopen(Request(address, headers=_headers()), timeout=TIMEOUT) as answer:
        return bytes(answer.read())


def _continue(address: str, target: Path, size: int) -> None:
    """Append what lacks; start anew where the server cannot continue or there is too much."""
    have = target.stat().st_size if target.is_file() else 0
    if have == size:
        return
    if have > size:
        target.unlink()
        have = 0
    more = {"Range": f"bytes={have}-"} if have else {}
    with urlopen(Request(address, headers=_headers() | more), timeout=TIMEOUT) as answer:
        continued = answer.status == 206 and have
        with target.open("ab" if continued else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
        if answer.length:  # The line broke: urllib ends quietly where a body is shorter than announced.
            raise http.client.IncompleteRead(b"", answer.length)


def _headers() -> dict[str, str]:
    from importlib.metadata import version

    return {"User-Agent": f"dermaxai/{version('dermaxai')}"}


def _may_pass(error: Exception) -> bool:
    """Whether another attempt has a chance; a disk that is full or a page that is not there has none."""
    if isinstance(error, HTTPError):
        return error.code in _BUSY
    return isinstance(error, URLError | ConnectionError | TimeoutError | http.client.HTTPException)


def _pause(error: Exception, number: int) -> float:
    """Seconds: what the archive asks for, else 1, 2, 4, 8."""
    asked = error.headers.get("Retry-After", "") if isinstance(error, HTTPError) else ""
    return min(float(asked) if asked.isdecimal() else 2.0 ** (number - 1), LONGEST_WAIT)


def _explained(error: Exception, about: str) -> DataError:
    if isinstance(error, HTTPError):
        return DataError(
            f"The archive refused {about}: HTTP {error.code} {error.reason}.",
            hint="Later it may answer; what is complete is kept.",
        )
    if isinstance(error, OSError) and not _may_pass(error):
        return DataError(f"{about} cannot be stored: {error}.", hint="Free space, or give another folder.")
    reason = getattr(error, "reason", None) or error
    return DataError(
        f"The archive cannot be reached for {about}: {reason}.",
        hint="Is this machine connected? Run the command again; what is complete is kept.",
    )


def _read_page(answer: Mapping[str, Any], address: str) -> Page:
    try:
        photos = tuple(map(_read_photo, answer["results"]))
        return Page(int(answer.get("count") or len(photos)), photos)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _strange(address, f"{type(error).__name__}: {error}") from error


def _read_photo(entry: Mapping[str, Any]) -> ArchivePhoto:
    isic_id, full = str(entry["isic_id"]), entry["files"]["full"]
    if not re.fullmatch(r"ISIC_\d{7}", isic_id):
        raise ValueError(f"{isic_id!r} is no ISIC id")
    told = (item for section in entry["metadata"].values() for item in section.items())
    fields = {str(name): str(value) for name, value in told if value not in (None, "")}
    return ArchivePhoto(
        isic_id, entry["attribution"], entry["copyright_license"], str(full["url"]), int(full["size"]), fields
    )


def _strange(address: str, what: str) -> DataError:
    return DataError(
        f"{address} does not answer as the ISIC Archive's API (version 2) does: {what}.",
        hint="It may have changed; use isic-cli instead (`dermaxai data how isic_archive`).",
    )
