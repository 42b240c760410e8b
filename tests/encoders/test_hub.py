import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dermaxai.encoders import hub
from dermaxai.encoders.cards import read_card
from dermaxai.encoders.weights import resolve, resolve_tokenizer
from dermaxai.errors import WeightsOffline


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What the real hub library and this package make of a hub on the loopback interface."""
    program = [sys.executable, str(Path(__file__).with_name("loopback_hub.py"))]
    folder = tmp_path_factory.mktemp("hub")
    done = subprocess.run([*program, str(folder)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_only_what_is_needed_is_downloaded(outcomes):
    assert outcomes["good"]["files"] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert outcomes["good"]["revision"] == "c" * 40
    assert len(outcomes["good"]["sha256"]) == 64


def test_the_second_time_nothing_is_asked(outcomes):
    assert outcomes["good again"] == outcomes["good"]
    assert outcomes["asked again"] == 0


def test_an_unpinned_card_stays_at_its_first_download(outcomes):
    assert outcomes["newest"]["revision"] == "c" * 40
    assert outcomes["newest asked again"] == 0


@pytest.mark.parametrize("name", ["gated", "closed", "private"])
def test_refusals_say_where_to_ask(outcomes, name):
    assert outcomes[name]["error"] == "WeightsGated"
    assert f"https://huggingface.co/{name}/tiny" in outcomes[name]["text"]
    assert "HF_TOKEN" in outcomes[name]["text"]


def test_missing_things_are_told_apart(outcomes):
    assert outcomes["missing"]["error"] == "WeightsMissing"
    assert "missing/tiny" in outcomes["missing"]["text"]
    assert outcomes["good revision"]["error"] == "WeightsMissing"
    assert "has no revision " + "d" * 40 in outcomes["good revision"]["text"]
    assert outcomes["empty"]["error"] == "WeightsMissing"
    assert "none of model.safetensors, pytorch_model.bin; it holds config.json" in outcomes["empty"]["text"]


def test_a_damaged_arrival_is_noticed(outcomes):
    assert outcomes["lying"]["error"] == "WeightsCorrupt"
    assert "0" * 64 in outcomes["lying"]["text"]


@pytest.mark.parametrize("name", ["broken", "down", "offline"])
def test_no_answer_says_what_to_bring(outcomes, name):
    assert outcomes[name]["error"] == "WeightsOffline"
    for part in ("model.safetensors", "1711 MB", "c" * 40, "dermaxai fetch monet", "looked in"):
        assert part in outcomes[name]["text"]


def test_offline_asks_nothing(outcomes):
    assert outcomes["offline asked"] == 0


def test_fetch_reports_first_and_records_the_origin(outcomes):
    fetched = outcomes["fetched"]
    assert [report[:2] for report in fetched["reports"]] == [["monet", "model.safetensors"]]
    assert fetched["reports"][0][2] > 0
    assert fetched["folder"] == "carried/monet"
    assert fetched["record"]["sha256"] == outcomes["good"]["sha256"]
    assert fetched["record"]["revision"] == "c" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def _put(cache: Path, repo: str, revision: str, name: str, content: bytes) -> Path:
    path = cache / f"models--{repo.replace('/', '--')}" / "snapshots" / revision / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_offline_argument_forbids_the_network(cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("network"))
    with pytest.raises(WeightsOffline, match="dermaxai fetch biomedclip"):
        resolve(read_card("biomedclip"), offline=True)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "DERMAXAI_OFFLINE"])
def test_environment_forbids_the_network(cache, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert hub.is_offline()
    with pytest.raises(WeightsOffline):
        resolve(read_card("siglip-so400m-384"))


def test_the_cache_serves_offline(cache):
    card = read_card("biomedclip")
    path = _put(cache, card.repo_id, card.revision, card.alternatives[-1], b"weights")
    found = resolve(card, offline=True)
    assert found.weights == path
    assert found.revision == card.revision
    assert found.sha256 == hashlib.sha256(b"weights").hexdigest()


def test_tokenizer_beside_the_weights_comes_first(cache, tmp_path):
    card = read_card("unimed-clip-b16")
    own = tmp_path / "own"
    own.mkdir()
    (own / card.weights).write_bytes(b"weights")
    checkpoint = resolve(card, own)
    with pytest.raises(WeightsOffline):
        resolve_tokenizer(card, checkpoint, offline=True)
    there = _put(cache, card.tokenizer_repo, card.tokenizer_revision, "vocab.txt", b"[PAD]")
    assert resolve_tokenizer(card, checkpoint, offline=True) == there.parent
    (own / "vocab.txt").write_bytes(b"[PAD]")
    assert resolve_tokenizer(card, checkpoint, offline=True) == own


def test_no_tokenizer_needed_where_the_library_brings_it(tmp_path):
    card = replace(read_card("make"))
    (tmp_path / card.weights).write_bytes(b"weights")
    assert resolve_tokenizer(card, resolve(card, tmp_path), offline=True) is None
