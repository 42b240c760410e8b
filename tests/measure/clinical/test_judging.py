"""What is true, what is claimed, and whether the one supports the other."""

import pytest

from dermaxai.measure.clinical.judging import claims, polarities, same_place, support, truths
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from tests.measure.clinical.facts import stated


def supports(one):
    return [support(mention, one) for mention in one.caption.mentions]


def test_what_is_known_comes_before_references():
    one = stated("", ["A large lesion on the back."], ClinicalFacts(size="small"))
    assert truths(one, "size") == (("small",),)
    assert truths(one, "site") == (("back",),)
    assert truths(one, "border") == ()


def test_each_reference_gives_a_truth_of_its_own():
    one = stated("", ["The colour is black and red.", "The colour is red.", "A lesion."])
    assert truths(one, "colour") == (("black", "red"), ("red",))


def test_of_several_mentions_the_plainest_counts():
    text = "No ulcer. Possible crust. No crust. Possible ulcer. An ulcer. Possible scale."
    assert polarities(read_clinical(text, "en")) == {
        "ulcer": "stated",
        "crust": "negated",
        "scale": "uncertain",
    }


def test_claims_are_what_is_asserted_and_come_once():
    text = (
        "A papule, no crust. A papule. Possible melanoma. Melanoma. Possible scale. Blue nevus was ruled out."
    )
    found = [(mention.slot, mention.value) for _, mention in claims(read_clinical(text, "en"))]
    assert found == [("finding", "papule"), ("diagnosis", "melanoma")]


@pytest.mark.parametrize(
    ("text", "known", "references", "expected"),
    [
        ("An ulcer.", {"present": ("ulcer",)}, [], [True]),
        ("An ulcer.", {"absent": ("ulcer",)}, [], [False]),
        ("An ulcer.", {"absent": ("ulcer",)}, ["An ulcer."], [False]),
        ("An ulcer.", {"present": ("crust",)}, [], [None]),
        ("An ulcer.", {}, ["A crust."], [False]),
        ("An ulcer.", {}, ["Possible ulcer."], [True]),
        ("An ulcer.", {}, ["No ulcer."], [False]),
        ("An ulcer.", {}, ["No ulcer.", "An ulcer."], [True]),
        ("An ulcer.", {}, ["Melanoma."], [None]),
        ("No ulcer.", {"absent": ("ulcer",)}, [], [True]),
        ("No ulcer.", {"present": ("ulcer",)}, [], [False]),
        ("No ulcer.", {}, ["No ulcer."], [True]),
        ("No ulcer.", {}, ["An ulcer."], [False]),
        ("No ulcer.", {}, ["A crust."], [None]),
        ("Possible ulcer.", {"present": ("ulcer",)}, [], [None]),
        ("Possible diagnosis: melanoma.", {"diagnosis": "melanoma"}, [], [True]),
        ("Possible diagnosis: melanoma.", {"diagnosis": "lentigo_maligna"}, [], [True]),
        ("Possible diagnosis: melanoma.", {"diagnosis": "melanocytic_nevus"}, [], [False]),
        ("Possible diagnosis: melanoma.", {}, [], [None]),
        ("Melanoma was ruled out.", {"diagnosis": "melanocytic_nevus"}, [], [None]),
        ("Located on the forearm.", {"site": "upper_extremity"}, [], [True]),
        ("Located on the trunk.", {"site": "back"}, [], [True]),
        ("Located on the chest.", {"site": "back"}, [], [False]),
        ("A 50-year-old patient.", {"age": 55}, [], [True]),
        ("A 49-year-old patient.", {"age": 55}, [], [False]),
        ("A lesion without a clear outline.", {"unclear": True}, [], [True]),
        ("A lesion without a clear outline.", {"size": "small"}, [], [False]),
        ("A lesion without a clear outline.", {}, [], [None]),
        ("The colour is red and black.", {"colours": ("black", "pink")}, [], [False, True]),
    ],
)
def test_support(text, known, references, expected):
    assert supports(stated(text, references, ClinicalFacts(**known))) == expected


def test_places():
    assert same_place("back", "trunk")
    assert same_place("trunk", "back")
    assert not same_place("back", "chest")
    assert not same_place("back", "face")
