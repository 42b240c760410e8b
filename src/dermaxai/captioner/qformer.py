"""The bridge: learned queries read a frozen encoder's patches and speak the T5's language."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from dermaxai.captioner.config import BridgeConfig
from dermaxai.captioner.sources import weight_map
from dermaxai.errors import ShapeError, WeightsCorrupt, WeightsMismatch, WeightsMissing

Attention = Literal["sdpa", "eager"]


class Bridge(nn.Module):
    """Vision norm, queries, Q-Former and projection; the only new weights between encoder and T5.

    Source: BLIP-2 (arXiv:2301.12597), section 3.1; queries start from normal(0, 0.02) as in LAVIS.
    """

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_norm = nn.LayerNorm(config.encoder_width)
        self.queries = nn.Parameter(torch.empty(1, config.queries, config.hidden))
        self.qformer = Blip2QFormerModel(_qformer_config(config))
        self.projection = nn.Linear(config.hidden, config.output_width)
        self._reset()

    def _reset(self) -> None:
        nn.init.normal_(self.queries, std=0.02)
        # The Q-Former ends in a LayerNorm: its outputs have unit variance, so 1/sqrt(hidden) keeps it.
        nn.init.normal_(self.projection.weight, std=self.config.output_std * self.config.hidden**-0.5)
        nn.init.zeros_(self.projection.bias)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of the output."""
        return self.projection.weight.dtype

    def forward(
        self,
        patches: Float[Tensor, "batch n width"],
        patch_mask: Bool[Tensor, "batch n"] | None = None,
    ) -> Float[Tensor, "batch queries d_model"]:
        """Read the patches; `patch_mask` is true where a patch counts. Raises: ShapeError."""
        return self.projection(self._read(patches, patch_mask).last_hidden_state)  # type: ignore[no-any-return]

    def attention(
        self, patches: Float[Tensor, "batch n width"]
    ) -> tuple[Float[Tensor, "batch queries d_model"], list[Float[Tensor, "batch heads queries n"]]]:
        """The output of `forward` and the cross-attention of each layer that looks at the patches."""
        before: Attention = self.qformer.config._attn_implementation
        self.use_attention("eager")
        try:
            read = self._read(patches, None, output_attentions=True)
        finally:
            self.use_attention(before)
        # `attentions` would mix self- and cross-attention in transformers 5.
        return self.projection(read.last_hidden_state), list(read.cross_attentions)

    def use_attention(self, name: Attention) -> None:
        """Choose how attention is computed from now on; 'eager' keeps the maps, both agree within 1e-5."""
        self.qformer.set_attn_implementation(name)

    def _read(self, patches: Tensor, patch_mask: Tensor | None, **options: bool) -> Any:  # noqa: ANN401 - the output's class is internal to transformers
        if patches.ndim != 3 or patches.shape[-1] != self.config.encoder_width:
            raise ShapeError(
                f"The bridge reads patches of shape (batch, n, {self.config.encoder_width}), "
                f"not {tuple(patches.shape)}.",
                hint="Use the encoder that the captioner was trained with.",
            )
        return self.qformer(
            query_embeds=self.queries.expand(len(patches), -1, -1),
            encoder_hidden_states=self.vision_norm(patches.to(self.dtype)),
            encoder_attention_mask=patch_mask,
            **options,
        )


def _qformer_config(config: BridgeConfig) -> Blip2QFormerConfig:
    return Blip2QFormerConfig(
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden,
        encoder_hidden_size=config.encoder_width,
        cross_attention_frequency=config.cross_attention_frequency,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
    )


def init_from_blip2(folder: Path, bridge: Bridge) -> list[str]:
    """Copy Q-Former, queries and what else fits from a BLIP-2 folder in the hub layout.

    Tensors that depend on the encoder's or the T5's width keep their fresh values where the widths
    differ: cross-attention keys and values, vision norm, projection. Their names are returned.

    Raises: WeightsMissing, WeightsCorrupt, WeightsMismatch.
    Source: key names of transformers' convert_blip_2_original_to_pytorch.py.
    """
    own = bridge.state_dict()
    homes = _shards(Path(folder))
    kept: list[str] = []
    found: dict[str, Tensor] = {}
    for name, tensor in _read_tensors(homes, {_hub_name(name): name for name in own}):
        if tensor.shape == own[name].shape:
            found[name] = tensor.to(own[name].dtype)
        elif _depends_on_width(name):
            kept.append(name)
        else:
            raise WeightsMismatch(
                f"BLIP-2 tensor '{_hub_name(name)}' has shape {tuple(tensor.shape)}, "
                f"the bridge needs {tuple(own[name].shape)}.",
                hint="Use the bridge preset 'base' with the checkpoint's number of queries.",
            )
    missing = sorted(set(own) - set(found) - set(kept))
    if missing:
        raise WeightsMismatch(
            f"The BLIP-2 checkpoint lacks {len(missing)} tensors, first '{_hub_name(missing[0])}'.",
            hint="Expected keys 'qformer.*', 'query_tokens', 'language_projection.*', 'vision_model.*'.",
        )
    bridge.load_state_dict({**own, **found}, strict=True)
    return sorted(kept)


def _hub_name(name: str) -> str:
    if name == "queries":
        return "query_tokens"
    swaps = {"vision_norm.": "vision_model.post_layernorm.", "projection.": "language_projection."}
    for ours, theirs in swaps.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _depends_on_width(name: str) -> bool:
    if name.startswith(("vision_norm.", "projection.")):
        return True
    return name.endswith(("crossattention.attention.key.weight", "crossattention.attention.value.weight"))


def _shards(folder: Path) -> dict[str, Path]:
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if index.is_file():
        return weight_map(index)
    if single.is_file():
        with _opened(single) as file:
            return dict.fromkeys(file.keys(), single)
    raise WeightsMissing(
        f"No model.safetensors and no model.safetensors.index.json in '{folder}'.",
        hint="Download the safetensors files of Salesforce/blip2-flan-t5-xl or a relative.",
    )


def _read_tensors(homes: dict[str, Path], wanted: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    by_file: dict[Path, list[str]] = {}
    for key in wanted:
        if key in homes:
            by_file.setdefault(homes[key], []).append(key)
    for path, keys in by_file.items():
        if not path.is_file():
            raise WeightsMissing(f"The index names '{path.name}', which is not in '{path.parent}'.")
        with _opened(path) as file:
            for key in keys:
                yield wanted[key], _finite(key, file.get_tensor(key))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise WeightsCorrupt(f"'{path.name}' cannot be read: {error}.", hint="Download it again.") from error


def _finite(name: str, tensor: Tensor) -> Tensor:
    if not torch.isfinite(tensor).all():
        raise WeightsCorrupt(
            f"BLIP-2 tensor '{name}' holds NaN or infinite values.", hint="Download the file again."
        )
    return tensor
