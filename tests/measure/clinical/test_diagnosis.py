"""Diagnoses against the obvious count of each number."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai import vocabulary
from dermaxai.measure.clinical.diagnosis import balanced_accuracy, diagnosis
from dermaxai.measure.clinical.kinship import related
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from tests.measure.clinical.facts import FEW_DIAGNOSES, maybe, say, some, stated, values


@st.composite
def answers(draw):
    """Photos with up to two labels, captions that name up to two diagnoses."""
    known = ClinicalFacts(
        diagnosis=draw(maybe(FEW_DIAGNOSES)), other_diagnoses=draw(some(FEW_DIAGNOSES[:3], 1))
    )
    told = ClinicalFacts(
        diagnosis=draw(maybe(FEW_DIAGNOSES)), other_diagnoses=draw(some(FEW_DIAGNOSES[3:6], 1))
    )
    return Stated("photo", read_clinical(say(told), "en"), (), known)


def slowly(rows):
    """Every number by loops over photos."""
    found = {}
    for one in rows:
        said = []
        for mention in one.caption.mentions:
            if "diagnosis" in mention.slot and mention.polarity != "negated" and mention.value not in said:
                said.append(mention.value)
        found.setdefault("diagnosis_named", []).append(bool(said))
        true = [one.known.diagnosis] if one.known.diagnosis else []
        true += [name for name in one.known.other_diagnoses if name not in true]
        if not true:
            continue
        first = said[0] if said else None
        found.setdefault("diagnosis_exact", []).append(first in true)
        found.setdefault("diagnosis_any", []).append(any(name in true for name in said))
        found.setdefault("diagnosis_kind", []).append(
            first is not None and any(related(first, name) for name in true)
        )
        groups = [vocabulary.diagnosis(name).group for name in true]
        groups = [name for name in groups if name != "category"]
        if groups:
            found.setdefault("diagnosis_group", []).append(
                first in true or (first is not None and vocabulary.diagnosis(first).group in groups)
            )
        side, own = vocabulary.diagnosis(true[0]).malignant, None
        if first is not None:
            own = vocabulary.diagnosis(first).malignant
        if side is not None:
            found.setdefault("malignancy", []).append(own is side)
            name = "malignant_called_benign" if side else "benign_called_malignant"
            found.setdefault(name, []).append(own is (not side))
        found.setdefault(("class", true[0]), []).append(first in true)
    means = {name: sum(kept) / len(kept) for name, kept in found.items()}
    classes = [value for name, value in means.items() if isinstance(name, tuple)]
    means = {name: value for name, value in means.items() if isinstance(name, str)}
    return means | ({"diagnosis_balanced": sum(classes) / len(classes)} if classes else {})


@settings(max_examples=80)
@given(st.lists(answers(), min_size=1, max_size=8))
def test_numbers_are_the_obvious_counts(rows):
    assert values(diagnosis(rows)) == pytest.approx(slowly(rows))


def test_one_row_per_caption_and_nothing_but_shares():
    rows = [stated("Melanoma.", known=ClinicalFacts(diagnosis="melanoma")), stated("A lesion.")]
    for scored in diagnosis(rows):
        assert len(scored.parts) == 2
        assert (scored.scale.low, scored.scale.high, scored.scale.unit) == (0, 1, "share")


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("Possible diagnosis: melanoma.", "melanoma", {"diagnosis_exact": 1, "malignancy": 1}),
        (
            "Possible diagnosis: melanocytic nevus.",
            "melanoma",
            {"diagnosis_exact": 0, "diagnosis_group": 1, "malignancy": 0, "malignant_called_benign": 1},
        ),
        (
            "Possible diagnosis: melanoma in situ.",
            "melanoma",
            {"diagnosis_exact": 0, "diagnosis_kind": 1, "malignancy": 1, "malignant_called_benign": 0},
        ),
        ("A lesion.", "melanoma", {"diagnosis_named": 0, "malignancy": 0, "malignant_called_benign": 0}),
        ("Melanoma was ruled out.", "melanoma", {"diagnosis_named": 0, "diagnosis_exact": 0}),
        ("Blue nevus. Melanoma.", "melanoma", {"diagnosis_exact": 0, "diagnosis_any": 1}),
        (
            "Actinic keratosis.",
            "basal_cell_carcinoma",
            {"diagnosis_group": 1, "malignancy": 0, "malignant_called_benign": 0},
        ),
    ],
)
def test_single_captions(text, label, expected):
    found = values(diagnosis([stated(text, known=ClinicalFacts(diagnosis=label))]))
    assert {name: found[name] for name in expected} == expected


def test_a_premalignant_label_has_no_side():
    akiec = "actinic_keratosis_or_intraepithelial_carcinoma_akiec"
    found = values(diagnosis([stated("Melanoma.", known=ClinicalFacts(diagnosis=akiec))]))
    assert not {"malignancy", "malignant_called_benign", "benign_called_malignant"} & set(found)


def test_without_a_label_the_references_tell():
    found = values(diagnosis([stated("Melanoma.", ["Blue nevus.", "Suggestive of melanoma."])]))
    assert found["diagnosis_exact"] == 1


def test_photos_without_any_truth_give_only_whether_something_is_named():
    assert set(values(diagnosis([stated("Melanoma.")]))) == {"diagnosis_named"}


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=20))
def test_balanced_accuracy_of_sums(pairs):
    sums = np.zeros(8)
    for place, right in pairs:
        sums[place] += right
        sums[4 + place] += 1
    shares = [
        np.mean([right for own, right in pairs if own == place])
        for place in range(4)
        if any(own == place for own, _ in pairs)
    ]
    assert float(balanced_accuracy(sums)) == pytest.approx(np.mean(shares))
    many = balanced_accuracy(np.stack([sums, np.zeros(8)]))
    assert many[0] == pytest.approx(np.mean(shares))
    assert math.isnan(many[1])
