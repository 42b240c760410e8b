"""Between tokens and words: which characters each token wrote, which tokens each word is made of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dermaxai.errors import UsageError
from dermaxai.types import Caption, Word

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LETTER = "[^\\W_][\u0300-\u036f]*"
WORD = re.compile(rf"\d+(?:[.,]\d+)+|(?:{_LETTER})+(?:[-\u2010\u2011'\u2019](?:{_LETTER})+)*")
"""Letters and digits, joined by hyphens and apostrophes; decimal numbers; no other punctuation."""


def word_spans(text: str) -> list[tuple[int, int]]:
    """First and one-behind-last character of each word.

    >>> [text[a:b] for text in ["A blue-white, 6.5 mm; сине-белая."] for a, b in word_spans(text)]
    ['A', 'blue-white', '6.5', 'mm', 'сине-белая']
    """
    return [match.span() for match in WORD.finditer(text)]


def decode(token_ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of tokens, special ones and outer spaces left out, inner spaces as the tokens have them."""
    text = tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).strip()


def token_spans(
    text: str, token_ids: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[int, int]]:
    """The characters of `text` that each token wrote; `text` is what the tokens decode to.

    A token without a finished character of its own (half a letter, a lone space mark) gets the
    character that follows, so that its probability is counted with it.
    """
    ends = [0]
    for count in range(1, len(token_ids) + 1):
        ends.append(max(ends[-1], _agreement(decode(token_ids[:count], tokenizer), text)))
    return [(start, max(stop, start + 1)) for start, stop in itertools.pairwise(ends)]


def _agreement(first: str, second: str) -> int:
    if second.startswith(first):
        return len(first)
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), len(second))


def words_of(
    text: str,
    token_ids: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    logprobs: Sequence[float] | None = None,
) -> tuple[Word, ...]:
    """The words of a caption with their tokens; `logprobs` (nats, one per token) are summed per word.

    Punctuation belongs to no word, a hyphenated word is one word; a space belongs to the word behind
    it; a token that wrote parts of two words counts with the first.
    """
    spans = word_spans(text)
    tokens: list[list[int]] = [[] for _ in spans]
    for place, token_span in enumerate(token_spans(text, token_ids, tokenizer)):
        owner = _owner(text, token_span, spans)
        if owner is not None:
            tokens[owner].append(place)
    values = logprobs if logprobs is not None else [0.0] * len(token_ids)
    return tuple(
        Word(text[start:stop], start, stop, tuple(own), float(sum(values[place] for place in own)))
        for (start, stop), own in zip(spans, tokens, strict=True)
    )


def _owner(text: str, token: tuple[int, int], spans: Sequence[tuple[int, int]]) -> int | None:
    start, stop = token
    if start < len(text) and text[start:stop].isspace():
        while start < len(text) and text[start].isspace():
            start += 1
        stop = start + 1
    for index, (first, behind) in enumerate(spans):
        if first < stop and start < behind:
            return index
    return None


def find_phrase(caption: Caption, text: str) -> range:
    """Indices of the words that are spelled `text`, case ignored; one, or several in a row.

    Raises: UsageError where the caption has no such words, or has punctuation between them.
    """
    wanted = text.casefold().split()
    if len(wanted) < 2:
        index = caption.find(text.strip())
        return range(index, index + 1)
    for start in range(len(caption.words) - len(wanted) + 1):
        found = caption.words[start : start + len(wanted)]
        spelled = caption.text[found[0].start : found[-1].stop].casefold()
        if [word.text.casefold() for word in found] == wanted == spelled.split():
            return range(start, start + len(wanted))
    raise UsageError(f"The caption has no words '{text}' in a row.", hint=f"Its text: {caption.text}")
