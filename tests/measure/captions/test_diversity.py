import numpy as np
import pytest
from hypothesis import given

from dermaxai.measure.captions.diversity import distinct, length
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.estimates import estimate
from tests.measure.captions.drawing import captions, corpus, each


def slow_share(written, n):
    runs = [
        tuple(words[start : start + n])
        for words in (one.text.split() for one in written)
        for start in range(len(words) - n + 1)
    ]
    return len(set(runs)) / len(runs) if runs else float("nan")


@given(captions)
def test_distinct_is_the_definition(written):
    unique = len({one.text for one in written}) / len(written)
    expected = [slow_share(written, 1), slow_share(written, 2), unique]
    assert corpus(distinct, written) == pytest.approx(expected, nan_ok=True)


@given(captions)
def test_length_counts_words(written):
    assert each(length(written, Tools())[0]) == [len(one.text.split()) for one in written]
    assert corpus(length, written) == pytest.approx([np.mean([len(one.text.split()) for one in written])])


def test_punctuation_is_no_word_and_capital_letters_make_no_difference():
    written = [Written("1", "A mole, a MOLE.", ("x",)), Written("2", "a mole a mole", ("x",))]
    assert corpus(length, written) == [4]
    assert corpus(distinct, written) == pytest.approx([2 / 8, 2 / 6, 1 / 2])


def test_the_interval_holds_the_value():
    written = [
        Written(str(row), " ".join(f"w{row % (n + 2)}" for n in range(row % 7 + 2)), ("x",))
        for row in range(40)
    ]
    for scored in distinct(written, Tools())[:2]:
        found = estimate(scored.parts, scored.statistic)
        assert found.low < found.value < found.high


def test_no_words_at_all():
    found = corpus(distinct, [Written("1", "", ("x",))])
    assert np.isnan(found[:2]).all()
    assert found[2] == 1
