from pathlib import Path

import pytest

from dermaxai.data.samples import Sample
from dermaxai.errors import UnknownName, UsageError
from dermaxai.evaluate.groups import (
    PROPERTIES,
    TITLES,
    UNKNOWN,
    age_band,
    check_properties,
    group_items,
    name_group,
    sort_groups,
)
from dermaxai.evaluate.items import Item
from dermaxai.vocabulary import MALIGNANCIES


def item(number, **told):
    sample = Sample(f"set/{number}", told.pop("dataset", "set"), None, "", **told)
    return Item(sample.id, Path("x"), "", sample)


FULL = item(
    1,
    skin_type="3",
    site="back",
    sex="male",
    age=41.0,
    modality="clinical",
    diagnosis="melanoma",
    dataset="ddi",
)
GROUPS = {
    "skin_type": "3",
    "site": "back",
    "sex": "male",
    "age": "40-49",
    "modality": "clinical",
    "dataset": "ddi",
    "diagnosis": "melanoma",
    "malignancy": "malignant",
}


def test_every_property_has_a_title_and_a_case_here():
    assert set(PROPERTIES) == set(TITLES) == set(GROUPS)


@pytest.mark.parametrize("by", sorted(GROUPS))
def test_the_group_of_a_photo(by):
    bare = item(2)
    found = group_items([FULL, bare], by)
    assert found == {"set/1": GROUPS[by], "set/2": "set" if by == "dataset" else UNKNOWN}


@pytest.mark.parametrize(
    ("age", "band"), [(0, "0-9"), (9.9, "0-9"), (10, "10-19"), (89, "80-89"), (90, "90+"), (104, "90+")]
)
def test_bands_of_ages(age, band):
    assert age_band(age) == band


def test_groups_stand_in_their_natural_order():
    assert sort_groups("age", ["90+", UNKNOWN, "10-19", "0-9", "10-19"]) == ["0-9", "10-19", "90+", UNKNOWN]
    assert sort_groups("skin_type", ["56", UNKNOWN, "12", "34"]) == ["12", "34", "56", UNKNOWN]
    assert sort_groups("malignancy", [UNKNOWN, *reversed(MALIGNANCIES)]) == [*MALIGNANCIES, UNKNOWN]
    assert sort_groups("sex", []) == []


def test_names_for_people():
    assert name_group("site", "upper_extremity") == "upper extremity"
    assert name_group("malignancy", "in_situ_malignant") == "in situ malignant"
    assert name_group("skin_type", "56") == "5-6"
    assert name_group("diagnosis", "melanoma") == "melanoma"
    assert name_group("site", UNKNOWN) == UNKNOWN


def test_unknown_and_repeated_properties_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'skin_type'"):
        check_properties(["skintype"])
    with pytest.raises(UsageError, match="each property once"):
        check_properties(["sex", "sex"])
    assert check_properties(()) == ()
