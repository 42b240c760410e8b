"""Gradients of what the decoder says, for all words of a caption in one batched backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.captioner.words import find_phrase
from dermaxai.errors import NotSupported, UsageError
from dermaxai.explain.articles import decided_tokens, first_of, with_article
from dermaxai.explain.base import Explained, speaker, watching, without_dropout
from dermaxai.explain.pooling import TargetLayer
from dermaxai.explain.shared import AT_ONCE
from dermaxai.progress import beat
from dermaxai.types import Caption, Encoded, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

Scalar = Literal["log-probability", "logit"]
WORD_LAYER = "Q-Former keys and values"


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Texts to be said by teacher forcing, and which of their tokens each question sums."""

    token_ids: Int[Tensor, "texts length"]
    """Padded on the right with the end token, which no earlier token can see."""
    weights: Float[Tensor, "questions texts length"]
    """1 for a token of the word, -1 for one of the rival's."""


def ask(captioner: Captioner, caption: Caption, targets: Sequence[Target]) -> Questions:
    """What each target of kind word or caption means in tokens.

    A rival (`Target.against`) is said instead of the word, after the same beginning of the caption.
    Raises: UsageError for a word the caption has not, NotSupported for a rival it cannot spell.
    """
    texts = [caption.token_ids]
    chosen: list[list[tuple[int, int, float]]] = []
    for target in targets:
        if target.kind == "caption":
            if target.against is not None:
                raise UsageError("A whole caption cannot be compared with another text.")
            chosen.append([(0, place, 1.0) for place in range(len(caption.token_ids))])
            continue
        said = said_words(caption, target)
        chosen.append([(0, place, 1.0) for index in said for place in decided_tokens(caption, index)])
        if target.against is not None:
            if caption.language not in captioner.config.languages:
                raise NotSupported(
                    f"Words in '{caption.language}' are composed here, not written by the decoder.",
                    hint="Compare words of the English caption.",
                )
            if not chosen[-1]:
                raise UsageError(
                    f"'{target.text}' is decided by the word after it, so nothing can be compared with it.",
                    hint="Ask about that word.",
                )
            before = caption.text[: caption.words[first_of(caption, said[0])].start]
            ids, places = _rival(captioner, before, with_article(caption, said[0], target.against))
            chosen[-1] += [(len(texts), place, -1.0) for place in places]
            texts.append(ids)
    length = max(map(len, texts))
    rows = [list(ids) + [captioner.prompts.end] * (length - len(ids)) for ids in texts]
    weights = torch.zeros(len(targets), len(texts), length)
    for question, tokens in enumerate(chosen):
        for text, place, sign in tokens:
            weights[question, text, place] = sign
    return Questions(torch.tensor(rows, device=captioner.device), weights.to(captioner.device))


def said_words(caption: Caption, target: Target) -> range:
    """Which words a target of kind word or phrase means. Raises: UsageError."""
    if target.word is None:
        return find_phrase(caption, target.text)
    count = len(target.text.split()) if target.kind == "phrase" else 1
    if not 0 <= target.word <= len(caption.words) - count:
        raise UsageError(f"The caption has {len(caption.words)} words; there is no number {target.word}.")
    return range(target.word, target.word + count)


def _rival(captioner: Captioner, before: str, against: str) -> tuple[tuple[int, ...], list[int]]:
    from dermaxai.captioner.words import words_of

    text = before + against
    ids = captioner.prompts.pieces(text)
    words = words_of(text, ids, captioner.tokenizer)
    places = [place for word in words if word.start >= len(before) for place in word.tokens]
    if not places:
        raise UsageError(f"'{against}' is no word to compare with.")
    return ids, places


def key_value_input(
    captioner: Captioner, patches: Float[Tensor, "*images n width"]
) -> Float[Tensor, "*images n width"]:
    """What the Q-Former's keys and values are made from: patches after the bridge's own norm, no graph.

    Gradient times input must be taken here and not at the patches: the norm ignores their length, so
    there the product is zero by construction.
    """
    with torch.no_grad():
        normed: Tensor = captioner.bridge.vision_norm(patches.to(captioner.device, captioner.dtype).clone())
    return normed


def read_normed(
    captioner: Captioner, normed: Float[Tensor, "images n width"]
) -> Float[Tensor, "images queries d_model"]:
    """`Captioner.read` from the keys' and values' input on, differentiable in it."""
    bridge = captioner.bridge
    read = bridge.qformer(
        query_embeds=bridge.queries.expand(len(normed), -1, -1), encoder_hidden_states=normed
    )
    projected: Tensor = bridge.projection(read.last_hidden_state)
    return projected


def attribute(
    captioner: Captioner,
    questions: Questions,
    language: str,
    points: tuple[Float[Tensor, "images n width"], Float[Tensor, "images n width"]],
    scalar: Scalar = "log-probability",
) -> Float[Tensor, "questions n"]:
    """Sum over images and channels of factor * ds/dx, with `points` = (x, factor) at the key-value input."""
    place, factor = points
    found = [
        torch.einsum("qknc,knc->qn", gradients, factor.to(gradients))
        for gradients in word_gradients(captioner, questions, language, place, scalar)
    ]
    return torch.cat(found)


def word_layer(
    model: Explained, encoded: Encoded, targets: Sequence[Target], scalar: Scalar = "log-probability"
) -> TargetLayer:
    """Activations and gradients of the words' scores at the Q-Former's key and value input.

    Computed once per photo and list of questions. Raises: NotSupported, UsageError.
    """

    def make() -> TargetLayer:
        captioner, caption = speaker(model)
        questions = ask(captioner, caption, targets)
        own = key_value_input(captioner, encoded.patches)
        parts = word_gradients(captioner, questions, caption.language, own[None], scalar)
        return TargetLayer(own, torch.cat([part[:, 0] for part in parts]), WORD_LAYER)

    return model.shared.once(encoded, ("word layer", scalar, tuple(targets)), make)


def word_gradients(
    captioner: Captioner,
    questions: Questions,
    language: str,
    place: Float[Tensor, "images n width"],
    scalar: Scalar,
) -> Iterator[Float[Tensor, "some images n width"]]:
    """ds/dx of every question at the key-value input `place`, as many questions at a time as memory allows.

    One forward pass over the images, one backward pass through the head for all questions together, and
    one batched backward pass of the rest.
    """
    leaf = place.clone().requires_grad_()
    texts = questions.token_ids.repeat(len(leaf), 1)
    seen: list[Tensor] = []

    def keep(output: Any) -> None:  # noqa: ANN401 - the output's class is internal to transformers
        seen.append(output.last_hidden_state)

    with without_dropout(captioner), watching(captioner.t5.decoder, keep):
        logits = captioner.logits_of(read_normed(captioner, leaf), texts, language).float()
    scores = logits.log_softmax(-1) if scalar == "log-probability" else logits
    said = scores.gather(2, texts[:, :, None]).sum()
    # Each token's score depends on its own hidden state alone, so one backward pass serves all of them.
    (at_hidden,) = torch.autograd.grad(said, seen[0])
    prefix = at_hidden.shape[1] - texts.shape[1]
    at_once = max(1, AT_ONCE // leaf.numel())
    for first in range(0, len(questions.weights), at_once):
        beat()
        weights = questions.weights[first : first + at_once]
        spread = torch.nn.functional.pad(weights.repeat(1, len(leaf), 1), (prefix, 0)).to(at_hidden)
        (gradients,) = torch.autograd.grad(
            seen[0], leaf, spread[..., None] * at_hidden, is_grads_batched=True, retain_graph=True
        )
        yield gradients
