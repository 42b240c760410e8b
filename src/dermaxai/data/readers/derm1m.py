"""Derm1M, version 2: two tables with several rows per photo, and photos in eight folders by source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from dermaxai.data.cleaning import clean, sentences_of
from dermaxai.data.grouped_rows import RowGroup, grouped_rows
from dermaxai.data.readers.dermnet import series
from dermaxai.data.readers.ontology import Unmatched, match_diagnoses, match_findings, match_site, told
from dermaxai.data.reading import DatasetFolder, FaultKind, Row, read_number
from dermaxai.data.samples import Part, Sample, SampleCaption, Sentence, Sex
from dermaxai.errors import DataError

LICENCE = "CC BY-NC 4.0"
TABLES: dict[str, Part] = {"Derm1M_v2_pretrain.csv": "train", "Derm1M_v2_validation.csv": "validation"}
COLUMNS = (
    "filename", "caption", "truncated_caption", "disease_label", "hierarchical_disease_label", "skin_concept",
    "body_location", "age", "gender",
)  # fmt: skip


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per photo, with all its captions once, in the order in which the tables name the photos.

    What nothing in the vocabulary matches is reported once per word, when all is read. Raises: DataError
    where neither table is there, or a column lacks.
    """
    unmatched = Unmatched()
    for group in grouped_rows(find_tables(folder, TABLES), COLUMNS, folder.report):
        if not is_inside(group.key):
            folder.report("broken row", group.rows[0].place, f"{group.key!r} leads out of the folder.")
            continue
        sample = _sample(folder, group, unmatched)
        if sample is not None:
            yield sample
    unmatched.report(folder, _told_as(keep_unknown=folder.keep_unknown))


def _told_as(*, keep_unknown: bool) -> dict[str, tuple[FaultKind, str]]:
    """Only a label that nothing maps stops a build; other words are free text."""
    lost = "kept without diagnosis" if keep_unknown else "photos whose first label it is are left out"
    return {
        "disease_label": ("unknown label", f"no label of the vocabulary, {lost}"),
        "skin_concept": ("left out", "no sign of the vocabulary, and none is taken"),
        "caption": ("left out", "the caption is not taken"),
    }


def find_tables(folder: DatasetFolder, names: Iterable[str]) -> list[Path]:
    """Those of the tables that are there; others are reported. Raises: DataError where none is."""
    tables = list(names)
    folder.find_file(*tables)
    found = []
    for name in tables:
        try:
            found.append(folder.find_file(name))
        except DataError:
            folder.report("count", name, "The table is not here, so its photos are left out.")
    return found


def is_inside(name: str) -> bool:
    """Whether a file name of a table stays below the dataset's folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def find_photo(folder: DatasetFolder, table: Path, name: str) -> Path | None:
    """The photo beside its table, else wherever below the root the path ends so."""
    beside = table.parent / name
    return beside if beside.is_file() else folder.photos.at(name)


def _sample(folder: DatasetFolder, group: RowGroup, unmatched: Unmatched) -> Sample | None:
    found, is_known = _diagnoses(group.rows, unmatched)
    if not is_known and not folder.keep_unknown:
        return None
    location = _first(group.rows, "body_location")
    site = match_site(location) if location else None
    return Sample(
        id=f"derm1m/{group.key}",
        dataset="derm1m",
        path=find_photo(folder, group.table, group.key),
        place=group.rows[0].place,
        licence=LICENCE,
        captions=captions_of(_texts(group.rows, unmatched)),
        diagnosis=found[0] if found and is_known else None,
        label=_first(group.rows, "disease_label"),
        other_diagnoses=found[1:] if is_known else found,
        present=_findings(group.rows, unmatched),
        site=site,
        site_text="" if site else location,
        age=_age(folder, group.rows),
        sex=_sex(_first(group.rows, "gender")),
        groups=source_keys(group.key),
        official_split=TABLES[group.table.name],
    )


def _first(rows: Sequence[Row], column: str) -> str:
    return next((cell for row in rows if (cell := told(row[column])) is not None), "")


def _diagnoses(rows: Sequence[Row], unmatched: Unmatched) -> tuple[tuple[str, ...], bool]:
    """Ids of all rows, once each, and whether the first label told is known; no label at all is known."""
    told_labels = []
    for row in rows:
        text = told(row["disease_label"]) or ""
        for name, diagnosis in match_diagnoses(text, row["hierarchical_disease_label"]):
            told_labels.append(diagnosis)
            if diagnosis is None:
                unmatched.note("disease_label", name, row.place)
    ids = tuple(dict.fromkeys(each for each in told_labels if each is not None))
    return ids, not told_labels or told_labels[0] is not None


def _findings(rows: Sequence[Row], unmatched: Unmatched) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for row in rows:
        ids, unknown = match_findings(row["skin_concept"])
        found.update(dict.fromkeys(ids))
        for word in unknown:
            unmatched.note("skin_concept", word, row.place)
    return tuple(found)


_CHINESE = re.compile(r"[\u3400-\u9fff]")


def _texts(rows: Sequence[Row], unmatched: Unmatched) -> Iterator[tuple[str, str]]:
    """Column and cleaned text; the truncated one only where the whole is empty, Chinese ones never."""
    for row in rows:
        column = "caption" if told(row["caption"]) else "truncated_caption"
        text = clean(row[column])
        if not text.isascii() and len(_CHINESE.findall(text)) > len(text) / 10:
            unmatched.note("caption", "(Chinese text)", row.place)
        else:
            yield column, text


def captions_of(texts: Iterable[tuple[str, str]]) -> tuple[SampleCaption, ...]:
    """English captions from (field, cleaned text), without empty ones and equal ones."""
    fields: dict[str, str] = {}
    for field, text in texts:
        if told(text) is not None:
            fields.setdefault(text, field)
    return tuple(
        SampleCaption("en", tuple(Sentence(each, "author") for each in sentences_of(text)), field)
        for text, field in fields.items()
    )


_AGE = re.compile(r"(\d+(?:\.\d+)?)(?:\s*-?\s*(?:years?|yrs?)(?:\s*-?\s*old)?|\s*y/?o)?\.?", re.IGNORECASE)


def _age(folder: DatasetFolder, rows: Sequence[Row]) -> float | None:
    """Years, where the text is a number; words such as 'middle-aged' are no age."""
    for row in rows:
        number = _AGE.fullmatch(told(row["age"]) or "")
        if number:
            try:
                return read_number(number[1], low=0, high=120)
            except ValueError as error:
                folder.report("broken row", row.place, f"age: {error}; the age is left out.")
    return None


def _sex(text: str) -> Sex | None:
    return {"female": "female", "male": "male"}.get(text.casefold())  # type: ignore[return-value]


_PAGE = re.compile(r"(.+?)[\s_-]+(?:page|p)[\s_.-]*(\d+)(?:\D.*)?", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+?)[\s_-]+(\d+)(?:[\s_-]+\d+)?")
"""Title and page; the number of the figure on the page may follow."""


def source_keys(name: str) -> tuple[str, ...]:
    """Group keys of '<folder>/<file>': the video, article, thread, page or series that a photo is from.

    Public photos also get the key of the dataset they are from.

    >>> source_keys("public/ISIC_0022074.JPG")
    ('derm1m/public/ISIC_0022074', 'isic/ISIC_0022074')
    """
    path = PurePosixPath(name)
    source, stem = path.parent.name, path.stem
    if source != "public":
        return (f"derm1m/{source}/{_source_id(source, stem)}",)
    isic = re.match(r"ISIC_\d+", stem, re.IGNORECASE)
    if isic:
        return (f"derm1m/public/{isic[0].upper()}", f"isic/{isic[0].upper()}")
    if re.search(r"[^\W\d_]", stem):
        return (f"derm1m/public/{series(stem)}", f"dermnet/series/{series(stem)}")
    return (f"derm1m/public/{stem}",)


def _source_id(source: str, stem: str) -> str:
    if source == "youtube":
        return stem.partition("_frame_")[0]
    if source == "pubmed":
        article = re.search(r"PMC\d+", stem)
        return article[0] if article else stem
    if source in ("edu", "note"):
        page = _PAGE.fullmatch(stem) or _NUMBERED.fullmatch(stem)
        return f"{page[1]}/{page[2]}" if page else stem
    return stem.partition("_")[0]
