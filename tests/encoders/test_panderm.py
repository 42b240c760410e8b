"""The PanDerm tower against numbers of the authors' own code."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dermaxai.encoders import load_encoder
from dermaxai.encoders.cards import read_card
from dermaxai.encoders.panderm import beit
from dermaxai.encoders.tail import open_blocks, open_tail, run_tower
from dermaxai.encoders.towers import panderm_tower
from dermaxai.encoders.weights import load_strictly
from dermaxai.errors import WeightsMismatch

REPOSITORY = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("DERMAXAI_GOLDEN", REPOSITORY.parent / "shared" / "golden")) / "panderm_tiny"
CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_dir():
        pytest.skip("needs golden/panderm_tiny beside the repository")
    return load_file(GOLDEN / "io.safetensors")


def module_of(*, projected, state=None):
    config = json.loads((GOLDEN / "config.json").read_text())
    state = state or load_file(GOLDEN / "weights.safetensors")
    vision = {"image_size": config["img_size"], "head_width": config["embed_dim"] // config["num_heads"]}
    module = beit(state, vision, config["img_size"], outputs=config["out_dim"] if projected else 0)
    load_strictly(module, state, dropped=() if projected else ("head.*",), what="golden")
    return module.eval().requires_grad_(False)


def tower_of(*, projected, state=None):
    return panderm_tower(module_of(projected=projected, state=state), projected=projected)


def test_every_block_and_the_embedding(golden):
    tower = tower_of(projected=True)
    tokens = tower.embed(golden["input"])
    assert torch.allclose(tokens, golden["tokens_in"], **CLOSE)
    for index, block in enumerate(open_blocks(tower, tokens)):
        assert torch.allclose(block.tokens, golden[f"block_{index}_out"], **CLOSE)
    result = tower.read_out(golden["block_2_out"])
    assert torch.allclose(result.patches, golden["tokens_norm"][:, 1:], **CLOSE)
    assert torch.allclose(result.embedding, golden["embedding"], **CLOSE)
    assert torch.allclose(result.patches.mean(dim=1), golden["patch_mean"], **CLOSE)


def test_the_fused_forward_pass(golden):
    features = run_tower(tower_of(projected=True), golden["input"])
    unit = torch.nn.functional.normalize(golden["embedding"], dim=-1)
    assert torch.allclose(features.tail_input, golden["block_1_out"], **CLOSE)
    assert torch.allclose(features.pooled, unit, **CLOSE)
    assert torch.allclose(features.patches, golden["tokens_norm"][:, 1:], **CLOSE)


def test_the_last_block_part_by_part(golden):
    tower = tower_of(projected=True)
    tail = open_tail(tower, golden["block_1_out"])
    for found, wanted in [
        (tail.queries, "last_q"),
        (tail.keys, "last_k"),
        (tail.values, "last_v"),
        (tail.attention, "last_attn_weights"),
        (tail.context, "last_attn_context"),
        (tail.tokens, "block_2_out"),
    ]:
        assert torch.allclose(found, golden[wanted], **CLOSE), wanted
    out = tower.blocks[-1].attn.proj(tail.context)
    assert torch.allclose(out, golden["last_attn_out"], **CLOSE)


def test_gradients_of_the_similarity(golden):
    tower = tower_of(projected=True)
    tail = open_tail(tower, golden["block_1_out"].clone().requires_grad_(True))
    similarity = torch.nn.functional.cosine_similarity(tail.pooled, golden["text_embedding"])
    assert torch.allclose(similarity, golden["similarity"], **CLOSE)
    attention, tokens = torch.autograd.grad(similarity.sum(), [tail.attention, tail.tokens])
    assert torch.allclose(attention, golden["grad_sim_last_attn_weights"], **CLOSE)
    assert torch.allclose(tokens, golden["grad_sim_last_block_out"], **CLOSE)
    assert attention[:, :, 0].abs().max() == 0  # the class token does not reach the output any more
    assert attention[:, :, 1:].abs().max() > 0


def test_one_norm_or_the_class_token_would_be_noticed(golden):
    """Each plausible mistake, put through the same head, is far from what the tower gives."""
    module = module_of(projected=True)
    found = panderm_tower(module, projected=True).read_out(golden["block_2_out"]).embedding
    assert torch.allclose(found, module.head(module.norm(golden["patch_mean"])), **CLOSE)
    normed = golden["tokens_norm"]
    mistakes = {
        "one norm": golden["patch_mean"],
        "class token": normed[:, 0],
        "class token, two norms": module.norm(normed[:, 0]),
        "class token in the mean": module.norm(normed.mean(dim=1)),
        "norm after the mean only": module.norm(golden["block_2_out"][:, 1:].mean(dim=1)),
    }
    for name, pooled in mistakes.items():
        assert (module.head(pooled) - found).abs().max() > 100 * CLOSE["atol"], name


def test_without_projection_the_class_token_is_read(golden):
    features = run_tower(tower_of(projected=False), golden["input"])
    unit = torch.nn.functional.normalize(golden["panderm_repo_lp_cls"], dim=-1)
    assert torch.allclose(features.pooled, unit, **CLOSE)
    assert torch.allclose(golden["panderm_repo_lp_cls"], golden["tokens_norm"][:, 0], **CLOSE)


def test_the_fine_tuned_form_norms_the_mean(golden):
    state = load_file(GOLDEN / "weights.safetensors")
    state = {
        key.replace("norm.", "fc_norm.", 1) if key.startswith("norm.") else key: v for key, v in state.items()
    }
    features = run_tower(tower_of(projected=False, state=state), golden["input"])
    unit = torch.nn.functional.normalize(golden["panderm_repo_ft_meanpool"], dim=-1)
    assert torch.allclose(features.pooled, unit, **CLOSE)


def test_a_stranger_s_file_is_named_as_such(tmp_path):
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsMismatch, match="no PanDerm tower"):
        load_encoder(replace(read_card("panderm-base"), sha256=""), tmp_path / "other.safetensors")
