"""Characters that a text tower cannot read: it takes one and the same unknown token for all of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dermaxai.errors import NotSupported

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

STRANGERS = ("\U00013080", "\U00012031")
"""A hieroglyph and a cuneiform sign, which no vocabulary holds as characters of their own."""
SAME = 1e-4
"""Distance of two embeddings of length 1 below which the texts are one to the tower, but for rounding."""


def check_legible(encoder: AbstractEncoder, texts: Sequence[str]) -> None:
    """Refuse texts with characters that the text tower cannot tell from any other unknown one.

    Encoders show embeddings, not tokens: a character is unknown if its embedding is that of a sign that no
    vocabulary holds. Towers that read bytes know every character. ASCII is taken for known.
    Raises: NotSupported, naming the characters.
    """
    text = unicodedata.normalize("NFC", "".join(texts))
    asked = [sign for sign in dict.fromkeys(text) if not (sign.isascii() or sign.isspace())]
    if not asked:
        return
    stranger = next(sign for sign in (*STRANGERS, "") if sign not in asked)
    *found, nothing = encoder.encode_text([*asked, stranger])
    unknown = [sign for sign, one in zip(asked, found, strict=True) if float((one - nothing).norm()) < SAME]
    if unknown:
        raise NotSupported(
            f"The text tower of '{encoder.card.name}' cannot read {' '.join(unknown)}: to it they are all "
            "the same unknown sign, so a map would mean nothing.",
            hint="Ask in words it knows.",
        )
