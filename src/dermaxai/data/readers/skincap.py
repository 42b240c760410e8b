"""SkinCAP: 4,000 photos of Fitzpatrick17k and DDI with a dermatologist's caption each.

`skincap_v240715.xlsx` (English in `caption_en`; its header is the second line) or `skincap_v240623.csv`
(English in `caption_zh_polish_en`), the newer where both are, and `skincap/<id>.png`. Photos below
`skincap/not_include/` and rows marked 'Do not consider this image' are left out. The English is a
translation of the Chinese, which is not read. Nearly every caption states a diagnosis:
`data.cleaning.drop_diagnosis` takes it away where only the description is wanted.
Source: Zhou et al., arXiv 2405.18004, doi 10.57967/hf/2256. KAUST use agreement.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from dermaxai import vocabulary
from dermaxai.data.cells import disagreement, read_rows
from dermaxai.data.cleaning import clean, sentences_of
from dermaxai.data.readers import ddi, fitzpatrick17k
from dermaxai.data.readers.skincon import FLAG, considered, read_findings, source_group
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.tables import read_table
from dermaxai.errors import DataError

LICENCE = "KAUST use agreement (the hub card says CC BY-NC-SA 4.0)"
_TABLES = ("skincap_v240715.xlsx", "skincap_v240623.csv", "skincap*.xlsx", "skincap*.csv")
_CAPTIONS = ("caption_en", "caption_zh_polish_en")
_COLUMNS = ("id", "skincap_file_path", "ori_file_path", "disease", "source", FLAG)
_EXCLUDED = "not_include"


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row that is to be considered. Raises: DataError where the table or a column is not."""
    table = _read_headed(folder.find_file(*_TABLES)).require(*_COLUMNS)
    field = next((name for name in _CAPTIONS if name in table.columns), None)
    if field is None:
        raise DataError(f"{table.path.name} has no English caption: none of {', '.join(_CAPTIONS)}.")
    yield from read_rows(folder, considered(folder, table), partial(_read_row, field=field))


def _read_headed(path: Path) -> ReadTable:
    """The table, whether its header is the first line or stands below a title."""
    table = read_table(path)
    return table if "ori_file_path" in table.columns else read_table(path, header_line=2)


def _read_row(folder: DatasetFolder, row: Row, *, field: str) -> Sample | None:
    group = source_group(row["ori_file_path"])
    if row["source"] != group.partition("/")[0]:
        raise ValueError(f"source={row['source']!r} does not fit ori_file_path={row['ori_file_path']!r}")
    caption, (present, absent) = read_caption(row[field], field), read_findings(row)
    skin_type, told = _read_source(row)
    diagnosis = _diagnoses().get(_squeeze(row["disease"]))
    if diagnosis is None:
        message = f"disease={row['disease']!r} is no label of Fitzpatrick17k or DDI, and no diagnosis."
        folder.report("unknown label", row.place, message)
        if not folder.keep_unknown:
            return None
    return Sample(
        id=f"skincap/{row['id'].removesuffix('.0')}",
        dataset="skincap",
        path=_find_photo(folder, row["skincap_file_path"]),
        place=row.place,
        licence=LICENCE,
        captions=(caption,),
        diagnosis=diagnosis,
        label=row["disease"],
        source_malignancy=disagreement(told, diagnosis),
        present=present,
        absent=absent,
        skin_type=skin_type,
        modality="clinical",
        groups=(group,),
    )


def read_caption(text: str, field: str) -> SampleCaption:
    """An English caption as its authors wrote it, cleaned and parted into sentences.

    Raises: ValueError where nothing is left.
    """
    sentences = sentences_of(clean(text))
    if not sentences:
        raise ValueError(f"{field} holds no caption")
    return SampleCaption("en", tuple(Sentence(each, "author") for each in sentences), field)


def _read_source(row: Row) -> tuple[str | None, str]:
    """Skin type and malignancy, in the columns of the dataset that the photo is from."""
    if row["source"] == "ddi":
        return ddi.read_skin_tone(row["skin_tone"]), ddi.read_malignant(row["malignant"])
    return (
        fitzpatrick17k.read_skin_type(row["fitzpatrick_scale"]),
        fitzpatrick17k.read_three_partition(row["three_partition_label"]),
    )


def _find_photo(folder: DatasetFolder, name: str) -> Path | None:
    found = folder.photos.at(f"skincap/{name}") or folder.photos.named(name)
    return None if found is None or _EXCLUDED in found.parts else found


@cache
def _diagnoses() -> dict[str, str]:
    """Diagnoses by squeezed label: of Fitzpatrick17k, else of DDI, else by name or alias."""
    found: dict[str, str] = {}
    for column in (vocabulary.labels("fitzpatrick17k")["label"], vocabulary.labels("ddi")["disease"]):
        for text, label in column.items():
            found.setdefault(_squeeze(text), label.diagnosis)
    known = vocabulary.diagnoses().values()
    names = [(each.name["en"], each.id) for each in known]
    aliases = [(alias, each.id) for each in known for alias in each.aliases]
    for text, diagnosis in names + aliases:
        found.setdefault(_squeeze(text), diagnosis)
    return found


def _squeeze(text: str) -> str:
    """The labels come hyphenated from DDI and spaced from Fitzpatrick17k: only letters and digits count."""
    return "".join(char for char in text.casefold() if char.isalnum())
