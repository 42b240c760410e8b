from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.measure.captions.ptb_tokens import sentences_of, tokenize, words_of

ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("coco_tokens.tsv").read_text("utf-8").split("\n")
    if line
]
"""Texts and what PTBTokenizer (CoreNLP 3.4.1, -lowerCase) and pycocoevalcap's list of punctuation leave."""


@pytest.mark.parametrize(("text", "words"), ROWS, ids=range(len(ROWS)))
def test_cuts_as_the_reference(text, words):
    assert " ".join(tokenize(text)) == words


@pytest.mark.shared
def test_cuts_the_golden_captions_as_the_reference(golden):
    for kind in ("hypotheses", "references"):
        for item, texts in golden[kind].items():
            assert [" ".join(tokenize(text)) for text in texts] == golden[f"tokenized_{kind}"][item]


def test_russian_words_keep_their_hyphens_and_lose_the_two_dots():
    text = "Тёмно-коричневый, ЧЁРНЫЙ очаг (6,5 мм) — «невус»; границы чёткие…"
    assert tokenize(text, "ru") == [
        "темно-коричневый", "черный", "очаг", "-lrb-", "6,5", "мм", "-rrb-", "невус", "границы", "четкие",
    ]  # fmt: skip
    assert tokenize("чёрный") == ["чёрный"]


def test_one_letter_in_two_signs_is_one_letter():
    assert tokenize("светлы\u0438\u0306 nai\u0308ve") == ["светлый", "naïve"]


def test_every_kind_of_hyphen_and_apostrophe_is_one():
    hyphens, marks = "-\u2010\u2011", "'’‘ʼ"
    assert {tuple(tokenize(f"well{one}defined")) for one in hyphens} == {("well-defined",)}
    assert {tuple(tokenize(f"isn{one}t")) for one in marks} == {("is", "n't")}


def test_low_quotation_marks_are_dropped():
    assert tokenize("„low“ ‚too‘") == ["low", "too"]


@given(st.text(max_size=60))
def test_any_text_gives_small_words_without_spaces(text):
    words = tokenize(text)
    assert all(word and not any(sign.isspace() for sign in word) for word in words)
    assert words == [word.lower() for word in words]
    assert not set(words) & {".", ",", ":", ";", "?", "!", "'", '"', "-", "--", "...", "`"}
    assert list(words_of(text)) == words


@given(st.lists(st.sampled_from(["dark", "light-brown", "3.5", "n't", "'s", "lesion/papule"]), max_size=8))
def test_words_that_were_cut_stay_as_they_are(words):
    assert tokenize(" ".join(words)) == words


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_line_break_is_a_space(first, second):
    assert tokenize(f"{first}\n{second}") == tokenize(f"{first} {second}")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One lesion. On the back!", ["One lesion.", "On the back!"]),
        ("Size 3.5 mm, e.g. a papule. small. ", ["Size 3.5 mm, e.g. a papule.", "small."]),
        ('It is "benign." Really?', ['It is "benign."', "Really?"]),
        ("Один очаг. Границы ровные", ["Один очаг.", "Границы ровные"]),
        ("", []),
        ("  \n", []),
        ("no mark", ["no mark"]),
    ],
)
def test_sentences(text, sentences):
    assert sentences_of(text) == sentences


@given(st.text(max_size=80))
def test_sentences_hold_the_whole_text(text):
    assert " ".join(sentences_of(text)).split() == text.split()
