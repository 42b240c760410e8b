"""Fetch the photos of ISIC collections in the form of the archive's own exports: resumable, verified."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final
from urllib.parse import urlsplit

from dermaxai.data.cards import DatasetCard
from dermaxai.data.isic_api import Archive, ArchivePhoto, Page
from dermaxai.data.reading import PHOTO_SUFFIXES
from dermaxai.data.tables import read_table
from dermaxai.errors import DataError, UsageError
from dermaxai.settings import read_settings

AT_ONCE = 4
"""Photos under way at the same time."""
TABLE, ATTRIBUTION = "metadata.csv", "attribution.txt"
FIRST_COLUMNS = ("isic_id", "attribution", "copyright_license")
"""The others follow sorted, as in the archive's exports."""

_OURS = ("ISIC_", TABLE, ATTRIBUTION, "licenses", ".")
"""Beginnings of the names that the archive's own client and this program leave in a folder."""

Progress = Callable[[int, int], None]
"""Called after every photo with the photos that are done and all that are wanted."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch left in its folder."""

    folder: Path
    kept: int
    """Photos that were complete already."""
    new: int
    """Photos that this run brought."""
    failed: tuple[tuple[str, str], ...]
    """ISIC id and what went wrong."""


def check_allowed(card: DatasetCard, *, accepted: bool) -> None:
    """Raises: UsageError where the terms do not allow fetching, are not accepted, or the network is off."""
    if not card.fetchable:
        raise UsageError(
            f"{card.title} is not fetched by a program; one gets it from its publisher ({card.access}).",
            hint=f"`dermaxai data how {card.name}` tells the official way.",
        )
    if not accepted:
        raise UsageError(
            f"The terms of {card.title} must be accepted before it is fetched. Licence: {card.licence}.",
            hint=f"Read them above or with `dermaxai data how {card.name}`, then add --accept-terms.",
        )
    if read_settings().offline:
        raise UsageError(
            f"{card.title} cannot be fetched: the network is switched off (DERMAXAI_OFFLINE).",
            hint="Unset it, or fetch on another machine and carry the folder here.",
        )


def fetch(
    archive: Archive,
    collections: Sequence[int],
    folder: Path,
    *,
    limit: int = 0,
    progress: Progress = lambda done, total: None,
) -> Fetched:
    """Bring photos and metadata.csv of some collections into a folder; `limit` 0: all photos.

    Photos that are there with the right size stay, and parts of photos are continued. A photo that fails does
    not stop the others; where a whole page fails, nothing more is tried.
    Raises: DataError; UsageError for a folder that holds something else.
    """
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = _Table(folder)
    outcomes: dict[str, str] = {}
    with _written(table), _workers() as workers:
        for page in _within(archive.pages(collections), limit):
            table.add(page.photos)
            of_page = workers.map(lambda photo: _bring(archive, photo, folder), page.photos)
            for photo, outcome in zip(page.photos, of_page, strict=True):
                outcomes[photo.isic_id] = outcome
                progress(len(outcomes), page.total)
            _check_any(page, outcomes)
    failed = tuple((name, told) for name, told in outcomes.items() if told not in ("kept", "new"))
    told = list(outcomes.values())
    return Fetched(folder, told.count("kept"), told.count("new"), failed)


def _check_folder(folder: Path) -> None:
    """Raises: UsageError."""
    there = list(folder.iterdir()) if folder.is_dir() else []
    strange = [path.name for path in there if not path.name.startswith(_OURS)]
    if strange:
        raise UsageError(
            f"'{folder}' holds something else than photos of the ISIC Archive: {strange[0]}.",
            hint="Give an empty folder, or one of an earlier fetch.",
        )


def _within(pages: Iterator[Page], limit: int) -> Iterator[Page]:
    """The pages of the first `limit` photos, 0: of all; their total is what is wanted."""
    left = limit
    for page in pages:
        if not limit:
            yield page
            continue
        yield Page(min(limit, page.total), page.photos[:left])
        left -= len(page.photos)
        if left <= 0:
            return


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Threads that stop after the photos under way when anything goes wrong."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _bring(archive: Archive, photo: ArchivePhoto, folder: Path) -> str:
    """'kept', 'new', or what went wrong."""
    ending = PurePosixPath(urlsplit(photo.url).path).suffix.lower()
    target = folder / f"{photo.isic_id}{ending if ending in PHOTO_SUFFIXES else '.jpg'}"
    if target.is_file() and target.stat().st_size == photo.size:
        return "kept"
    part = target.with_name(f"{target.name}.part")
    try:
        archive.save(photo, part)
        _check_decodes(part, photo.isic_id)
    except DataError as error:
        return str(error)
    os.replace(part, target)
    return "new"


def _check_decodes(path: Path, isic_id: str) -> None:
    """Every pixel can be read; else the file is taken away. Raises: DataError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        path.unlink()
        raise DataError(
            f"{isic_id} arrived whole but is no readable photo: {error}.", hint="Run the command again."
        ) from error


def _check_any(page: Page, outcomes: dict[str, str]) -> None:
    """Raises: DataError where no photo of the page arrived: then none will."""
    told = [outcomes[photo.isic_id] for photo in page.photos]
    if told and not {"kept", "new"} & set(told):
        raise DataError(f"None of {len(told)} photos could be fetched. The first: {told[0]}")


@final
class _Table:
    """metadata.csv and attribution.txt of a folder; rows of earlier runs stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, dict[str, str]] = {}
        if (folder / TABLE).is_file():
            earlier = read_table(folder / TABLE).require(*FIRST_COLUMNS)
            self._rows = {row["isic_id"]: dict(row.values) for row in earlier}

    def add(self, photos: Sequence[ArchivePhoto]) -> None:
        for photo in photos:
            own = dict(zip(FIRST_COLUMNS, (photo.isic_id, photo.attribution, photo.licence), strict=True))
            self._rows[photo.isic_id] = own | dict(photo.fields)

    def write(self) -> None:
        """Both files, whole or not at all."""
        rows = list(self._rows.values())
        if not rows:
            return
        present = {name for row in rows for name, value in row.items() if value}
        columns = [*FIRST_COLUMNS, *sorted(present.difference(FIRST_COLUMNS))]
        part = self._folder / f"{TABLE}.part"
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(part, self._folder / TABLE)
        named = dict.fromkeys(row["attribution"] for row in rows)
        (self._folder / ATTRIBUTION).write_text("\n\n".join(named) + "\n", encoding="utf-8")


@contextmanager
def _written(table: _Table) -> Iterator[None]:
    """What is known is written also where the fetch breaks off."""
    try:
        yield
    finally:
        table.write()
