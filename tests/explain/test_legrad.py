"""LeGrad against the published numbers and against autograd block by block, for every kind of pooling."""

from dataclasses import replace

import pytest
import torch

from dermaxai.encoders.tail import unit_length
from dermaxai.errors import SettingError
from dermaxai.explain import blocks as blocks_module
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.legrad import LeGrad
from dermaxai.types import Target
from tests.explain.snapshot import snapshot
from tests.explain.whole_tower import (
    PHOTOS,
    QUERIES,
    TARGETS,
    distance,
    golden,
    golden_photo,
    gradients,
    whole,
)


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
def test_equals_the_published_code(clip, photo):
    """Its maps were made with an old open_clip, in which the code explains the network as it is."""
    encoded = golden_photo(photo)
    for method, prefix in ((LeGrad.of_variant("reference"), "last2"), (LeGrad(), "all")):
        found = method.explain(Explained(clip), encoded, QUERIES)
        for text, heat in enumerate(found):
            wanted = golden(photo, text, "legrad")
            assert distance(wanted[f"emb_wrapped_{prefix}"], wanted["emb_plain"]) < 1e-5
            upsampled = torch.nn.functional.interpolate(
                torch.from_numpy(heat.values)[None, None], scale_factor=16, mode="bilinear"
            )
            assert distance(upsampled[0, 0], wanted[f"{prefix}_raw_upsampled_sum"]) < 1e-4


def plainly(encoder, encoded, target, start):
    """The formula, autograd through each block."""
    tower, direction = encoder.tower, text_directions(encoder, [target])[0]
    opened, _ = whole(encoder, encoded)
    total = 0
    for block in opened[start:]:
        read = block.tokens.mean(1, keepdim=True) if tower.pooling == "class" else block.tokens
        result = tower.read_out(read)
        node = block.attention if result.map is None else result.map.attention
        (gradient,) = gradients(unit_length(result.embedding)[0] @ direction, [node])
        total = total + gradient[0].relu().mean((0, 1))
    return total[tower.first_patch :].reshape(encoded.grid)


@pytest.mark.parametrize("start", [0, -2, 2])
def test_is_the_formula_block_by_block(tower, start):
    encoder, encoded = tower
    found = LeGrad(start=start).explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(found, TARGETS, strict=True):
        wanted = plainly(encoder, encoded, replace(target, against=None), start)
        if target.against:
            wanted = wanted - plainly(encoder, encoded, Target(target.kind, target.against), start)
        assert distance(heat.values, wanted) < 1e-4
        assert target.against or (heat.values >= 0).all()
        assert heat.scalar.endswith(" difference") == bool(target.against)
    assert distance(found[0].values, found[1].values) > 1e-2


def test_layers_are_named(tower):
    encoder, encoded = tower
    names = [LeGrad(start=start).explain(Explained(encoder), encoded, TARGETS)[0].layer for start in (0, -1)]
    if encoder.tower.pooling == "map":
        wanted = [f"attention of the pooling, after {blocks} of 3" for blocks in ("blocks 1 to 3", "block 3")]
    else:
        wanted = ["attention of blocks 1 to 3 of 3", "attention of block 3 of 3"]
    assert names == wanted


def test_one_by_one_is_the_same_as_together(tower, monkeypatch):
    encoder, encoded = tower
    together = LeGrad().explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(together, TARGETS, strict=True):
        (alone,) = LeGrad().explain(Explained(encoder), encoded, [target])
        assert distance(heat.values, alone.values) < 1e-4
        assert heat.values.shape == encoded.grid
    monkeypatch.setattr(blocks_module, "AT_ONCE", 1)
    monkeypatch.setattr(blocks_module, "SHARED_BLOCKS", 1)
    for heat, turn in zip(together, LeGrad().explain(Explained(encoder), encoded, TARGETS), strict=True):
        assert distance(heat.values, turn.values) < 1e-4


def test_the_same_texts_against_each_other_say_nothing(tower):
    encoder, encoded = tower
    (heat,) = LeGrad().explain(Explained(encoder), encoded, [Target("query", "skin", against="skin")])
    assert (heat.values == 0).all()


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    with torch.inference_mode():
        LeGrad().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.legrad.gradients_at", fail)
    with pytest.raises(ZeroDivisionError):
        LeGrad().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before


def fail(*_, **__):
    raise ZeroDivisionError


def test_variants_are_named(tower):
    encoder, encoded = tower
    assert [LeGrad.of_variant(name).variant for name in LeGrad.variants] == list(LeGrad.variants)
    assert LeGrad().variant == "all blocks"
    assert LeGrad(start=-4).variant == "last 4 blocks"
    with pytest.raises(SettingError, match="numbered 0 to 2"):
        LeGrad(start=3).explain(Explained(encoder), encoded, TARGETS)
