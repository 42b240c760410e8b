"""Captions say their facts, all of them and nothing else, in both languages; and are read back exactly."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dermaxai.data.appearance import PALETTE, Appearance
from dermaxai.data.weak_captions import caption, compose, gather
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.statements import SLOTS, TERMS, Facts, is_whole, read_facts, wordings_of

LANGUAGES = ("en", "ru")
COLOURS = [*((name,) for name in PALETTE), *itertools.permutations(PALETTE, 2)]
OUTLINES = list(itertools.product(TERMS["size"], TERMS["symmetry"], TERMS["border"]))
MELANOMA = Facts("large", "asymmetric", "irregular", ("dark brown", "red"), "mel")

whole_facts = st.builds(
    lambda outline, colours, diagnosis: Facts(*outline, colours, diagnosis),
    st.sampled_from(OUTLINES),
    st.sampled_from(COLOURS),
    st.sampled_from([*DIAGNOSES, None]),
)
any_facts = st.one_of(whole_facts, st.builds(Facts, diagnosis=st.sampled_from([*DIAGNOSES, None])))


def every_wording(facts, language):
    choices = [options for options, _ in wordings_of(facts, language)]
    return [" ".join(sentences) for sentences in itertools.product(*choices)]


@settings(max_examples=150)
@given(any_facts, st.sampled_from(LANGUAGES), st.integers(0, 2**31))
def test_facts_are_read_back(facts, language, seed):
    text = caption(facts, language, np.random.default_rng(seed))
    assert read_facts(text, language) == facts
    assert is_whole(text, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_wording_of_every_fact_is_read_back(language):
    """Colours and outlines stand in different sentences, so each is varied over one of the other."""
    varied = [Facts(*outline, COLOURS[7], dx) for outline in OUTLINES for dx in (*DIAGNOSES, None)]
    varied += [Facts(*OUTLINES[0], colours, "nv") for colours in COLOURS]
    varied += [Facts(diagnosis=dx) for dx in (*DIAGNOSES, None)]
    for facts in varied:
        for text in every_wording(facts, language):
            assert read_facts(text, language) == facts
        assert is_whole(every_wording(facts, language)[-1], language)


@settings(max_examples=60)
@given(whole_facts, st.sampled_from(LANGUAGES), st.integers(0, 200))
def test_a_broken_caption_is_not_whole(facts, language, place):
    text = caption(facts, language)
    assert not is_whole(f"{text} {text}", language)
    place %= len(text)
    broken = text[:place] + text[place + 1 :]
    assume(broken != caption(replace(facts, symmetry="symmetric"), language))
    assert not is_whole(broken, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_letter_less_is_whole_only_where_it_states_another_fact(language):
    """Without its first letter, 'asymmetric' is a word of its own, in both languages."""
    for outline in OUTLINES:
        facts = Facts(*outline, MELANOMA.colours, "mel")
        text = caption(facts, language)
        shorter = {text[:place] + text[place + 1 :] for place in range(len(text))}
        whole = [one for one in shorter if is_whole(one, language)]
        other = caption(replace(facts, symmetry="symmetric"), language)
        assert whole == ([other] if facts.symmetry == "asymmetric" else [])


def test_not_whole():
    assert not is_whole("", "en")
    assert not is_whole(caption(MELANOMA, "en"), "ru")
    assert not is_whole(caption(MELANOMA, "en").replace(". The", ".The"), "en")
    assert not is_whole(caption(MELANOMA, "en").replace("with an", "with a"), "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sentence_knows_its_source(language):
    outline, colours, diagnosis = compose(MELANOMA, language)
    assert (outline.source, colours.source, diagnosis.source) == ("measurement", "measurement", "label")
    name = TERMS["diagnosis"]["mel"][language]
    assert name in diagnosis.text
    assert name not in outline.text + colours.text
    unclear, labelled = compose(Facts(diagnosis="mel"), language)
    assert (unclear.source, labelled.source) == ("measurement", "label")
    assert len(compose(Facts(), language)) == 1


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            MELANOMA,
            "Крупное асимметричное образование с неровной границей. "
            "Цвет тёмно-коричневый и красный. Возможный диагноз: меланома.",
        ),
        (
            Facts("small", "symmetric", "regular", ("pink",), "df"),
            "Мелкое симметричное образование с ровной границей. Цвет розовый. "
            "Возможный диагноз: дерматофиброма.",
        ),
        (
            Facts(diagnosis="vasc"),
            "Образование без чётких очертаний. Возможный диагноз: сосудистое образование.",
        ),
    ],
)
def test_russian(facts, text):
    assert caption(facts, "ru") == text


def test_russian_words_agree_with_their_nouns():
    """'образование' is neuter, 'граница' feminine in the instrumental, 'цвет' masculine."""
    for slot, ending in (("size", "ое|ее"), ("symmetry", "ое"), ("border", "ой"), ("colour", "[ыио]й")):
        for names in TERMS[slot].values():
            assert re.search(f"({ending})$", names["ru"]), names["ru"]
    russian = [TERMS[slot][value]["ru"] for slot in SLOTS for value in TERMS[slot]]
    assert not any(re.search("[a-z]", word, re.IGNORECASE) for word in russian)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_stated_that_a_photo_cannot_show(language):
    never = {
        "en": r"\b(year|age|old|young|male|female|man|woman|sex|patient|back|face|scalp|trunk|leg|arm"
        r"|histo\w*|confirm\w*|biops\w*|consensus|benign lesion|malignan\w*|mm|cm)\b",
        "ru": r"(\bлет\b|\bгод|возраст|мужч|женщ|\bпол\b|пациент|\bспин|\bлиц[оае]\b|голов|туловищ"
        r"|\bног|\bрук|гистолог|подтвержд|биопси|консенсус|злокачеств|\bмм\b|\bсм\b)",
    }[language]
    for outline in OUTLINES:
        for diagnosis in DIAGNOSES:
            for text in every_wording(Facts(*outline, ("white", "black"), diagnosis), language):
                assert not re.search(never, text, re.IGNORECASE), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_wordings_are_plain_without_a_generator_and_vary_with_one(language):
    assert caption(MELANOMA, language) == every_wording(MELANOMA, language)[0]
    drawn = [caption(MELANOMA, language, np.random.default_rng(seed)) for seed in range(60)]
    assert 5 < len(set(drawn)) <= 27
    assert max(set(drawn), key=drawn.count) == caption(MELANOMA, language)
    assert drawn[:5] == [caption(MELANOMA, language, np.random.default_rng(seed)) for seed in range(5)]


def test_only_a_trusted_outline_is_stated():
    colours = (("dark brown", 0.5), ("black", 0.3), ("white", 0.2))
    clear = Appearance(0.2, 0.05, 1.3, colours, contrast=20.0, touches=0.0)
    assert gather(clear, "nv") == Facts("medium", "symmetric", "irregular", ("dark brown", "black"), "nv")
    faint = Appearance(0.2, 0.05, 1.3, colours, contrast=6.9, touches=0.0)
    cut = Appearance(0.2, 0.05, 1.3, colours, contrast=20.0, touches=0.36)
    assert gather(faint, "nv") == gather(cut, "nv") == Facts(diagnosis="nv")
    assert caption(gather(faint, None), "en") == "A lesion without a clear outline."


def test_terms_are_distinct():
    for slot in SLOTS:
        for language in LANGUAGES:
            words = [names[language] for names in TERMS[slot].values()]
            assert len(set(words)) == len(words)
    assert set(TERMS["colour"]) == set(PALETTE)
    assert set(TERMS["diagnosis"]) == set(DIAGNOSES)
