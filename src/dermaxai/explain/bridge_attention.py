"""The attentions of Q-Former and T5, seen while they work: weights, values, and gradients of a word's score.

The models compute attention fused and keep no weights. Here queries, keys and values are overheard at their
projections and the weights computed again; no flag is changed, so another thread may use the model meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dermaxai.encoders.tail import split_heads
from dermaxai.explain.base import watching, without_dropout
from dermaxai.explain.word_gradients import Questions, Scalar, key_value_input, read_normed

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

Kind = Literal["bridge self", "bridge cross", "encoder self", "decoder self", "decoder cross"]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One attention of a captioner: its projections, and what it does beside comparing queries and keys."""

    kind: Kind
    layer: int
    query: nn.Module
    key: nn.Module
    value: nn.Module
    output: nn.Module
    """Takes the context."""
    heads: int
    scaling: float
    """1 in a T5."""
    bias: Callable[[int, int], Tensor] | None = None
    """Rows and columns -> what a T5 adds for relative position, (1, heads, rows, columns)."""
    causal: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """What one place computed in a forward pass; everything but `context` is without a graph."""

    kind: Kind
    layer: int
    queries: Float[Tensor, "batch heads rows head"]
    keys: Float[Tensor, "batch heads columns head"]
    values: Float[Tensor, "batch heads columns head"]
    weights: Float[Tensor, "batch heads rows columns"]
    """After softmax."""
    context: Float[Tensor, "batch rows width"]
    """Heads merged, before the output projection; a node of the graph."""

    def at_weights(
        self, gradients: Float[Tensor, "questions batch rows width"]
    ) -> Float[Tensor, "questions batch heads rows columns"]:
        """From the gradients at `context` to those at `weights`: dS/dA_ij = <dS/do_i, v_j> in every head."""
        heads, size = self.values.shape[1], self.values.shape[3]
        split = gradients.reshape(*gradients.shape[:-1], heads, size).float()
        return torch.einsum("qbrhd,bhcd->qbhrc", split, self.values.float())


def places(captioner: Captioner) -> list[Place]:
    """All attentions that a caption goes through, in the order of the forward pass.

    The T5 encoder's are left out where the captioner skips it.
    """
    found = []
    for number, layer in enumerate(captioner.bridge.qformer.encoder.layer):
        found.append(_bridge_place("bridge self", number, layer.attention))
        if layer.has_cross_attention:
            found.append(_bridge_place("bridge cross", number, layer.crossattention))
    t5 = captioner.t5
    if not captioner.config.skip_encoder:
        found += _t5_places("encoder self", t5.encoder.block)
    own, reading = _t5_places("decoder self", t5.decoder.block), _t5_places("decoder cross", t5.decoder.block)
    return found + [place for pair in zip(own, reading, strict=True) for place in pair]


def _bridge_place(kind: Kind, layer: int, module: Any) -> Place:  # noqa: ANN401 - transformers' class is not public
    attention = module.attention
    parts = attention.query, attention.key, attention.value, module.output.dense
    return Place(kind, layer, *parts, attention.num_attention_heads, attention.scaling)


def _t5_places(kind: Kind, blocks: Any) -> list[Place]:  # noqa: ANN401 - a list of transformers' blocks
    crossing = kind == "decoder cross"
    modules = [
        block.layer[1].EncDecAttention if crossing else block.layer[0].SelfAttention for block in blocks
    ]
    found = []
    for number, one in enumerate(modules):
        # A T5 uses the table of its first block in all of them; a umT5 has one in each.
        table = one if one.has_relative_attention_bias else modules[0]
        bias = None if crossing else table.compute_bias
        parts = one.q, one.k, one.v, one.o
        found.append(Place(kind, number, *parts, one.n_heads, one.scaling, bias, causal=one.is_causal))
    return found


@final
class Watch:
    """What the hooks of one forward pass saw."""

    def __init__(self, watched: Sequence[Place]) -> None:
        self.places = watched
        self._projected: dict[nn.Module, Tensor] = {}
        self._contexts: dict[nn.Module, Tensor] = {}
        self._here = threading.get_ident()

    def see_projection(self, module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
        """Forward hook of queries, keys and values."""
        if threading.get_ident() == self._here:
            self._projected[module] = output.detach()

    def open_context(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Pre-hook of an output projection: what goes in becomes a place where a gradient can be taken."""
        if threading.get_ident() != self._here:
            return None
        context = inputs[0]
        if not context.requires_grad:
            # Nothing before the first look at the photo has a graph in a frozen model.
            context = context.detach().requires_grad_()
        self._contexts[module] = context
        return (context, *inputs[1:])

    def attentions(self) -> tuple[Attention, ...]:
        """Every attention of the pass, computed again."""
        return tuple(self._attention(place) for place in self.places)

    @torch.no_grad()
    def _attention(self, place: Place) -> Attention:
        parts = (place.query, place.key, place.value)
        queries, keys, values = (split_heads(self._projected[part], place.heads) for part in parts)
        logits = (queries @ keys.transpose(-2, -1)).float() * place.scaling
        rows, columns = logits.shape[-2:]
        if place.bias is not None:
            logits = logits + place.bias(rows, columns).float()
        if place.causal:
            future = torch.ones(rows, columns, dtype=torch.bool, device=logits.device).triu(1)
            logits = logits.masked_fill(future, -torch.inf)
        context = self._contexts[place.output]
        return Attention(place.kind, place.layer, queries, keys, values, logits.softmax(-1), context)


@contextmanager
def watching_attention(captioner: Captioner) -> Iterator[Watch]:
    """Overhear the next forward pass of this thread inside; the hooks go in any case.

    Right for one photo or photos of one language, whose patches and prompts all count: no mask is applied
    but the decoder's causal one.
    """
    watch = Watch(places(captioner))
    with ExitStack() as hooks:
        for place in watch.places:
            for part in (place.query, place.key, place.value):
                hooks.callback(part.register_forward_hook(watch.see_projection).remove)
            hooks.callback(place.output.register_forward_pre_hook(watch.open_context).remove)
        yield watch


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All texts of a list of questions said once, open at every attention."""

    attentions: tuple[Attention, ...]
    hidden: Float[Tensor, "texts length d_model"]
    """Decoder output, with a graph."""
    at_hidden: Float[Tensor, "texts length d_model"]
    """Gradient there of the score of the token that the row predicts."""
    skipped: int
    """Rows of the decoder before the one that predicts the first token."""

    def of_kind(self, *kinds: Kind) -> list[Attention]:
        """The attentions of some kinds, in the order of the forward pass."""
        return [one for one in self.attentions if one.kind in kinds]

    def gradients(
        self, weights: Float[Tensor, "questions texts length"], wanted: Sequence[Attention]
    ) -> tuple[Float[Tensor, "questions batch rows width"], ...]:
        """Gradients of weighted sums of token scores at the wanted contexts, in one batched backward pass."""
        spread = nn.functional.pad(weights, (self.skipped, 0)).to(self.at_hidden)
        return torch.autograd.grad(
            self.hidden,
            [one.context for one in wanted],
            spread[..., None] * self.at_hidden,
            is_grads_batched=True,
            retain_graph=True,
        )


def trace(
    captioner: Captioner,
    questions: Questions,
    language: str,
    patches: Float[Tensor, "n width"],
    scalar: Scalar = "log-probability",
) -> Trace:
    """One teacher-forced forward pass for all texts of the questions, and one backward through the head."""
    texts, seen = questions.token_ids, list[Tensor]()
    normed = key_value_input(captioner, patches[None])
    keep = partial(_keep_hidden, seen)
    with (
        without_dropout(captioner),
        watching(captioner.t5.decoder, keep),
        watching_attention(captioner) as watch,
    ):
        logits = captioner.logits_of(read_normed(captioner, normed), texts, language).float()
    scores = logits.log_softmax(-1) if scalar == "log-probability" else logits
    said = scores.gather(2, texts[:, :, None]).sum()
    # Each token's score depends on its own hidden state alone, so one backward pass serves all of them.
    (at_hidden,) = torch.autograd.grad(said, seen[0])
    return Trace(watch.attentions(), seen[0], at_hidden, at_hidden.shape[1] - texts.shape[1])


def _keep_hidden(seen: list[Tensor], output: Any) -> None:  # noqa: ANN401 - the output's class is internal to transformers
    seen.append(output.last_hidden_state)
