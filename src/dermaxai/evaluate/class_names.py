"""What the classes of a dataset are called when an encoder is asked for them without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from dermaxai import vocabulary
from dermaxai.errors import SettingError
from dermaxai.evaluate.items import Item
from dermaxai.statements import TERMS

Spelling = Literal["authors", "derm1m", "demo", "vocabulary"]
SPELLINGS: tuple[Spelling, ...] = get_args(Spelling)
"""'authors': 'demo' for the embedded encoder, else 'derm1m' where that knows the dataset, else
'vocabulary'."""

_AKIEC = "actinic_keratosis_or_intraepithelial_carcinoma_akiec"
_DERM1M: Mapping[str, Mapping[str, str]] = {
    "ham10000": {
        _AKIEC: "actinic keratosis",
        "basal_cell_carcinoma": "basal cell carcinoma",
        "benign_keratosis": "benign keratosis",
        "dermatofibroma": "dermatofibroma",
        "melanoma": "melanoma",
        "melanocytic_nevus": "nevus",
        "vascular_lesion": "vascular",
    },
    "pad_ufes_20": {
        "melanocytic_nevus": "nevus",
        "basal_cell_carcinoma": "basal cell carcinoma",
        "actinic_keratosis": "actinic keratosis",
        "seborrheic_keratosis": "seborrheic keratosis",
        "squamous_cell_carcinoma": "squamous cell carcinoma",
        "melanoma": "melanoma",
    },
}
"""Names in `zero_shot_metadata.py` of Derm1M (arXiv:2503.14911) and MAKE (arXiv:2505.09372), in the order of
their labels. Their tables ask every model, whoever made it, by these names."""

_DEMO: Mapping[str, Mapping[str, str]] = {
    "ham10000": {
        diagnosis: TERMS["diagnosis"][label]["en"]
        for label, diagnosis in {
            "akiec": _AKIEC,
            "bcc": "basal_cell_carcinoma",
            "bkl": "benign_keratosis",
            "df": "dermatofibroma",
            "mel": "melanoma",
            "nv": "melanocytic_nevus",
            "vasc": "vascular_lesion",
        }.items()
    }
}
"""The words of the captions that the embedded encoder learned from."""


@dataclass(frozen=True, slots=True)
class ClassNames:
    """The classes of one dataset, in order."""

    dataset: str
    names: Mapping[str, str]
    """English name by diagnosis."""
    source: str
    """Whose names they are, for a reader."""

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """Ids of the vocabulary."""
        return tuple(self.names)


def published_classes(dataset: str) -> tuple[str, ...]:
    """Ids of the diagnoses that published tables ask for on a dataset; none where there is no such table."""
    return tuple(_DERM1M.get(dataset, {}))


def class_names(
    dataset: str, encoder: str, items: Sequence[Item], spelling: Spelling = "authors"
) -> ClassNames:
    """The classes that `encoder`, a card's name, is asked for on `dataset`.

    A published list holds all its classes, whether or not the items show them; the vocabulary's names are
    those of the diagnoses that do occur, which makes the task easier where they are few.
    Raises: SettingError for another spelling, and for a list that does not know the dataset.
    """
    if spelling not in SPELLINGS:
        raise SettingError(f"Class names are spelled as {', '.join(SPELLINGS)}; not as '{spelling}'.")
    asked = _of_authors(dataset, encoder) if spelling == "authors" else spelling
    if asked == "vocabulary":
        occurring = {item.sample.diagnosis for item in items if item.sample.diagnosis}
        names = {one: vocabulary.diagnosis(one).name["en"] for one in sorted(occurring)}
        return ClassNames(dataset, names, f"the vocabulary's, of the {len(names)} diagnoses that occur")
    table, source = (
        (_DEMO, "the embedded model's captions") if asked == "demo" else (_DERM1M, "Derm1M and MAKE")
    )
    if dataset not in table:
        raise SettingError(
            f"The names of {source} are known for {', '.join(table)}; not for '{dataset}'.",
            hint="Choose 'vocabulary', or 'authors' to leave the choice.",
        )
    return ClassNames(dataset, table[dataset], source)


def _of_authors(dataset: str, encoder: str) -> Spelling:
    if encoder == "demo" and dataset in _DEMO:
        return "demo"
    return "derm1m" if dataset in _DERM1M else "vocabulary"
