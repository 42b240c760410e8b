"""Score-CAM: channels weighted by how well the photo, seen through each of them, still fits the question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from dermaxai.errors import SettingError
from dermaxai.explain.base import (
    SIMILARITY,
    WORDS,
    AbstractMethod,
    Answer,
    Explained,
    speaker,
    text_directions,
    without_dropout,
)
from dermaxai.explain.cam import (
    CamScalar,
    in_order,
    kinds_apart,
    scalar_names,
    weighted_sum,
    widened,
)
from dermaxai.explain.pooling import target_layer
from dermaxai.explain.shared import AT_ONCE, Passes, input_pixels, read_pixels
from dermaxai.explain.support import SUPPORTED, Support
from dermaxai.explain.word_gradients import Questions, ask, word_layer
from dermaxai.explain.word_occlusion import token_scores
from dermaxai.progress import steps
from dermaxai.types import Encoded, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner
    from dermaxai.encoders.base import AbstractEncoder, Pooling
    from dermaxai.types import Caption, TargetKind

EPSILON = 1e-8
"""Of the published code, added to the span of a mask."""
FLAT = (
    "cosines of masked photos differ so little that all channels weigh nearly the same: "
    "the map is almost the mean activation, whatever the text."
)


@final
class ScoreCam(AbstractMethod):
    """raw(p) = sum_k w_k A_k(p) with w = softmax over channels of the score of the photo times mask k.

    Mask k is channel k, enlarged to the tower's input (bilinear, corners aligned) and scaled to 0..1; it is
    multiplied into the normalised pixels, so that what it hides turns into the mean colour. One encoder pass
    per channel serves all questions, about similarity and about words alike; therefore both are asked at
    one layer, the last block's `ln_1` (before a MAP head: the normed patches). Words are scored by the
    decoder's log-probability of the given caption, from the masked photo's patches.

    The softmax depends on the unit of the score. Default is the logit, whose temperature the map records;
    with the `cosine` (variant `reference`) the weights are nearly equal and the text hardly matters.
    `top_k`: each question uses only the channels with the largest mean |gradient x activation|, and the
    softmax runs over these; the map's layer says which share of that quantity they hold at least, over the
    questions asked together. Which share of the softmax over all channels they would have is not known
    without the other passes. Questions share the passes of channels that they have in common, so a map
    does not depend on what else is asked.
    `dtype="bfloat16"` runs the tower's blocks in that precision for speed; weights are not changed, and
    the read-out keeps the model's precision. `batch`: masked photos per pass; it does not change the map.

    Values are in units of the activations. Weights are positive: a negative value says that the channels
    that count are low there, rather than that the patch speaks against the text.

    Source: Score-CAM (arXiv:1910.01279), section 3; pytorch-grad-cam 1.5.7, which differs in that the score
    of an empty photo, a constant under the softmax, is not subtracted. `top_k` after gScoreCAM (ACCV 2022).
    """

    name = "score_cam"
    title = "Score-CAM"
    signed = True
    answers = WORDS | SIMILARITY
    layer = "last block, ln_1"
    variants = {  # noqa: RUF012 - a ClassVar in the base
        "reference logit": {},
        "reference": {"scalar": "cosine"},
        "top 64": {"top_k": 64},
        "bfloat16": {"dtype": "bfloat16"},
    }

    def __init__(
        self,
        *,
        scalar: CamScalar = "logit",
        top_k: int | None = None,
        batch: int = 16,
        dtype: Passes = "model",
    ) -> None:
        """`top_k` None: all channels. Raises: SettingError."""
        if scalar not in ("cosine", "logit") or dtype not in ("model", "bfloat16"):
            raise SettingError(
                f"Score-CAM knows scalar logit, cosine and dtype model, bfloat16; not '{scalar}', '{dtype}'."
            )
        if batch < 1 or (top_k is not None and top_k < 1):
            raise SettingError(f"Score-CAM needs batch and top_k from 1; not {batch}, {top_k}.")
        self.scalar, self.top_k, self.batch, self.dtype = scalar, top_k, batch, dtype

    @property
    def variant(self) -> str:
        """'reference' is the published code; 'logit' where that is the score, then what was saved."""
        saved = [f"top {self.top_k}"] if self.top_k else []
        saved += [self.dtype] if self.dtype != "model" else []
        if not saved:
            return "reference logit" if self.scalar == "logit" else "reference"
        return ", ".join(saved if self.scalar == "logit" else [*saved, "cosine"])

    def support(self, pooling: Pooling, kind: TargetKind) -> Support:
        """Doubtful for similarity questions that are scored by the cosine."""
        flat = self.scalar == "cosine" and kind in SIMILARITY
        return Support("doubtful", FLAT) if flat else SUPPORTED

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        activations, layer = masking_layer(model.encoder, encoded)
        chosen, held = None, ""
        if self.top_k is not None:
            gradients = gradients_there(model, encoded, targets)
            chosen, share = most_important(activations, gradients, self.top_k)
            count = f"{min(self.top_k, chosen.shape[1])} of {chosen.shape[1]} channels"
            held = f"; top {count}, at least {share:.2f} of |gradient x activation|"
        scores = self._scores(model, encoded, targets, activations, chosen)
        values = weighted_sum(activations, channel_weights(scores).to(activations))
        return Answer(values, scalar_names(model.encoder, targets, self.scalar), layer + held)

    @torch.no_grad()
    def _scores(
        self,
        model: Explained,
        encoded: Encoded,
        targets: Sequence[Target],
        activations: Float[Tensor, "n width"],
        chosen: Bool[Tensor, "targets width"] | None,
    ) -> Float[Tensor, "targets width"]:
        """Score of every masked photo; -inf for channels that a question does not use."""
        judge = Judge.of(model, targets, self.scalar)
        pixels = input_pixels(model.encoder, encoded)
        width = activations.shape[1]
        used = torch.arange(width) if chosen is None else chosen.any(0).nonzero()[:, 0]
        scores = torch.full((len(targets), width), -torch.inf, device=pixels.device)
        for some in steps(torch.split(used.to(pixels.device), self.batch)):
            masks = channel_masks(activations[:, some], encoded.grid, pixels.shape[-2:])
            masked = pixels * masks[:, None].to(pixels.dtype)
            patches, pooled = read_pixels(model.encoder, masked, self.dtype)
            scores[:, some] = judge.scores(patches, pooled).to(scores)
        return scores if chosen is None else scores.masked_fill(~chosen, -torch.inf)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Scores masked photos for all questions at once."""

    places: Sequence[int]
    """Of the questions to the decoder, then of the others, in the list of targets."""
    directions: Float[Tensor, "similarities embed"] | None
    """Their dot product with an image embedding is the score."""
    speaker: tuple[Captioner, Caption, Questions] | None

    @classmethod
    def of(cls, model: Explained, targets: Sequence[Target], scalar: CamScalar) -> Judge:
        """Prepare all texts. Raises: NotSupported, UsageError for a question that cannot be asked."""
        words, similarity = kinds_apart(targets)
        directions, said = None, None
        if similarity:
            directions = text_directions(model.encoder, [targets[row] for row in similarity])
            directions = directions * model.encoder.logit_scale if scalar == "logit" else directions
        if words:
            captioner, caption = speaker(model)
            said = captioner, caption, ask(captioner, caption, [targets[row] for row in words])
        return cls(words + similarity, directions, said)

    def scores(
        self, patches: Float[Tensor, "photos n width"], pooled: Float[Tensor, "photos embed"]
    ) -> Float[Tensor, "targets photos"]:
        """Per question and photo: log-probability in nats, cosine or logit."""
        found = []
        if self.speaker is not None:
            captioner, caption, questions = self.speaker
            with without_dropout(captioner):
                read = captioner.read(patches)
            said = token_scores(captioner, questions, caption.language, read)
            found.append(torch.einsum("qtl,rtl->qr", questions.weights, said).to(pooled))
        if self.directions is not None:
            found.append(self.directions.to(pooled) @ pooled.T)
        return in_order(torch.cat(found), self.places)


def masking_layer(encoder: AbstractEncoder, encoded: Encoded) -> tuple[Float[Tensor, "n width"], str]:
    """Activations of the layer that similarity questions of all CAMs are asked at, and its name; no graph."""
    tower = encoder.tower
    if tower.pooling == "map":
        return _wide(encoded.patches.to(encoder.device)), "normed patches before the MAP head"
    with torch.no_grad():
        normed = tower.open(tower.blocks[-1]).norm(encoded.tail_input[None].to(encoder.device))
    return _wide(normed[0, tower.first_patch :]), "last block, ln_1"


def channel_masks(
    activations: Float[Tensor, "n channels"], grid: tuple[int, int], size: Sequence[int]
) -> Float[Tensor, "channels height width"]:
    """Each channel as a picture, 0 to 1; 0 everywhere for a constant channel."""
    coarse = activations.T.reshape(1, -1, *grid)
    fine = functional.interpolate(coarse, tuple(size), mode="bilinear", align_corners=True)[0]
    low, high = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
    # Enlarging a constant rounds it differently from place to place, which must not become a picture.
    rounding = 4 * torch.finfo(fine.dtype).eps * torch.maximum(low.abs(), high.abs())
    return torch.where(high - low <= rounding, 0.0, (fine - low) / (high - low + EPSILON))


def channel_weights(scores: Float[Tensor, "targets width"]) -> Float[Tensor, "targets width"]:
    """Softmax over the channels in use; 0 for a question that no mask changes.

    Such is an English article: its choice is a part of the next word's choice and has no score of its own.
    """
    used = scores.isfinite()
    spread = scores.amax(1) - scores.where(used, torch.inf).amin(1)
    tells = (spread > 0) | (used.sum(1) == 1)
    return scores.softmax(1) * tells[:, None]


def gradients_there(
    model: Explained, encoded: Encoded, targets: Sequence[Target]
) -> Float[Tensor, "targets n width"]:
    """Gradients of every question's score at the layer of the masks."""
    words, similarity = kinds_apart(targets)
    found = []
    if words:
        found.append(_from_decoder(model, encoded, [targets[row] for row in words]).to(model.encoder.device))
    if similarity:
        layer = widened(target_layer(model, encoded, [targets[row] for row in similarity]))
        found.append(layer.gradients)
    return in_order(torch.cat(found), words + similarity)


def _from_decoder(
    model: Explained, encoded: Encoded, targets: Sequence[Target]
) -> Float[Tensor, "targets n width"]:
    """From the Q-Former's input back through its norm, the final norm and the last block."""
    captioner, _ = speaker(model)
    arriving = word_layer(model, encoded, targets).gradients
    tail = model.encoder.tail(encoded.tail_input.clone()[None].requires_grad_())
    place = tail.patches if tail.pooling == "map" else tail.normed
    read = captioner.bridge.vision_norm(tail.patches.to(captioner.device, captioner.dtype))
    found = [
        torch.autograd.grad(read, place, some[:, None].to(read), retain_graph=True, is_grads_batched=True)[0]
        for some in torch.split(arriving, max(1, AT_ONCE // tail.attention.numel()))
    ]
    first = 0 if tail.pooling == "map" else tail.first_patch
    return _wide(torch.cat(found)[:, 0, first:])


def most_important(
    activations: Float[Tensor, "n width"], gradients: Float[Tensor, "targets n width"], top_k: int
) -> tuple[Bool[Tensor, "targets width"], float]:
    """The channels with the largest mean |gradient x activation| of each question, and what share of its sum
    over all channels they hold, the least of all questions, rounded down to a percent.
    """
    sizes = (gradients * activations).abs().mean(1)
    best: Int[Tensor, "targets k"] = sizes.topk(min(top_k, sizes.shape[1])).indices
    chosen = torch.zeros_like(sizes, dtype=torch.bool).scatter(1, best, True)
    whole = sizes.sum(1)
    # Where nothing has a gradient, nothing was left out.
    held = torch.where(whole == 0, 1.0, sizes.where(chosen, 0.0).sum(1) / whole)
    return chosen, math.floor(100 * float(held.min())) / 100


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
