"""What pages say of a caption."""

from pathlib import Path

from dermaxai.data.samples import Sample
from dermaxai.evaluate.caption_columns import Condition, Contestant
from dermaxai.evaluate.caption_texts import NOTHING, describe_facts, texts_of
from dermaxai.evaluate.items import Item
from dermaxai.statements.clinical import ClinicalFacts

ITEM = Item("d/1", Path("1.jpg"), "0" * 64, Sample("d/1", "d", Path("1.jpg"), "row 1"))
KNOWN = {"d/1": ClinicalFacts(diagnosis="melanoma")}


def condition(kind, *references):
    return Condition("en", kind, (ITEM,), {"d/1": references}, KNOWN)


OWN = Contestant("demo", {"d/1": "Possible diagnosis: melanocytic nevus."})
RIVAL = Contestant("majority", {"d/1": "A lesion."}, is_baseline=True)


def test_a_caption_stands_beside_what_it_is_judged_against():
    told = texts_of([(condition("written captions", "A mole.", "Nevus."), [OWN, RIVAL])])["d/1"]
    assert told == (
        ("known", "diagnosis: melanoma"),
        ("demo, en", "Possible diagnosis: melanocytic nevus."),
        ("read in it, en", "diagnosis: melanocytic nevus"),
        ("written reference 1, en", "A mole."),
        ("written reference 2, en", "Nevus."),
        ("majority, en", "A lesion."),
    )


def test_two_kinds_of_references_are_told_apart_and_the_caption_is_told_once():
    kinds = [condition("written captions", "A mole."), condition("composed captions", "Diagnosis: melanoma.")]
    told = texts_of([(one, [OWN, RIVAL]) for one in kinds])["d/1"]
    names = [name for name, _ in told]
    assert names.count("demo, en") == 1
    assert "majority, written captions, en" in names
    assert "majority, composed captions, en" in names
    assert ("composed reference, en", "Diagnosis: melanoma.") in told


def test_an_empty_caption_and_no_fact_are_said():
    told = dict(texts_of([(condition("facts"), [Contestant("demo", {"d/1": ""})])])["d/1"])
    assert told["demo, en"] == "(empty)"
    assert told["read in it, en"] == NOTHING == describe_facts(ClinicalFacts())
