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


def write_blip2(folder, *, width=24, d_model=32, drop=(), **changes):
    """A folder in the layout of Salesforce/blip2-flan-t5-xl, cut into two shards."""
    source = bridge(
        BridgeConfig(width, d_model, **{**dict(hidden=16, layers=4, heads=2, queries=4), **changes}), 9
    )
    names = {"queries": "query_tokens"}
    state = {}
    for name, value in source.state_dict().items():
        new = names.get(name, name).replace("vision_norm.", "vision_model.post_layernorm.")
        state[new.replace("projection.", "language_projection.")] = value.clone()
    state = {name: value for name, value in state.items() if name not in drop}
    state["language_model.shared.weight"] = torch.zeros(3, 2)
    homes = {name: f"model-0000{1 + name.startswith('q')}-of-00003.safetensors" for name in state}
    homes["language_model.shared.weight"] = "model-00003-of-00003.safetensors"
    folder.mkdir(exist_ok=True)
    for shard in sorted(set(homes.values()))[:2]:
        save_file({name: value for name, value in state.items() if homes[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    return source


def test_blip2_of_the_same_width_is_copied_whole(tmp_path):
    """The shards of the language model need not be there."""
    source, made = write_blip2(tmp_path), bridge()
    assert init_from_blip2(tmp_path, made) == []
    own = made.state_dict()
    assert all(torch.equal(own[name], value) for name, value in source.state_dict().items())


def test_blip2_of_other_widths_keeps_and_reports_fresh_tensors(tmp_path):
    source, made = write_blip2(tmp_path, width=40, d_model=48), bridge()
    fresh = {name: value.clone() for name, value in made.state_dict().items()}
    kept = init_from_blip2(tmp_path, made)
    crossing = [name for name in kept if "crossattention" in name]
    assert len(crossing) == 2 * 2
    assert set(kept) - set(crossing) == {
        *("vision_norm.weight", "vision_norm.bias", "projection.weight", "projection.bias"),
    }
    for name, value in made.state_dict().items():
        assert torch.equal(value, fresh[name] if name in kept else source.state_dict()[name])


def test_blip2_faults(tmp_path):
    with pytest.raises(WeightsMissing):
        init_from_blip2(tmp_path / "none", bridge())
    write_blip2(tmp_path / "a", drop=("qformer.layernorm.weight",))
    with pytest.raises(WeightsMismatch, match=r"qformer\.layernorm\.weight"):
        init_from_blip2(tmp_path / "a", bridge())
    write_blip2(tmp_path / "b", queries=5)
    with pytest.raises(WeightsMismatch, match="query_tokens"):
        init_from_blip2(tmp_path / "b", bridge())
    write_blip2(tmp_path / "c")
    (tmp_path / "c" / "model-00002-of-00003.safetensors").write_bytes(b"short")
    with pytest.raises(WeightsCorrupt):
        init_from_blip2(tmp_path / "c", bridge())


def test_blip2_in_one_file(tmp_path):
    source = write_blip2(tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    save_file({k: v for shard in shards for k, v in load_file(shard).items()}, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors.index.json").unlink()
    made = bridge()
    init_from_blip2(tmp_path, made)
    assert torch.equal(made.queries, source.queries)
