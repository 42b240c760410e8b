"""Every metric of the table on a model whose true attributions are known: truth is best, noise at its mean.

One photo of the toy: a square of red cells in the middle, each by another shade, among cells that are the
less red the farther down they are; the right column is called a ruler. The perfect map is what the toy's own
occlusion answers; random maps are those of the baseline under many seeds.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from dermaxai.explain import METHODS
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.maps.base import REMOVALS, Protocol
from dermaxai.measure.maps.baselines import CentredGaussian, RandomMap
from dermaxai.measure.maps.localisation import chance, chance_precision
from dermaxai.types import Target
from tests.measure.maps import toy

RED, RIVAL = Target("query", "red"), Target("query", "blue")
MANY, FEW = 200, 20
COSTLY = frozenset({"max_sensitivity", "model_randomisation", "road"})
"""Measured on `FEW` random maps."""
OF_REMOVAL = (
    "deletion",
    "insertion",
    "insertion_minus_deletion",
    "road",
    "faithfulness_correlation",
    "infidelity",
)


def colours():
    """Red inside the square, cyan outside, no two cells alike; green and blue at random."""
    drawn = toy.colours_of(4, 0.3)
    drawn[..., 0] = -0.02 - 0.1 * np.arange(36).reshape(6, 6) / 36
    drawn[1:4, 1:4, 0] = 0.5 + 0.5 * np.arange(9).reshape(3, 3)[::-1] / 9
    return drawn


@dataclass(frozen=True)
class Scene:
    """A subject, its perfect map and many random ones."""

    subject: object
    perfect: list
    random: list

    def measure(self, name):
        """(the perfect map's number, those of random maps)."""
        maps = self.random[: FEW if name in COSTLY else MANY]
        metric = MAP_METRICS.load(name)()
        found = np.array(metric.measure(self.subject, [*self.perfect, *maps]))
        assert np.isfinite(found).all()
        return found[0], found[len(self.perfect) :]


def scene(removal="tokens"):
    mask, ruler = (np.zeros((toy.SIDE, toy.SIDE), bool) for _ in range(2))
    mask[toy.PATCH : 4 * toy.PATCH, toy.PATCH : 4 * toy.PATCH] = True
    ruler[:, 5 * toy.PATCH :] = True
    subject = toy.subject_of(
        toy.photo_of(colours()),
        mask=mask,
        artefacts={"ruler": ruler},
        rivals=(RIVAL,),
        protocol=Protocol(removal=removal, steps=12, subsets=200),
    )
    chosen = [METHODS.load("occlusion")(where="input"), METHODS.load("decomposition")()]
    noise = [RandomMap(seed=seed) for seed in range(1, MANY + 1)]
    methods = {(one.name, one.variant): one for one in (*chosen, *noise, CentredGaussian())}
    object.__setattr__(subject, "methods", methods)
    answers = [one.explain(subject.model, subject.encoded, [RED])[0] for one in (*chosen, *noise)]
    return Scene(subject, answers[:2], answers[2:])


@pytest.fixture(scope="module")
def tokens():
    return scene()


BEST = {
    "pointing": 1.0,
    "energy": 1.0,
    "rank_accuracy": 1.0,
    "pixel_ap": 1.0,
    "artefact_share": 0.0,
    "faithfulness_correlation": 1.0,
    "infidelity": 0.0,
    "agreement": 1.0,
}
"""What no map can beat."""
NO_MERIT = frozenset({"sparseness", "complexity"})
NEVER_LEARNT = frozenset({"model_randomisation"})
"""What noise gets does not change with the weights: it has the worst number there is, which is 1."""
CHANGES = frozenset({"text_randomisation"})
"""Noise changes with the question as it should: this metric alone cannot tell it from a good map."""


@pytest.mark.parametrize("name", MAP_METRICS)
def test_the_truth_is_best(tokens, name):
    scale = MAP_METRICS.load(name).scale
    perfect, random = tokens.measure(name)
    if name in BEST:
        assert perfect == pytest.approx(BEST[name], abs=5e-3)
    if name in NO_MERIT:
        assert scale.better == "neither"
    elif name in CHANGES:
        assert abs(perfect) < 0.5
    else:
        assert scale.better in ("higher", "lower")
        gain = [scale.improvement(float(perfect), float(one)) for one in random]
        assert min(gain) >= 0, name
        assert np.mean(gain) > 0, name


def expectation(subject, name):
    """What a random map gets in the mean, from theory."""
    present = toy.truth(subject.image, "red").sum()
    nothing = 0.0
    known = {
        # Additive scores fall in a straight line on average.
        "deletion": (present + nothing) / 2,
        "insertion": (present + nothing) / 2,
        "insertion_minus_deletion": 0.0,
        "road": 0.0,
        "faithfulness_correlation": 0.0,
        "text_randomisation": 0.0,
        "model_randomisation": 1.0,
        "pointing": chance(subject),
        "energy": chance(subject),
        "rank_accuracy": chance(subject),
        "pixel_ap": chance_precision(subject),
        "artefact_share": 1 / 6,
        "agreement": 0.0,
        # Of uniform values: a third, times (n - 1) / n for n of them.
        "sparseness": 35 / 36 / 3,
        # ln n - ln 2 + 1/2 of uniform values, over ln n.
        "complexity": 1 + (0.5 - np.log(2)) / np.log(36),
    }
    return known.get(name)


WITHOUT_THEORY = {
    "infidelity": (0.3, 1.0),
    # Twice drawn uniform values are sqrt((1/6) / (1/3)) of their norm apart; the largest of eight is more.
    "max_sensitivity": (0.7072, 1.1),
}
"""Random maps lie between these; the mean depends on the photo."""
APPROXIMATE = {"complexity": 0.005, "sparseness": 0.005}
"""Formulas for many cells: within this of the mean."""


@pytest.mark.parametrize("name", MAP_METRICS)
def test_noise_is_at_its_expectation(tokens, name):
    _, random = tokens.measure(name)
    expected = expectation(tokens.subject, name)
    if expected is None:
        low, high = WITHOUT_THEORY[name]
        assert low < random.mean() < high
        return
    error = 3 * random.std(ddof=1) / np.sqrt(len(random)) + APPROXIMATE.get(name, 1e-9)
    assert abs(random.mean() - expected) <= error


@pytest.fixture(scope="module", params=[one for one in REMOVALS if one != "tokens"])
def filled(request):
    made = scene(request.param)
    return Scene(made.subject, made.perfect[:1], made.random[:FEW])


@pytest.mark.parametrize("name", OF_REMOVAL)
def test_the_truth_is_best_however_patches_go(filled, name):
    """Fills from neighbours mix cells, so that single random maps may come near, but not their mean."""
    scale = MAP_METRICS.load(name).scale
    perfect, random = filled.measure(name)
    gain = np.array([scale.improvement(float(perfect), float(one)) for one in random])
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(len(gain))
    assert np.quantile(gain, 0.1) > 0


def test_a_map_that_asks_no_question(tokens):
    """The Gaussian stays where it is, whatever the text and the weights are."""
    (heat,) = CentredGaussian().explain(tokens.subject.model, tokens.subject.encoded, [RED])
    for name in ("text_randomisation", "model_randomisation"):
        assert MAP_METRICS.load(name)().measure(tokens.subject, [heat]) == pytest.approx([1])
