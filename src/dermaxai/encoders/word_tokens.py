"""Which tokens of a text each of its words is made of, for any tokenizer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from dermaxai.encoders.tokenizing import Tokenize


def tokens_of(tokenize: Tokenize, text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """First and one-behind-last token of each part of `text`; `spans` are its characters, in order.

    Works for every tokenizer, since it looks at ids alone: a part's tokens are those by which the ids grow
    when the text grows by that part, whatever cleaning, lower case, bytes or unknown signs lie between.
    A space belongs to the part behind it, special tokens and padding to none. Where a token runs over the end
    of a part, the tokens up to the next space or part count with it. A part that the context cuts off has
    none.
    """
    ends = [end for span in spans for end in _growth(text, *span)]
    rows = tokenize(["", text, *(text[:end] for end in ends)]).tolist()
    lead = rows[0][0]
    shift = next((place for place, one in enumerate(rows[1]) if one != lead), len(rows[1]))
    # Padding on the left, or a start token: what comes first in every row tells nothing.
    nothing, whole, *grown = (list(itertools.dropwhile(lead.__eq__, row)) for row in rows)
    begin = _common(nothing, whole)
    closing = nothing[begin] if begin < len(nothing) else lead
    behind = whole.index(closing, begin) if closing in whole[begin:] else len(whole)
    reached = [min(max(_common(ids, whole), begin), behind) for ids in grown]
    found: list[tuple[int, int]] = []
    taken = begin
    for index in range(len(spans)):
        start, stop, chunk, *later = reached[3 * index : 3 * index + 4]
        first = max(taken, start)
        if _goes_another_way(grown[3 * index + 1], whole, closing):
            between = min([chunk, *later])
            stop = between if between > first else chunk
        taken = max(first, stop)
        found.append((first + shift, taken + shift))
    return found


def _growth(text: str, start: int, stop: int) -> tuple[int, int, int]:
    """Ends of the text before a part, up to it, and up to the next space: no piece goes beyond a space."""
    space = next((place for place in range(stop, len(text)) if text[place].isspace()), len(text))
    return len(text[:start].rstrip()), stop, space


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _goes_another_way(ids: Sequence[int], whole: Sequence[int], closing: int) -> bool:
    """Whether a text that ends here is cut into other pieces than the whole text, in its last part."""
    place = _common(ids, whole)
    return place < len(ids) and ids[place] != closing
