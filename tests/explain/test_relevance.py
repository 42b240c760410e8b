"""Chefer's relevance against the published numbers and against one matrix per block, for every pooling."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain import blocks as blocks_module
from dermaxai.explain.base import Explained
from dermaxai.explain.legrad import LeGrad
from dermaxai.explain.relevance import Relevance
from dermaxai.explain.rollout import Rollout
from dermaxai.types import Target
from tests.encoders import tiny
from tests.explain.snapshot import snapshot
from tests.explain.whole_tower import (
    PHOTOS,
    QUERIES,
    TARGETS,
    distance,
    golden,
    golden_photo,
    gradients,
    scores,
    token_shares,
    whole,
)


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
def test_equals_the_published_code(clip, photo):
    encoded = golden_photo(photo)
    for method, prefix in ((Relevance.of_variant("reference"), "last"), (Relevance(start=0), "all")):
        found = method.explain(Explained(clip), encoded, QUERIES)
        for text, heat in enumerate(found):
            wanted = golden(photo, text, "chefer")
            assert distance(heat.values, wanted[f"{prefix}_image_relevance"]) < 1e-4
            assert heat.scalar == "logit(13.45)"
    assert found[0].layer == "attention of blocks 1 to 6 of 6"


def plainly(encoder, encoded, target, start):
    """Equations 5 and 6 with whole matrices, autograd through everything."""
    opened, result = whole(encoder, encoded)
    logit = scores(encoder, result, [target])[0] * encoder.logit_scale
    nodes = [block.attention for block in opened] + ([result.map.attention] if result.map else [])
    positive = [
        (node * gradient).relu()[0].mean(0).detach().double()
        for node, gradient in zip(nodes, gradients(logit, nodes), strict=True)
    ]
    one = torch.eye(nodes[0].shape[-1], dtype=torch.float64)
    relevance = one
    for number in range(len(opened))[start:]:
        relevance = relevance + positive[number] @ relevance
    if result.map:
        row = positive[-1][0] @ relevance
    else:
        row = token_shares(encoder, opened).double() @ (relevance - one)
    return row[encoder.tower.first_patch :].reshape(encoded.grid)


@pytest.mark.parametrize("start", [0, 1, -1])
def test_is_the_rule_with_whole_matrices(tower, start):
    encoder, encoded = tower
    found = Relevance(start=start).explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(found, TARGETS, strict=True):
        wanted = plainly(encoder, encoded, replace(target, against=None), start)
        if target.against:
            wanted = wanted - plainly(encoder, encoded, Target(target.kind, target.against), start)
        assert distance(heat.values, wanted) < 1e-4
        assert target.against or (heat.values >= 0).all()
        assert heat.scalar == f"logit({encoder.logit_scale:.4g})" + " difference" * bool(target.against)
    assert distance(found[0].values, found[1].values) > 1e-2


def test_one_by_one_is_the_same_as_together(tower, monkeypatch):
    encoder, encoded = tower
    method = Relevance()
    together = method.explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(together, TARGETS, strict=True):
        (alone,) = method.explain(Explained(encoder), encoded, [target])
        assert distance(heat.values, alone.values) < 1e-4
        assert heat.values.shape == encoded.grid
        assert heat.placement == encoded.placement
    monkeypatch.setattr(blocks_module, "AT_ONCE", 1)
    for heat, turn in zip(together, method.explain(Explained(encoder), encoded, TARGETS), strict=True):
        assert distance(heat.values, turn.values) < 1e-4


def test_blocks_that_do_not_stay_open_give_the_same(tower, monkeypatch):
    encoder, encoded = tower
    wanted = Relevance().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    monkeypatch.setattr(blocks_module, "SHARED_BLOCKS", 1)
    found = Relevance().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    assert distance(found, wanted) < 1e-5


def test_scale_of_the_logit_matters_over_several_blocks_only(tower, monkeypatch):
    encoder, encoded = tower

    def both(start):
        method = Relevance(start=start)
        before = method.explain(Explained(encoder), encoded, TARGETS[:1])[0].values
        with monkeypatch.context() as patched:
            patched.setattr(type(encoder), "logit_scale", property(lambda _: 50 * scale))
            after = method.explain(Explained(encoder), encoded, TARGETS[:1])[0].values
        return before / before.max(), after / after.max()

    scale = encoder.logit_scale
    if encoder.tower.pooling != "map":
        assert distance(*both(-1)) < 1e-4
    assert distance(*both(0)) > 1e-3


def test_the_same_texts_against_each_other_say_nothing(tower):
    encoder, encoded = tower
    (heat,) = Relevance().explain(Explained(encoder), encoded, [Target("query", "skin", against="skin")])
    assert (heat.values == 0).all()


def test_methods_share_one_pass_and_every_block(tower, monkeypatch):
    encoder, encoded = tower
    model, calls, passes = Explained(encoder), [], []
    make, run = blocks_module._open, encoder.tower.run
    monkeypatch.setattr(blocks_module, "_open", lambda *found: calls.append(found[2]) or make(*found))
    counting = replace(encoder.tower, run=lambda *found: passes.append(1) or run(*found))
    monkeypatch.setattr(encoder, "tower", counting)
    for method in (Rollout(), Relevance(), Relevance(start=-1), LeGrad(), LeGrad(start=-2)):
        method.explain(model, encoded, TARGETS)
    assert sorted(calls) == [0, 1, 2]
    assert len(passes) == 2


def test_last_block_needs_no_pixels(tower):
    encoder, encoded = tower
    bare = replace(encoded, pixels=None)
    Relevance(start=-1).explain(Explained(encoder), bare, TARGETS)
    with pytest.raises(NotSupported, match=r"encoder\.encode"):
        Relevance().explain(Explained(encoder), bare, TARGETS)


def test_works_in_half_precision(tmp_path):
    made = tiny.open_clip_folder(tmp_path / "class")
    full, half = (
        load_encoder(made.name, offline=True, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)
    )
    maps = [
        method.explain(Explained(encoder), encoder.encode([tiny.photo(90, 120)])[0], TARGETS[:1])[0].values
        for encoder in (full, half)
        for method in (Rollout(), Relevance(), LeGrad())
    ]
    for wide, narrow in zip(maps[:3], maps[3:], strict=True):
        assert np.corrcoef(wide.ravel(), narrow.ravel())[0, 1] > 0.95


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    with torch.inference_mode():
        Relevance().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.relevance._reached", fail)
    with pytest.raises(ZeroDivisionError):
        Relevance().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before


def fail(*_, **__):
    raise ZeroDivisionError


def test_variants_are_named(tower):
    encoder, encoded = tower
    assert [Relevance.of_variant(name).variant for name in Relevance.variants] == list(Relevance.variants)
    assert Relevance().variant == "last 4 blocks"
    assert Relevance(start=2).variant == "from block 3"
    with pytest.raises(SettingError, match="numbered 0 to 2"):
        Relevance(start=7).explain(Explained(encoder), encoded, TARGETS)
