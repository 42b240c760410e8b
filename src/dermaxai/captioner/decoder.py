"""The text decoder: any T5, loaded strictly, its separate head kept separate.

transformers 5 ties the output head of every T5 to its input embedding when it is told to tie or to
resize, also for Flan-T5, T5 v1.1, mT5 and ruT5, whose heads are weights of their own. Loading,
resizing and saving therefore happen here, by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dermaxai.captioner.sources import folder_of, read_weights
from dermaxai.encoders.weights import hash_file, load_strictly, read_json
from dermaxai.errors import NotSupported, SettingError, WeightsCorrupt, WeightsMismatch, WeightsMissing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

_FAMILY = {
    "t5": "T5ForConditionalGeneration",
    "mt5": "MT5ForConditionalGeneration",
    "umt5": "UMT5ForConditionalGeneration",
}
_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_HEAD = "lm_head.weight"
_DROPPED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
"""In the first T5 files; no code reads it."""


@dataclass(frozen=True, slots=True, eq=False)
class T5Base:
    """A T5 as published, frozen, with its tokenizer and where it came from."""

    model: T5ForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase
    source: str
    """Hub id, or the folder's name."""
    revision: str = ""
    """Commit at the hub."""
    sha256: str = ""
    """Over the weight files."""

    @property
    def width(self) -> int:
        """d_model."""
        return int(self.model.config.d_model)


def load_t5(
    source: str | Path, *, revision: str = "", offline: bool = False, dtype: torch.dtype = torch.float32
) -> T5Base:
    """Load a T5, mT5 or umT5 and its tokenizer from a folder or the hub.

    Raises: UsageError, NotSupported, WeightsMissing, WeightsGated, WeightsOffline, WeightsCorrupt,
    WeightsUnsafe, WeightsMismatch.
    """
    folder, commit = folder_of(source, revision=revision, offline=offline)
    state, sha256 = read_weights(folder)
    model = build_t5(read_t5_config(folder), state, dtype=dtype)
    name = str(source) if commit else folder.name
    return T5Base(model, load_tokenizer(folder), name, commit, sha256)


def read_t5_config(folder: Path) -> T5Config:
    """The `config.json` of a folder. Raises: WeightsMissing, WeightsCorrupt, NotSupported."""
    from transformers import AutoConfig

    path = folder / "config.json"
    if not path.is_file():
        raise WeightsMissing(
            f"No config.json in '{folder}'.", hint="Copy it from where the weights are from."
        )
    kind = str(read_json(path).get("model_type"))
    if kind not in _FAMILY:
        raise NotSupported(f"A decoder of type '{kind}' is not supported; known: {', '.join(_FAMILY)}.")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever the library's checks of each field raise
        raise _unreadable(path, error) from error
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = config.pad_token_id
    return config


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, SentencePiece or fast. Raises: WeightsMissing, WeightsCorrupt."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model")):
        raise WeightsMissing(f"No tokenizer.json and no spiece.model in '{folder}'.")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise _unreadable(folder, error) from error


def _unreadable(path: Path, error: Exception) -> WeightsCorrupt:
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return WeightsCorrupt(f"{path} cannot be read: {first_line}.", hint="Download it again.")


def build_t5(
    config: T5Config, state: Mapping[str, Tensor], *, dtype: torch.dtype = torch.float32
) -> T5ForConditionalGeneration:
    """A frozen T5 in eval mode holding exactly `state`. Raises: WeightsMismatch."""
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, _FAMILY[config.model_type])(config)
    weights = _with_copies(state)
    load_strictly(model, weights, dropped=_DROPPED, what="The T5 checkpoint")
    _share_embedding(model, untied=weights[_HEAD] is not weights["shared.weight"])
    for value in model.parameters():
        # Tensors of a mapped file start anywhere; CPU kernels round differently by alignment.
        value.data = value.data.to(dtype, copy=True)
    return model.requires_grad_(False).eval()


def _with_copies(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Files hold the shared embedding once or several times; the module wants it under every name."""
    weights = dict(state)
    stored = [weights[name] for name in ("shared.weight", *_COPIES) if name in weights]
    if not stored and _HEAD in weights:
        stored = [weights[_HEAD]]
    if not stored:
        raise WeightsMismatch("The T5 checkpoint has no 'shared.weight'.", hint="Is it a T5 at all?")
    if any(copy.shape != stored[0].shape or not torch.equal(copy, stored[0]) for copy in stored[1:]):
        raise WeightsMismatch(
            "The T5 checkpoint has different encoder and decoder embeddings; a T5 shares them."
        )
    head = weights.get(_HEAD)
    if head is None or (head.shape == stored[0].shape and torch.equal(head, stored[0])):
        weights[_HEAD] = stored[0]
    return {**weights, **dict.fromkeys(("shared.weight", *_COPIES), stored[0])}


def _share_embedding(model: T5ForConditionalGeneration, *, untied: bool) -> None:
    model.set_input_embeddings(model.shared)
    if untied:
        # The config of T5 and mT5 claims a tied head whatever the file says; believed, it would
        # make `tie_weights` and `resize_token_embeddings` overwrite the head.
        model.config.tie_word_embeddings = False
        model.all_tied_weights_keys.pop(_HEAD, None)
    else:
        model.lm_head.weight = model.shared.weight


def has_own_head(model: T5ForConditionalGeneration) -> bool:
    """Whether the output head is a weight of its own (Flan-T5, mT5, …) or the input embedding (T5)."""
    return model.lm_head.weight is not model.shared.weight


def resize_vocabulary(model: T5ForConditionalGeneration, size: int) -> None:
    """Cut or extend embedding and head by rows; new rows are the mean of the old ones.

    Raises: SettingError for a size below 1.
    """
    if size < 1:
        raise SettingError(f"A vocabulary has at least one piece, not {size}.")
    untied = has_own_head(model)
    embedding = nn.Embedding(size, model.config.d_model, _weight=_resized(model.shared.weight, size))
    head = _resized(model.lm_head.weight, size) if untied else None
    model.shared = embedding.requires_grad_(False)
    model.lm_head.out_features = size
    if head is not None:
        model.lm_head.weight = nn.Parameter(head, requires_grad=False)
    _share_embedding(model, untied=untied)
    for config in (model.config, model.encoder.config, model.decoder.config):
        config.vocab_size = size


def _resized(rows: Tensor, size: int) -> Tensor:
    kept = rows.detach()[:size]
    return torch.cat([kept, rows.detach().mean(0, keepdim=True).expand(size - len(kept), -1)]).contiguous()


def base_state(model: T5ForConditionalGeneration) -> dict[str, Tensor]:
    """The T5's own weights under their original names, without adapters and without copies."""
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if "lora_" in name or name in _COPIES or (name == _HEAD and not has_own_head(model)):
            continue
        state[name.replace(".base_layer.", ".")] = tensor
    return state


def save_t5(model: T5ForConditionalGeneration, folder: Path, *, dtype: torch.dtype | None = None) -> str:
    """Write `config.json` and `model.safetensors`, readable by `load_t5` and transformers; gives the sha256.

    `dtype` float16 halves the file; the values are rounded. Raises: SettingError if one overflows.
    """
    state = {name: _rounded(name, tensor, dtype) for name, tensor in base_state(model).items()}
    folder.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = model.config.to_dict()
    table.pop("_name_or_path", None)
    table.update(
        tie_word_embeddings=not has_own_head(model), architectures=[_FAMILY[model.config.model_type]]
    )
    text = json.dumps(table, indent=2, sort_keys=True, default=str) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return hash_file(folder / "model.safetensors")


def _rounded(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    rounded = tensor.detach().cpu().to(dtype or tensor.dtype).contiguous()
    if not torch.isfinite(rounded).all():
        raise SettingError(f"'{name}' does not fit into {dtype}.", hint="Store it as float32 or bfloat16.")
    return rounded
