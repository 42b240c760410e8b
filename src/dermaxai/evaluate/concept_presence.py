"""Which concepts a photo shows, by its likeness to texts with and without the concept (MONET)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai import vocabulary
from dermaxai.concepts.tree import bare, read_tree
from dermaxai.errors import SettingError
from dermaxai.evaluate.items import Item
from dermaxai.explain.base import embed_texts

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

Scheme = Literal["authors", "monet", "derm1m", "card"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
"""'authors': 'monet' for MONET, 'card' for the embedded encoder, 'derm1m' for all others."""

INVERSE_TEMPERATURE = math.exp(4.5944)
"""Of MONET's logit scale, which its authors and those of Derm1M use for every model."""

MONET_PROMPTS: tuple[tuple[str, str], ...] = (
    ("This is skin image of {}", "This is skin image"),
    ("This is dermatology image of {}", "This is dermatology image"),
    ("This is image of {}", "This is image"),
)
"""Prompt and the reference without a concept.

Source: MONET (doi 10.1038/s41591-024-02887-x), `tutorial/automatic_concept_annotation.ipynb`.
"""
DERM1M_PROMPTS: tuple[tuple[str, str], ...] = (
    *MONET_PROMPTS,
    ("A skin image of {}", "A skin image"),
    ("An image of {}, a skin condition.", "An image of a skin condition."),
    ("{}, a skin disorder, is shown in this image.", "a skin disorder is shown in this image."),
)
"""Source: Derm1M (arXiv:2503.14911) and MAKE (arXiv:2505.09372), folder `concept_annotation`."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """How concepts are asked for."""

    pairs: tuple[tuple[str, str], ...]
    """Prompt with one `{}`, and its reference."""
    source: str


def concept_prompts(encoder: AbstractEncoder, scheme: Scheme = "authors") -> Prompts:
    """The prompts of a scheme. Raises: SettingError.

    'card': the encoder's own, with references that lack ' of {}'.
    """
    if scheme not in SCHEMES:
        raise SettingError(f"Concepts are asked for as {', '.join(SCHEMES)}; not as '{scheme}'.")
    own = {"monet": "monet", "demo": "card"}
    asked = own.get(encoder.card.name, "derm1m") if scheme == "authors" else scheme
    if asked == "monet":
        return Prompts(MONET_PROMPTS, "MONET")
    if asked == "derm1m":
        return Prompts(DERM1M_PROMPTS, "Derm1M and MAKE")
    pairs = tuple((one, without_concept(one)) for one in encoder.card.templates if without_concept(one))
    if not pairs:
        raise SettingError(
            f"The card of '{encoder.card.name}' has no prompt that says anything without a concept.",
            hint="Choose 'monet' or 'derm1m'.",
        )
    return Prompts(pairs, "the encoder's card")


def without_concept(template: str) -> str:
    """A prompt as a reference.

    >>> without_concept("dermoscopy of {}"), without_concept("{}")
    ('dermoscopy', '')
    """
    return template.replace(" of {}", "").replace("{}", "").strip(" .,")


def terms_of(concept: str) -> tuple[str, ...]:
    """English names of a finding, its own first: the vocabulary's and the concept tree's.

    Raises: UnknownName.

    >>> terms_of("crust")
    ('crust', 'scab', 'dried crust')
    """
    told = [bare(vocabulary.finding(concept).name["en"])]
    node = read_tree().nodes.get(concept)
    if node is not None:
        told += [bare(node.names["en"]), *node.synonyms["en"]]
    return tuple(dict.fromkeys(told))


def presence(
    encoder: AbstractEncoder,
    images: Float[np.ndarray, "photos embed"],
    terms: Sequence[str],
    prompts: Prompts,
    factor: float = INVERSE_TEMPERATURE,
) -> Float[np.ndarray, "photos"]:
    """How much each photo is rather of the concept than of nothing in particular, 0 to 1.

    Mean over prompts t of softmax(factor * [mean over terms of cos(x, t(term)), cos(x, reference of t)])[0].
    Source: MONET (doi 10.1038/s41591-024-02887-x), methods, automatic concept annotation, and its code.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images)).double()
    shares = []
    for template, reference in prompts.pairs:
        target = (pixels @ _embed(encoder, [template.format(term) for term in terms]).T).mean(1)
        plain = (pixels @ _embed(encoder, [reference]).T)[:, 0]
        shares.append(torch.sigmoid(factor * (target - plain)))
    return np.asarray(torch.stack(shares).mean(0).numpy())


def _embed(encoder: AbstractEncoder, texts: Sequence[str]) -> Float[Tensor, "texts embed"]:
    return embed_texts(encoder, texts).cpu().double()


def annotated_concepts(items: Sequence[Item], fewest: int) -> list[str]:
    """Findings that at least `fewest` photos show and at least `fewest` do not, as somebody annotated."""
    present = [one for item in items for one in set(item.sample.present)]
    absent = [one for item in items for one in set(item.sample.absent)]
    return [
        one for one in vocabulary.findings() if min(present.count(one), absent.count(one)) >= max(fewest, 1)
    ]


def truth_of(items: Sequence[Item], concept: str) -> Float[np.ndarray, "items"]:
    """1 where the finding is annotated as present, 0 as absent, NaN where nobody says so."""
    return np.array(
        [
            1.0 if concept in item.sample.present else 0.0 if concept in item.sample.absent else np.nan
            for item in items
        ]
    )
