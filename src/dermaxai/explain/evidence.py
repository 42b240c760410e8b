"""Why this word: which patches it rests on, and how much of it comes from the image at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import NotSupported, SettingError, ShapeError
from dermaxai.explain.articles import decided_tokens
from dermaxai.explain.base import WORDS, AbstractMethod, Answer, Explained, speaker
from dermaxai.explain.word_gradients import WORD_LAYER, Scalar, ask, attribute, key_value_input
from dermaxai.explain.word_occlusion import group_patches, word_occlusion
from dermaxai.explain.word_relevance import RELEVANCE_LAYER, word_relevance
from dermaxai.types import MINIMUM_NATS, Caption, Encoded, Evidence, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

Product = Literal["integrated", "gradient_x_difference", "input_x_gradient", "relevance", "occlusion"]
PRODUCTS: tuple[Product, ...] = (
    "integrated",
    "gradient_x_difference",
    "input_x_gradient",
    "relevance",
    "occlusion",
)
"""The first is the default, in the table of methods as in Python."""
STEPS, EXACT = 2, 16
"""Points on the way from mean to photo: by default, and where the sum must be the evidence to a percent."""
MEAN_PATCHES = "mean_patches"
"""Key in `CaptionerConfig.tables` where a captioner without statistics may keep it: (width) or (n, width)."""


@final
class WordEvidence(AbstractMethod):
    """Gradient of a word's teacher-forced score at the Q-Former's key and value input, times an input.

    `gradient_x_difference`: times what sets this photo apart from the mean photo, x - mean;
    `input_x_gradient`: times x itself; `integrated`: x - mean times the gradient averaged on the way from
    mean to x (Gauss-Legendre, `steps` points), whose sum is the word's evidence in nats as `steps` grows.
    Two forms take no product: `relevance` follows all attentions (`explain.word_relevance`), without sign
    and unit; `occlusion` takes patches away one by one (`explain.word_occlusion`) and needs a pass for each.
    Values are signed, in nats for the score `log-probability`. Tokens of a word are summed; with
    `Target.against` the score is the difference to the rival word in the same place.

    Source: integrated gradients (arXiv:1703.01365), equations 1 and 3; arXiv:2103.15679 for `relevance`.
    """

    name = "evidence"
    title = "Why this word"
    signed = True
    answers = WORDS
    layer = WORD_LAYER
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{name: {"product": name} if place else {} for place, name in enumerate(PRODUCTS)},
        "exact": {"steps": EXACT},
    }

    def __init__(
        self,
        *,
        product: Product = PRODUCTS[0],
        scalar: Scalar = "log-probability",
        steps: int = STEPS,
    ) -> None:
        """`steps` counts for `integrated` only. Raises: SettingError."""
        if product not in PRODUCTS or scalar not in ("log-probability", "logit") or steps < 1:
            raise SettingError(
                f"Evidence knows {', '.join(PRODUCTS)}; scalar log-probability or logit; "
                f"steps from 1; not '{product}', '{scalar}', {steps}."
            )
        self.product, self.scalar, self.steps = product, scalar, steps

    @property
    def variant(self) -> str:
        """The product, with the number of steps of `integrated`."""
        return f"integrated, {self.steps} steps" if self.product == "integrated" else self.product

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        captioner, caption = speaker(model)
        questions = ask(captioner, caption, targets)
        asked, patches, layer = (captioner, questions, caption.language), encoded.patches, self.layer
        if self.product == "relevance":
            values, layer = word_relevance(*asked, patches, scalar=self.scalar), RELEVANCE_LAYER
        elif self.product == "occlusion":
            values = word_occlusion(*asked, patches, group_patches(encoded.grid), self.scalar)
        else:
            values = attribute(*asked, self._factors(captioner, encoded, model.mean_patches), self.scalar)
        scalars = [
            f"{target.kind} {self.scalar}{' difference' if target.against else ''}" for target in targets
        ]
        return Answer(values, scalars, layer)

    def _factors(
        self, captioner: Captioner, encoded: Encoded, mean_patches: Float[Tensor, "*n width"] | None
    ) -> tuple[Float[Tensor, "steps n width"], Float[Tensor, "steps n width"]]:
        own = key_value_input(captioner, encoded.patches)
        if self.product == "input_x_gradient":
            return own[None], own[None]
        mean = key_value_input(captioner, mean_of(captioner, encoded, mean_patches))
        return self._points(own, own - mean)

    def _points(
        self, own: Float[Tensor, "n width"], difference: Float[Tensor, "n width"]
    ) -> tuple[Float[Tensor, "steps n width"], Float[Tensor, "steps n width"]]:
        """Where the gradient is taken, and the factors it is multiplied with."""
        if self.product != "integrated":
            return own[None], difference[None]
        nodes, shares = np.polynomial.legendre.leggauss(self.steps)
        back = torch.from_numpy((1 - nodes) / 2).to(own)[:, None, None]
        share = torch.from_numpy(shares / 2).to(own)[:, None, None]
        return own - back * difference, share * difference


def mean_of(
    captioner: Captioner, encoded: Encoded, mean_patches: Float[Tensor, "*n width"] | None = None
) -> Float[Tensor, "n width"]:
    """The mean photo: the given one, otherwise the captioner's own. Raises: NotSupported, ShapeError."""
    mean_patches = known_mean(captioner) if mean_patches is None else mean_patches
    if mean_patches is None:
        raise NotSupported(
            "This captioner does not know the mean photo of its training.",
            hint="Give `mean_patches`, or set the captioner's own and save it.",
        )
    if mean_patches.shape not in (encoded.patches.shape, encoded.patches.shape[1:]):
        raise ShapeError(
            f"The mean patch features have shape {tuple(mean_patches.shape)}; expected "
            f"{tuple(encoded.patches.shape)} or {tuple(encoded.patches.shape[1:])}."
        )
    return mean_patches.to(encoded.patches).expand_as(encoded.patches)


def known_mean(captioner: Captioner) -> Float[Tensor, "*n width"] | None:
    """The mean photo of the training: the captioner's statistics, otherwise its config's tables."""
    stored = captioner.config.tables.get(MEAN_PATCHES)
    if captioner.mean_patches is not None or stored is None:
        return captioner.mean_patches
    return torch.tensor(stored)


def visual_evidence(
    captioner: Captioner,
    encoded: Encoded,
    caption: Caption,
    *,
    mean_patches: Float[Tensor, "*n width"] | None = None,
    threshold: float = MINIMUM_NATS,
) -> tuple[Evidence, ...]:
    """What the image adds to each word: log p(word | image) - log p(word | mean image), text before given.

    An English article counts with the word after it (`explain.articles`). `from_image` is true from
    `threshold` on; below it an average photo gives the word too, or it is said in spite of the image.
    Raises: NotSupported without a mean image, ShapeError.
    """
    mean = mean_of(captioner, encoded, mean_patches)
    both = torch.stack([encoded.patches, mean])
    seen, expected = captioner.score_patches(both, caption.token_ids, caption.language)
    # Words come from the caption itself: it may be a given text, spelled in another way.
    gain = np.subtract(seen.token_logprobs, expected.token_logprobs)
    places = [list(decided_tokens(caption, index)) for index in range(len(caption.words))]
    nats = [float(gain[one].sum()) for one in places]
    return tuple(Evidence(word, value, value >= threshold) for word, value in enumerate(nats))


def word_targets(caption: Caption, evidence: Sequence[Evidence]) -> list[Target]:
    """A question for every word that comes from the image; the others get no map."""
    return [Target("word", caption.words[one.word].text, word=one.word) for one in evidence if one.from_image]
