"""Groups of photos that results are broken down by: skin type, site, sex, age and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dermaxai.data.samples import Sample
from dermaxai.errors import UsageError
from dermaxai.evaluate.items import Item
from dermaxai.registry import check_name
from dermaxai.vocabulary import MALIGNANCIES, diagnoses, sites

UNKNOWN = "unknown"
"""The group of photos whose publisher does not tell; a group like any other, always the last."""
DECADE, OLDEST = 10, 90
"""Years in a band of ages, and at which the last, open band begins."""


def age_band(age: float | None) -> str:
    """The band of ten years an age is in.

    >>> age_band(39.9), age_band(93), age_band(None)
    ('30-39', '90+', 'unknown')
    """
    if age is None:
        return UNKNOWN
    start = int(age // DECADE) * DECADE
    return f"{OLDEST}+" if start >= OLDEST else f"{start}-{start + DECADE - 1}"


def _malignancy(sample: Sample) -> str:
    known = diagnoses().get(sample.diagnosis or "")
    return known.malignancy if known else UNKNOWN


PROPERTIES: Mapping[str, Callable[[Sample], str]] = {
    "skin_type": lambda sample: sample.skin_type or UNKNOWN,
    "site": lambda sample: sample.site or UNKNOWN,
    "sex": lambda sample: sample.sex or UNKNOWN,
    "age": lambda sample: age_band(sample.age),
    "modality": lambda sample: sample.modality or UNKNOWN,
    "dataset": lambda sample: sample.dataset or UNKNOWN,
    "diagnosis": lambda sample: sample.diagnosis or UNKNOWN,
    "malignancy": _malignancy,
}
"""What photos are grouped by: a name, and the group of a sample."""
TITLES = {
    "skin_type": "Fitzpatrick skin type",
    "site": "body site",
    "sex": "sex",
    "age": "age, years",
    "modality": "kind of photo",
    "dataset": "dataset",
    "diagnosis": "diagnosis",
    "malignancy": "malignancy",
}


def check_properties(by: Iterable[str]) -> tuple[str, ...]:
    """The names, each once. Raises: UnknownName; UsageError for a name given twice."""
    names = tuple(by)
    for name in names:
        check_name("property to group by", name, list(PROPERTIES))
    if len(set(names)) < len(names):
        raise UsageError(f"Photos are grouped by each property once; {', '.join(names)} were given.")
    return names


def group_items(items: Iterable[Item], by: str) -> dict[str, str]:
    """The group of each item, by its id. Raises: UnknownName."""
    (name,) = check_properties([by])
    return {item.id: PROPERTIES[name](item.sample) for item in items}


def sort_groups(by: str, groups: Iterable[str]) -> list[str]:
    """Groups in the order in which they are shown, each once, the unknown last."""
    found = sorted(set(groups) - {UNKNOWN}, key=lambda group: _rank(by, group))
    return [*found, *({UNKNOWN} & set(groups))]


def _rank(by: str, group: str) -> tuple[int, str]:
    if by == "age":
        return int(group.rstrip("+").partition("-")[0]), ""
    places: Sequence[str] = MALIGNANCIES if by == "malignancy" else ()
    return (places.index(group) if group in places else len(places)), group


def name_group(by: str, group: str) -> str:
    """A group in words.

    >>> name_group("diagnosis", "bcc"), name_group("skin_type", "12"), name_group("sex", "male")
    ('bcc', '1-2', 'male')
    """
    if by == "diagnosis" and group in diagnoses():
        return diagnoses()[group].name["en"]
    if by == "site" and group in sites():
        return sites()[group].name["en"]
    if by == "skin_type" and group.isdigit() and len(group) == 2:
        return f"{group[0]}-{group[1]}"
    return group.replace("_", " ") if by == "malignancy" else group
