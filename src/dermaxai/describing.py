"""The captions of a photo in every language, and whether the photo is strange to who wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from dermaxai.types import Alternative, Caption, Encoded, Language, Outside, SkinImage

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

LANGUAGES: tuple[Language, ...] = get_args(Language)


def write_captions(
    captioner: Captioner | None, encoded: Encoded, lang: Language, beams: int = 1
) -> tuple[Caption, ...]:
    """In every language of the captioner, `lang` first; one empty caption where nobody can write."""
    if captioner is None:
        return (Caption("", lang, (), (), ()),)
    order = [lang, *(known for known in LANGUAGES if known in captioner.languages and known != lang)]
    return tuple(captioner.describe(encoded, known, beams=beams)[0] for known in order)


def other_words(captioner: Captioner | None, encoded: Encoded, caption: Caption) -> tuple[Alternative, ...]:
    """What the captioner would have said in the place of each word; nothing where nobody can write."""
    if captioner is None:
        return ()
    from dermaxai.captioner.alternatives import find_alternatives

    return find_alternatives(captioner, encoded, caption)


def check_outside(
    captioner: Captioner | None, encoded: Sequence[Encoded], photos: Sequence[SkinImage]
) -> list[Outside | None]:
    """What the captioner's measured rule says of each photo; None where it has no rule."""
    rule = captioner.outside if captioner else None
    if rule is None:
        return [None] * len(photos)
    return [rule.check(*pair) for pair in zip(encoded, photos, strict=True)]
