"""Russian words of captions and concepts lead to their English text, or to none."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.concepts.glossary import FUNCTION_WORDS, english_of
from dermaxai.concepts.inflection import DECLENSIONS, PhraseBook, cuts, same_word, words_of
from dermaxai.concepts.tree import bare, read_tree
from dermaxai.statements import TERMS, Facts, wordings_of

FACTS = [
    Facts(size, symmetry, border, colours, diagnosis)
    for (size, symmetry, border), diagnosis in itertools.product(
        itertools.product(TERMS["size"], TERMS["symmetry"], TERMS["border"]), TERMS["diagnosis"]
    )
    for colours in itertools.combinations(TERMS["colour"], 2)
] + [Facts()]
WORDINGS = sorted({text for facts in FACTS for texts, _ in wordings_of(facts, "ru") for text in texts})
WORDS = sorted({word for text in WORDINGS for word in words_of(text)})
TRANSLATED = [(names["ru"], names["en"]) for terms in TERMS.values() for names in terms.values()]

FORMS = {
    "irregular": "неровная неровной неровные неровный неровную неровного неровных неровными",
    "symmetric": "симметричный симметричного симметричной симметричные",
    "dark brown": "тёмно-коричневый тёмно-коричневая темно-коричневого тёмно-коричневыми",
    "blue-grey": "серо-голубой серо-голубая серо-голубым",
    "border": "граница границы границе границу границей границ границами край края краем краями",
    "colour": "цвет цвета цвету цветом цвете",
    "lesion": "образование образования образованием образований образованиями очаг очага",
    "melanoma": "меланома меланомы меланоме меланому меланомой",
    "papule": "папула папулы папулами узелок узелка узелки узелков",
    "plaque": "бляшка бляшки бляшку бляшек бляшками",
    "nodule": "узел узла узлы узлов узлами",
    "scale": "чешуйка чешуйки чешуек чешуйками",
    "crust": "корка корки корок корками",
    "macule": "пятно пятна пятен пятнами",
    "nail": "ноготь ногтя ногти ногтей",
    "scar": "рубец рубца рубцы рубцов",
    "cyst": "киста кисты кистой кисту",
    "hand": "кисть кистью кисти",
}
PHRASES = {
    "неровная граница": "irregular border",
    "с неровной границей": "irregular border",
    "с неровными краями": "irregular border",
    "мелкое симметричное образование": "small symmetric lesion",
    "Крупное, асимметричное образование с ровной границей.": "large asymmetric lesion with regular border",
    "без чётких очертаний": "without clear outline",
    "нечёткие очертания": "unclear outline",
    "чёрный и серо-голубой": "black and blue-grey",
    "пигментной сетью": "pigment network",
    "бело-голубой вуали": "blue whitish veil",
    "сосудистого образования": "vascular lesion",
    "базальноклеточного рака кожи": "basal cell carcinoma",
    "округлое красное образование": "round red lesion",
    "на ножке": "pedunculated",
    "красного цвета": "red",
    "образование с фестончатым краем": "lesion with scalloped border",
    "его цвет": "colour",
}
NONE = [
    "",
    "и",
    "Без",
    "с и",
    "melanoma",
    "сепулька",
    "не ровная",
    "граница сепулька",
    "граница образования",
    "образование и",
    "образование с",
    "цветок цвета сепулька",
    "12",
]


def test_captions_have_many_wordings():
    assert len(WORDINGS) > 100
    assert {"неровной", "границей", "рассмотрения", "внутриэпителиальная"} <= set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_of_every_caption_is_answered_or_a_function_word(word):
    assert (english_of(word) is None) == (word in FUNCTION_WORDS)


@pytest.mark.parametrize(("russian", "english"), TRANSLATED)
def test_terms_of_captions_say_the_same_in_both_languages(russian, english):
    assert english_of(russian) == english_of(russian.upper().replace("Ё", "Е")) == english


@pytest.mark.parametrize("facts", FACTS[:200:7])
def test_colours_of_a_caption_are_said_in_order(facts):
    text = " и ".join(TERMS["colour"][name]["ru"] for name in facts.colours)
    assert english_of(text) == " and ".join(facts.colours)


@pytest.mark.parametrize(
    ("word", "english"), [(word, text) for text, words in FORMS.items() for word in words.split()]
)
def test_inflected_forms(word, english):
    assert english_of(word) == english
    assert english_of(word.capitalize()) == english


@pytest.mark.parametrize(("phrase", "english"), PHRASES.items())
def test_phrases(phrase, english):
    assert english_of(phrase) == english


@pytest.mark.parametrize("text", NONE)
def test_no_answer_is_better_than_a_wrong_one(text):
    assert english_of(text) is None


def test_a_word_with_two_meanings_has_no_answer():
    """A form that both 'киста' (cyst) and 'кисть' (hand) may have by their endings."""
    assert english_of("кисте") is None


@pytest.mark.parametrize("node", read_tree().atoms(), ids=lambda node: node.id)
def test_every_russian_name_of_skin_is_answered_by_its_english_name(node):
    """Another concept may have the same Russian name; then there may be no answer, but no third one."""
    same = read_tree().matches(node.names["ru"], "ru")
    answers = {bare(other.names["en"]) for other in same}
    assert english_of(node.names["ru"]) in (answers if len(answers) == 1 else {None})


def test_every_synonym_that_means_one_concept_is_answered():
    tree = read_tree()
    for node in tree.atoms():
        for text in node.synonyms["ru"]:
            assert english_of(text) is not None or len(tree.matches(text, "ru")) > 1, text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("кисти", "киста"),
        ("белый", "белок"),
        ("синий", "синяк"),
        ("губа", "губка"),
        ("серый", "сера"),
        ("нос", "носок"),
        ("рак", "ракета"),
        ("ровный", "неровный"),
    ],
)
def test_different_words_stay_apart(first, second):
    assert not same_word(first, second)


@given(st.sampled_from(sorted(DECLENSIONS)), st.text("абвдзлмнпрст", min_size=2, max_size=6), st.data())
def test_all_forms_of_a_declension_are_one_word(name, stem, data):
    first, second = (stem + data.draw(st.sampled_from(DECLENSIONS[name])) for _ in range(2))
    assert same_word(first, second)
    assert same_word(second, first)
    assert (stem, name) in cuts(first)


def test_a_phrase_book_gives_all_phrases_with_the_same_words_in_order():
    book = PhraseBook([("красное пятно", 1), ("красная пятна", 2), ("пятно", 3), ("", 4)])
    assert book.find("красного пятна") == [1, 2]
    assert book.find("пятен") == [3]
    assert book.find("красное") == book.find("") == []
