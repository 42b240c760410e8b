"""A caption that states exactly what is known is perfect by every metric, in both languages."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.data.composing import compose_clinical
from dermaxai.data.weak_captions import caption
from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements import TERMS, Facts
from dermaxai.statements.clinical import clinical_facts
from dermaxai.statements.reading import read_clinical
from tests.measure.clinical.facts import LANGUAGES, facts, gold, values

BEST = {
    "hallucinated_facts": 0.0,
    "hallucinating_captions": 0.0,
    "hallucinated_share": 0.0,
    "contradiction_rate": 0.0,
    "contradicted_captions": 0.0,
    "malignant_called_benign": 0.0,
    "benign_called_malignant": 0.0,
}
"""All others are 1."""


def judged(stated):
    return {
        name: value
        for metric in CLINICAL_METRICS
        for name, value in values(metric_of(metric)(stated)).items()
    }


def metric_of(name):
    return CLINICAL_METRICS.load(name)


def check_perfect(stated):
    for name, value in judged(stated).items():
        if not math.isnan(value) and name != "diagnosis_named" and not premalignant(name, stated):
            assert value == pytest.approx(BEST.get(name, 1.0)), name


def premalignant(name, stated):
    """'malignancy' has no right answer where the label has none."""
    return name == "malignancy" and any(one.known.diagnosis is None for one in stated)


@settings(max_examples=80)
@given(st.lists(facts(), min_size=1, max_size=4), st.sampled_from(LANGUAGES), st.integers(0, 2))
def test_captions_of_what_is_known_are_perfect(told, language, number):
    check_perfect([gold(one, language, number) for one in told])


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_of_the_embedded_model_are_perfect(language):
    every = itertools.product(TERMS["size"], TERMS["symmetry"], TERMS["border"], TERMS["diagnosis"])
    told = [Facts(*outline, ("black", "pink"), label) for *outline, label in every]
    rows = [
        Stated(str(place), read_clinical(caption(one, language), language), (), clinical_facts(one), language)
        for place, one in enumerate(told)
    ]
    found = judged(rows)
    assert found["diagnosis_balanced"] == found["diagnosis_exact"] == found["diagnosis_named"] == 1
    assert found["size_agreement"] == found["border_agreement"] == found["symmetry_agreement"] == 1
    assert found["colour_f1"] == found["colour_agreement"] == found["colour_stated"] == 1
    assert found["hallucinated_facts"] == 0


@settings(max_examples=60)
@given(facts(), st.integers(0, 2))
def test_both_languages_are_judged_alike(told, number):
    english, russian = (gold(told, language, number) for language in LANGUAGES)
    assert judged([english]) == pytest.approx(judged([russian]), nan_ok=True)


@settings(max_examples=60)
@given(facts(), st.sampled_from(LANGUAGES))
def test_composed_captions_are_read_whole(told, language):
    text = " ".join(one.text for one in compose_clinical(told, language))
    assert read_clinical(text, language).facts == told
