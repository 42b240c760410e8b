"""Slots against a loop over captions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai import vocabulary
from dermaxai.measure.clinical.slots import colour_f1, slots
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements import TERMS
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from tests.measure.clinical.facts import FEW, say, some, stated, values


def slowly(rows):
    found = {}
    for said, known in rows:
        for slot in ("size", "symmetry", "border", "site"):
            true, own = getattr(known, slot), getattr(said, slot)
            if true:
                found.setdefault(f"{slot}_agreement", []).append(own == true)
                found.setdefault(f"{slot}_stated", []).append(own is not None)
        if known.site:
            groups = vocabulary.sites()
            same = said.site is not None and groups[said.site].group == groups[known.site].group
            found.setdefault("site_region_agreement", []).append(same)
        if known.colours:
            first = said.colours[0] if said.colours else None
            found.setdefault("colour_agreement", []).append(first == known.colours[0])
            found.setdefault("colour_stated", []).append(bool(said.colours))
            hits = [one for one in said.colours if one in known.colours]
            precision = len(hits) / len(said.colours) if said.colours else 0
            recall = len(hits) / len(known.colours)
            both = precision + recall
            found.setdefault("colour_f1", []).append(2 * precision * recall / both if both else 0.0)
    return {name: sum(kept) / len(kept) for name, kept in found.items()}


@settings(max_examples=80)
@given(st.lists(st.tuples(FEW, FEW), min_size=1, max_size=6))
def test_numbers_are_the_obvious_counts(rows):
    told = [Stated("photo", read_clinical(say(said), "en"), (), known) for said, known in rows]
    assert values(slots(told)) == pytest.approx(slowly(rows))


@given(some(TERMS["colour"], 4), some(TERMS["colour"], 4).filter(bool))
def test_colours_are_sets(said, true):
    hits = len(set(said) & set(true))
    expected = 2 * hits / (len(said) + len(true))
    assert colour_f1(said, true) == pytest.approx(expected)
    assert colour_f1(said[::-1], true[::-1]) == colour_f1(said, true)


def test_a_known_fact_that_is_not_stated_is_wrong():
    found = values(slots([stated("A lesion.", known=ClinicalFacts(size="small"))]))
    assert found == {"size_agreement": 0.0, "size_stated": 0.0}


def test_the_order_of_colours_counts_for_the_first_only():
    known = ClinicalFacts(colours=("black", "red"))
    found = values(slots([stated("The colour is red and black.", known=known)]))
    assert (found["colour_agreement"], found["colour_f1"]) == (0.0, 1.0)


def test_the_best_of_several_references_counts():
    found = values(slots([stated("The colour is red.", ["The colour is red and black.", "It is red."])]))
    assert found["colour_f1"] == 1.0


def test_a_part_of_a_region_is_in_the_region():
    known = ClinicalFacts(site="back")
    for text, exact, region in (("on the back", 1, 1), ("on the chest", 0, 1), ("on the face", 0, 0)):
        found = values(slots([stated(f"Located {text}.", known=known)]))
        assert (found["site_agreement"], found["site_region_agreement"]) == (exact, region)


def test_photos_without_a_truth_have_no_value():
    rows = [stated("A large lesion.", known=ClinicalFacts(size="large")), stated("A large lesion.")]
    (agreement, _) = slots(rows)
    assert agreement.parts.tolist() == [[1, 1], [0, 0]]
    assert slots(rows[1:]) == []
    assert not math.isnan(values(slots(rows))["size_agreement"])
