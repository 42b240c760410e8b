"""The model card's figures: intervals hold their value, perfect captions score 1, wrong ones do not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.data.weak_captions import caption
from dermaxai.embedded.figures import (
    REPLACED,
    balanced,
    judge_captions,
    repeated,
    to_markdown,
    write_figures,
)
from dermaxai.embedded.language import draw_facts
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.measure import intervals
from dermaxai.measure.intervals import interval
from dermaxai.statements import MEASURED_SLOTS, Facts

TRUTH = [draw_facts(np.random.default_rng(seed)) for seed in range(70)]
TRAIN = [Facts("small", "symmetric", "regular", ("pink",), "nv")] * 3 + TRUTH[:2]


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 100)


def say(facts, seed=0):
    generator = np.random.default_rng(seed)
    return {language: [caption(fact, language, generator) for fact in facts] for language in ("en", "ru")}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_an_interval_holds_its_value(answers):
    right = np.array(answers)
    value, low, high = interval(len(right), lambda rows: float(right[rows].mean()))
    assert low <= value + 1e-12
    assert value <= high + 1e-12
    assert value == right.mean()
    assert interval(len(right), lambda rows: float(right[rows].mean())) == (value, low, high)
    if len(set(answers)) == 1:
        assert low == high == value


def test_intervals_narrow_with_more_photos():
    few, many = np.tile([True, False], 10), np.tile([True, False], 1000)
    spans = [interval(len(r), lambda rows, r=r: float(r[rows].mean())) for r in (few, many)]
    assert spans[0][2] - spans[0][1] > 4 * (spans[1][2] - spans[1][1])


def test_balanced_weighs_classes_equally():
    right, labels = np.array([True] * 9 + [False]), np.array([0] * 9 + [1])
    assert balanced(right, labels) == 0.5


def test_perfect_captions():
    found = judge_captions(say(TRUTH), TRUTH, TRAIN)
    assert found["photos"] == len(TRUTH)
    for language in ("en", "ru"):
        for name, row in found[language]["facts"].items():
            assert (row["value"], row["low"], row["high"]) == (1, 1, 1), name
        assert found[language]["recall"] == dict.fromkeys(sorted({f.diagnosis for f in TRUTH}), 1.0)
    assert found["same facts in both languages"]["value"] == found["whole sentences"] == 1
    assert found["repeated 3-grams"] == 0
    measured = sum(fact.size is not None for fact in TRUTH)
    assert found["en"]["facts"]["size"]["n"] == measured < len(TRUTH)
    assert found["en"]["facts"]["size"]["classes"] == 3
    small = sum(fact.size == "small" for fact in TRUTH)
    assert found["en"]["facts"]["size"]["baseline"] == pytest.approx(small / measured)
    assert found["en"]["facts"]["diagnosis, balanced"]["baseline"] == pytest.approx(1 / 7)


def test_a_constant_caption_is_the_baseline():
    found = judge_captions(say([TRAIN[0]] * len(TRUTH)), TRUTH, TRAIN)
    for slot in ("diagnosis", *MEASURED_SLOTS):
        row = found["en"]["facts"][slot]
        assert row["value"] == pytest.approx(row["baseline"])
        assert row["low"] <= row["value"] <= row["high"]
    assert found["en"]["facts"]["diagnosis, balanced"]["value"] == pytest.approx(1 / 7)
    assert found["ru"]["recall"]["nv"] == 1
    assert found["ru"]["recall"]["mel"] == 0


def test_broken_and_disagreeing_captions_are_counted():
    texts = say(TRUTH)
    texts["en"][0] = texts["en"][0].replace("diagnosis", "")
    texts["ru"][1] = caption(Facts(diagnosis="nv"), "ru")
    found = judge_captions(texts, TRUTH, TRAIN)
    assert found["whole sentences"] == pytest.approx(1 - 1 / (2 * len(TRUTH)))
    assert found["same facts in both languages"]["value"] == pytest.approx(1 - 1 / len(TRUTH))


def test_repeated():
    assert repeated("a b c d") == 0
    assert repeated("a b") == 0
    assert repeated("the the the the the") == pytest.approx(2 / 3)


def test_written_figures(tmp_path):
    found = judge_captions(say(TRUTH), TRUTH, TRAIN)
    write_figures(found, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "figures.json").read_text(encoding="utf-8")) == found
    table = (tmp_path / "run" / "figures.md").read_text(encoding="utf-8")
    assert table == to_markdown(found)
    assert "| diagnosis, balanced (n 70) | 1.000 (1.000–1.000) | 1.000 (1.000–1.000) | 0.143 |" in table
    assert "| recall | " + " | ".join(DIAGNOSES) + " |" in table
    assert "As shown: same facts in both languages 1.000 (1.000–1.000), whole sentences 1.0000" in table
    assert "repeated 3-grams 0.0000" in table
    own = {**found, "before replacement": {name: found[name] for name in REPLACED}}
    assert "As the decoder wrote them: same facts" in to_markdown(own)
