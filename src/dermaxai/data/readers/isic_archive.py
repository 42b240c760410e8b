"""ISIC Archive: the export of any collection or search, as isic-cli and the collection pages write it.

The header holds only the fields that the selection has, sorted, and it changed twice: `diagnosis` and
`benign_malignant` became `diagnosis_1` to `diagnosis_5` in 2025, `anatom_site_general` became `anatom_site_1`
to `anatom_site_5` in 2026. Both generations are read. How a diagnosis was confirmed, and whether there was a
biopsy, tells the label and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial

from dermaxai.data.cells import disagreement, read_age, read_rows, read_sex, read_skin_type, required
from dermaxai.data.reading import DatasetFolder, ReadTable, Row
from dermaxai.data.samples import Modality, Sample
from dermaxai.data.tables import read_table
from dermaxai.vocabulary import diagnoses, labels, site_values, sites

_DIAGNOSIS_COLUMNS = ("diagnosis_5", "diagnosis_4", "diagnosis_3", "diagnosis_2", "diagnosis")
_SITE_COLUMNS = (
    *(f"anatom_site_{level}" for level in range(5, 0, -1)), "anatom_site_general", "anatom_site_special"
)  # fmt: skip
_DIAGNOSIS_TERMS = {
    "aimp": "atypical_melanocytic_lesion_possible_re_excision",
    "atypical melanocytic proliferation": "atypical_melanocytic_lesion_possible_re_excision",
    "benign - other": "other_benign",
    "benign soft tissue proliferations - vascular": "vascular_lesion",
    "indeterminate melanocytic proliferations": "atypical_melanocytic_lesion_possible_re_excision",
    "inflammatory or infectious diseases": "non_neoplastic_inflammatory_or_infectious",
    "lichen planus like keratosis": "lichenoid_keratosis",
    "malignant melanocytic proliferations (melanoma)": "melanoma",
    "milium": "milia",
    "nevus, atypical, dysplastic, or clark": "atypical_clark_dysplastic_nevus",
    "pigmented benign keratosis": "benign_keratosis",
    "squamous cell carcinoma, invasive": "squamous_cell_carcinoma",
}
"""The archive's own terms, beside the vocabulary's names."""
_SITE_TERMS = {
    "acral nos": "acral",
    "acral palms or soles": "palms_soles",
    "anterior abdomen": "abdomen",
    "anterior chest": "chest",
    "anterior trunk": "anterior_torso",
    "buttock": "buttocks",
    "genital region": "genital",
    "lateral abdomen": "abdomen",
    "lateral chest": "chest",
    "lateral trunk": "lateral_torso",
    "lower back": "back",
    "mid back": "back",
    "oral or genital": "oral_genital",
    "palm of hand": "palms_soles",
    "posterior trunk": "posterior_torso",
    "sole of foot": "palms_soles",
    "upper arm": "arm",
    "upper back": "back",
}


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per row of the export, in its order. Raises: DataError if no export is there."""
    yield from read_export(folder, find_export(folder), "isic_archive")


def find_export(folder: DatasetFolder) -> ReadTable:
    """The export's table. Raises: DataError if there is none, or it has no `isic_id`."""
    return read_table(folder.find_file("metadata.csv", "*metadata*.csv")).require("isic_id")


def read_export(folder: DatasetFolder, table: ReadTable, dataset: str) -> Iterator[Sample]:
    """The samples of an export, under the name of the dataset that it holds."""
    yield from read_rows(folder, table, partial(_sample, dataset=dataset))


def _sample(folder: DatasetFolder, row: Row, *, dataset: str) -> Sample | None:
    image = required(row, "isic_id")
    levels = [(column, text) for column in _DIAGNOSIS_COLUMNS if (text := row.known(column))]
    found = _first(_diagnosis_terms(), (text for _, text in levels))
    if levels and found is None:
        column, text = levels[0]
        folder.report("unknown label", row.place, f"{column}={text!r} is no label of {dataset}.")
        if not folder.keep_unknown:
            return None
    told = row.known("diagnosis_1") or row.known("benign_malignant") or ""
    site, site_text = _site(row)
    return Sample(
        id=f"{dataset}/{image}",
        dataset=dataset,
        path=folder.photos.stem(image),
        place=row.place,
        licence=row.known("copyright_license") or "",
        diagnosis=found,
        label=levels[0][1] if levels else told,
        source_malignancy=disagreement(told, found),
        site=site,
        site_text=site_text,
        age=read_age(row, "age_approx"),
        sex=read_sex(row, "sex"),
        skin_type=read_skin_type(row, "fitzpatrick_skin_type"),
        modality=_modality(row["image_type"]),
        groups=_groups(row, image),
    )


def _groups(row: Row, image: str) -> tuple[str, ...]:
    told = (("lesion", row.known("lesion_id")), ("patient", row.known("patient_id")))
    return (*(f"isic/{kind}/{text}" for kind, text in told if text), isic_key(image))


def _first(terms: Mapping[str, str], texts: Iterator[str]) -> str | None:
    """What the first text that is a term stands for."""
    return next((terms[text.casefold()] for text in texts if text.casefold() in terms), None)


@cache
def _diagnosis_terms() -> Mapping[str, str]:
    """Names, further names and the archive's terms, lower case; a category above diagnoses is none."""
    named = {
        name.casefold(): entry.id
        for entry in diagnoses().values()
        if entry.group != "category"
        for name in (entry.name["en"], *entry.aliases)
    }
    mapped = {
        text.casefold(): label.diagnosis for text, label in labels("isic_archive")["diagnosis_3"].items()
    }
    return named | mapped | _DIAGNOSIS_TERMS


@cache
def _site_terms() -> Mapping[str, str]:
    named = {entry.name["en"].casefold(): entry.id for entry in sites().values()}
    return named | {text: site for text, site in site_values("isic2019").items() if site} | _SITE_TERMS


def _site(row: Row) -> tuple[str | None, str]:
    """The deepest level that the vocabulary knows, and the words of a deeper one."""
    told = [text for column in _SITE_COLUMNS if (text := row.known(column))]
    found = _first(_site_terms(), iter(told))
    exact = not told or told[0].casefold() in _site_terms()
    return found, "" if exact else told[0]


def _modality(text: str) -> Modality | None:
    """None for confocal microscopy, which is no photo of the surface."""
    kind = text.strip().casefold()
    if kind.startswith("dermoscopic"):
        return "dermoscopic"
    return "clinical" if kind.startswith(("clinical", "overview", "tbp")) else None


def isic_key(image: str) -> str:
    """The group key of a photo of the archive, under whatever name a challenge ships it.

    >>> isic_key("ISIC_0012653_downsampled")
    'isic/ISIC_0012653'
    """
    return f"isic/{image.removesuffix('_downsampled')}"
