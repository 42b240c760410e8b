"""The bridge: sizes, scale, masks, attention maps, types, and a start from BLIP-2 weights."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from dermaxai.captioner import Bridge, BridgeConfig, init_from_blip2
from dermaxai.captioner.config import bridge_preset
from dermaxai.errors import ShapeError, UnknownName, WeightsCorrupt, WeightsMismatch, WeightsMissing
from tests.captioner import tiny

CONFIG = BridgeConfig(24, 32, hidden=16, layers=4, heads=2, queries=4, dropout=0.0)


def bridge(config=CONFIG, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Bridge(config).eval()


@pytest.mark.parametrize(("name", "sizes"), [("tiny", (128, 2)), ("small", (384, 4)), ("base", (768, 12))])
def test_presets(name, sizes):
    config = bridge_preset(name, 192, 512)
    assert (config.hidden, config.layers) == sizes
    with torch.device("meta"):
        assert Bridge(config).projection.out_features == 512
    with pytest.raises(UnknownName, match="tiny"):
        bridge_preset("tyni", 192, 512)


@pytest.mark.parametrize("output_std", [1.0, 8.0])
def test_output_has_the_asked_scale(output_std):
    config = bridge_preset("tiny", 192, 256, output_std=output_std)
    out = bridge(config)(torch.randn(4, 50, 192) * 3)
    assert out.shape == (4, 16, 256)
    assert 0.8 * output_std < float(out.detach().std()) < 1.2 * output_std


def test_queries_differ_from_each_other():
    out = bridge()(tiny.patches())[0]
    assert torch.pdist(out).min() > 1e-3


def test_masked_patches_do_not_count():
    patches = tiny.patches(2)
    mask = torch.arange(tiny.PATCHES).expand(2, -1) < 6
    made = bridge()
    assert torch.allclose(made(patches, mask), made(patches[:, :6]), atol=1e-5)


def test_attention_maps_and_return_to_fast_attention():
    made, patches = bridge(), tiny.patches(2)
    before = made(patches)
    out, maps = made.attention(patches)
    assert torch.allclose(out, before, atol=1e-5)
    assert [map_.shape for map_ in maps] == [(2, 2, 4, tiny.PATCHES)] * 2
    assert all(torch.allclose(map_.sum(-1), torch.ones(2, 2, 4), atol=1e-5) for map_ in maps)
    assert torch.equal(made(patches), before)


def test_bfloat16_and_gradient():
    patches = tiny.patches().requires_grad_()
    made = bridge().bfloat16()
    out = made(patches)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert patches.grad is not None
    assert float(patches.grad.abs().sum()) > 0


def test_another_encoder_is_refused():
    with pytest.raises(ShapeError, match="24"):
        bridge()(torch.zeros(1, 9, 25))


def write_blip2(folder, *, width=24, d_model=32, queries=4, shards=False):
    """A tiny model of the library that Salesforce/blip2-flan-t5-xl is in, written by that library."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    config = Blip2Config(
        vision_config={"hidden_size": width, "intermediate_size": 32, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        qformer_config={**sizes, "cross_attention_frequency": 2, "encoder_hidden_size": width},
        text_config={"model_type": "t5", "d_model": d_model, "d_kv": 8, "d_ff": 48, "num_layers": 1,
                     "num_heads": 2, "vocab_size": 40, "decoder_start_token_id": 0},
        num_query_tokens=queries,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(9)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = Blip2ForConditionalGeneration(config).eval()
        for value in model.parameters():
            value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    model.save_pretrained(folder, max_shard_size="12KB" if shards else "1GB")
    return model


def parts_of(model):
    """The genuine model's tensors under the bridge's names."""
    parts = {"qformer": model.qformer, "vision_norm": model.vision_model.post_layernorm}
    parts["projection"] = model.language_projection
    named = {f"{part}.{key}": v for part, module in parts.items() for key, v in module.state_dict().items()}
    return {"queries": model.query_tokens, **named}


def change_blip2(folder, name, change):
    """Replace one tensor of a single file; None takes it out."""
    state = load_file(folder / "model.safetensors")
    changed = change(state.pop(name))
    save_file(state if changed is None else {**state, name: changed}, folder / "model.safetensors")


@pytest.mark.parametrize("shards", [False, True])
def test_blip2_of_the_same_width_is_copied_whole_and_answers_the_same(tmp_path, shards):
    genuine, made = write_blip2(tmp_path, shards=shards), bridge()
    assert (tmp_path / "model.safetensors.index.json").is_file() == shards
    assert init_from_blip2(tmp_path, made) == []
    own, wanted = made.state_dict(), parts_of(genuine)
    assert own.keys() == wanted.keys()
    assert all(torch.equal(own[name], value) for name, value in wanted.items())
    patches = tiny.patches(2)
    with torch.no_grad():
        seen = genuine.vision_model.post_layernorm(patches)
        queries = genuine.query_tokens.expand(2, -1, -1)
        read = genuine.qformer(query_embeds=queries, encoder_hidden_states=seen).last_hidden_state
        assert torch.allclose(made(patches), genuine.language_projection(read), atol=1e-5)


def test_the_shards_of_the_language_model_need_not_be_there(tmp_path):
    genuine, made = write_blip2(tmp_path, shards=True), bridge()
    homes = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    ours = ("qformer.", "query_tokens", "language_projection.", "vision_model.post_layernorm.")
    needed = {file for name, file in homes.items() if name.startswith(ours)}
    assert needed < set(homes.values())
    for file in set(homes.values()) - needed:
        (tmp_path / file).unlink()
    assert init_from_blip2(tmp_path, made) == []
    assert torch.equal(made.queries, genuine.query_tokens)
    (tmp_path / homes["query_tokens"]).unlink()
    with pytest.raises(WeightsMissing, match=homes["query_tokens"]):
        init_from_blip2(tmp_path, made)


def test_blip2_of_other_widths_keeps_and_reports_fresh_tensors(tmp_path):
    genuine, made = write_blip2(tmp_path, width=40, d_model=48), bridge()
    fresh = {name: value.clone() for name, value in made.state_dict().items()}
    kept = init_from_blip2(tmp_path, made)
    crossing = [name for name in kept if "crossattention" in name]
    assert len(crossing) == 2 * 2
    assert set(kept) - set(crossing) == {
        *("vision_norm.weight", "vision_norm.bias", "projection.weight", "projection.bias"),
    }
    wanted = parts_of(genuine)
    for name, value in made.state_dict().items():
        assert torch.equal(value, fresh[name] if name in kept else wanted[name])


def test_blip2_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(WeightsMissing, match=r"model\.safetensors"):
        init_from_blip2(tmp_path / "none", bridge())
    write_blip2(tmp_path / "other", queries=5)
    with pytest.raises(WeightsMismatch, match="query_tokens"):
        init_from_blip2(tmp_path / "other", bridge())
    write_blip2(tmp_path / "less")
    change_blip2(tmp_path / "less", "qformer.layernorm.weight", lambda _: None)
    with pytest.raises(WeightsMismatch, match=r"qformer\.layernorm\.weight"):
        init_from_blip2(tmp_path / "less", bridge())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_blip2_with_values_that_are_no_numbers_is_refused_before_anything_is_copied(tmp_path, value):
    write_blip2(tmp_path)
    change_blip2(tmp_path, "language_projection.weight", lambda old: torch.full_like(old, value))
    made = bridge()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    with pytest.raises(WeightsCorrupt, match=r"language_projection\.weight"):
        init_from_blip2(tmp_path, made)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9])
def test_truncated_blip2_files_are_said_to_be_so(tmp_path, shards, kept):
    write_blip2(tmp_path, shards=shards)
    homes = {"query_tokens": "model.safetensors"}
    if shards:
        homes = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    path = tmp_path / homes["query_tokens"]
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(WeightsCorrupt, match=path.name):
        init_from_blip2(tmp_path, bridge())


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {"a": "../other.safetensors"}}'])
def test_blip2_with_a_broken_index_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(WeightsCorrupt, match=r"index\.json"):
        init_from_blip2(tmp_path, bridge())
