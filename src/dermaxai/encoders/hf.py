"""Encoders in transformers' format: SigLIP, SigLIP 2 of fixed resolution, MONET and other CLIP folders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dermaxai.encoders import meta, preprocess, tail, text_blocks, tokenizing, towers
from dermaxai.encoders.base import AbstractEncoder, Features, Tail
from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.weights import (
    Checkpoint,
    read_json,
    read_state_dict,
    rename_prefixes,
    resolve_tokenizer,
)
from dermaxai.errors import NotSupported, WeightsMissing
from dermaxai.geometry import Placement
from dermaxai.types import SkinImage

_ACTIVATIONS = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_tanh": "gelu_pytorch_tanh"}


class HuggingFaceEncoder(AbstractEncoder):
    """A `SiglipModel` or `CLIPModel` of transformers."""

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
        module = build(card, self._config)
        module = meta.fill(module, state, dropped=card.dropped_weight_keys, what=card.name, dtype=dtype)
        self.module = self._model = module.to(device)
        self.tower = tower_of(self.module)
        self.card = meta.with_geometry(card, self.tower, embed=_embedding_width(self._config))
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
        """Unit-length text embeddings, float32; ids only, since SigLIP was trained without a padding mask."""
        ids = self._tokenize(texts).to(self.device)
        return tail.unit_length(self._model.get_text_features(input_ids=ids).pooler_output)

    @property
    def logit_scale(self) -> float:
        """The factor exp(logit_scale) between cosine and logit."""
        return float(self._model.logit_scale.float().exp())

    @cached_property
    def text_tower(self) -> text_blocks.TextTower:
        """The text half as functions."""
        if self._config.model_type == "clip":
            return text_blocks.transformers_clip_text_tower(self._model, self._ids)
        return text_blocks.siglip_text_tower(self._model, self._ids)

    def _ids(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        return self._tokenize(texts).to(self.device)

    @cached_property
    def _tokenize(self) -> tokenizing.Tokenize:
        place = resolve_tokenizer(self.card, self._checkpoint, offline=self._offline)
        if place is None:
            raise WeightsMissing(
                f"'{self.card.name}' has no tokenizer in {self._checkpoint.folder}.",
                hint="Put tokenizer.json, or spiece.model with tokenizer_config.json, beside the weights.",
            )
        length = int(self._config.text_config.max_position_embeddings)
        return text_reader(self.card.kind, place, length)


def text_reader(kind: str, place: Path, length: int) -> tokenizing.Tokenize:
    """Texts to ids as the checkpoint was trained.

    SigLIP: lower case without punctuation; SigLIP 2: lower case; both always padded to `length`, since the
    last position is read. CLIP: padded to the longest text; its end token sees only what is before it.
    Source: arXiv:2303.15343 and arXiv:2502.14786, and the processors of transformers.
    """
    fill = kind != "clip"
    # A bare tokenizer.json says it all; beside a configuration its class may do more than the file says.
    if (place / "tokenizer.json").is_file() and not (place / "tokenizer_config.json").is_file():
        encode = tokenizing.file_tokenizer(
            place / "tokenizer.json", pad_to=length if fill else None, longest=length
        )
    else:
        encode = tokenizing.folder_tokenizer(place, length, fill=fill)
    if kind == "clip":
        return encode
    if kind == "siglip2":
        return lambda texts: encode([text.lower() for text in texts])
    from open_clip.tokenizer import canonicalize_text

    return lambda texts: encode([canonicalize_text(text) for text in texts])


def model_config(card: EncoderCard, folder: Path) -> Any:  # noqa: ANN401 - transformers' own class
    """Configuration as transformers reads it: the folder's `config.json`, otherwise the card's.

    Raises: WeightsMissing without either; NotSupported for other architectures, NaFlex SigLIP 2 included.
    """
    import transformers

    path = folder / "config.json"
    values = dict(read_json(path)) if path.is_file() else {}
    if "vision_config" not in values:
        values = {**card.config, "text_config": dict(card.text_config)} if card.config else {}
    if not values:
        raise WeightsMissing(f"'{card.name}' has no configuration.", hint=f"Put config.json into {folder}.")
    kinds: dict[str, Any] = {"siglip": transformers.SiglipConfig, "clip": transformers.CLIPConfig}
    named = str(values.get("model_type", card.kind))
    if named not in kinds:
        raise NotSupported(
            f"'{card.name}' is of transformers' kind '{named}'; expected 'clip', or 'siglip' "
            "(SigLIP, and SigLIP 2 of fixed resolution)."
        )
    config = kinds[named].from_dict(values)
    for part in (config.vision_config, config.text_config):
        part.hidden_act = _ACTIVATIONS.get(card.activation, part.hidden_act)
    return config


def build(card: EncoderCard, config: Any) -> nn.Module:  # noqa: ANN401
    """The model on the meta device."""
    import transformers

    kind = transformers.CLIPModel if config.model_type == "clip" else transformers.SiglipModel
    return meta.build_without_memory(lambda: kind(config))


def _embedding_width(config: Any) -> int:  # noqa: ANN401
    return int(config.projection_dim if config.model_type == "clip" else config.vision_config.hidden_size)


def tower_of(module: nn.Module) -> tail.Tower:
    """The vision tower of a transformers model."""
    return (
        towers.siglip_tower(module)
        if hasattr(module.vision_model, "head")
        else towers.transformers_clip_tower(module)
    )
