"""Findings with their polarity against the obvious count of pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.measure.clinical.concepts import concepts, f1, macro_f1
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements.clinical import ClinicalFacts
from tests.measure.clinical.facts import FEW_FINDINGS, findings, stated, values

POLARITIES = ("stated", "negated", "uncertain")
TOLD = st.dictionaries(st.sampled_from(FEW_FINDINGS), st.sampled_from(POLARITIES), max_size=4)
ROWS = st.lists(st.tuples(TOLD, st.lists(TOLD, max_size=2)), min_size=1, max_size=6)


def as_stated(told, references):
    return Stated("photo", findings(**told), tuple(findings(**one) for one in references), ClinicalFacts())


def credit(own, others):
    pairs = {(own, other) for other in others}
    if any(one == other for one, other in pairs):
        return 1.0
    return 0.5 if pairs & {("stated", "uncertain"), ("uncertain", "stated")} else 0.0


def slowly(rows):
    """Each finding of each photo by itself."""
    kept = [(told, references) for told, references in rows if references]
    agreed, own, other, opposite, both, captions = dict.fromkeys(FEW_FINDINGS, 0.0), {}, {}, 0, 0, []
    for told, references in kept:
        shared = []
        for name in FEW_FINDINGS:
            others = [reference[name] for reference in references if name in reference]
            own[name] = own.get(name, 0) + (name in told)
            other[name] = other.get(name, 0) + bool(others)
            if name in told and others:
                agreed[name] += credit(told[name], others)
                against = {"stated": "negated", "negated": "stated", "uncertain": ""}[told[name]]
                shared.append(against in others and told[name] not in others)
        opposite, both = opposite + sum(shared), both + len(shared)
        captions += [any(shared)] if shared else []
    total, said, referred = sum(agreed.values()), sum(own.values()), sum(other.values())
    macro = [2 * agreed[name] / (own[name] + other[name]) for name in FEW_FINDINGS if other.get(name)]
    found = {
        "concept_precision": total / said if said else math.nan,
        "concept_recall": total / referred if referred else math.nan,
        "concept_f1": 2 * total / (said + referred) if said + referred else math.nan,
    }
    if macro:
        found["concept_f1_macro"] = sum(macro) / len(macro)
    if both:
        found |= {"contradiction_rate": opposite / both, "contradicted_captions": np.mean(captions)}
    return found if said + referred else {}


@settings(max_examples=300)
@given(ROWS)
def test_numbers_are_the_obvious_counts(rows):
    found = values(concepts([as_stated(*row) for row in rows]))
    assert found == pytest.approx(slowly(rows), nan_ok=True)


@pytest.mark.parametrize(
    ("text", "reference", "precision", "contradicted"),
    [
        ("An ulcer.", "An ulcer.", 1.0, 0.0),
        ("No ulcer.", "No ulcer.", 1.0, 0.0),
        ("No ulceration.", "An ulcer.", 0.0, 1.0),
        ("An ulcer.", "There is no ulceration.", 0.0, 1.0),
        ("Possible ulcer.", "An ulcer.", 0.5, 0.0),
        ("An ulcer.", "Possible ulcer.", 0.5, 0.0),
        ("Possible ulcer.", "Possible ulcer.", 1.0, 0.0),
        ("Possible ulcer.", "No ulcer.", 0.0, 0.0),
    ],
)
def test_negation_and_doubt(text, reference, precision, contradicted):
    found = values(concepts([stated(text, [reference])]))
    assert found["concept_precision"] == found["concept_recall"] == found["concept_f1"] == precision
    assert found["contradiction_rate"] == found["contradicted_captions"] == contradicted


def test_references_that_disagree_contradict_nobody():
    found = values(concepts([stated("An ulcer.", ["No ulcer.", "An ulcer."])]))
    assert (found["concept_f1"], found["contradiction_rate"]) == (1.0, 0.0)


def test_captions_without_references_count_nowhere():
    assert concepts([stated("An ulcer.")]) == []
    alone = values(concepts([stated("An ulcer.", ["An ulcer."])]))
    assert values(concepts([stated("An ulcer.", ["An ulcer."]), stated("A crust.")])) == alone


def test_no_findings_no_numbers():
    assert concepts([stated("Melanoma.", ["A large lesion."])]) == []


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2), min_size=1, max_size=4))
def test_f1_is_the_harmonic_mean(pairs):
    for said, referred in pairs:
        for agreed in range(min(said, referred) + 1):
            value = float(f1(np.array([agreed, said, referred], float)))
            if not said + referred:
                assert math.isnan(value)
            elif not agreed:
                assert value == 0
            else:
                precision, recall = agreed / said, agreed / referred
                assert value == pytest.approx(2 / (1 / precision + 1 / recall))


def test_macro_is_a_mean_over_findings_that_references_name():
    sums = np.array([[1, 1, 1, 0, 3, 0, 0, 0, 2], [0, 1, 0, 0, 0, 0, 0, 0, 0]], float)
    found = macro_f1(sums)
    assert found[0] == pytest.approx((1 + 0) / 2)
    assert math.isnan(found[1])


def test_resamples_are_one_call():
    parts = np.array(list(itertools.product((0.0, 1.0), (1.0, 2.0), (1.0, 2.0))))
    assert f1(parts) == pytest.approx([float(f1(row)) for row in parts])
