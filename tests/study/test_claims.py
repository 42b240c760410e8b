"""Rankings whose answer is known, and every number once more in the slow and obvious way."""

import math
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.measure.estimates import Difference, difference
from dermaxai.study.claims import Comparison, judge_claim, smallest_p
from dermaxai.study.claims_text import baseline_sentences, claim_document, claim_page, sentence, summary_lines
from dermaxai.study.sections import ClaimSection
from tests.study.scenes import column, evaluation, noise

RANKING = ("a", "b", "c")


def claim(**given):
    return ClaimSection(**{"name": "tried", "ranking": RANKING, **given})


def graded(levels, metric="insertion", condition="word"):
    return [
        column(name, level + noise(place), metric, condition)
        for place, (name, level) in enumerate(levels.items())
    ]


def judged(columns, **given):
    return judge_claim(claim(**given), [("demo, drawn", evaluation(columns, 40))])


def test_a_true_ranking_is_supported():
    found = judged(graded({"a": 0.9, "b": 0.6, "c": 0.3}))
    assert found.answer == "support"
    assert [cell.verdict for cell in found.cells] == ["supported"]
    assert found.cells[0].found == ("a", "b", "c")
    assert "The data support the ranking a > b > c" in sentence(found)


def test_a_false_ranking_is_contradicted():
    found = judged(graded({"a": 0.3, "b": 0.6, "c": 0.9}))
    assert found.answer == "contradict"
    assert found.cells[0].found == ("c", "b", "a")
    assert [one.verdict for one in found.cells[0].neighbours] == ["contradicted", "contradicted"]
    assert "The data contradict the ranking" in sentence(found)


def test_what_cannot_be_told_apart_is_undecided():
    found = judged(graded({"a": 0.9, "b": 0.6, "c": 0.6}))
    assert [one.verdict for one in found.cells[0].neighbours] == ["supported", "undecided"]
    assert found.answer == "neither"
    assert "neither support nor contradict" in sentence(found)


def test_lower_is_better_where_it_is():
    levels = {"a": 0.2, "b": 0.5, "c": 0.8}
    assert judged(graded(levels, "deletion")).answer == "support"
    assert judged(graded(levels, "insertion")).answer == "contradict"


def test_metrics_that_disagree_decide_nothing():
    columns = graded({"a": 0.9, "b": 0.6, "c": 0.3}) + graded({"a": 0.9, "b": 0.6, "c": 0.3}, "deletion")
    found = judged(columns)
    assert found.counts() == {"supported": 1, "contradicted": 1, "undecided": 0}
    assert found.answer == "neither"


def test_what_has_no_better_direction_is_left_out():
    columns = graded({"a": 0.9, "b": 0.6, "c": 0.3}, "sparseness")
    found = judged(columns)
    assert found.cells == ()
    assert "could not be tested" in sentence(found)


def test_a_contestant_without_values_is_told():
    found = judged(graded({"a": 0.9, "b": 0.6}))
    assert found.cells == ()
    assert found.missing == ("demo, drawn, word, insertion: no values of c.",)


def test_metrics_that_nobody_measured_are_told():
    found = judged(graded({"a": 0.9, "b": 0.6, "c": 0.3}), metrics=("insertion", "road"))
    assert found.answer == "support"
    assert found.missing == ("road was measured nowhere.",)


def test_questions_are_families_and_outlines_conditions():
    levels = {"a": 0.9, "b": 0.6, "c": 0.3}
    columns = graded(levels) + graded(levels, "deletion", "word, measured outlines")
    columns += graded(levels, condition="query")
    found = judged(columns, conditions=("word",))
    assert [(cell.question, cell.condition) for cell in found.cells] == [
        ("word", "word"), ("word", "word, measured outlines"),
    ]  # fmt: skip
    raw = [one.difference.p for cell in found.cells for one in cell.neighbours]
    adjusted = [one.adjusted for cell in found.cells for one in cell.neighbours]
    np.testing.assert_allclose(adjusted, slow_holm(raw), atol=1e-9)
    assert len(raw) == 4


def test_not_better_than_a_random_map_is_said():
    columns = graded({"a": 0.9, "b": 0.5, "c": 0.3})
    columns.append(column("random map", 0.5 + noise(9), is_baseline=True))
    found = judged(columns)
    told = baseline_sentences(found)
    assert told == [
        "a is better than the random map in all of 1 combinations.",
        "b is not better than the random map in any of 1 combinations.",
        "c is not better than the random map in any of 1 combinations, and worse in 1.",
    ]
    page = "\n".join(claim_page(found))
    assert page.count("beats no baseline") == 2
    assert all(line in page for line in told)
    assert all(any(line in said for said in summary_lines(found)) for line in told)


def test_photos_too_few_for_any_answer_are_told():
    columns = [
        column(name, level + noise(place, 4))
        for place, (name, level) in enumerate(zip("abc", (9, 6, 3), strict=True))
    ]
    found = judge_claim(claim(), [("demo, drawn", evaluation(columns, 4))])
    assert found.answer == "neither"
    assert "take more photos or fewer metrics" in "\n".join(claim_page(found))
    assert smallest_p(2, 4) > 0.05 > smallest_p(2, 7)


def test_the_document_is_json_without_nan():
    import json

    columns = graded({"a": 0.9, "b": math.nan, "c": 0.3})
    found = judged(columns)
    assert (
        json.loads(json.dumps(claim_document(found), allow_nan=False))["cells"][0]["verdict"] == "undecided"
    )
    assert found.cells[0].found == ("a", "c")


VALUES = st.lists(
    st.lists(
        st.floats(-1, 1).map(lambda value: round(value, 3)) | st.just(math.nan), min_size=12, max_size=12
    ),
    min_size=3,
    max_size=3,
)


@given(VALUES, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.booleans())
def test_every_number_once_more(values, clusters, lower):
    """Difference, p, Holm and verdict by loops."""
    metric = "deletion" if lower else "insertion"
    columns = [column(name, own, metric) for name, own in zip(RANKING, values, strict=True)]
    names = [f"cluster {number}" for number in clusters]
    (cell,) = judge_claim(claim(), [("x", evaluation(columns, 12, names))]).cells
    expected = {
        pair: slow_difference(values[pair[0]], values[pair[1]], names) for pair in combinations(range(3), 2)
    }
    for given_pairs, wanted in ((cell.neighbours, [(0, 1), (1, 2)]), (cell.others, [(0, 2)])):
        adjusted = slow_holm([expected[pair][1] for pair in wanted])
        for one, pair, p in zip(given_pairs, wanted, adjusted, strict=True):
            value, raw = expected[pair]
            assert (one.better, one.worse) == (RANKING[pair[0]], RANKING[pair[1]])
            np.testing.assert_allclose([one.difference.value, one.difference.p], [value, raw], atol=1e-9)
            np.testing.assert_allclose(one.adjusted, p, atol=1e-9)
            ahead = -value if lower else value
            wanted_verdict = "undecided"
            if p < 0.05 and ahead:
                wanted_verdict = "supported" if ahead > 0 else "contradicted"
            assert one.verdict == wanted_verdict


def slow_difference(first, second, clusters):
    """Over photos with both values, put together by hand."""
    pairs = [
        (name, a, b)
        for name, a, b in zip(clusters, first, second, strict=True)
        if not math.isnan(a) and not math.isnan(b)
    ]
    if not pairs:
        return math.nan, math.nan
    value = sum(a for _, a, _ in pairs) / len(pairs) - sum(b for _, _, b in pairs) / len(pairs)
    order = list(dict.fromkeys(name for name, _, _ in pairs))
    numbers = np.array([order.index(name) for name, _, _ in pairs])
    ours, theirs = (np.array([[pair[place], 1.0] for pair in pairs]) for place in (1, 2))
    return value, difference(ours, theirs, clusters=numbers).p


def slow_holm(values):
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    found, largest = [math.nan] * len(values), 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        found[place] = largest
    return found


def test_no_difference_at_all_is_no_support():
    same = Comparison("a", "b", Difference(0.0, 0.0, 0.0, 0.001, 9), 0.0, 0.001)
    assert same.verdict == "undecided"
