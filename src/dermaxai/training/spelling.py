"""Whether a T5's tokenizer can spell the captions, and whether they fit into its length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dermaxai.captioner.model import Captioner
from dermaxai.errors import SettingError
from dermaxai.training.texts import Described, Texts
from dermaxai.types import Language

BEARABLE = 0.2
"""Share of unknown pieces in a language from which on its captions cannot be learned."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Shares, 0 to 1, over some captions of one language."""

    captions: int
    cut: float
    """Of captions that are longer than `max_tokens`."""
    misspelt: float
    """Of captions with any piece that the tokenizer does not know."""
    unknown: float
    """Of pieces that it does not know."""


def fit_captions(captioner: Captioner, photos: Iterable[Described], texts: Texts) -> dict[Language, Fit]:
    """How the plainest captions of some photos fit a captioner, by language.

    Raises: SettingError for a language that its tokenizer cannot spell.
    """
    told = [texts.of(photo) for photo in photos]
    by_language = {name: [one[name] for one in told if name in one] for name in texts.languages}
    fits = {name: _fit(captioner, said) for name, said in by_language.items() if said}
    check_spelling(captioner, fits)
    return fits


def _fit(captioner: Captioner, said: list[str]) -> Fit:
    pieces = captioner.tokenizer(said, add_special_tokens=False).input_ids
    unknown = [one.count(captioner.tokenizer.unk_token_id) for one in pieces]
    return Fit(
        captions=len(said),
        cut=float(np.mean([len(one) >= captioner.config.max_tokens for one in pieces])),
        misspelt=float(np.mean([count > 0 for count in unknown])),
        unknown=sum(unknown) / max(sum(map(len, pieces)), 1),
    )


def check_spelling(captioner: Captioner, fits: Mapping[Language, Fit]) -> None:
    """Raise SettingError for a language that the tokenizer cannot spell."""
    for language, fit in fits.items():
        if fit.unknown >= BEARABLE:
            raise SettingError(
                f"The tokenizer of T5 '{captioner.config.t5}' does not know {fit.unknown:.0%} of the pieces "
                f"of captions in '{language}'.",
                hint="Take a T5 that spells it, or leave it out of captioner.languages; "
                'captioner.templates = ["ru"] composes Russian from English facts.',
            )
