"""Texts to token ids: the tokenizer that belongs to a checkpoint, from its folder before the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.hub import TOKENIZER_FILES, has_tokenizer
from dermaxai.encoders.weights import Checkpoint, read_json, resolve_tokenizer
from dermaxai.errors import NotSupported, WeightsCorrupt, WeightsMissing

Tokenize = Callable[[Sequence[str]], "Int[Tensor, 'texts length']"]


def clip_tokenizer(length: int) -> Tokenize:
    """The byte-pair tokenizer of CLIP bundled with open_clip; padded with 0 to `length`."""
    import open_clip

    return lambda texts: open_clip.tokenize(list(texts), context_length=length)


def named_tokenizer(
    card: EncoderCard, checkpoint: Checkpoint, text: Mapping[str, Any], *, offline: bool
) -> Tokenize:
    """The tokenizer that open_clip's `text_cfg` asks for, padded to its context length.

    A file or folder of the asked-for name inside the checkpoint's folder comes first, then that folder, then
    the card's `tokenizer_repo`. Texts are cleaned as open_clip does.
    Raises: NotSupported for a special tokenizer mode; WeightsMissing; WeightsOffline.
    """
    length = int(text.get("context_length", 77))
    if not text.get("hf_tokenizer_name"):
        return clip_tokenizer(length)
    options = dict(text.get("tokenizer_kwargs") or {})
    special = [key for key in ("tokenizer_mode",) if text.get(key)] + [
        key for key in options if key != "clean"
    ]
    if special:
        raise NotSupported(
            f"The tokenizer of '{card.name}' asks for {', '.join(special)}, which is not supported."
        )
    from open_clip.tokenizer import get_clean_fn

    clean = get_clean_fn(options.get("clean", "whitespace"))
    place = _place(card, checkpoint, str(text["hf_tokenizer_name"]), offline=offline)
    file = place if place.is_file() else place / "tokenizer.json"
    encode = file_tokenizer(file, pad_to=length) if file.is_file() else folder_tokenizer(place, length)
    return lambda texts: encode([clean(text) for text in texts])


def file_tokenizer(path: Path, *, pad_to: int | None, longest: int | None = None) -> Tokenize:
    """A `tokenizer.json`, without transformers; padded to `pad_to`, or to the longest text where None.

    Longer texts are cut to `pad_to` (or `longest`) with their special tokens kept. The padding id is the
    file's own, otherwise that of its padding token, otherwise 0.
    Raises: WeightsCorrupt for a file that is no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise WeightsCorrupt(f"{path} is not a tokenizer file: {error}.") from error
    pad = _padding_id(tokenizer, path)
    tokenizer.no_padding()
    tokenizer.enable_truncation(pad_to or longest or 512)

    def encode(texts: Sequence[str]) -> Tensor:
        rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        length = pad_to or max(map(len, rows), default=0)
        ids = torch.full((len(rows), length), pad, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        return ids

    return encode


def folder_tokenizer(place: Path, length: int, *, fill: bool = True, kind: str = "AutoTokenizer") -> Tokenize:
    """The tokenizer that transformers finds in a folder; `fill` pads to `length`, else to the longest text.

    Raises: WeightsMissing where there is no tokenizer, or none that can be read.
    """
    import transformers

    try:
        tokenizer = getattr(transformers, kind).from_pretrained(str(place), local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsMissing(
            f"No tokenizer could be read from {place}: {error}",
            hint=f"Put one of {', '.join(TOKENIZER_FILES)} into the checkpoint's folder.",
        ) from error

    def encode(texts: Sequence[str]) -> Tensor:
        ids: Tensor = tokenizer(
            list(texts),
            padding="max_length" if fill else True,
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )["input_ids"]
        return ids

    return encode


def _place(card: EncoderCard, checkpoint: Checkpoint, name: str, *, offline: bool) -> Path:
    named = checkpoint.folder / name
    if named.is_file() or (named.is_dir() and has_tokenizer(named)):
        return named
    place = resolve_tokenizer(card, checkpoint, offline=offline)
    if place is None:
        raise WeightsMissing(
            f"'{card.name}' needs the tokenizer {name}, not in {checkpoint.folder} nor in the card.",
            hint=f"Put one of {', '.join(TOKENIZER_FILES)} into that folder.",
        )
    return place


def _padding_id(tokenizer: Any, path: Path) -> int:  # noqa: ANN401 - tokenizers carries no types
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    settings = path.with_name("tokenizer_config.json")
    names = ["<pad>", "[PAD]", "<|pad|>"]
    if settings.is_file():
        named = read_json(settings).get("pad_token")
        names.insert(0, named["content"] if isinstance(named, dict) else str(named))
    found = [tokenizer.token_to_id(name) for name in names]
    return next((identity for identity in found if identity is not None), 0)
