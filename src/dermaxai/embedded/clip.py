"""The demo's CLIP: its build, its forward pass at any resolution, its folder in open_clip's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.transformer import VisionTransformer
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from dermaxai.embedded.recipes import EncoderRecipe

SIZE = 224
"""Side of the deployed photo, pixels."""
MEAN, STD = 0.5, 0.5
PATCH, GRID = 16, 14
"""Side of a patch in pixels, and of the deployed photo in patches."""
HEAD = 64
"""Width of an attention head."""


def model_config(recipe: EncoderRecipe, vocabulary: int) -> dict[str, Any]:
    """The `model_cfg` of open_clip for this recipe."""
    vision = {
        "image_size": SIZE,
        "layers": recipe.layers,
        "width": recipe.width,
        "head_width": HEAD,
        "patch_size": PATCH,
        "pos_embed_type": "sin_cos_2d",
    }
    text = {
        "context_length": recipe.context,
        "vocab_size": vocabulary,
        "width": recipe.text_width,
        "heads": recipe.text_width // HEAD,
        "layers": recipe.text_layers,
        "hf_tokenizer_name": ".",
    }
    return {"embed_dim": recipe.embed, "vision_cfg": vision, "text_cfg": text}


def build_clip(recipe: EncoderRecipe, vocabulary: int) -> CLIP:
    """The untrained model, attention initialised to look at similar tokens.

    Source: mimetic initialisation (Trockman & Kolter, arXiv:2305.09828), section 4.
    """
    config = model_config(recipe, vocabulary)
    text = {key: value for key, value in config["text_cfg"].items() if key != "hf_tokenizer_name"}
    model = CLIP(recipe.embed, CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**text))
    with torch.no_grad():
        for block in model.visual.transformer.resblocks:
            _mimic(block.attn, HEAD)
    return model


def _mimic(attention: nn.MultiheadAttention, head: int) -> None:
    """Queries times keys of each head near the identity, values times output near its negative."""
    width = attention.embed_dim
    weight = attention.in_proj_weight
    for start in range(0, width, head):
        target = 0.7 * torch.randn(width, width) / width**0.5 + 0.7 * torch.eye(width)
        left, scale, right = torch.linalg.svd(target)
        root = scale[:head].sqrt()
        weight[start : start + head] = (left[:, :head] * root).T
        weight[width + start : width + start + head] = right[:head] * root[:, None]
    target = 0.4 * torch.randn(width, width) / width**0.5 - 0.4 * torch.eye(width)
    left, scale, right = torch.linalg.svd(target)
    weight[2 * width :] = (left * scale.sqrt()).T
    attention.out_proj.weight.copy_(right.T * scale.sqrt())


def image_tokens(
    visual: VisionTransformer, pixels: Float[Tensor, "b 3 s s"], keep: float, generator: torch.Generator
) -> tuple[Float[Tensor, "b width"], Float[Tensor, "b n width"], Int[Tensor, "b n"]]:
    """Class token and patch tokens after the final norm, and which patches were kept.

    At `keep` 1 and 224 px this is the deployed forward pass; positions are interpolated at other sizes.
    """
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    side = pixels.shape[-1] // PATCH
    positions = visual.positional_embedding
    table = positions[1:]
    if side != GRID:
        square = table.T.reshape(1, -1, GRID, GRID)
        table = functional.interpolate(square, (side, side), mode="bilinear", antialias=True)[0].flatten(1).T
    patches = patches + table
    kept = torch.arange(side * side).expand(len(pixels), -1)
    if keep < 1:
        scores = torch.rand(len(pixels), side * side, generator=generator)
        kept = scores.argsort(dim=1)[:, : int(side * side * keep)]
        patches = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[-1]))
    first = (visual.class_embedding + positions[0]).expand(len(pixels), 1, -1)
    tokens = visual.ln_post(visual.transformer(visual.ln_pre(torch.cat([first, patches], dim=1))))
    return tokens[:, 0], tokens[:, 1:], kept


def encode_short(model: CLIP, ids: Int[Tensor, "b length"]) -> Float[Tensor, "b embed"]:
    """`model.encode_text` of texts padded to less than the context: the mask is causal, nothing changes."""
    length = ids.shape[1]
    tokens = model.token_embedding(ids) + model.positional_embedding[:length]
    tokens = model.ln_final(model.transformer(tokens, attn_mask=model.attn_mask[:length, :length]))
    embedded: Tensor = tokens[torch.arange(len(ids)), ids.argmax(dim=1)] @ model.text_projection
    return embedded


def export(state: Mapping[str, Tensor], recipe: EncoderRecipe, vocabulary: int, folder: Path) -> None:
    """Write float16 weights, configuration and recipe in open_clip's `local-dir:` format.

    The same state gives the same bytes.
    """
    seen = {"size": SIZE, "mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic"}
    config = {
        "model_cfg": model_config(recipe, vocabulary),
        "preprocess_cfg": {**seen, "resize_mode": "shortest"},
        "recipe": asdict(recipe),
    }
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in state.items()
    }
    save_file(tensors, folder / "open_clip_model.safetensors", {"format": "pt"})
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
