"""Sentences of any dataset's facts: grammatical, honest about groups, and those of the embedded model."""

import itertools
import re
from dataclasses import replace

import pytest

from dermaxai import vocabulary
from dermaxai.errors import UnknownName
from dermaxai.statements import TERMS, Facts, wordings_of
from dermaxai.statements.clinical import (
    DIAGNOSES,
    ClinicalFacts,
    clinical_facts,
    with_article,
    wordings_of_clinical,
)
from dermaxai.statements.templates import TEMPLATES

LANGUAGES = ("en", "ru")
OUTLINES = list(itertools.product(TERMS["size"], TERMS["symmetry"], TERMS["border"]))


def plain(facts, language):
    return " ".join(options[0] for options, _ in wordings_of_clinical(facts, language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", [*DIAGNOSES, None])
def test_facts_of_the_embedded_model_are_said_in_its_sentences(language, code):
    told = [Facts(*outline, ("dark brown", "red"), code) for outline in OUTLINES]
    for facts in [*told, Facts(diagnosis=code)]:
        own = [(tuple(options), source) for options, source in wordings_of(facts, language)]
        assert wordings_of_clinical(clinical_facts(facts), language) == own


def test_codes_are_diagnoses_of_the_vocabulary_under_the_same_names():
    labels = vocabulary.labels("ham10000")["dx"]
    assert {code: labels[code].diagnosis for code in TERMS["diagnosis"]} == DIAGNOSES


@pytest.mark.parametrize(
    ("facts", "english", "russian"),
    [
        (
            ClinicalFacts(modality="clinical", site="palms_soles"),
            "Clinical photo. Located on the palms or soles.",
            "Клинический снимок. Расположено на ладонях или подошвах.",
        ),
        (
            ClinicalFacts(present=("vesicle",), absent=("ulcer",)),
            "Findings: vesicle. No ulcer.",
            "Признаки: везикула. Нет язвы.",
        ),
        (
            ClinicalFacts(present=("crusted", "dome_shaped", "yellow", "hair"), absent=("scale", "crust")),
            "The lesion looks dome-shaped and crusted. Colour noted: yellow. Also in the photo: hair. "
            "No crust or scale.",
            "На вид образование куполообразное и покрытое коркой. Цвет на снимке: жёлтый. "
            "Также на снимке: волосы. Нет ни корки, ни чешуек.",
        ),
        (
            ClinicalFacts(absent=("flat", "round", "grouped", "black", "purple", "gel")),
            "The lesion does not look flat or round. Distribution: not grouped. No purple or black colour. "
            "No gel in the photo.",
            "На вид образование не плоское и не округлое. Расположение: не сгруппированное. "
            "Нет ни фиолетового, ни чёрного цвета. На снимке нет геля.",
        ),
        (
            ClinicalFacts(symmetry="asymmetric", colours=("red",)),
            "An asymmetric lesion. The colour is red.",
            "Асимметричное образование. Цвет красный.",
        ),
        (
            ClinicalFacts(age=81, sex="female"),
            "The patient is female, 81 years old.",
            "Пациент женского пола, возраст 81 год.",
        ),
        (
            ClinicalFacts(
                diagnosis="keloid", other_diagnoses=("nail_diseases", "basal_cell_carcinoma_nodular")
            ),
            "Possible diagnosis: keloid. Another possible diagnosis: basal cell carcinoma, nodular. "
            "Another possible diagnosis group: nail diseases.",
            "Возможный диагноз: келоид. Другой возможный диагноз: базальноклеточный рак, узловая форма. "
            "Другая возможная группа диагнозов: болезни ногтей.",
        ),
    ],
)
def test_sentences(facts, english, russian):
    assert (plain(facts, "en"), plain(facts, "ru")) == (english, russian)


def test_each_sentence_knows_its_source():
    facts = ClinicalFacts(
        *OUTLINES[0],
        colours=("red",),
        diagnosis="melanoma",
        other_diagnoses=("scar",),
        present=("papule",),
        absent=("ulcer",),
        site="face",
        modality="dermoscopic",
        age=5,
    )
    for language in LANGUAGES:
        sources = [source for _, source in wordings_of_clinical(facts, language)]
        assert sources == [
            "metadata", "measurement", "measurement", "findings", "findings", "metadata", "metadata",
            "label", "label",
        ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_group_is_never_spoken_as_one_diagnosis(language):
    word = {"en": "group", "ru": "групп"}[language]
    for name, one in vocabulary.diagnoses().items():
        sentences = wordings_of_clinical(ClinicalFacts(diagnosis=name), language)
        grouped = one.malignancy in ("mixed", "category") or one.group == "category"
        for text in itertools.chain(*(options for options, _ in sentences)):
            assert grouped == (word in text.casefold().partition(":")[0].partition(" is ")[0]), text
    assert wordings_of_clinical(ClinicalFacts(diagnosis="unknown"), language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_diagnosis_is_always_possible_only(language):
    sure = {"en": "possible|consider", "ru": "возможн|вероятн|рассмотрения"}[language]
    for name in vocabulary.diagnoses():
        for options, _ in wordings_of_clinical(
            ClinicalFacts(diagnosis=name, other_diagnoses=("scar",)), language
        ):
            assert all(re.search(sure, text, re.IGNORECASE) for text in options)


def test_lists_are_in_one_order():
    one = ClinicalFacts(present=("scale", "papule"), other_diagnoses=("nail_diseases", "scar", "acne"))
    assert one == replace(one, present=("papule", "scale"))
    assert one.other_diagnoses == ("scar", "acne", "nail_diseases")


def test_nothing_to_say():
    assert ClinicalFacts().says_nothing
    assert ClinicalFacts(diagnosis="unknown").says_nothing
    assert not ClinicalFacts(unclear=True).says_nothing


def test_unknown_names_are_refused():
    for facts in (
        ClinicalFacts(present=("papul",)),
        ClinicalFacts(diagnosis="melanom"),
        ClinicalFacts(site="bak"),
        ClinicalFacts(other_diagnoses=("melanom",)),
    ):
        with pytest.raises(UnknownName, match="Did you mean"):
            wordings_of_clinical(facts, "en")
    with pytest.raises(UnknownName):
        ClinicalFacts(present=("papule", "scal"))


def test_articles():
    assert [with_article(text).partition(" ")[0] for text in ("11-year", "18-year", "80-year", "8-year")] == [
        "an"
    ] * 4
    assert [with_article(text).partition(" ")[0] for text in ("1-year", "12-year", "110-year", "large")] == [
        "a"
    ] * 4


def test_wordings_are_sentences_and_templates_pair():
    assert TEMPLATES["en"].keys() == TEMPLATES["ru"].keys()
    for templates in TEMPLATES.values():
        wordings = list(itertools.chain(*templates.values()))
        assert len(set(wordings)) == len(wordings)
        assert all(wording.count("{x}") == 1 and wording.endswith(".") for wording in wordings)
