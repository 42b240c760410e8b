"""What holds for every map metric of the table, on every kind of tower and for both kinds of question."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dermaxai.errors import DermaXAIError, NotSupported
from dermaxai.explain import METHODS
from dermaxai.explain.base import Explained
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.maps.artefacts import artefact_area
from dermaxai.measure.maps.base import AbstractMapMetric, Protocol, Subject
from dermaxai.measure.maps.baselines import CentredGaussian
from dermaxai.measure.maps.localisation import chance
from dermaxai.types import Target
from tests.encoders import tiny
from tests.explain.snapshot import snapshot

NAMES = list(MAP_METRICS)
SMALL = Protocol(steps=4, random_maps=2, subsets=8, noisy_photos=2)
QUERIES = [
    Target("query", "a dark mole"),
    Target("concept", "skin"),
    Target("query", "raised", against="skin"),
]
pytestmark = pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")


def outlined(image):
    """A disc, and a strip of hair at the left."""
    height, width = image.pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    mask = np.hypot(rows - height / 2, columns - width / 2) < height / 4
    hair = columns < width / 3
    return {"mask": mask, "artefacts": {"hair": hair}}


def subject_of(encoder, image, methods, **model):
    known = {(one.name, one.variant): one for one in methods}
    encoded = encoder.encode([image])[0]
    return Subject(
        Explained(encoder, **model), encoded, image, protocol=SMALL, methods=known, **outlined(image)
    )


def answers(subject, targets):
    return [
        heat
        for method in subject.methods.values()
        if method.answers >= {target.kind for target in targets}
        for heat in method.explain(subject.model, subject.encoded, targets)
    ]


def fresh(subject):
    """The same, with nothing remembered."""
    model = subject.model
    return replace(
        subject,
        model=Explained(model.encoder, model.captioner, model.caption, model.mean_patches),
        encoded=replace(subject.encoded),
    )


@pytest.fixture(scope="module")
def similarity(tower):
    """(subject, maps of three questions by two methods and a baseline)."""
    encoder, _ = tower
    methods = [METHODS.load("grad_eclip")(), METHODS.load("occlusion")(), CentredGaussian()]
    subject = subject_of(encoder, tiny.photo(90, 120), methods)
    return subject, answers(subject, QUERIES)


@pytest.fixture(scope="module")
def words(model, photos):
    """The same of words of a caption."""
    image = model.read(photos[0])
    caption = model.captioner.describe(model.encoder.encode([image])[0], "en")[0]
    methods = [METHODS.load("evidence")(), METHODS.load("occlusion")(), CentredGaussian()]
    subject = subject_of(model.encoder, image, methods, captioner=model.captioner, caption=caption)
    targets = [Target("word", word.text, index) for index, word in enumerate(caption.words)][1:3]
    return subject, answers(subject, targets)


def same(one, other, tolerance=0.0):
    return all(
        math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(a) and math.isnan(b))
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_scales_say_what_a_number_means(name):
    metric = MAP_METRICS.load(name)
    scale = metric.scale
    assert issubclass(metric, AbstractMapMetric)
    assert metric.__final__
    assert scale.name == name
    assert scale.title
    assert scale.unit
    assert scale.source
    assert scale.better in ("higher", "lower", "neither")
    assert scale.low < scale.high
    assert metric.needs <= {"mask", "artefacts", "method", "other maps"}
    assert "Source:" in metric.__doc__


def check(name, subject, maps):
    metric, scale = MAP_METRICS.load(name)(), MAP_METRICS.load(name).scale
    modules = [one for one in (subject.model.encoder.module, subject.model.captioner) if one is not None]
    before = snapshot(*modules)
    bytes_before = (
        [heat.values.tobytes() for heat in maps],
        subject.mask.tobytes(),
        subject.image.pixels.tobytes(),
    )
    found = metric.measure(subject, maps)
    assert len(found) == len(maps)
    assert all(isinstance(value, float) for value in found)
    assert not all(math.isnan(value) for value in found)
    assert all(math.isnan(value) or scale.low <= value <= scale.high for value in found)
    assert same(metric.measure(fresh(subject), maps), found)
    if name != "agreement":
        alone = [metric.measure(fresh(subject), [heat])[0] for heat in (maps[0], maps[-1])]
        assert same(alone, [found[0], found[-1]], 1e-4)
        assert same(metric.measure(fresh(subject), maps[::-1])[::-1], found, 1e-4)
    assert snapshot(*modules) == before
    after = [heat.values.tobytes() for heat in maps], subject.mask.tobytes(), subject.image.pixels.tobytes()
    assert after == bytes_before
    assert metric.measure(subject, []) == []


@pytest.mark.parametrize("name", NAMES)
def test_questions_of_similarity(similarity, name):
    check(name, *similarity)


@pytest.mark.parametrize("name", NAMES)
def test_questions_about_words(words, name):
    check(name, *words)


@pytest.mark.parametrize("name", NAMES)
def test_constant_maps(words, name):
    """A map that says nothing: an order drawn by lot, chance, the end of a scale, or no number."""
    subject, maps = words
    flat = [replace(maps[0], values=np.full_like(maps[0].values, value)) for value in (1, 0, -1)]
    found = MAP_METRICS.load(name)().measure(subject, flat)
    share = chance(subject)
    known = {
        "pointing": [share, 0, 0],
        "energy": [share, np.nan, np.nan],
        "rank_accuracy": [share] * 3,
        "pixel_ap": [share] * 3,
        "artefact_share": [artefact_area(subject)["together"], np.nan, np.nan],
        "sparseness": [0, np.nan, 0],
        "complexity": [1, np.nan, 1],
        **dict.fromkeys(
            (
                "agreement",
                "faithfulness_correlation",
                "infidelity",
                "model_randomisation",
                "text_randomisation",
            ),
            [np.nan] * 3,
        ),
    }
    if name in known:
        assert found == pytest.approx(known[name], nan_ok=True)
    elif name == "max_sensitivity":
        assert found[0] > 0
        assert math.isnan(found[1])
    else:
        assert same(found, [found[0]] * 3, 1e-6)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_maps_that_hold_no_numbers_are_refused(words, name, value):
    subject, maps = words
    values = maps[0].values.copy()
    values[1, 1] = value
    with pytest.raises(DermaXAIError, match="number"):
        MAP_METRICS.load(name)().measure(subject, [maps[1], replace(maps[0], values=values)])


@pytest.mark.parametrize("name", [name for name in NAMES if "mask" in MAP_METRICS.load(name).needs])
def test_a_mask_is_needed(words, name):
    subject, maps = words
    with pytest.raises(NotSupported):
        MAP_METRICS.load(name)().measure(replace(subject, mask=None), maps)
    empty = replace(subject, mask=np.zeros_like(subject.mask))
    assert all(math.isnan(value) for value in MAP_METRICS.load(name)().measure(empty, maps))


@pytest.mark.parametrize("name", [name for name in NAMES if "method" in MAP_METRICS.load(name).needs])
def test_methods_are_needed(words, name):
    subject, maps = words
    with pytest.raises(NotSupported):
        MAP_METRICS.load(name)().measure(replace(subject, methods={}), maps)


@pytest.mark.parametrize("name", [name for name in NAMES if not MAP_METRICS.load(name).needs])
def test_others_need_photo_and_maps_only(words, name):
    subject, maps = words
    bare = replace(subject, methods={}, mask=None, artefacts=None)
    assert same(
        MAP_METRICS.load(name)().measure(bare, maps), MAP_METRICS.load(name)().measure(subject, maps), 1e-6
    )
