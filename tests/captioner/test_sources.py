"""Where a T5 comes from: what can go wrong on the way has a name."""

from __future__ import annotations

import errno
import sys

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors

from dermaxai.captioner import load_t5
from dermaxai.errors import UsageError, WeightsCorrupt, WeightsMissing, WeightsOffline
from tests.captioner import tiny

HTTP = sys.modules[errors.HfHubHTTPError.__mro__[1].__module__.partition(".")[0]]


@pytest.mark.parametrize(
    ("raised", "error", "said"),
    [
        (HTTP.ProxyError("407 proxy"), WeightsOffline, "407 proxy"),
        (HTTP.ReadTimeout("too slow"), WeightsOffline, "too slow"),
        (HTTP.ConnectError(""), WeightsOffline, "ConnectError"),
        (OSError(errno.ENOSPC, "No space left on device"), WeightsMissing, "Free space"),
        (errors.LocalEntryNotFoundError("not cached"), WeightsOffline, "local folder"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_no_error_of_the_hub_library_leaks(monkeypatch, raised, error, said):
    def refuse(*_, **__):
        raise raised

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(error, match=said) as caught:
        load_t5("google-t5/t5-small")
    assert "google-t5/t5-small" in str(caught.value)


@pytest.mark.parametrize("source", ["a/b/c", "../b", "nothing", "google-t5/t5-small@main"])
def test_what_is_no_hub_id_is_said_to_be_none(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="neither a folder nor a hub id"):
        load_t5(source)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no readable JSON"),
        ("[]", "holds a list"),
        ('{"model_type": "t5", "d_model": "wide"}', "cannot be read"),
    ],
)
def test_a_broken_configuration_is_named(tmp_path, content, said):
    tiny.write_t5(tmp_path, "t5")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsCorrupt, match=rf"config\.json.*{said}"):
        load_t5(tmp_path)


def test_a_broken_tokenizer_is_named(tmp_path):
    tiny.write_t5(tmp_path, "mt5")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        load_t5(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', '{"weight_map": {"a": "../b.bin"}}'],
)
@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_a_broken_index_is_named(tmp_path, content, kind):
    tiny.write_t5(tmp_path, "t5")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / f"{kind}.index.json").write_text(content)
    with pytest.raises(WeightsCorrupt, match=r"index\.json"):
        load_t5(tmp_path)


def test_shards_in_pickles_are_read(tmp_path):
    state = tiny.write_t5(tmp_path, "rut5")
    (tmp_path / "pytorch_model.bin").unlink()
    for place, names in enumerate((sorted(state)[:5], sorted(state)[5:])):
        torch.save({name: state[name] for name in names}, tmp_path / f"part{place}.bin")
    homes = {name: f"part{int(place >= 5)}.bin" for place, name in enumerate(sorted(state))}
    table = '{"weight_map": {' + ", ".join(f'"{name}": "{file}"' for name, file in homes.items()) + "}}"
    (tmp_path / "pytorch_model.bin.index.json").write_text(table)
    assert torch.equal(load_t5(tmp_path).model.lm_head.weight, state["lm_head.weight"])
