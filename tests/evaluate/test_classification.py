import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from dermaxai.errors import ShapeError
from dermaxai.evaluate.classification import (
    MEAN_AUROC,
    MEAN_RECALL,
    Classified,
    auroc_parts,
    aurocs,
    classification_columns,
    concept_columns,
    recall_parts,
)
from dermaxai.measure.estimates import estimate, evaluate_all


def slow_auroc(scores, truth):
    """Share of all pairs of a true and a false row that are ordered rightly."""
    true = [score for score, answer in zip(scores, truth, strict=True) if answer == 1]
    false = [score for score, answer in zip(scores, truth, strict=True) if answer == 0]
    if not true or not false:
        return float("nan")
    wins = [1.0 if one > other else 0.5 if one == other else 0.0 for one in true for other in false]
    return sum(wins) / len(wins)


SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 4))


@given(st.data())
def test_areas_are_those_of_all_pairs(data):
    shape = data.draw(SHAPES)
    few = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 2.0])
    scores = data.draw(arrays.arrays(float, shape, elements=few))
    truth = data.draw(arrays.arrays(float, shape, elements=st.sampled_from([0.0, 1.0, np.nan])))
    expected = [slow_auroc(scores[:, one], truth[:, one]) for one in range(shape[1])]
    np.testing.assert_allclose(aurocs(scores, truth), expected, atol=1e-12)
    known = [one for one in expected if not np.isnan(one)]
    mean = evaluate_all(auroc_parts(scores, truth), MEAN_AUROC)
    np.testing.assert_allclose(mean, np.mean(known) if known else np.nan, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_present(pairs):
    labels, answers = (np.array(one) for one in zip(*pairs, strict=True))
    recalls = [(answers[labels == label] == label).mean() for label in set(labels.tolist())]
    found = evaluate_all(recall_parts(answers == labels, labels, 4), MEAN_RECALL)
    assert found == pytest.approx(np.mean(recalls))


@pytest.fixture
def classified():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 4, 60)
    scores = generator.normal(size=(60, 4)) + 1.2 * np.eye(4)[labels]
    return Classified(tuple(f"photo {one}" for one in range(60)), scores, labels, ("a", "b", "c", "d"))


def test_columns_agree_with_scikit_learn(classified):
    columns = {one.scale.name: one for one in classification_columns("model", "set", classified)}
    value = {name: evaluate_all(one.parts, one.statistic) for name, one in columns.items()}
    labels, answers = classified.labels, classified.scores.argmax(1)
    shares = np.exp(classified.scores) / np.exp(classified.scores).sum(1, keepdims=True)
    assert value["accuracy"] == pytest.approx((labels == answers).mean())
    assert value["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, answers))
    areas = [roc_auc_score(labels == one, classified.scores[:, one]) for one in range(4)]
    assert value["auroc"] == pytest.approx(np.mean(areas))
    one_against_rest = roc_auc_score(labels, shares, multi_class="ovr")
    by_shares = Classified(classified.rows, shares, labels, classified.classes)
    again = {one.scale.name: one for one in classification_columns("model", "set", by_shares)}
    assert evaluate_all(again["auroc"].parts, MEAN_AUROC) == pytest.approx(one_against_rest)
    third = np.sort(classified.scores, axis=1)[:, -3]
    assert value["top_3"] == pytest.approx((classified.scores[range(60), labels] >= third).mean())
    assert value["recall_b"] == pytest.approx((answers[labels == 1] == 1).mean())
    assert "top_5" not in value


def test_recalls_count_the_photos_of_their_class(classified):
    columns = {one.scale.name: one for one in classification_columns("model", "set", classified)}
    assert estimate(columns["recall_c"].parts).n == (classified.labels == 2).sum()


def test_baselines_have_no_recalls(classified):
    names = {one.scale.name for one in classification_columns("b", "set", classified, is_baseline=True)}
    assert names == {"accuracy", "balanced_accuracy", "auroc"}


def test_what_does_not_fit_is_refused(classified):
    with pytest.raises(ShapeError, match="60 photos and 3 classes"):
        Classified(classified.rows, classified.scores, classified.labels, ("a", "b", "c"))


def test_concepts_have_a_mean_and_one_column_each():
    generator = np.random.default_rng(2)
    truth = {"crust": np.array([1.0, 0, np.nan, 1, 0, 0]), "ulcer": np.array([0.0, 1, 1, 0, 0, np.nan])}
    detected = {name: (generator.normal(size=6), known) for name, known in truth.items()}
    mean, *each = concept_columns("model", "set", list("abcdef"), detected)
    expected = [slow_auroc(*detected[name]) for name in truth]
    assert evaluate_all(mean.parts, mean.statistic) == pytest.approx(np.mean(expected))
    assert [evaluate_all(one.parts, one.statistic) for one in each] == pytest.approx(expected)
    assert each[0].rows == ("a", "b", "d", "e", "f")
    assert [one.scale.name for one in each] == ["auroc_crust", "auroc_ulcer"]
    assert concept_columns("model", "set", list("abcdef"), {}) == []


def test_the_interval_holds_the_true_area():
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, (400, 1)).astype(float)
    scores = generator.normal(size=(400, 1)) + truth
    found = estimate(auroc_parts(scores, truth), MEAN_AUROC)
    assert found.low < 0.7602 < found.high  # Of two normals, one standard deviation apart: Phi(1 / sqrt 2).
    assert found.high - found.low < 0.12
