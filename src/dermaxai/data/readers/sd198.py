"""SD-198: 198 class folders, and three lists of images and classes that a copy may lack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Sample
from dermaxai.errors import DataError

LICENCE = "research use on request"


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per line of images.txt; where that list is absent, per photo in a folder.

    Where the other two lists are there, a line whose class they contradict is reported and left out.
    Raises: DataError where there is neither list nor photo.
    """
    listing = _find(folder, "images.txt")
    yield from _listed(folder, listing) if listing else _unlisted(folder)


def _listed(folder: DatasetFolder, listing: Path) -> Iterator[Sample]:
    classes = _classes(folder)
    for line, number, relative in _lines(folder, listing):
        place = f"images.txt, line {line}"
        label = PurePosixPath(relative).parent.name
        told = classes.get(number, label)
        if not label or told != label:
            folder.report("broken row", place, f"'{relative}' lies in '{label}', its class is '{told}'.")
            continue
        path = folder.photos.at(f"images/{relative}") or folder.photos.at(relative)
        yield from _samples(folder, label, PurePosixPath(relative).name, path, place)


def _unlisted(folder: DatasetFolder) -> Iterator[Sample]:
    if not len(folder.photos):
        raise DataError(
            f"'{folder.root}' holds neither images.txt nor a photo.", hint="See `dermaxai data how sd198`."
        )
    for path in folder.photos.paths:
        place = path.relative_to(folder.root).as_posix()
        yield from _samples(folder, path.parent.name, path.name, path, place)


def _samples(folder: DatasetFolder, name: str, file: str, path: Path | None, place: str) -> Iterator[Sample]:
    """One sample, or none for a class that nothing maps."""
    label = folder.label("sd198", "folder", name, place)
    if label is None and not folder.keep_unknown:
        return
    yield Sample(
        id=f"sd198/{name}/{file}",
        dataset="sd198",
        path=path,
        place=place,
        licence=LICENCE,
        diagnosis=label.diagnosis if label else None,
        label=name,
        source_malignancy=label.source_malignancy if label else "",
        modality="clinical",
        groups=(f"sd198/stem/{_stem(file)}",),
    )


def _stem(file: str) -> str:
    """The number of the case at DermQuest: the digits before HB or VB; else the stem."""
    stem = PurePosixPath(file).stem
    number = re.match(r"(\d+)[HV]B", stem, re.IGNORECASE)
    return number[1] if number else stem.casefold()


def _classes(folder: DatasetFolder) -> dict[str, str]:
    """Class names by image number, as far as both other lists are there."""
    names, numbers = _find(folder, "classes.txt"), _find(folder, "image_class_labels.txt")
    if names is None or numbers is None:
        return {}
    named = {number: name for _, number, name in _lines(folder, names)}
    return {image: named.get(number, f"class {number}") for _, image, number in _lines(folder, numbers)}


def _find(folder: DatasetFolder, name: str) -> Path | None:
    try:
        return folder.find_file(name)
    except DataError:
        return None


def _lines(folder: DatasetFolder, path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, and what stands before and after the first space."""
    for line, text in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        number, _, rest = text.strip().partition(" ")
        if number.isdigit() and rest.strip():
            yield line, number, rest.strip()
        elif text.strip():
            folder.report("broken row", f"{path.name}, line {line}", f"{text!r} is not '<number> <text>'.")
