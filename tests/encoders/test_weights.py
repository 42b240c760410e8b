import argparse
import hashlib
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from dermaxai.cli import app
from dermaxai.encoders.cards import read_card
from dermaxai.encoders.weights import (
    convert,
    hash_file,
    load_strictly,
    metadata,
    read_json,
    read_state_dict,
    rename_prefixes,
    resolve,
)
from dermaxai.errors import UsageError, WeightsCorrupt, WeightsMismatch, WeightsMissing, WeightsUnsafe

TENSORS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


class Dangerous:
    """Would create a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.zeros([]))


def small_state(**changes) -> dict[str, torch.Tensor]:
    return {**TENSORS, "scale": torch.tensor(2.0), **changes}


def same(state) -> bool:
    return state.keys() == TENSORS.keys() and all(torch.equal(state[name], TENSORS[name]) for name in TENSORS)


# ---- finding -------------------------------------------------------------------------------------------


def test_a_folder_prefers_the_card_then_its_alternatives(tmp_path):
    card = read_card("biomedclip")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"b")
    assert resolve(card, tmp_path).weights.name == "open_clip_pytorch_model.bin"
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"a")
    found = resolve(card, tmp_path)
    assert found.weights.name == "open_clip_model.safetensors"
    assert found.folder == tmp_path
    assert found.sha256 == hashlib.sha256(b"a").hexdigest()
    assert found.revision == ""


def test_a_single_file_of_any_name_is_taken(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"x")
    assert resolve(read_card("make"), path).weights == path
    assert resolve(read_card("make"), tmp_path).weights == path


def test_missing_files_name_what_was_there(tmp_path):
    card = read_card("make")
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(WeightsMissing, match=r"expected 'open_clip_model.safetensors', found readme.txt"):
        resolve(card, tmp_path)
    with pytest.raises(WeightsMissing, match="no file or folder"):
        resolve(card, tmp_path / "nowhere")
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(WeightsMissing, match=r"several weight files: a.pt, b.pt"):
        resolve(card, tmp_path)


def test_panderm_says_where_to_fetch_it_by_hand():
    with pytest.raises(WeightsMissing) as caught:
        resolve(read_card("panderm-base"))
    for part in ("drive.google.com", "343 MB", "be1e0fb108b3bc58"):
        assert part in str(caught.value)


def test_a_wrong_hash_is_refused_also_after_conversion(tmp_path):
    card = read_card("panderm-base")
    path = tmp_path / card.weights
    torch.save(TENSORS, path)
    with pytest.raises(WeightsCorrupt, match="expected sha256 be1e0fb"):
        resolve(card, tmp_path)
    right = replace(card, sha256=hash_file(path))
    assert resolve(right, tmp_path).sha256 == right.sha256
    converted = convert(path, tmp_path / "converted.safetensors")
    assert resolve(right, converted).weights == converted
    with pytest.raises(WeightsCorrupt, match=f"came {right.sha256}"):
        resolve(card, converted)
    save_file(TENSORS, tmp_path / "anonymous.safetensors")
    with pytest.raises(WeightsCorrupt, match="does not say what it was converted from"):
        resolve(card, tmp_path / "anonymous.safetensors")


def test_a_changed_file_is_hashed_again(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    first = hash_file(path)
    path.write_bytes(b"three")
    assert hash_file(path) != first


# ---- reading -------------------------------------------------------------------------------------------

WRAPPED = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": OrderedDict(state)},
    "parallel": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    "training checkpoint": lambda state: {
        "name": "run",
        "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.98)),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        "best": np.float64(0.5),
        "state_dict": state,
    },
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_of_every_form_are_read(tmp_path, form, legacy):
    path = tmp_path / "x.pt"
    torch.save(WRAPPED[form](TENSORS), path, _use_new_zipfile_serialization=not legacy)
    assert same(read_state_dict(path))


def test_safetensors_are_read(tmp_path):
    save_file(TENSORS, tmp_path / "x.safetensors")
    assert same(read_state_dict(tmp_path / "x.safetensors"))


def test_module_is_removed_only_if_every_name_has_it(tmp_path):
    state = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(state, tmp_path / "x.pt")
    assert read_state_dict(tmp_path / "x.pt").keys() == state.keys()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_never_runs(tmp_path, legacy):
    trace = tmp_path / "it ran"
    path = tmp_path / "x.pth"
    torch.save(
        {"state_dict": TENSORS, "extra": Dangerous(trace)}, path, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(WeightsUnsafe) as caught:
        read_state_dict(path)
    assert not trace.exists()
    for part in ("more than tensors", "safetensors", "weights_only=False"):
        assert part in str(caught.value)
    if not legacy:
        assert "getattr" in str(caught.value) or "pathlib" in str(caught.value)


def test_a_plain_pickle_with_code_is_refused(tmp_path):
    trace = tmp_path / "it ran"
    (tmp_path / "x.bin").write_bytes(pickle.dumps(Dangerous(trace)))
    with pytest.raises(WeightsUnsafe):
        read_state_dict(tmp_path / "x.bin")
    assert not trace.exists()


def test_a_program_instead_of_tensors_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/constants.pkl", pickle.dumps(()))
        archive.writestr("x/data.pkl", pickle.dumps(()))
        archive.writestr("x/version", "3\n")
    with pytest.raises(WeightsUnsafe, match="TorchScript program"):
        read_state_dict(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_files_are_said_to_be_so(tmp_path, suffix, kept):
    path = tmp_path / f"x{suffix}"
    state = {"w": torch.randn(64, 64)}
    torch.save(state, path) if suffix == ".pt" else save_file(state, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(WeightsCorrupt, match="Download it again"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>Google Drive", "web page"),
        (b"garbage of no meaning at all", "truncated or no PyTorch checkpoint|no whole safetensors"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_stand_ins_are_recognised(tmp_path, content, said, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=said):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [([1, 2], "holds a list"), ({"epoch": 3}, "found epoch"), ({}, "found nothing")],
)
def test_tables_of_something_else_are_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(WeightsCorrupt, match=said):
        read_state_dict(tmp_path / "x.pt")


def test_conversion_keeps_tensors_and_origin(tmp_path):
    tied = {"a": TENSORS["layer.weight"], "b": TENSORS["layer.weight"], "c": TENSORS["layer.weight"].T}
    torch.save({"state_dict": tied, "optimizer": {}}, tmp_path / "x.pt")
    made = convert(tmp_path / "x.pt", tmp_path / "deep" / "x.safetensors")
    state = read_state_dict(made)
    assert all(torch.equal(state[name], tied[name]) for name in tied)
    assert metadata(made)["source_sha256"] == hash_file(tmp_path / "x.pt")
    assert metadata(made)["source"] == "x.pt"
    assert [path.name for path in made.parent.iterdir()] == ["x.safetensors"]


def test_conversion_never_unpickles_code(tmp_path):
    trace = tmp_path / "it ran"
    torch.save({"state_dict": TENSORS, "extra": Dangerous(trace)}, tmp_path / "x.pt")
    with pytest.raises(WeightsUnsafe, match=hash_file(tmp_path / "x.pt")):
        convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert not trace.exists()
    assert not (tmp_path / "x.safetensors").exists()


def test_a_file_rewritten_as_the_refusal_says_is_accepted(tmp_path):
    card = replace(read_card("panderm-base"), weights="x.pth")
    torch.save({"state_dict": TENSORS, "extra": Dangerous(tmp_path / "it ran")}, tmp_path / "x.pth")
    card = replace(card, sha256=hash_file(tmp_path / "x.pth"))
    made = {"source_sha256": card.sha256}
    save_file(TENSORS, tmp_path / "rewritten.safetensors", metadata=made)
    assert resolve(card, tmp_path / "rewritten.safetensors").sha256


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("x.safetensors", "y.safetensors", UsageError),
        ("x.pt", "y.pt", UsageError),
        ("nowhere.pt", "y.safetensors", WeightsMissing),
    ],
)
def test_conversions_that_make_no_sense_are_refused(tmp_path, source, target, error):
    torch.save(TENSORS, tmp_path / "x.pt")
    with pytest.raises(error):
        convert(tmp_path / source, tmp_path / target)


def test_conversion_from_the_command_line(tmp_path):
    torch.save({"state_dict": TENSORS}, tmp_path / "x.pt")
    made = tmp_path / "x.safetensors"
    done = CliRunner().invoke(app, ["models", "convert", str(tmp_path / "x.pt"), str(made)])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{made}\t{hash_file(tmp_path / 'x.pt')}\n"
    assert same(read_state_dict(made))
    (tmp_path / "x.pt").write_bytes(pickle.dumps(Dangerous(tmp_path / "it ran")))
    words = ["models", "convert", str(tmp_path / "x.pt"), str(tmp_path / "y.safetensors")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert "more than tensors" in done.stderr
    assert not (tmp_path / "it ran").exists()


def test_configuration_that_is_no_table_is_refused(tmp_path):
    for content in ("[1]", "{"):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(WeightsCorrupt):
            read_json(tmp_path / "x.json")


def test_prefixes_are_renamed_once():
    state = {"a.b.w": torch.ones(1), "c": torch.ones(1)}
    assert list(rename_prefixes(state, {"a.": "x.", "x.": "y."})) == ["x.b.w", "c"]


# ---- loading -------------------------------------------------------------------------------------------


def test_loading_fills_every_tensor():
    module = Small()
    load_strictly(module, small_state(scale=torch.tensor([2.0])), what="test")
    assert torch.equal(module.layer.weight, TENSORS["layer.weight"])
    assert module.scale.shape == ()
    assert module.scale.item() == 2.0


def test_loading_fills_a_module_on_the_meta_device():
    with torch.device("meta"):
        module = Small().requires_grad_(False)
    load_strictly(module, {k: v.half() for k, v in small_state().items()}, what="test")
    assert not any(parameter.is_meta or parameter.requires_grad for parameter in module.parameters())
    assert module.layer.weight.dtype == torch.float32
    assert torch.equal(module.layer(torch.ones(3)), torch.tensor([4.0, 13.0]))


def test_only_the_drop_list_is_dropped():
    extra = {"text.position_ids": torch.arange(4), "text.mask": torch.full((2,), -torch.inf)}
    load_strictly(Small(), small_state(**extra), dropped=["*.position_ids", "text.mask"], what="test")
    with pytest.raises(WeightsMismatch, match=r"unexpected: text.position_ids \(4,\)"):
        load_strictly(Small(), small_state(**extra), dropped=["position_ids"], what="test")


def test_every_kind_of_difference_is_listed_with_shapes():
    state = small_state(**{"layer.weight": torch.zeros(3, 2), "alien": torch.zeros(5)})
    del state["scale"]
    before = Small()
    kept = before.layer.weight.clone()
    with pytest.raises(WeightsMismatch) as caught:
        load_strictly(before, state, what="x.pt")
    message = str(caught.value)
    assert "x.pt does not fit the architecture, 3 difference(s)" in message
    assert "shape: layer.weight, expected (2, 3), came (3, 2)" in message
    assert "missing: scale ()" in message
    assert "unexpected: alien (5,)" in message
    assert torch.equal(before.layer.weight, kept)


def test_long_lists_are_cut_but_counted_and_show_every_kind():
    state = {f"alien.{index}": torch.zeros(1) for index in range(20)}
    with pytest.raises(WeightsMismatch) as caught:
        load_strictly(Small(), state, what="x")
    lines = str(caught.value).splitlines()
    assert sum(line.startswith(("  missing", "  unexpected", "  shape")) for line in lines) == 8
    assert sum(line.startswith("  missing") for line in lines) == 3
    assert "and 15 more." in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_no_numbers_are_named(value, dtype):
    bad = TENSORS["layer.weight"].to(dtype).clone()
    bad[1, 2] = value
    with pytest.raises(WeightsCorrupt, match=r"NaN or infinite values in 1 tensor\(s\): layer.weight"):
        load_strictly(Small(), small_state(**{"layer.weight": bad}), what="x")
