"""PanDerm towers: DermLIP PanDerm-base (with a BERT text tower) and PanDerm itself (vision only)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dermaxai.encoders import meta, openclip, preprocess, tail, text_blocks, text_tower, tokenizing, towers
from dermaxai.encoders.base import AbstractEncoder, Features, Tail
from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.weights import Checkpoint, read_state_dict, rename_prefixes
from dermaxai.errors import NotSupported, WeightsMismatch
from dermaxai.geometry import Placement
from dermaxai.types import SkinImage

HEAD_WIDTH = 64


class PanDermEncoder(AbstractEncoder):
    """A PanDerm tower, alone or as the vision half of DermLIP."""

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
        """Read, build, load strictly, freeze. Raises: WeightsError."""
        state = rename_prefixes(read_state_dict(checkpoint.weights), card.renamed_prefixes)
        self.has_text = card.kind == "panderm_clip"
        self._config: dict[str, Any] = {"vision_cfg": {}, **card.config}
        if self.has_text:
            self._config = openclip.model_config(card, checkpoint.folder)
        module = build(card, self._config, state, checkpoint, offline=offline)
        module = meta.fill(module, state, dropped=card.dropped_weight_keys, what=card.name, dtype=dtype)
        self.module = self._model = module.to(device)
        self.tower = tower_of(self.module)
        seen = openclip.with_folder_preprocessing(card, checkpoint.folder, self._config)
        embed = self._config["embed_dim"] if self.has_text else self.tower.width
        self.card = meta.with_geometry(seen, self.tower, embed=embed)
        self.device, self.dtype, self.sha256 = device, dtype, checkpoint.sha256
        self.grid, self.width = self.tower.grid, self.tower.width
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
        """Unit-length text embeddings, float32. Raises: NotSupported for PanDerm itself."""
        self._need_text()
        ids = text_tower.without_padding(self._tokenize(texts), int(self._model.text.config.pad_token_id))
        return tail.unit_length(self._model.text(ids.to(self.device)))

    @property
    def logit_scale(self) -> float:
        """The factor exp(logit_scale) between cosine and logit. Raises: NotSupported for PanDerm itself."""
        self._need_text()
        return float(self._model.logit_scale.float().exp())

    @cached_property
    def text_tower(self) -> text_blocks.TextTower:
        """The text half as functions. Raises: NotSupported for PanDerm itself."""
        self._need_text()
        return text_blocks.bert_text_tower(self._model.text, self._ids)

    def _ids(self, texts: Sequence[str]) -> Int[Tensor, "texts context"]:
        return self._tokenize(texts).to(self.device)

    @cached_property
    def _tokenize(self) -> tokenizing.Tokenize:
        text = self._config["text_cfg"]
        return tokenizing.named_tokenizer(self.card, self._checkpoint, text, offline=self._offline)

    def _need_text(self) -> None:
        if not self.has_text:
            raise NotSupported(
                f"'{self.card.name}' is a vision-only encoder and cannot compare a photo with a text.",
                hint="It can describe photos; for similarity take dermlip-panderm-base, the tower with text.",
            )


class TwoTowers(nn.Module):
    """A vision and a text tower with the temperature between them, named as in open_clip's checkpoints."""

    def __init__(self, visual: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.text = text
        self.logit_scale = nn.Parameter(torch.zeros(()))


def build(
    card: EncoderCard,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    checkpoint: Checkpoint,
    *,
    offline: bool = True,
) -> nn.Module:
    """The module on the meta device, its vision geometry read from the tensors themselves.

    Only the head width (64 unless `vision_cfg` says otherwise) and the picture's size cannot be read there.
    """
    vision = dict(config.get("vision_cfg") or {})
    if card.kind == "panderm_vision":
        return meta.build_without_memory(partial(beit, state, vision, card.image_size))
    text, name = config["text_cfg"], str(config["text_cfg"]["hf_model_name"])
    geometry = text_tower.bert_config(card, checkpoint.folder, name, offline=offline)
    visual = {
        key.removeprefix("visual."): tensor for key, tensor in state.items() if key.startswith("visual.")
    }

    def make() -> nn.Module:
        tower = beit(visual, vision, card.image_size, outputs=config["embed_dim"])
        return TwoTowers(tower, text_tower.bert_text_tower(name, geometry, text, config["embed_dim"]))

    return meta.build_without_memory(make)


def beit(
    state: Mapping[str, Tensor], vision: Mapping[str, Any], image_size: int, outputs: int = 0
) -> nn.Module:
    """A `Beit` of timm with the geometry of the tensors in `state`; `outputs` 0 leaves the projection out.

    Raises: WeightsMismatch where the tensors are not a PanDerm tower's.
    """
    from timm.models.beit import Beit

    try:
        width, patch = state["cls_token"].shape[-1], state["patch_embed.proj.weight"].shape[-1]
        ratio = state["blocks.0.mlp.fc1.weight"].shape[0] / width
    except KeyError as error:
        raise WeightsMismatch(f"This is no PanDerm tower: the tensor {error} is missing.") from error
    module: nn.Module = Beit(
        img_size=int(vision.get("image_size", image_size)),
        patch_size=patch,
        embed_dim=width,
        depth=1 + max(int(match[1]) for key in state if (match := re.match(r"blocks\.(\d+)\.", key))),
        num_heads=width // int(vision.get("head_width", HEAD_WIDTH)),
        mlp_ratio=ratio,
        qkv_bias=True,
        init_values=0.1,
        use_abs_pos_emb=True,
        num_classes=outputs,
        global_pool="avg" if "fc_norm.weight" in state else "token",
    )
    return module


def tower_of(module: nn.Module) -> tail.Tower:
    """The vision tower of DermLIP PanDerm, or PanDerm itself."""
    if isinstance(module, TwoTowers):
        return towers.panderm_tower(module.visual, projected=True)
    return towers.panderm_tower(module, projected=False)
