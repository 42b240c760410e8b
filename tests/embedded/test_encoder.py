"""The demo's CLIP: training resumes bit for bit, and what is exported is what was trained."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoTokenizer

from dermaxai.embedded.clip import encode_short, image_tokens
from dermaxai.embedded.encoder import EncoderTraining, contrastive
from dermaxai.embedded.texts import draw_text, fact_vector, facts_of
from dermaxai.errors import SettingError
from dermaxai.statements import Facts
from tests.embedded.conftest import COUNT, RECIPE

TEXTS = (
    "A large asymmetric lesion with an irregular border.",
    "Возможный диагноз: меланома.",
    "dermoscopy of melanocytic nevus",
    "Blue-white VEIL, 3 mm?",
    "word " * 80,
)


def flat(tree, prefix=""):
    """All tensors and numbers of a nested state, by path."""
    if isinstance(tree, dict):
        items = [flat(value, f"{prefix}/{key}") for key, value in tree.items()]
    elif isinstance(tree, (list, tuple)):
        items = [flat(value, f"{prefix}/{key}") for key, value in enumerate(tree)]
    else:
        return {prefix: tree}
    return {key: value for part in items for key, value in part.items()}


def states_equal(one, other) -> bool:
    one, other = flat(one), flat(other)
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
        for key, value in one.items()
    )


def test_resumed_training_is_the_uninterrupted_one(run, start_training, tmp_path):
    begun = start_training(tmp_path)
    begun.advance()
    begun.save()
    del begun
    resumed = start_training(tmp_path)
    resumed.run()
    one, other = (torch.load(t.folder / "encoder.state", weights_only=True) for t in (run, resumed))
    assert one["step"] == other["step"] == 3
    for part in ("model", "heads", "average", "optimizers"):
        assert states_equal(one[part], other[part]), part
    names = ("open_clip_model.safetensors", "open_clip_config.json")
    for name in names:
        assert (run.folder / "encoder" / name).read_bytes() == (tmp_path / "encoder" / name).read_bytes()


def test_training_moves_every_part_and_heads_are_not_exported(run, start_training, tmp_path):
    fresh = start_training(tmp_path)
    still = [
        name
        for name, value in fresh.model.state_dict().items()
        if torch.equal(value, run.model.state_dict()[name])
    ]
    assert set(still) <= {"attn_mask", "visual.positional_embedding"}
    assert any("lesion" in name for name in run.heads.state_dict())
    assert run.average.keys() == run.model.state_dict().keys()
    config = json.loads((run.folder / "encoder" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["text_cfg"]["vocab_size"] == len(run.tokenizer)
    assert config["preprocess_cfg"]["resize_mode"] == "shortest"


def test_a_finished_training_does_nothing_more(run, start_training, tmp_path):
    (tmp_path / "encoder.state").write_bytes((run.folder / "encoder.state").read_bytes())
    again = start_training(tmp_path)
    again.run()
    assert again.step == 3
    assert states_equal(again.average, run.average)


def test_another_recipe_does_not_go_on_from_it(run, measured, tmp_path):
    shutil.copytree(run.folder, tmp_path, dirs_exist_ok=True)
    other = EncoderTraining(measured, range(COUNT), replace(RECIPE, weight_decay=0.2), tmp_path)
    with pytest.raises(SettingError, match=r"Delete encoder\.state"):
        other.run()
    fewer = EncoderTraining(measured, range(COUNT - 1), RECIPE, tmp_path)
    with pytest.raises(SettingError, match="other photos"):
        fewer.run()


@torch.no_grad()
def test_training_sees_photos_as_the_deployed_encoder_does(encoder, measured):
    pixels = (measured.photos[:2].float() / 255 - 0.5) / 0.5
    visual = encoder.module.visual
    first, patches, kept = image_tokens(visual, pixels, 1.0, torch.Generator())
    deployed = encoder.forward(pixels)
    assert torch.allclose(patches, deployed.patches, atol=1e-5)
    assert torch.allclose(functional.normalize(first @ visual.proj, dim=-1), deployed.pooled, atol=1e-5)
    assert torch.equal(kept, torch.arange(196).expand(2, -1))


@torch.no_grad()
@pytest.mark.parametrize(("side", "keep", "count"), [(112, 1.0, 49), (224, 0.5, 98)])
def test_other_resolutions_and_dropped_patches(encoder, measured, side, keep, count):
    pixels = functional.interpolate(measured.photos[:2].float() / 255, (side, side))
    visual = encoder.module.visual
    _, patches, kept = image_tokens(visual, pixels, keep, torch.Generator().manual_seed(3))
    assert patches.shape == (2, count, 64)
    assert kept.shape == (2, count)
    assert all(len(set(row)) == count for row in kept.tolist())
    again = image_tokens(visual, pixels, keep, torch.Generator().manual_seed(3))
    assert torch.equal(again[1], patches)


@torch.no_grad()
def test_training_reads_texts_as_the_deployed_encoder_does(encoder, run):
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "encoder")
    ids = tokenizer(
        list(TEXTS), padding="longest", truncation=True, max_length=48, return_tensors="pt"
    ).input_ids
    deployed = encoder._tokenize(TEXTS)
    last = len(tokenizer) - 1
    assert tokenizer.convert_tokens_to_ids("</s>") == last == int(deployed.max())
    assert (ids.max(dim=1).values == last).all()
    assert torch.equal(ids, deployed[:, : ids.shape[1]])
    assert (deployed[:, ids.shape[1] :] == tokenizer.pad_token_id).all()
    assert tokenizer.unk_token_id not in ids
    for row in ids.tolist():
        assert row[0] == tokenizer.bos_token_id
        assert set(row[row.index(last) + 1 :]) <= {tokenizer.pad_token_id}
    short = functional.normalize(encode_short(encoder.module, ids), dim=-1)
    assert torch.allclose(short, encoder.encode_text(TEXTS), atol=1e-5)
    few = ids[1:2, : int((ids[1] != tokenizer.pad_token_id).sum())]
    assert torch.allclose(
        functional.normalize(encode_short(encoder.module, few), dim=-1), short[1:2], atol=1e-5
    )


def test_contrastive_loss():
    """Rows that share a text cannot be told apart: ln 2 each; a wrong pairing costs the whole scale."""
    pairs, scale = torch.eye(3)[[0, 0, 1]], torch.tensor(50.0)
    assert float(contrastive(pairs, pairs, scale, ("a", "a", "b"))) == pytest.approx(
        2 / 3 * np.log(2), abs=1e-4
    )
    plain = torch.eye(3)
    assert float(contrastive(plain, plain, scale, ("a", "b", "c"))) == pytest.approx(0, abs=1e-4)
    assert float(contrastive(plain, plain.roll(1, 0), scale, ("a", "b", "c"))) == pytest.approx(50, abs=1e-3)


def test_facts_as_numbers():
    vector = fact_vector(Facts("medium", "asymmetric", "regular", ("red", "black"), "nv"))
    assert vector[:7] == [0, 1, 0, 0, 1, 1, 0]
    assert sum(vector[7:]) == 2
    assert len(vector) == 14
    assert np.isnan(fact_vector(Facts(diagnosis="nv"))).all()


def test_the_size_word_follows_the_moved_outline(measured):
    appearance = measured.appearances[3]
    assert facts_of(appearance, 0.05, "nv").size == "small"
    assert facts_of(appearance, 0.5, "nv").size == "large"
    assert facts_of(measured.appearances[-1], 0.5, "nv") == Facts(diagnosis="nv")


def test_texts_of_a_photo_state_only_its_facts():
    facts = Facts("small", "symmetric", "regular", ("pink",), "df")
    drawn = {draw_text(facts, np.random.default_rng(seed)) for seed in range(150)}
    assert {"dermoscopy of dermatofibroma", "дерматоскопия: дерматофиброма"} <= drawn
    assert len(drawn) > 30
    assert not any(word in text for text in drawn for word in ("large", "melanoma", "неровной"))
