"""Which map a score is of."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import UsageError
from dermaxai.geometry import place_center_crop
from dermaxai.scores import (
    carry_scores,
    find_score,
    map_names,
    name_question,
    replace_scores,
    scores_by_map,
    verdict_of,
)
from dermaxai.types import HeatMap, Score, Target
from tests.sample_case import make_case

PLACE = place_center_crop(4, 4)
TEXTS = st.text("a| ", min_size=1, max_size=4)
TARGETS = st.one_of(
    st.builds(Target, st.just("word"), TEXTS, st.integers(0, 3), st.none() | TEXTS),
    st.builds(Target, st.just("phrase"), TEXTS, st.integers(0, 3), st.none() | TEXTS),
    st.builds(
        Target, st.sampled_from(["query", "concept", "diagnosis"]), TEXTS, st.none(), st.none() | TEXTS
    ),
)


def heat_of(target, method="evidence", variant="plain"):
    return HeatMap(np.zeros((2, 2), np.float32), method, target, PLACE, "none", "none", variant)


def score_of(of, metric="deletion", value=0.5, verdict=""):
    return Score(metric, value, value, value, 1, of, verdict=verdict)


@given(st.lists(TARGETS, unique=True, max_size=6), st.sampled_from([("a",), ("a", "b")]))
def test_no_two_maps_have_one_name(targets, variants):
    # A word of the caption is one place: its text follows from it.
    plain = {t.word: t for t in targets if t.kind == "word" and t.against is None}
    targets = [t for t in targets if t.kind != "word" or t.against or plain[t.word] == t]
    maps = [heat_of(t, m, v) for t in targets for m in ("evidence", "grad_cam") for v in variants]
    assert len(set(map_names(maps))) == len(maps)


def test_words_keep_their_short_names():
    dark, query = Target("word", "dark", 3), Target("query", "a dark mole")
    assert map_names([heat_of(dark), heat_of(query)]) == ["evidence/3", "evidence/query: a dark mole"]
    assert name_question(Target("phrase", "dark brown", 3)) == "phrase 3: dark brown"
    assert name_question(Target("word", "dark", 3, "pale")) == "word 3: dark | pale"
    both = [heat_of(dark), heat_of(dark, variant="exact"), heat_of(query)]
    assert map_names(both)[:2] == ["evidence:plain/3", "evidence:exact/3"]
    assert map_names(both)[2] == "evidence/query: a dark mole"


def test_a_score_stays_with_its_map_when_another_variant_comes():
    case = make_case()
    first = case.maps[0]
    other = dataclasses.replace(first, variant="reference")
    every = (*case.maps[1:], other, first)
    after = dataclasses.replace(case, maps=every, scores=carry_scores(case, every))
    kept = scores_by_map(after)
    assert kept[-1]["deletion"].value == scores_by_map(case)[0]["deletion"].value
    assert kept[-1]["deletion"].of == f"grad_eclip:corrected/{first.target.word}"
    assert kept[-2] == {}
    assert sum(map(len, kept)) == sum(map(len, scores_by_map(case)))


def test_scores_of_maps_that_are_gone_go_too():
    case = make_case()
    left = carry_scores(case, case.maps[1:])
    gone = map_names(case.maps)[0]
    assert {score.of for score in case.scores} - {score.of for score in left} == {gone}
    assert [score for score in left if score.of == "caption"]


def test_finding_by_text():
    case = make_case()
    assert case.score("evidence", "BORDER", "deletion").of == "evidence/9"
    query = case.maps[-1].target.text
    assert case.score("grad_eclip", query, "insertion").verdict == "undecided"
    assert find_score(case, "grad_eclip:corrected", "border", "insertion").of == "grad_eclip/9"
    with pytest.raises(UsageError, match=r"no score 'road' for 'evidence/9'"):
        case.score("evidence", "border", "road")
    with pytest.raises(UsageError, match="no word 'hairy'"):
        case.score("evidence", "hairy", "deletion")


def test_new_scores_take_the_place_of_old_ones():
    old = [score_of("a/1"), score_of("a/2"), score_of("a/1", "insertion")]
    new = [score_of("a/1", value=0.25)]
    assert replace_scores(old, new) == (old[1], old[2], new[0])


@pytest.mark.parametrize(
    ("deletion", "insertion", "verdict"),
    [("yes", "yes", "yes"), ("no", "no", "no"), ("yes", "no", "undecided"), ("undecided", "", ""),
     ("", "yes", ""),
     ("yes", "undecided", "undecided"), ("", "", "")],
)  # fmt: skip
def test_one_word_for_a_map(deletion, insertion, verdict):
    pair = {"deletion": score_of("a/1", verdict=deletion), "insertion": score_of("a/1", verdict=insertion)}
    assert verdict_of(pair | {"road": score_of("a/1", "road", verdict="no")}) == verdict
