"""Kinds of diagnoses: known ids, no circles, nothing crosses from benign to malignant."""

import pytest

from dermaxai import vocabulary
from dermaxai.measure.clinical.kinship import broader, related
from dermaxai.statements.words import is_group


def test_every_id_is_one_of_the_vocabulary_and_no_diagnosis_is_above_itself():
    for name, above in broader().items():
        assert name not in above
        for one in (name, *above):
            assert not is_group(vocabulary.diagnosis(one))


def test_no_kind_is_on_the_other_side_of_malignancy():
    for name, above in broader().items():
        own = vocabulary.diagnosis(name).malignant
        for other in (vocabulary.diagnosis(one).malignant for one in above):
            assert None in (own, other) or own is other, name


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("melanoma", "melanoma", True),
        ("melanoma", "lentigo_maligna", True),
        ("lentigo_maligna", "melanoma", True),
        ("nodular_melanoma", "superficial_spreading_melanoma", False),
        ("melanocytic_nevus", "reed_nevus", True),
        ("melanocytic_nevus", "melanoma", False),
        ("actinic_keratosis_or_intraepithelial_carcinoma_akiec", "actinic_keratosis", True),
        (
            "actinic_keratosis_or_intraepithelial_carcinoma_akiec",
            "squamous_cell_carcinoma_in_situ_bowen_disease",
            True,
        ),
        ("squamous_cell_carcinoma", "squamous_cell_carcinoma_in_situ_bowen_disease", True),
        ("actinic_keratosis_or_intraepithelial_carcinoma_akiec", "squamous_cell_carcinoma", False),
        ("benign_keratosis", "solar_lentigo", True),
        ("lentigo", "solar_lentigo", True),
        ("vascular_lesion", "cherry_angioma", True),
    ],
)
def test_related(one, other, expected):
    assert related(one, other) is related(other, one) is expected


def test_related_is_a_walk_up_one_level_at_a_time():
    """Slowly: from one diagnosis upwards through direct parents, anything met on the way is related."""
    above = broader()
    direct = {
        name: {one for one in up if not any(one in above.get(other, ()) for other in up)}
        for name, up in above.items()
    }
    for name in above:
        met, edge = set(), {name}
        while edge:
            met |= edge
            edge = {up for one in edge for up in direct.get(one, ())}
        assert met == {name, *above[name]}
