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
    program = [sys.executable, "-m", "tests.encoders.loopback_hub", str(tmp_path_factory.mktemp("hub"))]
    home = Path(__file__).parents[2]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False, cwd=home)
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


def test_what_the_newest_was_is_kept_where_nothing_is_pinned(outcomes):
    fetched = outcomes["fetched unpinned"]
    assert fetched["record"]["revision"] == fetched["given"] == fetched["read again"] == "c" * 40


# ---- hub ids without a card ------------------------------------------------------------------------


def test_an_id_without_a_card_is_read_by_its_own_configuration(outcomes):
    found = outcomes["by id"]["first"]
    assert found["card"] == ["nocard/tiny", "nocard/tiny", "c" * 40]
    assert found["revision"] == "c" * 40
    assert outcomes["by id"]["nocard/tiny"] == {**found, "asked": False}


def test_an_id_may_name_a_revision(outcomes):
    found = outcomes["by id"][f"nocard/tiny@{'a' * 40}"]
    assert found["revision"] == found["card"][2] == "a" * 40


def test_faults_of_ids_are_told_apart(outcomes):
    found = outcomes["by id"]
    assert found["missing/tiny"]["error"] == "WeightsMissing"
    assert found["gated/tiny"]["error"] == "WeightsGated"
    assert "huggingface.co/gated/tiny" in found["gated/tiny"]["text"]
    assert "has no revision " + "d" * 40 in found[f"nocard/tiny@{'d' * 40}"]["text"]
    assert found["good/tiny"]["error"] == "NotSupported"


# ---- T5 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["t5", "flan", "mt5", "rut5"])
def test_a_t5_comes_in_safetensors_or_in_bin(outcomes, kind):
    found = outcomes["t5"][kind]
    assert found.get("error") is None, found
    assert (found["source"], found["revision"]) == (f"{kind}/tiny", "c" * 40)
    assert len(found["sha256"]) == 64


def test_bin_files_of_a_t5_are_fetched_only_where_there_is_nothing_better(outcomes):
    asked = outcomes["t5"]["asked for"]
    assert "model.safetensors" in asked
    assert "pytorch_model.bin" not in asked


def test_a_t5_stays_at_its_revision(outcomes):
    found = outcomes["t5"]
    assert found["pinned"]["revision"] == "a" * 40
    assert found["pinned"]["sha256"] != found["flan"]["sha256"]
    assert found["pinned to the newest"] == found["flan"]
    assert found["no such revision"]["error"] == "WeightsMissing"
    assert "d" * 40 in found["no such revision"]["text"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        *(("gated", "WeightsGated"), ("closed", "WeightsGated"), ("private", "WeightsGated")),
        *(("missing", "WeightsMissing"), ("weightless", "WeightsMissing"), ("broken", "WeightsOffline")),
        *(("down", "WeightsOffline"), ("offline", "WeightsOffline"), ("impossible", "UsageError")),
    ],
)
def test_faults_of_a_t5_are_told_apart(outcomes, name, error):
    found = outcomes["t5"][name]
    assert found["error"] == error, found["text"]
    assert "/tiny" in found["text"]
    if error == "WeightsGated":
        assert "HF_TOKEN" in found["text"]


def test_a_cached_t5_needs_no_hub(outcomes):
    assert outcomes["t5"]["down but cached"] == outcomes["t5"]["pinned"]


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
