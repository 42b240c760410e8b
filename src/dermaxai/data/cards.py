"""One card per dataset: what its publisher ships, what may be done with it, and what to beware of."""

from __future__ import annotations

import csv
import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from dermaxai.data.readers import READERS
from dermaxai.data.samples import PARTS, Modality
from dermaxai.errors import SettingError
from dermaxai.registry import check_name

Access = Literal["open", "account", "form", "gated"]
"""'open': anybody; 'account': of a platform; 'form': a person or an agreement decides; 'gated': terms are
accepted at the hub."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that the publisher offers, and how to know it again."""

    name: str
    bytes: int = 0
    """0 where unknown."""
    md5: str = ""
    """32 hex digits; '' where unknown."""
    sha256: str = ""
    """64 hex digits; '' where unknown."""


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """Everything that must be known about a dataset before it is fetched, read or mixed with others."""

    name: str
    """What the user types; a name of `READERS`."""
    title: str
    """What a reader sees."""
    about: str
    """What it is, in one or two sentences."""
    page: str
    """Address of the publisher's page."""
    licence: str
    """Of the photos, as the publisher words it."""
    access: Access
    """How one gets it."""
    terms: tuple[str, ...]
    """What one may and may not do, in words; the first thing a user is shown."""
    redistribution: str
    """Whether photos or what is made from them may be passed on."""
    citation: str
    """What to cite."""
    doi: str
    """Of the dataset, else of its paper; '' where none is known."""
    steps: tuple[str, ...]
    """The official way to get it; a step that begins with '$ ' is a command."""
    layout: str
    """The folder as the publisher's download leaves it."""
    photos: int
    """Files of photos that are promised; 0 where nobody tells."""
    rows: int
    """Rows of the publisher's table, or photos where there is none; 0 where nobody tells."""
    samples: int
    """Photos that a reader of the whole dataset gives, without those that the publisher tells to leave out;
    0 where nobody can tell, or where its parts may be had alone."""
    counted: str
    """Column of the vocabulary's labels whose counts are the publisher's; '' where none are known."""
    counted_of: str
    """What these counts are of; '' for all rows."""
    counted_part: str
    """The publisher's part that is just that, and against which a check counts; '' where none is."""
    modalities: tuple[Modality, ...]
    """Kinds of photos."""
    languages: tuple[str, ...]
    """Of labels and metadata."""
    caption_fields: tuple[str, ...]
    """Columns or files with a text per photo; empty: captions are composed."""
    caption_languages: tuple[str, ...]
    """Of the captions."""
    group_key: str
    """What no split may cut through, in words."""
    official_split: str
    """The publisher's own split, in words; '' where there is none."""
    split_leaks: bool
    """Whether the official split is known to put the same lesion or photo on both sides."""
    faults: tuple[str, ...]
    """What is known to be wrong or surprising."""
    overlaps: Mapping[str, str]
    """Name of another dataset -> what they share."""
    collections: tuple[int, ...]
    """Of the ISIC Archive, where `dermaxai data fetch` may bring it from."""
    fetched_as: str
    """The dataset whose reader reads what `data fetch` brings; '' where it is not fetched."""
    verification: str
    """How much of this card was compared with real files."""
    unverified: tuple[str, ...]
    """What was taken from others or from memory, and what nobody knows."""
    files: tuple[PublishedFile, ...]
    """Files with a known size or hash."""

    @property
    def fetchable(self) -> bool:
        """Whether the terms allow `dermaxai data fetch`."""
        return bool(self.fetched_as)


def card_names() -> list[str]:
    """Names of all datasets, in the order of `READERS`."""
    return list(READERS)


def read_card(name_or_path: str | Path) -> DatasetCard:
    """The card of a dataset by its name, or of a TOML file of the same form.

    Raises: UnknownName; SettingError with all faults of the card at once.

    >>> read_card("bcn20000").collections
    (249,)
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return _checked(Path(name_or_path))
    check_name("dataset", name_or_path, card_names())
    return _checked(Path(str(files("dermaxai"))) / "cards" / "datasets" / f"{name_or_path}.toml")


def label_counts(card: DatasetCard) -> dict[str, int]:
    """Photos per label, as the publisher spells it; empty where the publisher's counts are not known.

    >>> label_counts(read_card("ham10000"))["df"]
    115
    """
    with (files("dermaxai.vocabulary") / "labels.csv").open(encoding="utf-8") as lines:
        return {
            row["source_label"]: int(row["source_count"])
            for row in csv.DictReader(lines)
            if (row["dataset"], row["field"]) == (card.name, card.counted) and row["source_count"]
        }


def table() -> str:
    """All cards as one Markdown table; `docs/datasets.md` holds it."""
    heads = ("name", "what", "photos", "captions", "licence", "access", "`data fetch`")
    cards = [read_card(name) for name in card_names()]
    rows = [heads, ("---", "---", "---:", "---", "---", "---", "---"), *map(_cells, cards)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def overlap_list() -> str:
    """What datasets share, as a Markdown list; `docs/datasets.md` holds it."""
    found = (read_card(name) for name in card_names())
    return "".join(
        f"- `{card.name}`: {'; '.join(f'`{other}` ({told})' for other, told in card.overlaps.items())}\n"
        for card in found
        if card.overlaps
    )


def _cells(card: DatasetCard) -> tuple[str, ...]:
    return (
        f"`{card.name}`",
        f"[{card.title}]({card.page}), {' and '.join(card.modalities)}",
        f"{card.photos:,}" if card.photos else "varies",
        ", ".join(card.caption_languages) or "composed",
        card.licence,
        card.access,
        "yes" if card.fetchable else "no",
    )


def _checked(path: Path) -> DatasetCard:
    """Raises: SettingError with every fault found, not only the first."""
    values = _parsed(path)
    found = list(_faults_of_form(values, DatasetCard)) or list(_faults_of_files(values["files"]))
    if not found:
        card = _built(values)
        found = list(_faults_between(card))
        if not found:
            return card
    listed = "".join(f"\n  - {fault}" for fault in found)
    raise SettingError(f"The dataset card {path.name} has {len(found)} fault(s):{listed}")


def _parsed(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"The dataset card {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"The dataset card {path} is not TOML: {error}.") from error
    return {"files": [], **values}


def _built(values: Mapping[str, object]) -> DatasetCard:
    entries = values["files"]
    assert isinstance(entries, list)
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    told["files"] = tuple(PublishedFile(**entry) for entry in entries)
    return DatasetCard(**told)  # type: ignore[arg-type]  # checked by the caller


def _faults_of_form(values: Mapping[str, object], kind: type) -> Iterator[str]:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in values.keys() - fields.keys():
        yield f"'{name}' is no field of a card"
    for name, field in fields.items():
        wanted, fits = _FORMS[str(field.type)]
        if name not in values:
            if field.default is dataclasses.MISSING:
                yield f"'{name}' is missing; expected {wanted}"
        elif not fits(values[name]):
            yield f"'{name}' is {values[name]!r}; expected {wanted}"


def _faults_of_files(entries: object) -> Iterator[str]:
    assert isinstance(entries, list)
    for entry in entries:
        for fault in _faults_of_form(entry, PublishedFile):
            yield f"files: {fault}"
        for name, digits in (("md5", 32), ("sha256", 64)):
            told = str(entry.get(name, ""))
            if not re.fullmatch(rf"([0-9a-f]{{{digits}}})?", told):
                yield f"files: '{name}' of {entry.get('name')} is '{told}'; expected {digits} hex digits"


def _faults_between(card: DatasetCard) -> Iterator[str]:
    for name in ("name", "title", "about", "licence", "terms", "citation", "steps", "layout", "group_key"):
        if not getattr(card, name):
            yield f"'{name}' is empty"
    if not card.page.startswith("https://"):
        yield f"'page' is {card.page!r}; expected an address that begins with https://"
    if not re.fullmatch(r"(10\.\d{4,}/\S+)?", card.doi):
        yield f"'doi' is {card.doi!r}; expected '10.…/…', or empty where unknown"
    if bool(card.caption_fields) != bool(card.caption_languages):
        yield "'caption_fields' and 'caption_languages' must both be told, or both be empty"
    if card.counted_part and not (card.counted_part in PARTS and card.counted_of):
        yield f"'counted_part' is {card.counted_part!r}; expected a part of {PARTS}, and 'counted_of'"
    if card.split_leaks and not card.official_split:
        yield "'split_leaks' is true, but there is no 'official_split'"
    if bool(card.collections) > card.fetchable or (card.fetchable and card.access != "open"):
        yield "'fetched_as' goes with 'collections', and with access 'open' only"
    for name in (*card.overlaps, *filter(None, [card.fetched_as])):
        if name not in READERS:
            yield f"'{name}' is named in 'overlaps' or 'fetched_as', but is no dataset"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)


def _is_text_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, str) and entry for entry in value.values())


_FORMS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "int": ("a whole number of at least 0", lambda value: type(value) is int and value >= 0),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "Access": (f"one of {', '.join(get_args(Access))}", lambda value: value in get_args(Access)),
    "tuple[str, ...]": ("a list of texts", _is_texts),
    "tuple[Modality, ...]": (
        f"a list of {', '.join(get_args(Modality))}",
        lambda value: _is_texts(value) and set(value) <= set(get_args(Modality)),  # type: ignore[call-overload]
    ),
    "tuple[int, ...]": (
        "a list of whole numbers",
        lambda value: isinstance(value, list) and all(type(entry) is int for entry in value),
    ),
    "tuple[PublishedFile, ...]": (
        "a list of tables",
        lambda value: isinstance(value, list) and all(isinstance(entry, dict) for entry in value),
    ),
    "Mapping[str, str]": ("a table of texts", _is_text_table),
}
"""Annotation of a field -> what is expected in words, and the test."""
