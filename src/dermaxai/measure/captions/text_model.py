"""A local language model as BERTScore reads it: a vector for every token of a text, in its context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dermaxai.encoders.hub import TOKENIZER_FILES, has_tokenizer
from dermaxai.errors import WeightsCorrupt, WeightsMismatch, WeightsMissing

LAST = -1
BATCH_TOKENS = 4096
"""Read at once, padding included."""
LONGEST = 512
"""Tokens read of a text where neither model nor tokenizer sets a limit."""
UNUSED = ("pooler", "decoder", "cls.", "lm_head")
"""Parts of a model that give no vector; a checkpoint may lack them."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A text as a language model sees it."""

    ids: Int[np.ndarray, "tokens"]
    vectors: Float[np.ndarray, "tokens width"]
    """Unit length."""
    is_word: Bool[np.ndarray, "tokens"]
    """False for special tokens, such as those that begin and end a text."""


@dataclass(frozen=True, slots=True, eq=False)
class TextModel:
    """An encoder of texts and its tokenizer."""

    module: Any
    tokenizer: Any
    layer: int
    """Hidden state that is read: 0 the embeddings, -1 the last one."""
    longest: int
    """Tokens read of a text, special ones included; the rest is cut."""

    def cut(self, texts: Sequence[str]) -> dict[str, list[int]]:
        """Each text as tokens, special ones included."""
        if not texts:
            return {}
        found = self.tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        return dict(zip(texts, found, strict=True))

    def read(self, tokens: Mapping[str, Sequence[int]]) -> dict[str, Read]:
        """Each text's vectors; texts of like length are read together."""
        found: dict[str, Read] = {}
        for batch in _batches(tokens):
            found.update(zip(batch, self._read([tokens[text] for text in batch]), strict=True))
        return found

    def _read(self, rows: Sequence[Sequence[int]]) -> Iterator[Read]:
        import torch

        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.tokenizer.pad_token_id or 0)
        is_token = np.zeros((len(rows), width), bool)
        for row, some in enumerate(rows):
            ids[row, : len(some)], is_token[row, : len(some)] = some, True
        with torch.no_grad():
            answer = self.module(
                input_ids=torch.from_numpy(ids),
                attention_mask=torch.from_numpy(is_token).long(),
                output_hidden_states=True,
            )
        vectors = answer.hidden_states[self.layer].double().numpy()
        # An unknown word is special by name only: it stands for something in the text.
        is_word = ~np.isin(ids, self.tokenizer.all_special_ids) | (ids == self.tokenizer.unk_token_id)
        for row, some in enumerate(rows):
            found = vectors[row, : len(some)]
            unit = found / np.linalg.norm(found, axis=1, keepdims=True)
            yield Read(ids[row, : len(some)], unit, is_word[row, : len(some)])


def load_text_model(folder: Path, layer: int = LAST) -> TextModel:
    """A model of the transformers library, from its folder alone: the encoder where it has two halves.

    The tokenizer is in that folder, or in `tokenizer/` beside it. Weights are safetensors.
    Raises: WeightsMissing, WeightsCorrupt, WeightsMismatch.
    """
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise WeightsMissing(
            f"'{folder}' holds no language model: config.json and *.safetensors were expected.",
            hint="Give the folder of a model of the transformers library.",
        )
    beside = folder.parent / "tokenizer"
    words = folder if has_tokenizer(folder) else beside
    if not has_tokenizer(words):
        raise WeightsMissing(
            f"No tokenizer in '{folder}' or '{beside}'.",
            hint=f"Put one of {', '.join(TOKENIZER_FILES)} there.",
        )
    try:
        with _quiet():
            module, tokenizer, missing = _load(folder, words)
    except Exception as error:  # the libraries raise what they like
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsCorrupt(f"'{folder}' cannot be read: {first_line}.", hint="Copy it again.") from error
    lacking = sorted(name for name in missing if not any(part in name for part in UNUSED))
    if lacking:
        raise WeightsMismatch(
            f"'{folder}' lacks {len(lacking)} tensors of its architecture, such as {lacking[0]}.",
            hint="Check that weights and config.json belong together.",
        )
    return TextModel(module, tokenizer, layer, _limit(module, tokenizer))


def _load(folder: Path, words: Path) -> tuple[Any, Any, set[str]]:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(words, local_files_only=True)
    whole, report = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    module = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    return module.eval().float(), tokenizer, set(report["missing_keys"])


def _limit(module: Any, tokenizer: Any) -> int:  # noqa: ANN401 - transformers carries no types
    positions = getattr(module.config, "max_position_embeddings", None)
    # RoBERTa and its kin count positions from behind the padding's.
    padding = getattr(getattr(module, "embeddings", None), "padding_idx", None)
    if positions is not None and padding is not None:
        positions -= padding + 1
    limits = [limit for limit in (positions, tokenizer.model_max_length) if limit and 0 < limit < 10**6]
    return min(limits, default=LONGEST)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's report of parts that are not used here, and its progress bar."""
    from transformers.utils import logging

    level, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bar:
            logging.enable_progress_bar()


def _batches(tokens: Mapping[str, Sequence[int]]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in sorted(tokens, key=lambda text: (len(tokens[text]), text)):
        if batch and (len(batch) + 1) * len(tokens[text]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
