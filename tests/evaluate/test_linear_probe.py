import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dermaxai.errors import ShapeError, UsageError
from dermaxai.evaluate.linear_probe import STRENGTHS, Training, draw_share, fit_probe, learn


def mixture(count=150, classes=3, embed=6, noise=1.5, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, embed))
    labels = generator.integers(0, classes, count)
    return centres[labels] + noise * generator.normal(size=(count, embed)), labels


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_the_minimum_is_that_of_scikit_learn(strength):
    images, labels = mixture()
    probe = fit_probe(images, labels, 3, strength)
    scaled = StandardScaler().fit(images)
    peer = LogisticRegression(C=1 / strength, tol=1e-8, max_iter=5000).fit(scaled.transform(images), labels)
    fresh = mixture(seed=1)[0]
    np.testing.assert_allclose(
        np.exp(probe.log_shares(fresh)), peer.predict_proba(scaled.transform(fresh)), atol=2e-4
    )
    np.testing.assert_allclose(probe.weights - probe.weights.mean(1, keepdims=True),
                               peer.coef_.T - peer.coef_.T.mean(1, keepdims=True), atol=2e-3)  # fmt: skip


def test_the_gradient_is_zero_where_it_stops():
    images, labels = mixture()
    probe = fit_probe(images, labels, 3, 0.5)
    points = (images - images.mean(0)) / images.std(0)

    def loss(weights):
        logits = points @ weights + probe.bias
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return -logs[range(len(labels)), labels].sum() + 0.25 * (weights**2).sum()

    step = 1e-4
    for place in [(0, 0), (3, 2), (5, 1)]:
        up, down = probe.weights.copy(), probe.weights.copy()
        up[place] += step
        down[place] -= step
        assert abs(loss(up) - loss(down)) / (2 * step) < 1e-3


def test_the_same_numbers_twice():
    images, labels = mixture()
    one, other = (learn(Training(images, labels, [str(x) for x in range(150)]), 3, 4) for _ in range(2))
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.strength == other.strength


def test_constant_dimensions_and_missing_classes_do_no_harm():
    images, labels = mixture()
    images[:, 2] = 7.0
    probe = fit_probe(images, labels, 5, 1.0)
    shares = np.exp(probe.log_shares(images))
    assert np.isfinite(shares).all()
    assert shares[:, 3:].max() < 0.01


def test_noise_asks_for_a_stronger_penalty():
    generator = np.random.default_rng(0)
    images, labels = generator.normal(size=(120, 40)), generator.integers(0, 2, 120)
    clusters = [str(one) for one in range(120)]
    noise = learn(Training(images, labels, clusters), 2)
    images[:, 0] += 8.0 * labels
    clear = learn(Training(images, labels, clusters), 2)
    assert noise.strength > clear.strength


def test_one_photo_per_class_is_learned_from_without_a_choice():
    training = Training(np.eye(3), np.arange(3), list("abc"))
    assert learn(training, 3).strength == STRENGTHS[len(STRENGTHS) // 2]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="3 embeddings and 2 labels"):
        fit_probe(np.eye(3), np.arange(2), 3, 1.0)
    with pytest.raises(UsageError, match="above 0 and up to 1"):
        draw_share(Training(np.eye(3), np.arange(3), list("abc")), 0.0, 0)


@given(st.integers(0, 50), st.integers(1, 60), st.sampled_from([0.01, 0.1, 0.5, 1.0]))
def test_shares_hold_whole_clusters_and_every_class(seed, count, share):
    generator = np.random.default_rng(seed)
    clusters = [f"c{one}" for one in generator.integers(0, max(1, count // 2), count)]
    labels = generator.integers(0, 3, count)
    training = Training(np.zeros((count, 1)), labels, clusters)
    taken = draw_share(training, share, seed)
    for name in set(clusters):
        own = taken[[one == name for one in clusters]]
        assert own.all() or not own.any()
    for label in set(labels.tolist()):
        assert taken[labels == label].sum() >= max(1, share * (labels == label).sum() - 1e-6)
    assert (draw_share(training, 1.0, seed) >= taken).all()


def test_a_share_is_no_larger_than_its_clusters_force():
    labels = np.repeat([0, 1], [900, 100])
    training = Training(np.zeros((1000, 1)), labels, [str(one) for one in range(1000)])
    taken = draw_share(training, 0.1, 3)
    assert taken[labels == 0].sum() == 90
    assert taken[labels == 1].sum() == 10
    assert (draw_share(training, 0.01, 3) <= taken).all()
    assert (draw_share(training, 0.1, 4) != taken).any()
