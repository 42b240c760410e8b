import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import dermaxai
from dermaxai.errors import WeightsCorrupt, WeightsMismatch, WeightsMissing
from dermaxai.measure.captions import text_model as room
from dermaxai.measure.captions.text_model import load_text_model
from tests.measure.captions.tiny_bert import write_bert, write_roberta

TEXTS = ["a dark mole", "benign keratosis, raised", "", "skin", "unheard words"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert"))


def slow_vectors(folder, text, layer):
    """One text at a time through the library's own model."""
    from transformers import AutoTokenizer, BertModel

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertModel.from_pretrained(folder).eval()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[layer][0]
    return ids[0].numpy(), torch.nn.functional.normalize(states, dim=-1).numpy()


@pytest.mark.parametrize("layer", [-1, 1, 0])
def test_vectors_are_those_of_the_library(folder, layer):
    model = load_text_model(folder, layer)
    read = model.read(model.cut(TEXTS))
    for text in TEXTS:
        ids, vectors = slow_vectors(folder, text, layer)
        assert read[text].ids.tolist() == ids.tolist()
        assert read[text].vectors == pytest.approx(vectors, abs=1e-5)
        assert read[text].is_word.tolist() == [False, *[True] * (len(ids) - 2), False]


def test_how_texts_are_put_together_makes_no_difference(folder, monkeypatch):
    model = load_text_model(folder)
    tokens = model.cut(TEXTS)
    whole = model.read(tokens)
    monkeypatch.setattr(room, "BATCH_TOKENS", 1)
    for text, read in model.read(tokens).items():
        assert read.vectors == pytest.approx(whole[text].vectors, abs=1e-5)


def test_long_texts_are_cut_where_the_model_ends(folder):
    model = load_text_model(folder)
    assert model.longest == 24
    read = model.read(model.cut(["dark " * 60]))
    assert len(read["dark " * 60].ids) == 24


def test_positions_behind_the_padding_are_counted_out(tmp_path):
    model = load_text_model(write_roberta(tmp_path))
    assert model.longest == 22
    model.read(model.cut(["dark " * 60]))


def test_a_model_of_two_halves_gives_its_encoder():
    folder = Path(dermaxai.__file__).parent / "demo" / "captioner" / "t5"
    model = load_text_model(folder)
    assert type(model.module).__name__ == "T5Stack"
    read = model.read(model.cut(["A dark lesion.", "Тёмный очаг."]))
    assert all(np.linalg.norm(one.vectors, axis=1) == pytest.approx(1) for one in read.values())


def test_loading_says_nothing_and_leaves_the_library_as_it_was(folder, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_text_model(folder)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def copy(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(WeightsMissing, match="holds no language model"):
        load_text_model(tmp_path / "nowhere")


def test_a_folder_without_a_tokenizer_is_refused(folder, tmp_path):
    broken = copy(folder, tmp_path)
    for path in broken.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(WeightsMissing, match="No tokenizer"):
        load_text_model(broken)


def test_a_tokenizer_beside_the_model_is_found(folder, tmp_path):
    moved = copy(folder, tmp_path)
    (tmp_path / "tokenizer").mkdir()
    for path in moved.glob("tokenizer*"):
        path.rename(tmp_path / "tokenizer" / path.name)
    assert load_text_model(moved).cut(["dark"]) == {"dark": [2, 5, 3]}


def test_broken_files_are_refused(folder, tmp_path):
    broken = copy(folder, tmp_path)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        load_text_model(broken)


def test_missing_weights_are_not_made_up(folder, tmp_path):
    broken = copy(folder, tmp_path)
    state = load_file(broken / "model.safetensors")
    lost = next(name for name in state if "attention" in name)
    save_file({name: value for name, value in state.items() if name != lost}, broken / "model.safetensors")
    with pytest.raises(WeightsMismatch, match="lacks 1 tensors"):
        load_text_model(broken)


def test_a_pooler_is_not_needed(folder, tmp_path):
    smaller = copy(folder, tmp_path)
    state = load_file(smaller / "model.safetensors")
    kept = {name: value for name, value in state.items() if "pooler" not in name}
    assert len(kept) < len(state)
    save_file(kept, smaller / "model.safetensors", {"format": "pt"})
    ours, theirs = (
        load_text_model(place).read({"dark": [2, 5, 3]})["dark"].vectors for place in (smaller, folder)
    )
    assert (ours == theirs).all()
    assert json.loads((smaller / "config.json").read_text())["model_type"] == "bert"
