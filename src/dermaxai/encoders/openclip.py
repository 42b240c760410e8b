"""Encoders in open_clip's format.

DermLIP B/16, MAKE, O-MAKE, OpenCLIP, WhyLesionCLIP and the demo (open_clip's ViT), BiomedCLIP (timm's ViT),
UniMed-CLIP (open_clip's ViT with a BERT text tower under another prefix).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dermaxai.encoders import meta, preprocess, tail, text_blocks, text_tower, tokenizing, towers
from dermaxai.encoders.base import AbstractEncoder, Features, Tail
from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.weights import Checkpoint, read_json, read_state_dict, rename_prefixes
from dermaxai.errors import NotSupported, WeightsMismatch, WeightsMissing
from dermaxai.geometry import Placement
from dermaxai.types import SkinImage

CONFIG_FILE = "open_clip_config.json"

_MODEL_KEYS = (
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_scale",
    "init_logit_bias",
    "nonscalar_logit_scale",
)


class OpenClipEncoder(AbstractEncoder):
    """Any CLIP that open_clip can build: a ViT of open_clip or timm with a CLIP or BERT text tower."""

    tower: tail.Tower
    _model: Any
    """The module once more, for what the libraries do not type."""

    def __init__(
        self,
        card: EncoderCard,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        dtype: torch.dtype,
        offline: bool = False,
    ) -> None:
        """Read, build, load strictly, freeze. Raises: WeightsError, NotSupported."""
        self._config = model_config(card, checkpoint.folder)
        state = rename_prefixes(read_state_dict(checkpoint.weights), card.renamed_prefixes)
        module = build(card, self._config, checkpoint.folder, offline=offline)
        module = meta.fill(module, state, dropped=card.dropped_weight_keys, what=card.name, dtype=dtype)
        self.module = self._model = module.to(device)
        self.tower = tower_of(self.module)
        seen = with_folder_preprocessing(card, checkpoint.folder, self._config)
        self.card = meta.with_geometry(seen, self.tower, embed=self._config["embed_dim"])
        self.device, self.dtype, self.sha256 = device, dtype, checkpoint.sha256
        self.grid, self.width, self.has_text = self.tower.grid, self.tower.width, True
        self._checkpoint, self._offline, self.revision = checkpoint, offline, checkpoint.revision
        self.folder = checkpoint.folder

    def preprocess(self, image: SkinImage) -> tuple[Float[Tensor, "3 height width"], Placement]:
        """Pixels as the tower wants them (float32, normalised) and where its patch grid lies in the photo."""
        return preprocess.prepare(image, self.card, self.grid[0] * self.tower.patch)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Features:
        """One pass without a graph."""
        return tail.run_tower(self.tower, pixels)

    def tail(self, tail_input: Float[Tensor, "batch tokens width"]) -> Tail:
        """Last block, final norm, pooling, projection, with a graph if `tail_input` requires grad."""
        return tail.open_tail(self.tower, tail_input)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
        """Unit-length text embeddings, float32."""
        ids = self._tokenize(texts)
        if self._config["text_cfg"].get("hf_model_name"):
            ids = text_tower.without_padding(ids, int(self._model.text.config.pad_token_id))
        return tail.unit_length(self._model.encode_text(ids.to(self.device)))

    @property
    def logit_scale(self) -> float:
        """The factor exp(logit_scale) between cosine and logit."""
        return float(self._model.logit_scale.float().exp())

    @cached_property
    def text_tower(self) -> text_blocks.TextTower:
        """The text half as functions. Raises: NotSupported for a text tower that cannot be opened."""
        if self._config["text_cfg"].get("hf_model_name"):
            return text_blocks.bert_text_tower(self._model.text, self._ids)
        return text_blocks.open_clip_text_tower(self._model, self._ids)

    def _ids(self, texts: Sequence[str]) -> Int[Tensor, "texts context"]:
        return self._tokenize(texts).to(self.device)

    @cached_property
    def _tokenize(self) -> tokenizing.Tokenize:
        text = self._config["text_cfg"]
        return tokenizing.named_tokenizer(self.card, self._checkpoint, text, offline=self._offline)


def model_config(card: EncoderCard, folder: Path) -> dict[str, Any]:
    """open_clip's `model_cfg`: the folder's where it has one, otherwise the card's.

    Keys named in `card.dropped_config_keys` are left out. `quick_gelu` follows `card.activation`, and the
    configuration where the card says 'unknown'.
    Raises: WeightsMissing without any configuration; WeightsMismatch naming every key that open_clip lacks.
    """
    path = folder / CONFIG_FILE
    found: Mapping[str, Any] = {}
    if path.is_file():
        found = _table(read_json(path), "model_cfg", path)
    config = dict(found or card.config)
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
        raise WeightsMissing(
            f"'{card.name}' has no complete configuration: expected embed_dim, vision_cfg and text_cfg in "
            f"{path}; found {', '.join(config) or 'none'}.",
            hint=f"Put {CONFIG_FILE} beside the weights.",
        )
    if card.activation in ("gelu", "quick_gelu"):
        config["quick_gelu"] = card.activation == "quick_gelu"
    return _known_keys(card, config)


def build(card: EncoderCard, config: Mapping[str, Any], folder: Path, *, offline: bool = True) -> nn.Module:
    """The two towers on the meta device; the hub is asked only where folder and card lack the geometry."""
    import open_clip

    options = {key: value for key, value in config.items() if key != "custom_text"}
    text = dict(config["text_cfg"])
    if not text.get("hf_model_name"):
        kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
        return meta.build_without_memory(lambda: kind(**options))
    geometry = text_tower.bert_config(card, folder, text["hf_model_name"], offline=offline)

    def make() -> nn.Module:
        # A stand-in of one layer keeps open_clip from asking the hub for the text tower's configuration.
        module: nn.Module = open_clip.CustomTextCLIP(**{**options, "text_cfg": {"layers": 1}})
        module.text = text_tower.bert_text_tower(text["hf_model_name"], geometry, text, config["embed_dim"])
        return module

    return meta.build_without_memory(make)


def tower_of(module: nn.Module) -> tail.Tower:
    """The vision tower of an open_clip model. Raises: NotSupported for ResNets and exotic towers."""
    visual = module.visual
    return towers.timm_tower(visual) if hasattr(visual, "trunk") else towers.open_clip_tower(visual)


def with_folder_preprocessing(card: EncoderCard, folder: Path, config: Mapping[str, Any]) -> EncoderCard:
    """The card with the folder's own `preprocess_cfg` and image size, which open_clip would use too."""
    path = folder / CONFIG_FILE
    found = _table(read_json(path), "preprocess_cfg", path) if path.is_file() else {}
    size = found.get("size") or config["vision_cfg"].get("image_size", card.image_size)
    side = size if isinstance(size, int) else size[-1]
    resize_mode = found.get("resize_mode", card.resize_mode)
    if (not isinstance(size, int) and len(set(size[-2:])) > 1) or resize_mode not in ("shortest", "squash"):
        raise NotSupported(
            f"'{card.name}' wants photos of {size} by '{resize_mode}'; only squares are supported."
        )
    return dataclasses.replace(
        card,
        image_size=side,
        resize_to=card.resize_to if side == card.image_size else side,
        mean=_three(found.get("mean", card.mean)),
        std=_three(found.get("std", card.std)),
        interpolation=found.get("interpolation", card.interpolation),
        resize_mode=resize_mode,
    )


def _table(values: Mapping[str, object], name: str, path: Path) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise WeightsMismatch(f"'{name}' in {path} is a {type(table).__name__}; expected a table.")
    return table


def _three(values: float | Iterable[float]) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, (int, float)) else values
    return float(red), float(green), float(blue)


def _known_keys(card: EncoderCard, config: Mapping[str, Any]) -> dict[str, Any]:
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    tables = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg}
    known = {name: {field.name for field in dataclasses.fields(table)} for name, table in tables.items()}
    unknown = [key for key in config if key not in _MODEL_KEYS and key not in card.dropped_config_keys]
    for name, keys in known.items():
        unknown += [f"{name}.{key}" for key in config[name] if key not in {*keys, *card.dropped_config_keys}]
    if unknown:
        raise WeightsMismatch(
            f"The configuration of '{card.name}' has keys unknown to open_clip: {', '.join(unknown)}.",
            hint="If they may be ignored, name them in the card's dropped_config_keys.",
        )
    kept = {key: value for key, value in config.items() if key in _MODEL_KEYS}
    return kept | {name: {k: v for k, v in config[name].items() if k in known[name]} for name in known}
