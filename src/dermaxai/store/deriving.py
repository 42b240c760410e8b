"""What is made from a case for the page: photos in two sizes, and the case as the viewer reads it.

Nothing here is needed: what is lost is made again. Where the folder of cases cannot be written, a folder of
this process takes its place.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dermaxai import messages, report, viewer
from dermaxai.errors import StoreReadOnly
from dermaxai.report import made_json
from dermaxai.store.faults import telling_faults
from dermaxai.store.files import write_file
from dermaxai.store.uploads import read_pixels
from dermaxai.viewer import case_to_page

if TYPE_CHECKING:
    from dermaxai.types import Case

QUALITY = 88
_ONE_AT_A_TIME = threading.Lock()
"""Fifty readers of one new case have it derived once, not fifty times."""


def derive(folder: Path, name: str, make: Callable[[], bytes]) -> Path:
    """The file `name` of `folder`, made where it is missing; its earlier versions go.

    A name is '<kind>-<version>…'. Raises: StoreFull, and whatever `make` raises.
    """
    found = _found(folder, name)
    if found is not None:
        return found
    with _ONE_AT_A_TIME:
        found = _found(folder, name)
        if found is not None:
            return found
        content = make()
        try:
            return _keep(folder, name, content)
        except StoreReadOnly:
            return _keep(_spare(folder), name, content)


def page_of(case: Case) -> bytes:
    """What the viewer mounts: the case, and how it was made as rows (key, pieces of text, exact)."""
    page = case_to_page(case) | {"made": made_json(case)}
    return json.dumps(page, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def photo_of(source: Path, side: int) -> bytes:
    """A picture as JPEG without metadata, its longest side at most `side` pixels. Raises: OSError."""
    picture = read_pixels(source)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def picture_name(kind: str, sha256: str) -> str:
    """Of the derived file of a photo: another photo has another name."""
    digest = hashlib.sha256(sha256.encode()).hexdigest()
    return f"{kind}-{digest[:16]}.jpg"


@functools.cache
def writer_version() -> str:
    """Changes with the code that writes pages, so that another version of the program reads none of ours."""
    files = (viewer.__file__, report.__file__, messages.__file__)
    written = (Path(str(file)).read_bytes() for file in files)
    return hashlib.sha256(b"".join([*written, *messages.catalogues()])).hexdigest()[:8]


def spare_folder() -> Path:
    """A folder of this process for what cannot be kept beside the cases; it goes with the process."""
    return Path(_spare_home().name)


@functools.cache
def _spare_home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="dermaxai-", ignore_cleanup_errors=True)


def _spare(folder: Path) -> Path:
    """In the place of `folder`; two stores never share one."""
    return spare_folder() / hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]


def _found(folder: Path, name: str) -> Path | None:
    places = [folder]
    if _spare_home.cache_info().currsize:
        places.append(_spare(folder))
    return next((place / name for place in places if (place / name).is_file()), None)


def _keep(folder: Path, name: str, content: bytes) -> Path:
    with telling_faults():
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / name, content)
    kind = name.partition("-")[0]
    for earlier in folder.glob(f"{kind}-*"):
        if earlier.name != name:
            earlier.unlink(missing_ok=True)
    return folder / name
