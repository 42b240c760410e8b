"""What holds for every metric that removes patches, on every kind of tower and for both kinds of question."""

import numpy as np
import pytest

from dermaxai.errors import NotSupported
from dermaxai.explain.base import Explained
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.measure.maps.base import REMOVALS, AbstractMapMetric, Protocol, Subject
from dermaxai.types import Target
from tests.explain.snapshot import snapshot
from tests.measure.maps.test_deletion import heat_of
from tests.measure.maps.test_probe import NO_PHOTO, QUERIES

NAMES = (
    "deletion",
    "insertion",
    "insertion_minus_deletion",
    "road",
    "faithfulness_correlation",
    "infidelity",
)
QUICK = {"steps": 4, "random_maps": 2, "subsets": 8}


@pytest.mark.parametrize("name", NAMES)
def test_scales(name):
    kind = MAP_METRICS.load(name)
    assert issubclass(kind, AbstractMapMetric)
    assert kind.scale.name == name
    assert kind.scale.better == ("lower" if name in ("deletion", "infidelity") else "higher")
    assert "arXiv:" in kind.scale.source
    assert kind.scale.low < kind.scale.high
    assert kind.needs == frozenset()


def check(name, subject, maps):
    metric = MAP_METRICS.load(name)()
    values = metric.measure(subject, maps)
    assert len(values) == len(maps)
    assert all(type(value) is float for value in values)
    scale = metric.scale
    assert all(scale.low <= value <= scale.high for value in values), values
    fresh = Subject(
        Explained(subject.model.encoder, subject.model.captioner, subject.model.caption),
        subject.encoded,
        NO_PHOTO,
        subject.protocol,
    )
    assert metric.measure(fresh, maps) == values
    backwards = metric.measure(fresh, maps[::-1])
    np.testing.assert_allclose(backwards[::-1], values, atol=1e-5)
    assert metric.measure(subject, []) == []
    return values


# ROAD has a removal of its own, so that once is enough.
@pytest.mark.parametrize(
    ("name", "removal"),
    [(name, way) for name in NAMES for way in REMOVALS if name != "road" or way == "blur"],
)
def test_similarity_on_every_tower(tower, name, removal):
    encoder, encoded = tower
    maps = [heat_of(encoded, target) for target in QUERIES]
    maps.append(heat_of(encoded, QUERIES[0], -maps[0].values))
    held = [heat.values.copy() for heat in maps]
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(removal=removal, **QUICK))
    before = snapshot(encoder.module)
    values = check(name, subject, maps)
    assert len(set(values)) > 1
    assert snapshot(encoder.module) == before
    assert all((heat.values == one).all() for heat, one in zip(maps, held, strict=True))


@pytest.mark.parametrize("passes", ["model", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_words_and_similarity_together(model, photos, name, passes):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    last = len(caption.words) - 1
    targets = [
        Target("word", caption.words[1].text, 1),
        Target("phrase", caption.text[caption.words[1].start : caption.words[2].stop], 1),
        Target("word", caption.words[last].text, last, "nodule"),
        Target("caption", caption.text),
        QUERIES[0],
    ]
    maps = [heat_of(encoded, target) for target in targets]
    explained = Explained(model.encoder, model.captioner, caption)
    subject = Subject(explained, encoded, NO_PHOTO, Protocol(passes=passes, **QUICK))
    before = snapshot(model.encoder.module, model.captioner)
    check(name, subject, maps)
    assert snapshot(model.encoder.module, model.captioner) == before


@pytest.mark.parametrize("name", NAMES)
def test_words_need_a_caption(tower, name):
    encoder, encoded = tower
    subject = Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(**QUICK))
    with pytest.raises(NotSupported, match="no caption"):
        MAP_METRICS.load(name)().measure(subject, [heat_of(encoded, Target("word", "lesion", 0))])
