"""What else the decoder would have said: for each word of a caption its likeliest rivals in the same place.

The caption is read once. The likeliest other pieces with which a word could begin there are each completed
greedily to a whole word, all words and rivals in one batch that starts from what the decoder remembers of the
caption's beginning.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.captioner.search import Hypothesis, head
from dermaxai.captioner.templates import written_in
from dermaxai.captioner.words import WORD, decode
from dermaxai.progress import beat
from dermaxai.types import Alternative, Caption, Encoded

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

MOST = 4
"""Rivals per word."""
LOOKED_AT = 16
"""Likeliest pieces among which beginnings of words are looked for."""
LEAST = math.log(1e-4)
"""Nats; what is less probable than one in ten thousand would not have been said."""
LONGEST = 8
"""Pieces of a rival; a longer one is left out."""
_UNFINISHED = "\ufffd"
"""What half a letter decodes to."""


@dataclass(frozen=True, slots=True)
class _Rival:
    """A word in the making."""

    word: int
    """Whose place it takes."""
    said: Hypothesis
    """Pieces so far."""


def find_alternatives(
    captioner: Captioner, encoded: Encoded, caption: Caption, most: int = MOST, least: float = LEAST
) -> tuple[Alternative, ...]:
    """Up to `most` other words for each word of `caption`, given the image and the text before it.

    Beginnings that complete to the same word count once, with the likelier spelling. The word itself is left
    out, and so is what has less than `least` nats. Empty for a caption in a language that is composed, not
    written by the decoder.
    """
    if not caption.words or written_in(captioner.config, caption.language) != caption.language:
        return ()
    with captioner.still():
        table = _Table(captioner, encoded, caption)
        rivals = list(table.begin(most, least))
        found = table.complete(rivals) if rivals else []
    held: dict[tuple[int, str], float] = {}
    for word, text, logprob in found:
        if logprob >= least and text.casefold() != caption.words[word].text.casefold():
            held[word, text] = max(logprob, held.get((word, text), -math.inf))
    ranked = sorted(held.items(), key=lambda pair: (pair[0][0], -pair[1], pair[0][1]))
    return tuple(Alternative(word, text, logprob) for (word, text), logprob in ranked)


@final
class _Table:
    """One caption read by teacher forcing, and the decoder that goes on from any place of it."""

    def __init__(self, captioner: Captioner, encoded: Encoded, caption: Caption) -> None:
        self._captioner, self._caption = captioner, caption
        self._prefix = captioner.prompts.prefix(caption.language)
        self._end = captioner.prompts.end
        self._forbidden = captioner.prompts.forbidden().to(captioner.device)
        queries = captioner.read(encoded.patches[None])
        self._memory, self._mask = captioner.memory(queries, [caption.language])
        inputs = torch.tensor([[*self._prefix, *caption.token_ids[:-1]]], device=captioner.device)
        out = captioner.t5.decoder(
            input_ids=inputs,
            encoder_hidden_states=self._memory,
            encoder_attention_mask=self._mask,
            use_cache=True,
        )
        self._cache: Any = out.past_key_values
        self._logprobs = self._told(out.last_hidden_state[0, len(self._prefix) - 1 :])

    def begin(self, most: int, least: float) -> Iterator[_Rival]:
        """For each word its likeliest other beginnings."""
        for index, word in enumerate(self._caption.words):
            if not word.tokens:
                continue
            place = word.tokens[0]
            own = self._caption.token_ids[place], self._end
            best = self._logprobs[place].topk(min(LOOKED_AT, self._logprobs.shape[1]))
            pieces = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            others = (pair for pair in pieces if pair[0] not in own and pair[1] >= least)
            starts = (pair for pair in others if pair[1] > -math.inf and self._begins(index, pair[0]))
            for piece, value in islice(starts, most):
                yield _Rival(index, Hypothesis((piece,), (value,)))

    def complete(self, rivals: Sequence[_Rival]) -> list[tuple[int, str, float]]:
        """Word, text and log-probability of each rival that became a whole word."""
        made: list[tuple[int, str, float]] = []
        open_ = dict(enumerate(rivals))
        steps = self._from_places([self._caption.words[rival.word].tokens[0] for rival in rivals])
        next(steps)
        newest = [rival.said.token_ids[-1] for rival in rivals]
        for _ in range(LONGEST):
            values, pieces = steps.send(newest)
            for row, rival in list(open_.items()):
                longer = _longer(rival, pieces[row], values[row])
                if (whole := self._whole(rival, longer)) is not None:
                    made += whole
                    del open_[row]
                else:
                    open_[row] = longer
            if not open_:
                break
            newest = pieces
        return made

    def _begins(self, index: int, piece: int) -> bool:
        """Whether a piece begins a word in the place of word `index`, or may do so with the next one."""
        word = self._caption.words[index]
        before = self._caption.text[: word.start]
        text = self._text(word.tokens[0], (piece,))
        rest = text[len(before) :]
        if text == before.rstrip() != before:
            return True
        return text.startswith(before) and (rest[:1].isalnum() or rest[:1] == _UNFINISHED)

    def _whole(self, rival: _Rival, longer: _Rival) -> list[tuple[int, str, float]] | None:
        """The word that the last piece of `longer` ended; [] if there is none, None if it goes on."""
        word = self._caption.words[rival.word]
        place, said = word.tokens[0], longer.said.token_ids
        ended = said[-1] == self._end
        text = self._text(place, said)
        found = WORD.match(text, word.start)
        if not ended and (found is None or _goes_on(found[0], text[found.end() :])):
            return None
        if found is None or not text.startswith(self._caption.text[: word.start]):
            return []
        count = len(said) - 1
        while count > 1 and self._word_at(rival.word, said[: count - 1]) == found[0]:
            count -= 1
        spelled = self._word_at(rival.word, said[:count]) == found[0]
        return [(rival.word, found[0], sum(longer.said.logprobs[:count]))] if spelled else []

    def _word_at(self, index: int, said: Sequence[int]) -> str:
        word = self._caption.words[index]
        found = WORD.match(self._text(word.tokens[0], said), word.start)
        return found[0] if found else ""

    def _text(self, place: int, said: Sequence[int]) -> str:
        return decode((*self._caption.token_ids[:place], *said), self._captioner.tokenizer)

    def _from_places(
        self, places: Sequence[int]
    ) -> Generator[tuple[list[float], list[int]], list[int], None]:
        """A row for each place of the caption; takes its next piece, gives the likeliest one after it."""
        decoder, rows = self._captioner.t5.decoder, len(places)
        seen, cache = self._remember(places)
        memory = self._memory.expand(rows, -1, -1)
        mask = None if self._mask is None else self._mask.expand(rows, -1)
        pieces = yield [], []
        while True:
            beat()
            seen = torch.cat([seen, seen.new_ones(rows, 1)], 1)
            out = decoder(
                input_ids=torch.tensor(pieces, device=seen.device)[:, None],
                attention_mask=seen,
                encoder_hidden_states=memory,
                encoder_attention_mask=mask,
                past_key_values=cache,
                use_cache=True,
            )
            cache = out.past_key_values
            best = self._told(out.last_hidden_state[:, -1]).max(-1)
            pieces = yield best.values.tolist(), best.indices.tolist()

    def _remember(self, places: Sequence[int]) -> tuple[Tensor, Any]:
        """What the decoder keeps of the text before each place, set flush on the right; and which is text.

        A T5 knows distances only, so the empty places on the left change nothing.
        """
        device = self._captioner.device
        lengths = torch.tensor(places, device=device) + len(self._prefix)
        longest = int(lengths.max())
        index = torch.arange(longest, device=device) - (longest - lengths)[:, None]
        cache = self._cache
        cache.batch_repeat_interleave(len(places))
        for layer in cache.self_attention_cache.layers:
            wide = index.clamp(min=0)[:, None, :, None].expand(
                -1, layer.keys.shape[1], -1, layer.keys.shape[3]
            )
            layer.keys, layer.values = layer.keys.gather(2, wide), layer.values.gather(2, wide)
        return (index >= 0).long(), cache

    def _told(self, hidden: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows pieces"]:
        """Log-probabilities, float32; minus infinity for pieces that no caption holds."""
        values = head(self._captioner.t5, hidden).float().log_softmax(-1)
        return values.index_fill(-1, self._forbidden, -torch.inf)


def _longer(rival: _Rival, piece: int, value: float) -> _Rival:
    said = rival.said
    return _Rival(rival.word, Hypothesis((*said.token_ids, piece), (*said.logprobs, value)))


def _goes_on(word: str, rest: str) -> bool:
    """Whether what follows a word may still belong to it: nothing, half a letter, a joining sign.

    >>> _goes_on("dark", "-"), _goes_on("6", "."), _goes_on("dark", "."), _goes_on("dark", " b")
    (True, True, False, False)
    """
    joining = "-\u2010\u2011'\u2019" + (".," if word[-1].isdigit() else "")
    return rest in ("", _UNFINISHED) or (len(rest) == 1 and rest in joining)
