"""Texts as the decoder wants them: pieces, language prefix, labels; and the check that it can spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

import torch
from jaxtyping import Int
from torch import Tensor

from dermaxai.captioner.config import CaptionerConfig, LanguagePrompt
from dermaxai.errors import NotSupported, SettingError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dermaxai.captioner.decoder import T5Base

IGNORED = -100
"""Label of positions that do not count in the loss."""
_CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class TextBatch:
    """Captions ready for teacher forcing, padded on the right."""

    inputs: Int[Tensor, "texts length"]
    """Start token, language prefix, text: what the decoder reads."""
    labels: Int[Tensor, "texts length"]
    """What it should say at each position, end token included; IGNORED at prefix and padding."""
    languages: tuple[str, ...]

    def to(self, device: torch.device | str) -> TextBatch:
        """The same on another device."""
        return TextBatch(self.inputs.to(device), self.labels.to(device), self.languages)

    def pick(self, rows: Sequence[int]) -> TextBatch:
        """Some rows, cut to the longest of them: texts are prepared once, then drawn for every step."""
        labels = self.labels[list(rows)]
        length = int((labels != IGNORED).nonzero()[:, 1].max()) + 1
        return TextBatch(
            self.inputs[list(rows), :length], labels[:, :length], tuple(self.languages[row] for row in rows)
        )


@final
class Prompts:
    """The tokenizer together with the languages a captioner knows."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        languages: Mapping[str, LanguagePrompt],
        *,
        start: int,
        end: int,
        pieces: int,
    ) -> None:
        self.tokenizer, self.start, self.end, self._pieces = tokenizer, start, end, pieces
        self._languages = dict(languages)
        self._special = frozenset(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
        self._prefix = {name: self._prefix_of(name, prompt) for name, prompt in languages.items()}
        self._prompt = {name: self._plain(prompt.encoder_prompt) for name, prompt in languages.items()}

    @classmethod
    def of(cls, config: CaptionerConfig, base: T5Base) -> Self:
        """As a captioner of this config and T5 needs them."""
        table, tokenizer = base.model.config, base.tokenizer
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else table.eos_token_id
        pieces = base.model.lm_head.weight.shape[0]
        return cls(tokenizer, config.languages, start=table.decoder_start_token_id, end=end, pieces=pieces)

    @property
    def has_encoder_prompts(self) -> bool:
        """Whether any language is chosen by a text in front of the queries."""
        return any(self._prompt.values())

    def prefix(self, language: str) -> tuple[int, ...]:
        """Start token and language tokens. Raises: NotSupported."""
        self._check(language)
        return (self.start, *self._prefix[language])

    def encoder_prompt(self, language: str) -> tuple[int, ...]:
        """Pieces of the text in front of the queries, possibly none. Raises: NotSupported."""
        self._check(language)
        return self._prompt[language]

    def pieces(self, text: str) -> tuple[int, ...]:
        """A text's pieces with the end token.

        Raises: UsageError for an empty text, NotSupported for one the tokenizer cannot spell.
        """
        ids = self._plain(text)
        if not ids:
            raise UsageError("There is no text to score.")
        if "ru" not in self._languages and _CYRILLIC.search(text):
            raise NotSupported(
                f"The decoder writes {', '.join(self._languages)}, so it cannot judge '{text}'.",
                hint="Ask about the words of its own caption, in its own language.",
            )
        if self.tokenizer.unk_token_id in ids or self._special.intersection(ids):
            raise NotSupported(
                f"The decoder's tokenizer cannot spell '{text}'.",
                hint="Use letters of a language the captioner was made for, and no special tokens.",
            )
        return (*ids, self.end)

    def forbidden(self) -> Int[Tensor, "pieces"]:
        """Pieces that no caption holds: special tokens but the end, and rows of the head without a piece."""
        unused = range(len(self.tokenizer), self._pieces)
        return torch.tensor(sorted({*self._special, *unused} - {self.end}), dtype=torch.long)

    def batch(self, texts: Sequence[str], languages: Sequence[str], max_tokens: int) -> TextBatch:
        """Prepare captions for training; one longer than `max_tokens` is cut and gets no end token.

        Raises: SettingError, NotSupported for an unknown language.
        """
        if len(texts) != len(languages) or not texts:
            raise SettingError(f"{len(texts)} texts need as many languages, not {len(languages)}.")
        spelled = self.tokenizer(list(texts), add_special_tokens=False).input_ids
        rows = [
            (self.prefix(language), [*ids, self.end][:max_tokens])
            for ids, language in zip(spelled, languages, strict=True)
        ]
        length = max(len(prefix) + len(ids) - 1 for prefix, ids in rows)
        inputs = torch.full((len(rows), length), self.start, dtype=torch.long)
        labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
        for row, (prefix, ids) in enumerate(rows):
            inputs[row, : len(prefix) + len(ids) - 1] = torch.tensor([*prefix, *ids[:-1]])
            labels[row, len(prefix) - 1 : len(prefix) + len(ids) - 1] = torch.tensor(ids)
        return TextBatch(inputs, labels, tuple(languages))

    def _check(self, language: str) -> None:
        if language not in self._languages:
            raise NotSupported(
                f"This captioner does not write '{language}'; it writes {', '.join(self._languages)}."
            )

    def _plain(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids) if text else ()

    def _prefix_of(self, name: str, prompt: LanguagePrompt) -> tuple[int, ...]:
        ids = self._plain(prompt.decoder_prefix)
        if prompt.decoder_prefix and not self._special.issuperset(ids):
            raise SettingError(
                f"The prefix '{prompt.decoder_prefix}' of language '{name}' "
                "is not a special token of the tokenizer.",
                hint="Add it to the tokenizer, or use `encoder_prompt`.",
            )
        return ids
