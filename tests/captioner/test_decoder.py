"""Every T5 family member loads strictly, and a head of its own survives whatever happens to it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from dermaxai.captioner import LoraSettings, load_t5, save_t5
from dermaxai.captioner.adapters import Adapters
from dermaxai.captioner.decoder import base_state, has_own_head, resize_vocabulary
from dermaxai.captioner.search import head
from dermaxai.errors import (
    NotSupported,
    SettingError,
    UsageError,
    WeightsCorrupt,
    WeightsMismatch,
    WeightsMissing,
    WeightsOffline,
    WeightsUnsafe,
)
from tests.captioner import tiny


@pytest.mark.parametrize("kind", tiny.FORMATS)
def test_holds_exactly_what_the_file_holds(tmp_path, kind):
    state = tiny.write_t5(tmp_path, kind)
    base = load_t5(tmp_path)
    own = base_state(base.model)
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], state[name]) for name in state)
    assert has_own_head(base.model) == (kind != "t5")
    assert base.model.encoder.embed_tokens is base.model.shared is base.model.decoder.embed_tokens
    assert not any(value.requires_grad for value in base.model.parameters())
    assert not base.model.training
    assert len(base.sha256) == 64


@pytest.mark.parametrize("kind", tiny.FORMATS)
def test_agrees_with_transformers(tmp_path, kind):
    """Our way through decoder and head gives the logits of the whole model, scaling included."""
    import transformers

    tiny.write_t5(tmp_path, kind)
    ours = load_t5(tmp_path).model
    name = "MT5ForConditionalGeneration" if kind == "mt5" else "T5ForConditionalGeneration"
    theirs = getattr(transformers, name).from_pretrained(tmp_path).eval()
    memory, ids = torch.randn(2, 5, tiny.D_MODEL), torch.tensor([[0, 7, 9], [0, 11, 3]])
    with torch.no_grad():
        wanted = theirs(encoder_outputs=(memory,), decoder_input_ids=ids).logits
        hidden = ours.decoder(input_ids=ids, encoder_hidden_states=memory).last_hidden_state
        assert torch.allclose(head(ours, hidden), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["flan", "mt5", "rut5"])
def test_own_head_survives_load_resize_lora_merge_and_save(tmp_path, kind):
    """Regression: transformers 5.23 overwrites the head on resize and tie_weights."""
    state = tiny.write_t5(tmp_path / "hub", kind)
    rows = state["lm_head.weight"][:90]
    model = load_t5(tmp_path / "hub").model
    resize_vocabulary(model, 90)
    model.tie_weights()
    adapters = Adapters(model)
    adapters.add("default", LoraSettings(rank=2))
    assert torch.equal(model.lm_head.weight, rows)
    adapters.merge()
    assert torch.equal(model.lm_head.weight, rows)
    adapters.unmerge()
    save_t5(model, tmp_path / "saved")
    tiny.write_sentencepiece(tmp_path / "saved")
    back = load_t5(tmp_path / "saved").model
    assert torch.equal(back.lm_head.weight, rows)
    assert torch.equal(back.shared.weight, state["shared.weight"][:90])
    assert back.config.vocab_size == 90
    assert getattr(back.config, "scale_decoder_outputs", None) == getattr(
        model.config, "scale_decoder_outputs", None
    )


@pytest.mark.parametrize("kind", tiny.FORMATS)
def test_what_is_saved_is_read_by_transformers(tmp_path, kind):
    import transformers

    tiny.write_t5(tmp_path / "hub", kind)
    ours = load_t5(tmp_path / "hub").model
    sha256 = save_t5(ours, tmp_path / "saved")
    theirs = type(ours).from_pretrained(tmp_path / "saved")
    assert isinstance(theirs, transformers.PreTrainedModel)
    assert torch.equal(theirs.lm_head.weight, ours.lm_head.weight)
    assert torch.equal(theirs.encoder.embed_tokens.weight, ours.shared.weight)
    assert sha256 == save_t5(ours, tmp_path / "again")


@pytest.mark.parametrize("size", [300, 40])
def test_resizing_keeps_a_tied_head_tied(tmp_path, size):
    tiny.write_t5(tmp_path, "t5")
    model = load_t5(tmp_path).model
    before = model.shared.weight.clone()
    resize_vocabulary(model, size)
    assert model.lm_head.weight is model.shared.weight is model.decoder.embed_tokens.weight
    kept = min(size, len(before))
    assert torch.equal(model.shared.weight[:kept], before[:kept])
    if size > kept:
        assert torch.allclose(model.shared.weight[kept:], before.mean(0).expand(size - kept, -1))
    with pytest.raises(SettingError):
        resize_vocabulary(model, 0)


def test_sharded_and_bfloat16(tmp_path):
    state = tiny.write_t5(tmp_path, "flan")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(state)
    homes = {name: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, name in enumerate(names)}
    for shard in set(homes.values()):
        save_file({name: state[name] for name in names if homes[name] == shard}, tmp_path / shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    base = load_t5(tmp_path, dtype=torch.bfloat16)
    assert {value.dtype for value in base.model.parameters()} == {torch.bfloat16}
    assert torch.equal(base.model.lm_head.weight, state["lm_head.weight"].bfloat16())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsMissing, match="00002-of-00002"):
        load_t5(tmp_path)


def test_wrong_weights_are_named(tmp_path):
    state = tiny.write_t5(tmp_path, "t5")
    path = tmp_path / "model.safetensors"
    save_file(
        {name: value for name, value in state.items() if name != "decoder.final_layer_norm.weight"}, path
    )
    with pytest.raises(WeightsMismatch, match=r"decoder\.final_layer_norm\.weight"):
        load_t5(tmp_path)
    save_file({**state, "extra": torch.zeros(1)}, path)
    with pytest.raises(WeightsMismatch, match="extra"):
        load_t5(tmp_path)
    save_file({**state, "decoder.embed_tokens.weight": state["shared.weight"] + 1}, path)
    with pytest.raises(WeightsMismatch, match="embeddings"):
        load_t5(tmp_path)
    save_file({**state, "shared.weight": state["shared.weight"] * float("nan")}, path)
    with pytest.raises(WeightsCorrupt, match=r"shared\.weight"):
        load_t5(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsCorrupt):
        load_t5(tmp_path)


def test_other_faults_are_named(tmp_path):
    with pytest.raises(UsageError, match="neither"):
        load_t5(tmp_path / "nowhere")
    with pytest.raises(WeightsMissing):
        load_t5(tmp_path)
    tiny.write_t5(tmp_path, "t5")
    table = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**table, "model_type": "bart"}))
    with pytest.raises(NotSupported, match="bart"):
        load_t5(tmp_path)


def test_old_files_hold_a_tensor_nobody_reads(tmp_path):
    state = tiny.write_t5(tmp_path, "t5")
    unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    save_file({**state, unread: torch.zeros(8, 4)}, tmp_path / "model.safetensors")
    assert not has_own_head(load_t5(tmp_path).model)


def test_pickles_with_code_are_not_opened(tmp_path):
    tiny.write_t5(tmp_path, "rut5")
    torch.save({"shared.weight": torch.zeros(2), "hook": print}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsUnsafe):
        load_t5(tmp_path)


def test_safetensors_win_over_pickles(tmp_path):
    state = tiny.write_t5(tmp_path, "t5")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not opened")
    assert torch.equal(load_t5(tmp_path).model.shared.weight, state["shared.weight"])
    assert load_file(tmp_path / "model.safetensors").keys() == state.keys()


def test_hub_id_offline_and_not_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsOffline, match="google-t5/t5-small"):
        load_t5("google-t5/t5-small", offline=True)
