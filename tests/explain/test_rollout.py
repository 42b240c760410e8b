"""Rollout against the published numbers, the plain matrix product, and what a share must be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain import blocks as blocks_module
from dermaxai.explain.base import Explained
from dermaxai.explain.blocks import mean_attentions, read_rows
from dermaxai.explain.rollout import Rollout, roll_out
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
    token_shares,
    whole,
)


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
def test_equals_the_published_code(clip, photo):
    encoded, wanted, model = golden_photo(photo), golden(photo, 0, "rollout"), Explained(clip)
    attentions = torch.stack(mean_attentions(model, encoded, range(6)))
    assert distance(attentions, wanted["vision_attn_head_mean"]) < 1e-5
    row = roll_out(list(attentions), torch.eye(197)[:1])
    assert distance(row[0], wanted["abnar_cls_row"]) < 1e-5
    for method, name in (
        (Rollout(), "abnar_map"),
        (Rollout(), "transformer_explainability_map"),
        (Rollout(residual=False), "abnar_map_noresidual"),
        (Rollout(start=-1), "gradeclip_rollout_baseline_last_layer_only"),
        (Rollout(start=-1, residual=False), "raw_last_layer_cls_attention"),
    ):
        (heat,) = method.explain(model, encoded, QUERIES[:1])
        assert distance(heat.values, wanted[name]) < 1e-5, name


@pytest.mark.parametrize("start", [0, 1, -1])
@pytest.mark.parametrize("residual", [True, False])
def test_is_the_product_of_the_matrices(tower, start, residual):
    encoder, encoded = tower
    opened, result = whole(encoder, encoded)
    one = torch.eye(opened[0].attention.shape[-1])
    product = one
    for block in opened[start:]:
        mean = block.attention[0].mean(0).detach()
        product = ((mean + one) / 2 if residual else mean) @ product
    row = token_shares(encoder, opened) if result.map is None else result.map.attention[0].mean(0)[0].detach()
    wanted = (row @ product)[encoder.tower.first_patch :].reshape(encoded.grid)
    (heat,) = Rollout(start=start, residual=residual).explain(Explained(encoder), encoded, TARGETS[:1])
    assert distance(heat.values, wanted) < 1e-4
    assert heat.scalar == "attention"
    last = "block 3 of 3" if start == -1 else f"blocks {start + 1} to 3 of 3"
    more = " and of the pooling" if encoder.tower.pooling == "map" else ""
    assert heat.layer == f"attention of {last}{more}"


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**31), st.booleans())
def test_rows_of_shares_sum_to_one(tokens, count, seed, residual):
    drawn = torch.randn(count, tokens, tokens, generator=torch.Generator().manual_seed(seed)) * 5
    attentions = list(drawn.softmax(-1))
    flow = roll_out(attentions, torch.eye(tokens), residual=residual)
    assert (flow >= 0).all()
    assert torch.allclose(flow.sum(1), torch.ones(tokens), atol=1e-5)


def test_shares_of_a_tower_sum_to_one(tower):
    encoder, encoded = tower
    model = Explained(encoder)
    read = read_rows(model, encoded)
    flow = roll_out(mean_attentions(model, encoded, range(3)), read)
    assert float(read.sum()) == pytest.approx(1, abs=1e-5)
    assert float(flow.sum()) == pytest.approx(1, abs=1e-5)


def test_no_question_changes_it(tower):
    encoder, encoded = tower
    found = Rollout().explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(found, TARGETS, strict=True):
        assert heat.target is target
        assert (heat.values == found[0].values).all()
        assert heat.values.shape == encoded.grid
    assert not Rollout.reads_question


def test_needs_no_text_tower(tmp_path):
    made = tiny.panderm_file(tmp_path / "panderm")
    encoder = load_encoder(made.name, made.source, offline=True)
    (encoded,) = encoder.encode([tiny.photo(90, 120)])
    (heat,) = Rollout().explain(Explained(encoder), encoded, [Target("query", "anything")])
    assert 0 < heat.values.min() < heat.values.max() < 1


def test_blocks_that_stay_open_give_the_same(tower, monkeypatch):
    encoder, encoded = tower
    wanted = Rollout().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    monkeypatch.setattr(blocks_module, "SHARED_BLOCKS", 1)
    found = Rollout().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    assert np.allclose(found, wanted, atol=1e-7)


def test_one_pass_and_one_opening_serve_all_forms(tower, monkeypatch):
    encoder, encoded = tower
    model, calls = Explained(encoder), []
    monkeypatch.setattr(
        blocks_module,
        "_open",
        lambda *found, make=blocks_module._open: calls.append(found[2]) or make(*found),
    )
    for name in Rollout.variants:
        Rollout.of_variant(name).explain(model, encoded, TARGETS)
    assert sorted(calls) == [0, 1, 2]


def test_last_block_needs_no_pixels(tower):
    encoder, encoded = tower
    bare = replace(encoded, pixels=None)
    Rollout(start=-1).explain(Explained(encoder), bare, TARGETS)
    with pytest.raises(NotSupported, match=r"encoder\.encode"):
        Rollout().explain(Explained(encoder), bare, TARGETS)


def test_start_blocks(tower):
    encoder, encoded = tower
    with pytest.raises(SettingError, match="numbered 0 to 2; none is number 3"):
        Rollout(start=3).explain(Explained(encoder), encoded, TARGETS)
    deep, full = (
        Rollout(start=start).explain(Explained(encoder), encoded, TARGETS[:1])[0] for start in (-9, 0)
    )
    assert (deep.values == full.values).all()
    assert deep.layer == full.layer
    names = {Rollout(start=start).variant for start in (-9, -1, 0, 1)}
    assert names == {"last 9 blocks", "last layer", "reference", "from block 2"}
    assert Rollout(start=-1, residual=False).variant == "last block, no residual"
    assert [Rollout.of_variant(name).variant for name in Rollout.variants] == list(Rollout.variants)


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    Rollout().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.rollout.roll_out", fail)
    with pytest.raises(ZeroDivisionError):
        Rollout().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before


def fail(*_, **__):
    raise ZeroDivisionError
