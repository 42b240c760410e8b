"""Merged adapters stay whole when the model is cast or moved before they are taken out again."""

from __future__ import annotations

import pytest
import torch

from dermaxai.captioner import LoraSettings
from dermaxai.errors import WeightsCorrupt
from tests.captioner import tiny


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_cast_between_merge_and_unmerge_is_a_cast_of_everything(dtype):
    made, plain = tiny.captioner(), tiny.captioner()
    made.adapters.merge()
    made.to(dtype)
    made.adapters.unmerge()
    plain.to(dtype)
    assert {value.dtype for value in made.parameters()} == {dtype}
    wanted = plain.state_dict()
    assert made.state_dict().keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in made.state_dict().items())
    assert made.describe(tiny.encoded()) == plain.describe(tiny.encoded())


def test_a_cast_there_and_back_while_merged_restores_bits():
    """What was set aside never went through the narrow type."""
    made = tiny.captioner()
    before = {name: value.clone() for name, value in made.t5.state_dict().items() if "lora_" not in name}
    made.adapters.merge()
    made.bfloat16().float()
    made.adapters.unmerge()
    after = made.t5.state_dict()
    layers = [name for name in before if ".base_layer." in name]
    assert layers
    assert all(torch.equal(after[name], before[name]) for name in layers)


def test_a_move_between_merge_and_unmerge_is_a_move_of_everything():
    made = tiny.captioner()
    made.adapters.merge()
    made.to("meta")
    made.adapters.unmerge()
    assert {value.device.type for value in made.parameters()} == {"meta"}


def test_an_adapter_on_few_layers_is_merged_beside_one_on_many():
    made, photo = tiny.captioner(), tiny.encoded()
    made.add_adapter("second", LoraSettings(rank=2, layers=("q",), dropout=0.0))
    tiny.shake(made, seed=3)
    made.adapters.use("second")
    before = {name: value.clone() for name, value in made.state_dict().items()}
    wanted = made.score(photo, tiny.TEXTS[0])
    made.adapters.merge()
    assert not any("lora_" in name for name, _ in made.named_parameters())
    merged = made.score(photo, tiny.TEXTS[0])
    assert merged.token_logprobs == pytest.approx(wanted.token_logprobs, abs=1e-4)
    made.adapters.unmerge()
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())


def test_adapters_wider_than_the_base_are_merged_in_the_type_of_the_base():
    """PEFT keeps the adapter of a bfloat16 base in float32."""
    made = tiny.captioner()
    made.t5.bfloat16()
    made.add_adapter("second", LoraSettings(rank=2, dropout=0.0))
    tiny.shake(made)
    before = {name: value.clone() for name, value in made.t5.state_dict().items()}
    made.adapters.merge()
    assert {value.dtype for value in made.t5.parameters()} == {torch.bfloat16}
    made.adapters.unmerge()
    after = made.t5.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    assert {name: value.dtype for name, value in after.items()} == {
        name: value.dtype for name, value in before.items()
    }


def test_a_broken_configuration_is_named(tmp_path):
    from dermaxai.captioner.adapters import read_adapter, write_adapter

    made = tiny.captioner()
    write_adapter(made.adapters, "default", tmp_path, base="tiny")
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(WeightsCorrupt, match=r"adapter_config\.json"):
        read_adapter(made.adapters, "second", tmp_path)
