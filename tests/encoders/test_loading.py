"""Names, folders, files, and configurations that do not fit."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dermaxai.encoders import ADAPTERS, load_encoder
from dermaxai.encoders.cards import KINDS, card_names, read_card
from dermaxai.encoders.folders import card_of_folder
from dermaxai.errors import (
    NotSupported,
    UnknownName,
    WeightsCorrupt,
    WeightsMismatch,
    WeightsMissing,
    WeightsOffline,
)
from tests.encoders import tiny

SHARED = Path(__file__).parents[2].parent / "shared"
LAB_CLIP = Path(os.environ.get("DERMAXAI_MODELS", SHARED / "models")) / "lab_clip"
GOLDEN = Path(os.environ.get("DERMAXAI_GOLDEN", SHARED / "golden")) / "explain"


@pytest.fixture
def folder(tmp_path):
    tiny.open_clip_folder(tmp_path / "small")
    return tmp_path / "small"


def change_config(folder, **changes):
    path = folder / "open_clip_config.json"
    found = json.loads(path.read_text())
    for table, values in changes.items():
        (found["model_cfg"] if table == "model" else found[table] if table == "preprocess_cfg" else
         found["model_cfg"][table]).update(values)  # fmt: skip
    path.write_text(json.dumps(found))


def test_every_adapter_of_a_card_is_in_the_table():
    assert set(ADAPTERS) == set(KINDS)
    assert {read_card(name).adapter for name in card_names()} == set(ADAPTERS)


def test_reading_the_table_imports_no_torch():
    code = "import sys, dermaxai.encoders; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_unknown_name():
    with pytest.raises(UnknownName, match="Did you mean 'make'"):
        load_encoder("maek")


def test_folder_without_configuration(tmp_path):
    with pytest.raises(WeightsMissing, match=r"open_clip_config\.json nor config\.json"):
        load_encoder(tmp_path)


def test_fork_keys_are_dropped_and_others_refused(folder):
    change_config(folder, vision_cfg={"sigma": 0.3, "patch_embeddings": True})
    load_encoder(folder)
    change_config(folder, vision_cfg={"mystery": 1}, model={"loss": "x"})
    with pytest.raises(WeightsMismatch, match=r"loss, vision_cfg\.mystery") as caught:
        load_encoder(folder)
    assert "dropped_config_keys" in str(caught.value)


def test_weights_of_another_width_are_refused(folder):
    with pytest.raises(WeightsMismatch, match="width 64; its card says 768"):
        load_encoder("dermlip-vit-b16", folder)
    change_config(folder, vision_cfg={"width": 128})
    with pytest.raises(WeightsMismatch, match="shape: "):
        load_encoder(folder)


def test_exotic_towers_are_named(tmp_path, folder):
    tiny.open_clip_folder(tmp_path / "exotic", attentional_pool=True)
    with pytest.raises(NotSupported, match="attentional pooling"):
        load_encoder(tmp_path / "exotic")
    change_config(folder, preprocess_cfg={"resize_mode": "longest"})
    with pytest.raises(NotSupported, match="longest"):
        load_encoder(folder)


def test_a_configuration_of_an_exotic_tower_does_not_fit_plain_weights(folder):
    change_config(folder, vision_cfg={"attentional_pool": True})
    with pytest.raises(WeightsMismatch, match=r"missing: visual\.attn_pool"):
        load_encoder(folder)


def test_the_folder_s_preprocessing_is_used(folder):
    encoder = load_encoder(folder)
    assert encoder.card.mean == (0.4, 0.4, 0.4)
    assert encoder.card.std == (0.2, 0.3, 0.25)
    assert (encoder.card.image_size, encoder.card.width, encoder.card.embed) == (64, 64, 24)


def test_broken_configuration(folder):
    (folder / "open_clip_config.json").write_text("{")
    with pytest.raises(WeightsCorrupt, match="no readable JSON"):
        load_encoder(folder)


def test_the_card_s_activation_overrides_the_configuration(folder):
    card = card_of_folder(folder)
    images = [tiny.photo(70, 70)]
    plain = load_encoder(card, folder).encode(images)[0].pooled
    same = load_encoder(replace(card, activation="gelu"), folder).encode(images)[0].pooled
    other = load_encoder(replace(card, activation="quick_gelu"), folder).encode(images)[0].pooled
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, other, atol=1e-4)


def test_text_configuration_of_the_folder_comes_before_the_card_s(tmp_path):
    made = tiny.biomed_folder(tmp_path / "bio")
    wrong = {**tiny.BERT, "num_hidden_layers": 3}
    with pytest.raises(WeightsMismatch, match="missing: text"):
        load_encoder(replace(made.name, text_config=wrong), made.source, offline=True)
    (tmp_path / "bio" / "bert").mkdir()
    (tmp_path / "bio" / "bert" / "config.json").write_text(json.dumps(tiny.BERT))
    load_encoder(replace(made.name, text_config=wrong), made.source, offline=True)


def test_text_configuration_nowhere_and_offline(tmp_path):
    made = tiny.biomed_folder(tmp_path / "bio")
    with pytest.raises(WeightsOffline, match=r"somewhere/bert.*text_config\.json"):
        load_encoder(replace(made.name, text_config={}), made.source, offline=True)


def test_a_missing_tokenizer_does_not_stop_the_vision_tower(tmp_path):
    made = tiny.biomed_folder(tmp_path / "bio")
    (tmp_path / "bio" / "tokenizer.json").unlink()
    encoder = load_encoder(replace(made.name, tokenizer_repo=""), made.source, offline=True)
    assert encoder.encode([tiny.photo(80, 80)])[0].pooled.shape == (24,)
    with pytest.raises(WeightsMissing, match="needs the tokenizer somewhere/bert"):
        encoder.encode_text(["skin"])


def test_siglip_of_dynamic_resolution_is_refused(tmp_path):
    tiny.siglip_folder(tmp_path / "sig")
    path = tmp_path / "sig" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "siglip2"}))
    with pytest.raises(NotSupported, match="siglip2"):
        load_encoder(tmp_path / "sig")


def test_siglip_text_ignores_case_and_punctuation_and_is_padded(tmp_path):
    tiny.siglip_folder(tmp_path / "one")
    first = load_encoder(tmp_path / "one")
    assert torch.equal(first.encode_text(["A dark, mole."]), first.encode_text(["a dark mole"]))
    tiny.siglip_folder(tmp_path / "two", second=True)
    second = load_encoder(tmp_path / "two")
    assert (first.card.kind, second.card.kind) == ("siglip", "siglip2")
    assert torch.equal(second.encode_text(["A Dark mole"]), second.encode_text(["a dark mole"]))
    assert not torch.equal(second.encode_text(["a dark, mole"]), second.encode_text(["a dark mole"]))
    assert first._tokenize(["skin"]).shape == second._tokenize(["skin"]).shape == (1, 12)


def test_a_folder_with_its_own_tokenizer_and_a_plain_text_tower(tmp_path):
    """The form of the embedded demo: open_clip's text transformer, a small vocabulary, end token highest."""
    import open_clip
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "<unk>", "<start>", "dark", "mole", "<end>"]
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 5)]
    )
    text = {**tiny.CLIP_TEXT, "vocab_size": 6, "context_length": 5, "pool_type": "argmax"}
    model = tiny.stir(lambda: open_clip.CLIP(24, tiny.VISION, dict(text)))
    text["hf_tokenizer_name"] = "tokenizer.json"
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": tiny.VISION, "text_cfg": text}}
    folder = tiny.write(tmp_path / "demo", model.state_dict(), config)
    tokenizer.save(str(folder / "tokenizer.json"))
    encoder = load_encoder(folder, offline=True)
    ids = torch.tensor([[2, 3, 5, 0, 0], [2, 3, 4, 3, 5]])
    with torch.no_grad():
        expected = model.encode_text(ids, normalize=True)
    assert torch.allclose(encoder.encode_text(["dark", "dark mole dark mole"]), expected, atol=1e-6)
    by_card = load_encoder("demo", folder, offline=True)
    assert torch.equal(by_card.encode_text(["dark"]), encoder.encode_text(["dark"]))


def test_open_clip_s_own_loader_agrees(folder, tmp_path):
    """The folder is genuine: open_clip itself reads it and answers the same."""
    import open_clip

    copy = shutil.copytree(folder, tmp_path / "copy")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{copy}")
    model.eval()
    from PIL import Image

    image = tiny.photo(90, 120)
    encoder = load_encoder(folder)
    pixels, _ = encoder.preprocess(image)
    theirs = transform(Image.fromarray(image.pixels))
    assert torch.equal(pixels, theirs)
    with torch.no_grad():
        expected = model.encode_image(theirs[None], normalize=True)
    assert torch.allclose(encoder.encode([image])[0].pooled, expected[0], atol=1e-6)


@pytest.mark.skipif(not (LAB_CLIP.is_dir() and GOLDEN.is_dir()), reason="needs lab_clip and golden/explain")
def test_trained_model_gives_the_golden_embeddings():
    encoder = load_encoder(LAB_CLIP, offline=True)
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    texts = encoder.encode_text(manifest["texts"])
    assert encoder.logit_scale == pytest.approx(manifest["logit_scale"], rel=1e-5)
    for name in manifest["images"]:
        stem = Path(name).stem
        pixels = torch.from_numpy(np.load(GOLDEN / f"{stem}__inputs.npz")["image"])[None]
        features = encoder.forward(pixels)
        for index in range(2):
            golden = np.load(GOLDEN / f"{stem}__t{index}__gradeclip.npz")
            image, text = (torch.from_numpy(golden[key]).flatten() for key in ("image_emb", "text_emb"))
            assert torch.allclose(features.pooled[0], image / image.norm(), atol=1e-5)
            assert torch.allclose(texts[index], text / text.norm(), atol=1e-5)


@pytest.mark.skipif(not (LAB_CLIP.is_dir() and GOLDEN.is_dir()), reason="needs lab_clip and golden/explain")
def test_tail_of_a_trained_model_gives_the_golden_parts():
    encoder = load_encoder(LAB_CLIP, offline=True)
    stem = Path(json.loads((GOLDEN / "manifest.json").read_text())["images"][0]).stem
    pixels = torch.from_numpy(np.load(GOLDEN / f"{stem}__inputs.npz")["image"])[None]
    cams, eclip = (np.load(GOLDEN / f"{stem}__t0__{kind}.npz") for kind in ("cams", "gradeclip"))
    text = torch.from_numpy(cams["text_emb"]).flatten()
    tail = encoder.tail(encoder.forward(pixels).tail_input.requires_grad_(True))
    score = tail.pooled[0] @ (text / text.norm())
    normed, context = torch.autograd.grad(score, [tail.normed, tail.context])

    def as_channels(tokens):
        return tokens[0, 1:].T.reshape(-1, 14, 14).detach().numpy()

    assert np.allclose(as_channels(tail.normed), cams["activations"].reshape(-1, 14, 14), atol=1e-4)
    golden = cams["gradients"].reshape(-1, 14, 14)
    assert np.abs(as_channels(normed) - golden).max() <= 1e-4 * np.abs(golden).max()
    wanted = eclip["mh_img_grad_attn_out"].reshape(-1)
    found = context[0].detach().numpy()[: len(wanted) // encoder.width].reshape(-1)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
