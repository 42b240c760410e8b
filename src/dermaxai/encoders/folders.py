"""A card for a checkpoint's folder that has none, made from the configuration beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dermaxai.encoders.cards import EncoderCard, Interpolation, ResizeMode
from dermaxai.encoders.weights import read_json
from dermaxai.errors import NotSupported, WeightsMissing

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FORK_KEYS = ("pretrain_path", "patch_embeddings", "sigma")
"""Keys that forks of open_clip write into a configuration and that change nothing in the loaded weights."""
POSITION_IDS = ("text.transformer.embeddings.position_ids", "*_model.embeddings.position_ids")
"""Counting tensors that older libraries saved."""


def card_of_folder(folder: Path) -> EncoderCard:
    """A card for a folder in open_clip's or transformers' format.

    Preprocessing comes from the folder (`preprocess_cfg`, `preprocessor_config.json`), otherwise from the
    defaults of its library. PanDerm towers are recognised by their fork's key `pretrain_path`.
    Raises: WeightsMissing without a known configuration; NotSupported for other architectures.
    """
    if (folder / "open_clip_config.json").is_file():
        return _open_clip_card(folder, read_json(folder / "open_clip_config.json"))
    if (folder / "config.json").is_file():
        return _transformers_card(folder, read_json(folder / "config.json"))
    raise WeightsMissing(
        f"{folder} holds neither open_clip_config.json nor config.json, so its architecture is unknown.",
        hint="Give the name of an encoder card together with the folder.",
    )


def _open_clip_card(folder: Path, found: Mapping[str, Any]) -> EncoderCard:
    config = found.get("model_cfg", {})
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    panderm = "pretrain_path" in vision
    kind = "timm" if vision.get("timm_model_name") else "custom_text" if text.get("hf_model_name") else "clip"
    size = vision.get("image_size", 224)
    return _card(
        folder,
        adapter="panderm" if panderm else "openclip",
        kind="panderm_clip" if panderm else kind,
        weights=("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        size=size if isinstance(size, int) else size[0],
        tokenizer_repo=str(text.get("hf_tokenizer_name") or ""),
    )


def _transformers_card(folder: Path, found: Mapping[str, Any]) -> EncoderCard:
    kind, vision = str(found.get("model_type", "")), found.get("vision_config", {})
    if kind not in ("clip", "siglip"):
        raise NotSupported(f"{folder} is of transformers' kind '{kind}'; expected 'clip' or 'siglip'.")
    if kind == "siglip" and _speaks_gemma(folder):
        kind = "siglip2"
    return _card(
        folder,
        adapter="hf",
        kind=kind,
        weights=("model.safetensors", "pytorch_model.bin"),
        size=int(vision.get("image_size", 224)),
    )


def _speaks_gemma(folder: Path) -> bool:
    """SigLIP 2 of fixed resolution calls itself 'siglip'; only its tokenizer tells."""
    path = folder / "tokenizer_config.json"
    named = str(read_json(path).get("tokenizer_class", "")) if path.is_file() else ""
    return named.startswith(("Gemma", "Siglip2"))


def _card(
    folder: Path,
    *,
    adapter: Literal["openclip", "panderm", "hf"],
    kind: str,
    weights: tuple[str, str],
    size: int,
    tokenizer_repo: str = "",
) -> EncoderCard:
    squash = kind.startswith("siglip")
    return EncoderCard(
        name=folder.resolve().name,
        title=folder.resolve().name,
        adapter=adapter,
        kind=kind,
        repo_id="",
        revision="",
        weights=weights[0],
        alternatives=weights[1:],
        sha256="",
        megabytes=0,
        activation="unknown",
        image_size=size,
        patch_size=0,
        width=0,
        embed=0,
        tokenizer_repo=tokenizer_repo,
        tokenizer_revision="",
        config={},
        text_config={},
        dropped_config_keys=FORK_KEYS,
        dropped_weight_keys=POSITION_IDS,
        renamed_prefixes={},
        templates=("{}",),
        licence="unknown",
        gated=False,
        has_text=True,
        citation="",
        published={},
        notes=("Made from the folder's own configuration.",),
        **_seen(folder, size, squash=squash),
    )


def _seen(folder: Path, size: int, *, squash: bool) -> dict[str, Any]:
    """Preprocessing fields; transformers' are read here, open_clip's by its adapter."""
    path = folder / "preprocessor_config.json"
    found: Mapping[str, Any] = read_json(path) if path.is_file() else {}
    asked = found.get("size") or {}
    shortest = asked.get("shortest_edge") if isinstance(asked, dict) else asked
    crops = bool(found.get("do_center_crop", not squash))
    resize_mode: ResizeMode = "shortest" if crops else "squash"
    interpolation: Interpolation = "bilinear" if found.get("resample", 3) == 2 else "bicubic"
    return {
        "mean": tuple(found.get("image_mean", (0.5,) * 3 if squash else CLIP_MEAN)),
        "std": tuple(found.get("image_std", (0.5,) * 3 if squash else CLIP_STD)),
        "interpolation": interpolation,
        "resize_mode": resize_mode,
        "resize_to": max(int(shortest or size), size) if crops else size,
    }
