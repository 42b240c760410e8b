"""A captioner's folder: what it holds, that it comes back exactly, and what it refuses."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from dermaxai.captioner import BridgeConfig, LoraSettings, load_captioner, load_t5, save_captioner
from dermaxai.captioner.checkpoint import Packing, check_encoder
from dermaxai.captioner.decoder import base_state, save_t5
from dermaxai.errors import (
    NotSupported,
    SettingError,
    ShapeError,
    WeightsCorrupt,
    WeightsMismatch,
    WeightsMissing,
)
from tests.captioner import tiny


def fake_encoder(name="planted", width=tiny.WIDTH, sha256="ab" * 32):
    return SimpleNamespace(card=SimpleNamespace(name=name), width=width, sha256=sha256)


@pytest.fixture
def saved(tmp_path):
    made = tiny.captioner(tables={"gate": {"threshold": 1.5}})
    save_captioner(made, tmp_path / "model", Packing(data="drawn phantoms", licence="CC0"))
    return made, tmp_path / "model"


def same_weights(one, other):
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_comes_back_bit_for_bit(saved):
    made, folder = saved
    back = load_captioner(folder, encoder=fake_encoder())
    assert same_weights(made, back)
    assert back.config == made.config
    assert back.sha256 == made.sha256 != ""
    photo = tiny.encoded()
    assert back.describe(photo) == made.describe(photo)
    assert not any(value.requires_grad for value in back.parameters())


def test_holds_only_plain_files_and_no_path(saved):
    _, folder = saved
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "captioner.json",
        "bridge.safetensors",
        "card.md",
        "t5/config.json",
        "t5/model.safetensors",
    } <= names
    assert {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "tokenizer/tokenizer.json",
    } <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    adapter = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "tiny"
    for path in folder.rglob("*.json"):
        assert str(folder.parent) not in path.read_text()
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_card_states_counts_data_and_licence(saved):
    made, folder = saved
    card = (folder / "card.md").read_text()
    bridge = sum(value.numel() for value in made.bridge.parameters())
    base = sum(value.numel() for value in base_state(made.t5).values())
    assert f"| bridge (Q-Former, projection) | {bridge:,} | trainable |" in card
    assert f"{base:,} | frozen" in card
    assert "drawn phantoms" in card
    assert "CC0" in card


def test_saving_again_replaces_and_a_failed_save_keeps_the_old(saved, monkeypatch):
    made, folder = saved
    before = made.sha256
    with torch.no_grad():
        made.bridge.queries.add_(1.0)
    monkeypatch.setattr("dermaxai.captioner.checkpoint._card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_captioner(made, folder)
    assert load_captioner(folder).sha256 == before
    monkeypatch.undo()
    save_captioner(made, folder)
    assert load_captioner(folder).sha256 == made.sha256 != before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["bridge.safetensors", "t5/model.safetensors", "tokenizer/tokenizer.json"])
def test_a_changed_byte_is_noticed(saved, name):
    _, folder = saved
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=name):
        load_captioner(folder)


def test_missing_parts_are_named(saved, tmp_path):
    _, folder = saved
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match=r"adapter_model\.safetensors"):
        load_captioner(folder)
    with pytest.raises(WeightsMissing, match=r"captioner\.json"):
        load_captioner(tmp_path)


def test_unknown_format_and_keys_are_refused(saved):
    _, folder = saved
    path = folder / "captioner.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "format": 99}))
    with pytest.raises(NotSupported, match="99"):
        load_captioner(folder)
    path.write_text(json.dumps({**table, "config": {**table["config"], "colour": 1}}))
    with pytest.raises(SettingError, match="colour"):
        load_captioner(folder)


def test_wrong_encoders_are_refused(saved):
    _, folder = saved
    with pytest.raises(NotSupported, match="stranger"):
        load_captioner(folder, encoder=fake_encoder(name="stranger"))
    with pytest.raises(WeightsMismatch, match="32"):
        load_captioner(folder, encoder=fake_encoder(width=32))
    with pytest.raises(WeightsMismatch, match="abababababab"):
        load_captioner(folder, encoder=fake_encoder(sha256="cd" * 32))
    any_weights = load_captioner(folder).config.with_changes(encoder_sha256="")
    check_encoder(any_weights, fake_encoder(sha256="cd" * 32))


def test_float16_base_is_half_the_size_and_near(saved, tmp_path):
    made, folder = saved
    save_captioner(made, tmp_path / "half", Packing(t5_dtype=torch.float16, bridge_dtype=torch.float16))
    sizes = [(place / "t5" / "model.safetensors").stat().st_size for place in (folder, tmp_path / "half")]
    assert sizes[1] < 0.65 * sizes[0]
    back = load_captioner(tmp_path / "half")
    assert {value.dtype for value in back.parameters()} == {torch.float32}
    assert torch.allclose(back.t5.shared.weight, made.t5.shared.weight, atol=2e-3)
    save_captioner(back, tmp_path / "again", Packing(t5_dtype=torch.float16, bridge_dtype=torch.float16))
    assert same_weights(load_captioner(tmp_path / "again"), back)


def test_what_does_not_fit_float16_is_said(tmp_path):
    made = tiny.captioner()
    with torch.no_grad():
        made.t5.shared.weight[0, 0] = 1e6
    with pytest.raises(SettingError, match=r"shared\.weight"):
        save_captioner(made, tmp_path / "model", Packing(t5_dtype=torch.float16))
    assert not list(tmp_path.iterdir())


def test_merged_captioner_saves_its_base_and_adapter_apart(saved, tmp_path):
    _, folder = saved
    merged = load_captioner(folder, merge=True)
    assert merged.adapters.merged
    save_captioner(merged, tmp_path / "again")
    assert merged.adapters.merged
    for name in ("t5/model.safetensors", "adapter/adapter_model.safetensors"):
        first, second = load_file(folder / name), load_file(tmp_path / "again" / name)
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_statistics_of_the_training_travel_along(tmp_path):
    made = tiny.captioner()
    assert made.mean_patches is None
    made.mean_patches = tiny.patches()[0]
    made.statistics["outside_mean"] = torch.arange(3.0)
    save_captioner(made, tmp_path / "model")
    back = load_captioner(tmp_path / "model")
    assert torch.equal(back.mean_patches, tiny.patches()[0])
    assert torch.equal(back.statistics["outside_mean"], torch.arange(3.0))
    assert same_weights(made, back)
    with pytest.raises(ShapeError, match="24"):
        made.mean_patches = torch.zeros(9, 5)


def test_several_adapters(tmp_path):
    made = tiny.captioner()
    made.add_adapter("second", LoraSettings(rank=2, layers=("q", "v"), dropout=0.0))
    made.adapters.use("default")
    save_captioner(made, tmp_path / "model")
    assert (tmp_path / "model" / "adapter" / "second" / "adapter_config.json").is_file()
    back = load_captioner(tmp_path / "model")
    assert set(back.adapters.settings) == {"default", "second"}
    assert back.adapters.active == "default"
    assert same_weights(made, back)


def test_base_named_by_hub_id(tmp_path, monkeypatch):
    """The base stays at the hub; its revision and hash are kept and checked."""
    tiny.write_t5(tmp_path / "hub", "flan")
    monkeypatch.setattr(
        "dermaxai.captioner.decoder.folder_of", lambda source, **_: (tmp_path / "hub", "c0ffee")
    )
    base = load_t5("google/flan-t5-small", revision="c0ffee")
    assert (base.source, base.revision) == ("google/flan-t5-small", "c0ffee")
    made = tiny.captioner(
        base=base, t5=base.source, t5_revision=base.revision, languages={"en": tiny.PROMPTED}
    )
    save_captioner(made, tmp_path / "model", Packing(embed_t5=False))
    assert not (tmp_path / "model" / "t5").exists()
    assert same_weights(made, load_captioner(tmp_path / "model"))
    other = load_t5("google/flan-t5-small").model
    with torch.no_grad():
        other.shared.weight[0, 0] += 1
    save_t5(other, tmp_path / "hub")
    with pytest.raises(WeightsMismatch, match="trained on"):
        load_captioner(tmp_path / "model")


def test_base_without_revision_must_be_embedded(tmp_path):
    with pytest.raises(WeightsMissing, match="embed_t5"):
        save_captioner(tiny.captioner(), tmp_path / "model", Packing(embed_t5=False))


def test_bridge_of_another_shape_is_refused(saved):
    _, folder = saved
    path = folder / "captioner.json"
    table = json.loads(path.read_text())
    table["config"]["bridge"]["queries"] = 5
    path.write_text(json.dumps(table))
    with pytest.raises(WeightsMismatch, match="queries"):
        load_captioner(folder)


def test_bridge_sizes_are_checked():
    with pytest.raises(SettingError, match="multiple"):
        BridgeConfig(8, 8, hidden=10, heads=3)
    with pytest.raises(SettingError, match="queries"):
        BridgeConfig(8, 8, queries=0)
