"""Photos to evaluate on: from a manifest, a publisher's folder, or any folder of photos."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dermaxai.data.cards import read_card
from dermaxai.data.readers import READERS
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import PARTS, Part, Sample
from dermaxai.errors import DataError, UsageError
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.masks import MaskFiles, photos_without_masks
from dermaxai.evaluate.masks import read_mask as read_mask
from dermaxai.evaluate.sampling import Drawable, draw
from dermaxai.images import find_images
from dermaxai.registry import check_name

PLAIN = frozenset({"images", "image", "photos", "img"})
"""Folders that say nothing of what is in them; the one above names the photos."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Photos, and what a reader must know of how they were chosen."""

    items: tuple[Item, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A photo before its file is read."""

    sample: Sample
    path: Path
    cluster: str = ""
    mask: Path | None = None
    sha256: str = ""
    """That a scan told; '' where it must be computed."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One of the places that were named, with what was found there."""

    name: str
    found: list[_Found]
    notes: list[str]
    splits: Counter[str] = field(default_factory=Counter)
    """Photos in each official part; empty where there are none."""


def gather(
    on: Sequence[str],
    *,
    split: Part | None = "test",
    ids: Path | None = None,
    limit: int | None = None,
    masks: Path | None = None,
    seed: int = 0,
) -> list[Item]:
    """The items of `gather_noted`, without its notes."""
    return list(gather_noted(on, split=split, ids=ids, limit=limit, masks=masks, seed=seed).items)


def gather_noted(
    on: Sequence[str],
    *,
    split: Part | None = "test",
    ids: Path | None = None,
    limit: int | None = None,
    masks: Path | None = None,
    seed: int = 0,
) -> Gathered:
    """Photos in the order in which they are named, each once, with the hashes of their files.

    Args: on, each a manifest (`*.parquet`), `NAME=FOLDER` (a dataset in its publisher's folder) or a folder
    of photos; split, a part of manifests and of datasets whose publisher has parts, else all photos, which a
    note says, None for all; ids, a file of photos' names, one a line, which replaces the split; limit, how
    many photos at most, drawn as in `sampling.draw`; masks, a folder of outlines, else those are found where
    publishers keep them.
    Raises: UsageError for a place, split or file that is not there and where no photo is left; DataError for
    what is not as its publisher ships it; SettingError for a limit below 1.
    """
    if not on:
        raise UsageError("No photos were named.", hint=_FORMS)
    if split is not None and split not in PARTS:
        raise UsageError(f"No split is called '{split}'.", hint=f"There are {', '.join(PARTS)}.")
    sources = [_source(place, split if ids is None else None) for place in on]
    notes = [note for source in sources for note in source.notes]
    found = [one for source in sources for one in source.found]
    if ids is not None:
        found = _only(found, ids, notes)
    found = _once(_clustered(found), notes)
    if masks is not None:
        found = _with_masks(found, masks)
    if limit is not None:
        places = draw([_drawable(one) for one in found], limit, seed)
        if len(places) < len(found):
            notes.append(f"{len(places)} of {len(found)} photos were drawn with seed {seed}.")
        found = [found[place] for place in places]
    if not found:
        raise UsageError(f"No photo is left of {', '.join(on)}.", hint=" ".join(notes) or _FORMS)
    return Gathered(tuple(_items(found, notes)), tuple(notes))


_FORMS = "Give a manifest (all.parquet), a dataset (ham10000=FOLDER) or a folder of photos."


def _source(place: str, split: Part | None) -> _Source:
    """Raises: UsageError, DataError."""
    name, _, folder = place.partition("=")
    if place.endswith(".parquet"):
        return _of_manifest(Path(place), split)
    if folder and (name in READERS or not Path(place).exists()):
        check_name("dataset", name, list(READERS))
        return _of_dataset(name, Path(folder), split)
    if not Path(place).is_dir():
        raise UsageError(f"'{place}' is no folder.", hint=_FORMS)
    return _of_folder(Path(place))


def _of_manifest(path: Path, split: Part | None) -> _Source:
    from dermaxai.data.manifest import Manifest

    manifest = Manifest.open(path)
    rows = manifest.rows(split)
    if not len(rows) and split is not None:
        parts = Counter(str(part) for part in manifest.column("split"))
        raise UsageError(f"'{path}' has no photo in '{split}'.", hint=_parts_there(parts))
    masks = {name: MaskFiles.usual(root) for name, root in manifest.roots.items()}
    told = manifest.samples(rows)
    source = _present(path.name, [(one.sample, one.cluster) for one in told], masks.get)
    scanned = [replace(one, sha256=one.sample.sha256) for one in source.found]
    if told and not source.found:
        raise DataError(
            f"None of the {len(told)} photos of '{path}' is where it says.",
            hint="If the datasets were moved, build the manifest again, or change its folders.",
        )
    return replace(source, found=scanned)


def _of_dataset(name: str, folder: Path, split: Part | None) -> _Source:
    reading = DatasetFolder(folder)
    samples = list(READERS.load(name)(reading))
    card, parts = read_card(name), Counter(one.official_split for one in samples if one.official_split)
    notes = []
    unknown = sum(fault.kind == "unknown label" for fault in reading.faults)
    if unknown:
        notes.append(f"{unknown} rows of {name} have a label that no table maps and are left out.")
    if parts and split is not None:
        if not parts[split]:
            raise UsageError(f"{name} has no photo in '{split}'.", hint=_parts_there(parts))
        samples = [one for one in samples if one.official_split == split]
        if card.split_leaks:
            notes.append(f"The official split of {name} is known to leak; a manifest has one that does not.")
    elif split is not None:
        notes.append(
            f"{name} has no official split: all its photos are used, those among them that a model learned "
            "from too. Name the photos with --ids, or build a manifest."
        )
    masks = MaskFiles.usual(folder)
    source = _present(name, [(one, "") for one in samples], lambda _: masks)
    if samples and not source.found:
        raise DataError(
            f"'{folder}' holds none of the {len(samples)} photos of {name}.",
            hint=f"See `dermaxai data how {name}` for the whole download.",
        )
    return replace(source, notes=notes + source.notes, splits=parts)


def _present(
    name: str, told: Sequence[tuple[Sample, str]], masks_of: Callable[[str], MaskFiles | None]
) -> _Source:
    """Those whose photo is on disk."""
    found = []
    for sample, cluster in told:
        if sample.path is not None and sample.path.is_file():
            masks = masks_of(sample.dataset)
            found.append(_Found(sample, sample.path, cluster, masks.of(sample.path) if masks else None))
    lacking = len(told) - len(found)
    notes = (
        [f"{lacking} of {len(told)} photos of {name} are not on disk and are left out."] if lacking else []
    )
    return _Source(name, found, notes)


def _of_folder(folder: Path) -> _Source:
    """Raises: UsageError for a folder without photos."""
    paths = list(photos_without_masks(find_images([folder]), folder))
    if not paths:
        raise UsageError(f"'{folder}' holds no photos.", hint=_FORMS)
    whole = folder.resolve()
    name = whole.parent.name if whole.name.casefold() in PLAIN and whole.parent.name else whole.name
    usual = MaskFiles.usual(folder)
    beside = MaskFiles((folder, *usual.folders)) if len(paths) < len(find_images([folder])) else usual
    if not len(beside) and whole.name.casefold() in PLAIN:
        beside = MaskFiles.usual(whole.parent)
    stems = Counter(path.stem for path in paths)
    found = []
    for path in paths:
        below = path.relative_to(folder)
        short = path.stem if stems[path.stem] == 1 else below.as_posix()
        sample = Sample(id=f"{name}/{short}", dataset=name, path=path, place=below.as_posix())
        found.append(_Found(sample, path, "", beside.of(path)))
    return _Source(name, found, [])


def _parts_there(parts: Counter[str]) -> str:
    told = ", ".join(f"{part} ({parts[part]})" for part in PARTS if parts[part])
    return f"It has {told}." if told else "It has none at all."


def _only(found: list[_Found], ids: Path, notes: list[str]) -> list[_Found]:
    """Photos whose name is in the file. Raises: UsageError."""
    try:
        wanted = dict.fromkeys(ids.read_text("utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"'{ids}' cannot be read: {error}.", hint="Give names of photos, one a line."
        ) from None
    names = {line.strip() for line in wanted if line.strip() and not line.startswith("#")}
    kept, seen = [], set()
    for one in found:
        own = {one.sample.id, one.sample.id.partition("/")[2], one.path.name, one.path.stem} & names
        if own:
            kept.append(one)
            seen |= own
    if not kept:
        raise UsageError(
            f"None of the {len(names)} names in '{ids}' is one of the {len(found)} photos.",
            hint="One name a line, as ISIC_0024306 or ham10000/ISIC_0024306.",
        )
    if names - seen:
        notes.append(f"{len(names - seen)} of {len(names)} names in '{ids.name}' are not among the photos.")
    return kept


def _clustered(found: list[_Found]) -> list[_Found]:
    """With one cluster for all that share a group key or a manifest's cluster."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    keys = [(*one.sample.groups, *((f"cluster/of/{one.cluster}",) if one.cluster else ())) for one in found]
    for own in keys:
        for key in own[1:]:
            first, second = sorted((root(own[0]), root(key)))
            parent[second] = first
    clusters = [hashlib.sha256(root(own[0]).encode()).hexdigest()[:16] if own else "" for own in keys]
    return [replace(one, cluster=cluster) for one, cluster in zip(found, clusters, strict=True)]


def _once(found: list[_Found], notes: list[str]) -> list[_Found]:
    """Without photos that came before: the same file, id, or photo under a key of its own.

    Raises: UsageError for one id that stands for two files.
    """
    kept: dict[str, _Found] = {}
    photos: set[str] = set()
    for one in found:
        own = {key for key in one.sample.groups if key.count("/") == 1} | {str(one.path.resolve())}
        earlier = kept.get(one.sample.id)
        if own & photos:
            continue
        if earlier is not None:
            raise UsageError(
                f"'{one.sample.id}' is two photos: '{earlier.path}' and '{one.path}'.",
                hint="Rename one of the folders.",
            )
        kept[one.sample.id] = one
        photos |= own
    if len(kept) < len(found):
        notes.append(f"{len(found) - len(kept)} photos came twice and are used once.")
    return list(kept.values())


def _with_masks(found: list[_Found], folder: Path) -> list[_Found]:
    masks = MaskFiles.given(folder)
    outlined = [replace(one, mask=masks.of(one.path)) for one in found]
    if found and not any(one.mask for one in outlined):
        name = found[0].path.stem
        raise UsageError(
            f"'{folder}' holds no outline of any of the {len(found)} photos.",
            hint=f"They are called as their photos: {name}_segmentation.png, {name}.png, {name}_mask.png.",
        )
    return outlined


def _drawable(one: _Found) -> Drawable:
    return Drawable(one.sample.id, one.cluster, one.sample.diagnosis or "")


def _items(found: list[_Found], notes: list[str]) -> list[Item]:
    """With hashes; files that are the same are one photo."""
    items: dict[str, Item] = {}
    for one in found:
        sha256 = one.sha256 or _hash(one.path)
        if sha256 not in items:
            items[sha256] = Item(one.sample.id, one.path, sha256, one.sample, one.cluster, one.mask)
    if len(items) < len(found):
        notes.append(f"{len(found) - len(items)} photos are copies of others and are left out.")
    outlined = sum(item.mask is not None for item in items.values())
    if 0 < outlined < len(items):
        notes.append(f"{outlined} of {len(items)} photos have an outline.")
    return list(items.values())


def _hash(path: Path) -> str:
    """Raises: DataError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.", hint="Copy it again.") from error
