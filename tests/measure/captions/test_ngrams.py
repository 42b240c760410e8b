from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.measure.captions.ngrams import Numbered, cut, look_up
from dermaxai.measure.captions.written import Written
from tests.measure.captions.drawing import words


@given(st.lists(words.map(tuple), max_size=5))
def test_counts_are_those_of_a_loop(texts):
    numbered = Numbered.of(texts)
    for n, counts in enumerate(numbered.count(), 1):
        found = {
            (int(text), numbered.spell(int(counts.place[run]), n)): int(count)
            for text, run, count in zip(counts.text, counts.run, counts.count, strict=True)
        }
        assert found == Counter(
            (row, " ".join(text[start : start + n]))
            for row, text in enumerate(texts)
            for start in range(len(text) - n + 1)
        )
        assert counts.runs == len({run for _, run in found})
        keys = counts.text * max(counts.runs, 1) + counts.run
        assert (np.diff(keys) > 0).all()


@given(st.dictionaries(st.integers(0, 30), st.integers(1, 9)), st.lists(st.integers(0, 35)))
def test_what_is_not_there_counts_nothing(table, wanted):
    keys = np.array(sorted(table), np.int64)
    values = np.array([float(table[key]) for key in sorted(table)])
    assert look_up(keys, values, np.array(wanted, np.int64)).tolist() == [table.get(key, 0) for key in wanted]


def test_references_without_words_are_left_out():
    texts = cut([Written("1", "A mole.", ("...", "mole", "")), Written("2", "", ("",))])
    assert texts.captions == [("a", "mole"), ()]
    assert texts.references == [[("mole",)], []]
