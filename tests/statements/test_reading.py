"""What our sentences state is read back, all of it; free text is read by name, cue and scope."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai import vocabulary
from dermaxai.statements import TERMS, Facts, wordings_of
from dermaxai.statements.clinical import ClinicalFacts, clinical_facts, wordings_of_clinical
from dermaxai.statements.phrases import PhraseBook, sentences_of, tokens_of
from dermaxai.statements.reading import read_clinical
from dermaxai.statements.words import FINDINGS, SILENT, SITES

LANGUAGES = ("en", "ru")
SAYABLE = [name for name in vocabulary.diagnoses() if name not in SILENT]


def some(names, most):
    return st.lists(st.sampled_from(list(names)), max_size=most, unique=True).map(tuple)


def maybe(names):
    return st.sampled_from([None, *names])


@st.composite
def clinical(draw):
    """Facts of any kind; an outline is unclear only where none is told, a finding is not both."""
    outline = [draw(maybe(TERMS[slot])) for slot in ("size", "symmetry", "border")]
    present = draw(some(FINDINGS, 6))
    diagnosis = draw(maybe(SAYABLE))
    return ClinicalFacts(
        *outline,
        unclear=draw(st.booleans()) and not any(outline),
        colours=draw(some(TERMS["colour"], 2)),
        diagnosis=diagnosis,
        other_diagnoses=tuple(name for name in draw(some(SAYABLE, 4)) if name != diagnosis),
        present=present,
        absent=tuple(name for name in draw(some(FINDINGS, 6)) if name not in present),
        site=draw(maybe(SITES)),
        modality=draw(maybe(("dermoscopic", "clinical"))),
        age=draw(st.one_of(st.none(), st.integers(0, 120))),
        sex=draw(maybe(("female", "male"))),
    )


def wording(facts, language, number):
    return " ".join(options[number % len(options)] for options, _ in wordings_of_clinical(facts, language))


@settings(max_examples=200)
@given(clinical(), st.sampled_from(LANGUAGES), st.integers(0, 2))
def test_facts_are_read_back(facts, language, number):
    assert read_clinical(wording(facts, language, number), language).facts == facts


@settings(max_examples=100)
@given(clinical(), st.integers(0, 2))
def test_english_facts_said_in_russian_are_the_same_facts(facts, number):
    english = read_clinical(wording(facts, "en", number), "en").facts
    assert read_clinical(wording(english, "ru", number), "ru").facts == facts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_name_is_read_back(language):
    told = [ClinicalFacts(diagnosis=name) for name in SAYABLE]
    told += [ClinicalFacts(other_diagnoses=(name,)) for name in SAYABLE]
    told += [ClinicalFacts(present=(name,)) for name in FINDINGS]
    told += [ClinicalFacts(absent=(name,)) for name in FINDINGS]
    told += [ClinicalFacts(site=name) for name in SITES]
    for facts in told:
        for options, _ in wordings_of_clinical(facts, language):
            assert all(read_clinical(text, language).facts == facts for text in options), options


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_of_the_embedded_model_are_read(language):
    outlines = itertools.product(TERMS["size"], TERMS["symmetry"], TERMS["border"])
    told = [Facts(*outline, ("black", "blue-grey"), "akiec") for outline in outlines]
    for facts in [*told, Facts(diagnosis="vasc"), Facts()]:
        choices = [options for options, _ in wordings_of(facts, language)]
        for sentences in itertools.product(*choices):
            assert read_clinical(" ".join(sentences), language).facts == clinical_facts(facts)


def mentions(text, language="en"):
    return [(one.value, one.polarity) for one in read_clinical(text, language).mentions]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Erythematous papules and plaques with scaling on the back, suggestive of psoriasis.",
            "erythema papule plaque scale back psoriasis?",
        ),
        ("There is no evidence of ulceration, crusting or bleeding.", "-ulcer -crust"),
        ("The lesion is not ulcerated but scaly.", "-ulcerated scaly"),
        ("Ulceration is not seen.", "-ulcer"),
        ("Melanoma cannot be excluded. Blue nevi were ruled out.", "melanoma? -blue_nevus"),
        ("Not only erythema.", "erythema"),
        ("An ulcer, diagnosed as an ulcer.", "ulcer ulcer"),
        ("Nodular basal cell carcinoma on the nose.", "basal_cell_carcinoma_nodular nose"),
        ("Possible atopic dermatitis or contact dermatitis.", "atopic_dermatitis? contact_dermatitis?"),
        ("A lesion with irregular borders, 6.5 mm. It is black.", "irregular black"),
        ("The arrangement is irregular and symmetric.", "irregular symmetric"),
        ("A small dog and a large border collie on the sofa.", ""),
        ("Melanoma in situ of a 65-year-old man", "melanoma_in_situ 65 male"),
    ],
)
def test_english_free_text(text, found):
    signs = {"stated": "{}", "negated": "-{}", "uncertain": "{}?"}
    assert " ".join(signs[polarity].format(value) for value, polarity in mentions(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Не видно язвы и корки, но есть эритема.", "-ulcer -crust erythema"),
        ("Бляшка без чешуек, возможно псориаз.", "plaque -scale psoriasis?"),
        ("Язва отсутствует. Меланома не исключена.", "-ulcer melanoma?"),
        ("Псориаз исключен.", "-psoriasis"),
        ("ЧЕРНЫЙ ЦВЕТ", "black"),
    ],
)
def test_russian_free_text(text, found):
    signs = {"stated": "{}", "negated": "-{}", "uncertain": "{}?"}
    assert " ".join(signs[polarity].format(value) for value, polarity in mentions(text, "ru")) == found


def test_a_word_for_a_finding_and_a_diagnosis():
    slots = [one.slot for one in read_clinical("An ulcer, diagnosed as a keloid ulcer.", "en").mentions]
    assert slots == ["finding", "diagnosis", "diagnosis"]


def test_only_what_is_plainly_stated_is_a_fact():
    facts = read_clinical("Possible ulcer, no scale, on the face. No melanoma, likely a lipoma.", "en").facts
    assert facts == ClinicalFacts(absent=("scale",), site="face", diagnosis="lipoma")


@pytest.mark.parametrize("language", LANGUAGES)
def test_mentions_know_their_place(language):
    facts = ClinicalFacts(site="forearm", present=("papule",), diagnosis="blue_nevus")
    text = wording(facts, language, 0)
    places = [text[one.start : one.stop] for one in read_clinical(text, language).mentions]
    assert (
        places
        == {
            "en": ["papule", "on the forearm", "blue nevus"],
            "ru": ["папула", "на предплечье", "голубой невус"],
        }[language]
    )


@given(st.text(max_size=80), st.sampled_from(LANGUAGES))
def test_any_text_can_be_read(text, language):
    for one in read_clinical(text, language).mentions:
        assert 0 <= one.start < one.stop <= len(text)


def test_tokens_and_sentences():
    assert [token.text for token in tokens_of("İ Ёж’s 0,76–1,5")] == ["İ", "еж's", "0", ",", "76-1", ",", "5"]
    text = "Size 6.5 mm. Seen? Yes"
    assert [[token.text for token in one] for one in sentences_of(text)] == [
        ["size", "6", ".", "5", "mm", "."], ["seen", "?"], ["yes"],
    ]  # fmt: skip


def test_the_longest_phrase_wins():
    book = PhraseBook([("blue", 1), ("blue nevus", 2), ("BLUE", 3)])
    assert book.at(["blue", "nevus"], 0) == (2, 2)
    assert book.at(["blue", "nevi"], 0) == (1, 1)
    assert book.at(["blue", "nevus"], 1) is None
