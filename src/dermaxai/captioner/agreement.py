"""One set of facts in every language: a second language says what the leading one decided.

A captioner that writes two languages decides borderline facts twice, and not always alike. Where its own
caption in the second language states other facts than its caption in the leading language, the leading facts
are put into the plainest sentences of the second language and scored by the decoder, as any given text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from dermaxai.statements import is_whole, read_facts, wordings_of
from dermaxai.types import Caption, Language

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

LEAD = "leading language"
"""Key in `CaptionerConfig.tables` of captioners whose captions are made of `dermaxai.statements`."""


def one_set_of_facts(
    captioner: Captioner,
    patches: Float[Tensor, "batch n width"],
    captions: Sequence[Caption],
    write: Callable[[Language], list[Caption]],
) -> list[Caption]:
    """Captions in one language, mended and in agreement with what `write` gives in the leading one.

    Captioners without a leading language write free text, which is left alone.
    """
    lead: Language | None = captioner.config.tables.get(LEAD)
    if lead is None or not captions:
        return list(captions)
    if captions[0].language == lead:
        return mend(captioner, patches, captions)
    return agree(captioner, patches, mend(captioner, patches, write(lead)), captions)


def mend(
    captioner: Captioner, patches: Float[Tensor, "batch n width"], captions: Sequence[Caption]
) -> list[Caption]:
    """Captions that are no whole sentences ('red and red') replaced by plain sentences of what they state."""
    return [
        caption
        if is_whole(caption.text, caption.language)
        else _say(captioner, patches[row : row + 1], caption, caption.language)
        for row, caption in enumerate(captions)
    ]


def agree(
    captioner: Captioner,
    patches: Float[Tensor, "batch n width"],
    leading: Sequence[Caption],
    own: Sequence[Caption],
) -> list[Caption]:
    """The captions of `own` that state the facts of `leading`, the others replaced by ones that do."""
    agreed = []
    for row, (lead, caption) in enumerate(zip(leading, own, strict=True)):
        same = read_facts(caption.text, caption.language) == read_facts(lead.text, lead.language)
        whole = is_whole(caption.text, caption.language)
        kept = same and whole
        agreed.append(caption if kept else _say(captioner, patches[row : row + 1], lead, caption.language))
    return agreed


def _say(
    captioner: Captioner, patches: Float[Tensor, "1 n width"], stated: Caption, language: Language
) -> Caption:
    """The facts of a caption in the plainest sentences of a language, scored by the decoder."""
    facts = read_facts(stated.text, stated.language)
    text = " ".join(options[0] for options, _ in wordings_of(facts, language))
    return captioner.score_patches(patches, text, language)[0]
