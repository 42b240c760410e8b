"""One set of facts in every language: a second language says what the leading one decided.

A captioner that writes two languages decides borderline facts twice, and not always alike. Where its own
caption in the second language states other facts than its caption in the leading language, the leading facts
are put into the plainest sentences of the second language and scored by the decoder, as any given text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from dermaxai.statements import is_whole, read_facts, wordings_of
from dermaxai.types import Caption, Language

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

LEAD = "leading language"
"""Key in `CaptionerConfig.tables` of captioners whose captions are made of `dermaxai.statements`."""


def leading_language(captioner: Captioner, language: Language) -> Language | None:
    """The language that decides the facts, unless it is `language` itself or nobody leads."""
    lead: Language | None = captioner.config.tables.get(LEAD)
    return None if lead == language else lead


def agree(
    captioner: Captioner,
    patches: Float[Tensor, "batch n width"],
    leading: Sequence[Caption],
    own: Sequence[Caption],
) -> list[Caption]:
    """The captions of `own` that state the facts of `leading`, the others replaced by ones that do.

    A leading caption that is not made of known sentences decides nothing.
    """
    agreed = []
    for row, (lead, caption) in enumerate(zip(leading, own, strict=True)):
        facts = read_facts(lead.text, lead.language)
        same = read_facts(caption.text, caption.language) == facts and is_whole(
            caption.text, caption.language
        )
        if not same and is_whole(lead.text, lead.language):
            text = " ".join(options[0] for options, _ in wordings_of(facts, caption.language))
            caption = captioner.score_patches(patches[row : row + 1], text, caption.language)[0]
        agreed.append(caption)
    return agreed
