import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.measure.captions import bert_score as room
from dermaxai.measure.captions.bert_score import SCALES, IdfWeights, bert_score, match, score_captions
from dermaxai.measure.captions.text_model import Read, TextModel, load_text_model
from dermaxai.measure.captions.written import Tools, Written
from tests.encoders.tiny import WORDS
from tests.measure.captions.drawing import corpus, each
from tests.measure.captions.tiny_bert import write_bert


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def model(folder):
    return load_text_model(folder)


def slow_score(model, caption, reference, weigh, *, specials=False):
    """Two loops over tokens for each side, from vectors of one text at a time."""
    ours, theirs = (model.read(model.cut([text]))[text] for text in (caption, reference))
    if len(ours.ids) == 2:
        return 0.0, 0.0, 0.0

    def side(mine, other):
        above = below = 0.0
        for token, vector in list(zip(mine.ids, mine.vectors, strict=True))[1:-1]:
            best = -1.0
            for another in other.vectors if specials else other.vectors[1:-1]:
                best = max(best, sum(a * b for a, b in zip(vector, another, strict=True)))
            above += weigh(int(token)) * best
            below += weigh(int(token))
        return above / below if below else math.nan

    precision, recall = side(ours, theirs), side(theirs, ours)
    f1 = 2 * precision * recall / (precision + recall) if precision > 0 and recall > 0 else 0.0
    return precision, recall, f1


texts = st.lists(st.sampled_from(WORDS[4:]), max_size=5).map(" ".join)
references = st.lists(
    st.lists(st.sampled_from(WORDS[4:]), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=2
)
rows = st.lists(st.tuples(texts, references), min_size=1, max_size=3)


@settings(max_examples=25)
@given(rows, st.booleans())
def test_is_two_loops_over_tokens(model, rows, specials):
    written = [Written(str(row), text, tuple(some)) for row, (text, some) in enumerate(rows)]
    expected = [
        np.max(
            [slow_score(model, one.text, text, lambda _: 1.0, specials=specials) for text in one.references],
            0,
        )
        for one in written
    ]
    found = score_captions(model, written, as_published=specials)
    assert found == pytest.approx(np.array(expected), abs=1e-5)


@settings(max_examples=15)
@given(rows)
def test_rare_tokens_can_count_more(model, rows):
    written = [Written(str(row), text, tuple(some)) for row, (text, some) in enumerate(rows)]
    said = [model.cut([text])[text] for one in written for text in one.references]

    def weigh(token):
        return math.log((len(said) + 1) / (sum(token in ids for ids in said) + 1))

    expected = [
        np.max([slow_score(model, one.text, text, weigh) for text in one.references], 0) for one in written
    ]
    found = score_captions(model, written, idf=True)
    assert found == pytest.approx(np.array(expected), abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("idf", [False, True])
def test_as_published_is_the_authors_program(model, idf):
    """Values of bert-score 0.3.13, `num_layers=2`, on the same model."""
    written = [
        Written("1", "a dark mole", ("dark skin", "a mole raised")),
        Written("2", "benign keratosis raised", ("keratosis",)),
        Written("3", "skin a dark skin", ("raised skin", "a dark mole")),
    ]
    second = (0.86053, 0.79018, 0.82386) if idf else (0.86546, 0.79018, 0.82611)
    theirs = np.array([(0.93807, 0.91743, 0.92764), second, (0.90440, 0.94329, 0.92344)])
    assert score_captions(model, written, idf=idf, as_published=True) == pytest.approx(theirs, abs=1e-4)


def test_by_hand():
    ours = Read(np.array([5, 6]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([True, True]))
    theirs = Read(np.array([2, 7]), np.array([[0.8, 0.6], [0.6, 0.8]]), np.array([False, True]))
    assert match(ours, theirs) == pytest.approx((0.7, 0.8, 2 * 0.7 * 0.8 / 1.5))
    assert match(ours, theirs, specials=True) == pytest.approx((0.8, 0.8, 0.8))
    weights = IdfWeights.of([[5], [5, 6]])
    assert weights.weigh(5) == 0
    assert match(ours, theirs, weights)[0] == pytest.approx(0.8)


def test_the_text_itself_scores_one_and_nothing_scores_nothing(folder):
    written = [Written("1", "a dark mole", ("skin", "a dark mole")), Written("2", "", ("skin",))]
    scored = bert_score(written, Tools(bert=folder))
    assert [one.scale for one in scored] == list(SCALES)
    assert [each(one) for one in scored] == pytest.approx(np.array([[1, 0]] * 3), abs=1e-6)


def test_a_reference_without_tokens_counts_nowhere(folder):
    assert np.isnan(corpus(bert_score, [Written("1", "skin", ("",))], Tools(bert=folder))).all()


def test_each_text_is_read_once_and_forgotten_after_its_last_caption(folder, monkeypatch):
    seen, held = [], []
    read = TextModel.read

    def count(self, tokens):
        seen.extend(tokens)
        held.append(len(tokens))
        return read(self, tokens)

    monkeypatch.setattr(TextModel, "read", count)
    monkeypatch.setattr(room, "CAPTIONS_AT_ONCE", 2)
    words = WORDS[4:]
    written = [Written(str(row), words[row % 5], (words[(row + 1) % 5], "a dark mole")) for row in range(9)]
    whole = corpus(bert_score, written, Tools(bert=folder))
    assert sorted(seen) == sorted({text for one in written for text in (one.text, *one.references)})
    assert max(held) < 6
    monkeypatch.setattr(room, "CAPTIONS_AT_ONCE", 100)
    assert corpus(bert_score, written, Tools(bert=folder)) == pytest.approx(whole, abs=1e-6)


def test_twice_the_same_numbers(folder):
    written = [Written(str(row), " ".join(WORDS[4 : 5 + row]), ("a dark mole",)) for row in range(6)]
    first, second = (bert_score(written, Tools(bert=folder)) for _ in range(2))
    assert all((one.parts == other.parts).all() for one, other in zip(first, second, strict=True))


def test_without_a_model_there_is_nothing():
    assert bert_score([Written("1", "a", ("a",))], Tools()) == []
