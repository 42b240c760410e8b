import re

import pytest

from dermaxai.errors import NotSupported, UsageError
from dermaxai.i18n import LANGUAGES, catalogue


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
