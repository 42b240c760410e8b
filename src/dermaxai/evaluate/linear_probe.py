"""What a linear classifier reads off frozen embeddings: multinomial logistic regression by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

from dermaxai.errors import ShapeError, UsageError

SHARES = (0.01, 0.1, 1.0)
"""Of the training photos."""
STRENGTHS = tuple(float(10.0**power) for power in range(-3, 5))
"""Weights of the L2 penalty that are tried, on standardised embeddings, for a loss summed over photos."""
VALIDATION = 0.2
"""Share of the training photos that chooses the strength."""
ITERATIONS = 1000
TOLERANCE = 1e-7
"""Of the gradient of the mean loss, its largest element."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A fitted classifier; it standardises embeddings by what it was fitted on."""

    weights: Float[np.ndarray, "embed classes"]
    bias: Float[np.ndarray, "classes"]
    mean: Float[np.ndarray, "embed"]
    spread: Float[np.ndarray, "embed"]
    strength: float

    def log_shares(self, images: Float[np.ndarray, "photos embed"]) -> Float[np.ndarray, "photos classes"]:
        """Log-probability of every class, nats."""
        found: Float[np.ndarray, "photos classes"] = log_softmax(
            (images - self.mean) / self.spread @ self.weights + self.bias, axis=1
        )
        return found


def fit_probe(
    images: Float[np.ndarray, "photos embed"],
    labels: Int[np.ndarray, "photos"],
    classes: int,
    strength: float,
) -> Probe:
    """The minimum of sum of cross-entropy + strength / 2 * ||weights||², the bias being free.

    Embeddings are brought to mean 0 and standard deviation 1 first. A class without a photo gets the bias
    that its absence asks for. Raises: ShapeError.
    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.4; L-BFGS-B of scipy.
    """
    if len(images) != len(labels) or not len(images):
        raise ShapeError(f"{len(images)} embeddings and {len(labels)} labels cannot be fitted.")
    points = np.asarray(images, np.float64)
    mean, spread = points.mean(0), points.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    points = (points - mean) / spread
    truth = np.eye(classes)[labels]
    embed = points.shape[1]

    def loss(flat: Float[np.ndarray, "parameters"]) -> tuple[float, Float[np.ndarray, "parameters"]]:
        table = flat.reshape(embed + 1, classes)
        logs = log_softmax(points @ table[:-1] + table[-1], axis=1)
        wrong = np.exp(logs) - truth
        slope = np.concatenate([points.T @ wrong + strength * table[:-1], wrong.sum(0)[None]])
        penalty = strength / 2 * float((table[:-1] ** 2).sum())
        value = (penalty - float((logs * truth).sum())) / len(points)
        return value, slope.ravel() / len(points)

    # Starting at the logarithms of the shares of the classes, so that rare ones need no steps of their own.
    start = np.zeros((embed + 1, classes))
    start[-1] = np.log((truth.sum(0) + 0.5) / len(points))
    options = {"maxiter": ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-14, "maxcor": 20}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    table = found.x.reshape(embed + 1, classes)
    return Probe(table[:-1], table[-1], mean, spread, strength)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Embeddings to learn from."""

    images: Float[np.ndarray, "photos embed"]
    labels: Int[np.ndarray, "photos"]
    clusters: Sequence[str]
    """Photos of one lesion or patient share it, and are never on both sides of the choice of strength."""

    def part(self, chosen: Bool[np.ndarray, "photos"]) -> Training:
        """Some of its photos."""
        kept = [one for one, use in zip(self.clusters, chosen, strict=True) if use]
        return Training(self.images[chosen], self.labels[chosen], kept)


def learn(training: Training, classes: int, seed: int = 0, strengths: Sequence[float] = STRENGTHS) -> Probe:
    """The probe of the strength that has the smallest cross-entropy on a part of the training photos.

    It is fitted on all of them afterwards. The part is drawn with the seed, whole clusters, a `VALIDATION`
    share of each class that leaves something to learn from; where none does, the middle strength is taken.
    """
    held = _held_out(training, seed)
    own, other = training.part(~held), training.part(held)
    chosen = sorted(strengths)[len(strengths) // 2]
    if len(other.labels) and len(strengths) > 1:
        probes = (fit_probe(own.images, own.labels, classes, one) for one in strengths)
        losses = [_cross_entropy(probe, other) for probe in probes]
        chosen = strengths[int(np.argmin(losses))]
    return fit_probe(training.images, training.labels, classes, chosen)


def _held_out(training: Training, seed: int) -> Bool[np.ndarray, "photos"]:
    held = draw_share(training, VALIDATION, seed)
    names = np.asarray(training.clusters)
    for label in np.unique(training.labels):
        own = training.labels == label
        if held[own].all():
            held &= ~np.isin(names, names[own])
    return held


def _cross_entropy(probe: Probe, held: Training) -> float:
    logs = probe.log_shares(held.images)
    return float(-logs[np.arange(len(held.labels)), held.labels].mean())


def draw_share(training: Training, share: float, seed: int) -> Bool[np.ndarray, "photos"]:
    """Which photos belong to a share of each class, at least one photo of each, in whole clusters.

    Clusters are put in an order that depends on the seed and their names alone, and taken until each class
    has its share; a smaller share is a part of a larger one. Raises: UsageError for a share not in (0, 1].
    """
    if not 0 < share <= 1:
        raise UsageError(f"A share of the training photos is above 0 and up to 1, not {share}.")
    names, group = np.unique(np.asarray(training.clusters), return_inverse=True)
    order = np.random.default_rng([seed, len(names)]).permutation(len(names))
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    taken = np.zeros(len(names), bool)
    for label in np.unique(training.labels):
        own = np.flatnonzero(training.labels == label)
        wanted = max(1, int(np.ceil(share * len(own) - 1e-9)))
        nearest = own[np.argsort(place[group[own]], kind="stable")]
        taken[group[nearest[:wanted]]] = True
    return np.asarray(taken[group])
