import re

import numpy as np
import pytest

from dermaxai.errors import NotSupported, UsageError
from dermaxai.i18n import LANGUAGES, catalogue, prior_key
from dermaxai.types import MINIMUM_NATS, Evidence


def places(entry) -> set[str]:
    return set(re.findall(r"\{\w+\}", entry if isinstance(entry, str) else " ".join(entry.values())))


def test_every_key_in_both_languages_with_the_same_places():
    english, russian = (catalogue(language).entries for language in LANGUAGES)
    assert list(english) == list(russian)
    for key in english:
        assert places(english[key]) == places(russian[key]), key
        assert isinstance(english[key], str) == isinstance(russian[key], str), key


def test_plural_forms_are_complete():
    wanted = {"en": {"one", "other"}, "ru": {"one", "few", "many"}}
    for language, forms in wanted.items():
        plurals = [entry for entry in catalogue(language).entries.values() if not isinstance(entry, str)]
        assert plurals
        assert all(set(entry) == forms for entry in plurals)


def test_russian_is_russian():
    names = ("method.", "made.dermaxai", "scores.n", "figure.word")
    for key, entry in catalogue("ru").entries.items():
        text = entry if isinstance(entry, str) else " ".join(entry.values())
        assert key.startswith(names) or re.search("[а-яё]", text), key


def test_braces_in_values_stay():
    assert catalogue("en").text("figure.word", word="{other}") == "“{other}”"


def test_errors():
    with pytest.raises(NotSupported, match="fr"):
        catalogue("fr")
    with pytest.raises(UsageError, match=r"no\.such"):
        catalogue("en").text("no.such")
    with pytest.raises(UsageError, match="plural"):
        catalogue("en").text("words")


def test_the_two_reasons_for_a_word_without_a_map():
    cases = {
        "": Evidence(0, 1.2, from_image=True),
        "expected": Evidence(0, -MINIMUM_NATS, from_image=False),
        "despite": Evidence(0, -0.11, from_image=False),
    }
    for reason, entry in cases.items():
        assert entry.prior == reason
        assert prior_key(entry) == (f"word.{reason}" if reason else "")
        assert not reason or prior_key(entry, "figure") in catalogue("ru").entries
    strict = Evidence(0, 2.0, from_image=False)
    assert prior_key(strict) == "word.expected"


def test_values_come_back_out_of_a_sentence():
    english = catalogue("en")
    values = {"word": "dark (brown)", "other": "pale"}
    assert english.values_in("against", english.text("against", **values)) == values
    assert english.values_in("against", "something else") is None


def test_what_the_methods_differentiate_has_a_name():
    from dermaxai.explain import METHODS
    from dermaxai.explain.word_eclip import ECLIP_LAYER

    entries = catalogue("ru").entries
    # A method that was just added is shown by its own name until the catalogue has one.
    named = [name for name in METHODS if f"method.{name}" in entries]
    assert len(named) > 10
    for name in named:
        assert f"layer.{METHODS.load(name).layer}" in entries
    assert f"layer.{ECLIP_LAYER}" in entries
    for score in ("log-probability", "logit"):
        asked = {f"word {score}", f"word {score} difference", f"caption {score}"}
        assert {f"scalar.{one}" for one in asked} <= set(entries)


def test_the_measured_rule_is_known_by_its_words():
    from dermaxai.captioner.outside import Ellipsoid, OutsideRule

    photo, features = (Ellipsoid(np.zeros(width), np.eye(width)) for width in (20, 192))
    rule = OutsideRule(photo, features, (4000, 600), 0.03)
    values = catalogue("en").values_in("outside.rule", rule.words)
    told = {"train": "4000", "share": "97.0%", "validation": "600", "pixels": "20", "features": "192"}
    assert values == told
    assert catalogue("en").text("outside.rule", **values) == rule.words
