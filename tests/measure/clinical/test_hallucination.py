"""Unfounded facts against a loop over what is claimed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.measure.clinical.hallucination import hallucination
from dermaxai.measure.clinical.kinship import related
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from dermaxai.vocabulary import sites
from tests.measure.clinical.facts import FEW, OUTLINE, say, stated, values


def slowly(said, known):
    """Facts that are unfounded, that can be judged, and whether anything is known; no references."""
    wrong = judged = 0

    def note(agrees):
        nonlocal wrong, judged
        wrong, judged = wrong + (not agrees), judged + 1

    for slot in (*OUTLINE, "modality", "sex"):
        if getattr(said, slot) and getattr(known, slot):
            note(getattr(said, slot) == getattr(known, slot))
    for colour in said.colours if known.colours else ():
        note(colour in known.colours)
    true = [name for name in (known.diagnosis, *known.other_diagnoses) if name]
    for name in (said.diagnosis, *said.other_diagnoses) if true else ():
        if name:
            note(any(related(name, one) for one in true))
    if said.site and known.site:
        own, other = sites()[said.site], sites()[known.site]
        note(own.id == other.id or own.group == other.id or other.group == own.id)
    if said.age is not None and known.age is not None:
        note(abs(said.age - known.age) <= 5)
    for name in said.present:
        if name in known.present or name in known.absent:
            note(name in known.present)
    if said.unclear and (known.unclear or any(getattr(known, slot) for slot in OUTLINE)):
        note(known.unclear)
    return wrong, judged, known != ClinicalFacts()


@settings(max_examples=80)
@given(st.lists(st.tuples(FEW, FEW), min_size=1, max_size=6))
def test_numbers_are_the_obvious_counts(rows):
    told = [Stated("photo", read_clinical(say(said), "en"), (), known) for said, known in rows]
    counts = [slowly(*row) for row in rows]
    kept = [wrong for wrong, _, something in counts if something]
    found = values(hallucination(told))
    if not kept:
        assert found == {}
        return
    judged = sum(number for _, number, _ in counts)
    assert found == pytest.approx(
        {
            "hallucinated_facts": np.mean(kept),
            "hallucinating_captions": np.mean([wrong > 0 for wrong in kept]),
            "hallucinated_share": sum(kept) / judged if judged else np.nan,
        },
        nan_ok=True,
    )


@pytest.mark.parametrize(
    ("text", "references", "known", "expected"),
    [
        ("An ulcer on the face.", ["A papule on the back."], {}, 2),
        ("An ulcer on the face.", ["A papule on the back."], {"present": ("ulcer",), "site": "face"}, 0),
        ("A papule, no crust.", ["A papule with crust."], {}, 0),
        ("Possible crust.", ["A papule."], {}, 0),
        ("A papule and a papule.", ["A crust."], {}, 1),
        ("Melanoma in situ.", [], {"diagnosis": "melanoma"}, 0),
        ("Possible diagnosis: melanoma.", [], {"diagnosis": "melanocytic_nevus"}, 1),
        ("Nothing is seen.", ["A papule."], {}, 0),
    ],
)
def test_single_captions(text, references, known, expected):
    found = values(hallucination([stated(text, references, ClinicalFacts(**known))]))
    assert found["hallucinated_facts"] == expected


def test_slots_of_which_nothing_is_known_are_not_judged():
    one = stated("A large ulcer on the face.", known=ClinicalFacts(diagnosis="melanoma"))
    assert values(hallucination([one]))["hallucinated_facts"] == 0
    assert hallucination([stated("A large lesion on the face.")]) == []
