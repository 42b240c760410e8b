"""Greedy and beam search over a T5 decoder with key-value cache; deterministic.

Log-probabilities are those of the untouched distribution, also where pieces are forbidden, so they
equal what teacher forcing gives for the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.captioner.words import decode
from dermaxai.progress import beat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, T5ForConditionalGeneration

Allowed = Callable[[Sequence[int]], bool]
"""Whether a caption may begin with these tokens."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished text: its tokens, end token included, and the log-probability of each (nats)."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]

    @property
    def logprob(self) -> float:
        """Nats, summed."""
        return sum(self.logprobs)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a search begins."""

    memory: Float[Tensor, "rows length d_model"]
    """What the decoder attends to."""
    mask: Tensor | None
    """True where memory counts; None: everywhere."""
    prefix: tuple[int, ...]
    """Start token and language prefix, the same for all rows."""

    def repeated(self, times: int) -> Start:
        """Each row `times` times in a row."""
        mask = None if self.mask is None else self.mask.repeat_interleave(times, 0)
        return Start(self.memory.repeat_interleave(times, 0), mask, self.prefix)

    def row(self, index: int) -> Start:
        """One row alone."""
        mask = None if self.mask is None else self.mask[index : index + 1]
        return Start(self.memory[index : index + 1], mask, self.prefix)


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What a search may write."""

    end: int
    """The end token."""
    max_tokens: int
    """The end token is forced at this length."""
    forbidden: Int[Tensor, "pieces"]
    """Special tokens and unused rows of the head."""
    allowed: Allowed | None = None


def head(
    model: T5ForConditionalGeneration, hidden: Float[Tensor, "*rows d_model"]
) -> Float[Tensor, "*rows pieces"]:
    """Logits from decoder outputs, scaled where the T5 form wants it."""
    if getattr(model.config, "scale_decoder_outputs", False):
        hidden = hidden * model.config.d_model**-0.5
    return model.lm_head(hidden)  # type: ignore[no-any-return]


def bans(forms: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Allowed:
    """A rule against texts in which a word begins with one of `forms`, case ignored.

    Beginnings count, so 'melanom' also keeps out 'melanomas', and one stem all Russian endings.
    """
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(form) for form in forms)})", re.IGNORECASE)
    return lambda token_ids: pattern.search(decode(token_ids, tokenizer)) is None


@final
class _Steps:
    """The decoder, one position at a time for all rows."""

    def __init__(self, model: T5ForConditionalGeneration, start: Start) -> None:
        self._model, self._start = model, start
        self._cache: Any = None

    def first(self) -> Float[Tensor, "rows pieces"]:
        prefix = torch.tensor([self._start.prefix], device=self._start.memory.device)
        return self.next(prefix.expand(len(self._start.memory), -1))

    def next(self, token_ids: Int[Tensor, "rows new"]) -> Float[Tensor, "rows pieces"]:
        """Log-probabilities of the piece behind the last new one, float32."""
        beat()
        out = self._model.decoder(
            input_ids=token_ids,
            encoder_hidden_states=self._start.memory,
            encoder_attention_mask=self._start.mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = out.past_key_values
        return head(self._model, out.last_hidden_state[:, -1]).float().log_softmax(-1)

    def reorder(self, rows: Int[Tensor, "rows"]) -> None:
        # Beams move only among rows of the same image, whose cross-attention cache is the same.
        self._cache.self_attention_cache.reorder_cache(rows)


def greedy(model: T5ForConditionalGeneration, start: Start, limits: Limits) -> list[Hypothesis]:
    """The most probable piece at every step, one hypothesis per row. `limits.allowed` is not asked."""
    steps = _Steps(model, start)
    logprobs = steps.first()
    tokens: list[Tensor] = []
    values: list[Tensor] = []
    done = torch.zeros(len(logprobs), dtype=torch.bool, device=logprobs.device)
    for length in range(1, limits.max_tokens + 1):
        if length < limits.max_tokens:
            best = logprobs.index_fill(1, limits.forbidden, -torch.inf).argmax(-1)
        else:
            best = torch.full_like(tokens[-1] if tokens else done.long(), limits.end)
        best = best.masked_fill(done, limits.end)
        tokens.append(best)
        values.append(logprobs.gather(1, best[:, None])[:, 0])
        done = done | (best == limits.end)
        if bool(done.all()):
            break
        logprobs = steps.next(best[:, None])
    pairs = zip(torch.stack(tokens, 1).tolist(), torch.stack(values, 1).tolist(), strict=True)
    return [_cut(row, row_values, limits.end) for row, row_values in pairs]


def _cut(token_ids: list[int], logprobs: list[float], end: int) -> Hypothesis:
    length = token_ids.index(end) + 1
    return Hypothesis(tuple(token_ids[:length]), tuple(logprobs[:length]))


@dataclass(frozen=True, slots=True)
class _Beam:
    row: int
    """Of the previous step."""
    hypothesis: Hypothesis
    total: float


def beam(
    model: T5ForConditionalGeneration, start: Start, limits: Limits, width: int
) -> list[Hypothesis | None]:
    """The most probable finished text that a search `width` wide meets, per row; None if all were barred.

    Texts are compared by their summed log-probability, so the search ends when no open text can win.
    """
    steps = _Steps(model, start.repeated(width))
    logprobs = steps.first()
    empty = Hypothesis((), ())
    rows = [[_Beam(0, empty, 0.0)] + [_Beam(0, empty, -torch.inf)] * (width - 1) for _ in start.memory]
    finished: list[Hypothesis | None] = [None] * len(rows)
    for length in range(1, limits.max_tokens + 1):
        for image, beams in enumerate(rows):
            scores = logprobs[image * width : (image + 1) * width]
            last = length == limits.max_tokens
            rows[image], ended = _extend(beams, scores, limits, last=last)
            finished[image] = max([*filter(None, [finished[image]]), *ended], key=_total, default=None)
        if all(_settled(beams, best) for beams, best in zip(rows, finished, strict=True)):
            break
        origin = [image * width + open_.row for image, beams in enumerate(rows) for open_ in beams]
        steps.reorder(torch.tensor(origin, device=logprobs.device))
        newest = [[open_.hypothesis.token_ids[-1]] for beams in rows for open_ in beams]
        logprobs = steps.next(torch.tensor(newest, device=logprobs.device))
    return finished


def _total(hypothesis: Hypothesis) -> float:
    return hypothesis.logprob


def _settled(beams: Sequence[_Beam], best: Hypothesis | None) -> bool:
    hope = max(open_.total for open_ in beams)
    return hope == -torch.inf or (best is not None and best.logprob >= hope)


def _extend(
    beams: Sequence[_Beam], logprobs: Float[Tensor, "width pieces"], limits: Limits, *, last: bool
) -> tuple[list[_Beam], list[Hypothesis]]:
    """The best open texts one piece longer, as many as there were, and those that ended here."""
    width, pieces = logprobs.shape
    totals = torch.tensor([open_.total for open_ in beams], device=logprobs.device)
    scores = logprobs.index_fill(1, limits.forbidden, -torch.inf) + totals[:, None]
    if last:
        scores = scores[:, limits.end : limits.end + 1]
    breadth = width * (2 if limits.allowed is None else 8)
    best = scores.flatten().topk(min(breadth, scores.numel()))
    grown: list[_Beam] = []
    ended: list[Hypothesis] = []
    for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        row, piece = (place, limits.end) if last else divmod(place, pieces)
        if total == -torch.inf or len(grown) == width:
            break
        before = beams[row].hypothesis
        longer = Hypothesis((*before.token_ids, piece), (*before.logprobs, float(logprobs[row, piece])))
        if piece == limits.end:
            ended.append(longer)
        elif limits.allowed is None or limits.allowed(longer.token_ids):
            grown.append(_Beam(row, longer, total))
    barred = _Beam(0, Hypothesis((limits.end,), (0.0,)), -torch.inf)
    return grown + [barred] * (width - len(grown)), ended
