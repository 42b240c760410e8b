"""CLIPScore: how near a caption lies to its photo in the space of an encoder of both, and to its references.

An encoder judges by what it has learned. One that feeds the captioner is judge in its own case: the score is
circular, and says less than that of another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from dermaxai.errors import NotSupported, ShapeError
from dermaxai.measure.captions.ptb_tokens import sentences_of
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.columns import Scored
from dermaxai.measure.estimates import mean_parts
from dermaxai.measure.scale import Scale

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

STRETCH = 2.5
SOURCE = (
    "Hessel et al. (2021), arXiv:2104.08718, {}; no prompt before the text; circular if the encoder is the "
    "captioner's own"
)
OWN = SOURCE.format("section 3")
SCALES = {
    "clip_score": Scale("clip_score", "CLIPScore", "higher", "points", high=STRETCH, source=OWN),
    "ref_clip_score": Scale(
        "ref_clip_score",
        "RefCLIPScore",
        "higher",
        "points",
        high=2 * STRETCH / (STRETCH + 1),
        source=SOURCE.format("section 3, harmonic mean"),
    ),
    "clip_score_sentences": Scale(
        "clip_score_sentences", "CLIPScore, mean sentence", "higher", "points", high=STRETCH, source=OWN
    ),
    "clip_score_weakest": Scale(
        "clip_score_weakest", "CLIPScore, weakest sentence", "higher", "points", high=STRETCH, source=OWN
    ),
    "clip_captions_cut": Scale(
        "clip_captions_cut", "Captions longer than the text tower reads", "lower", "share"
    ),
    "clip_references_cut": Scale(
        "clip_references_cut", "References longer than the text tower reads", "lower", "share"
    ),
}


def clip_score(written: Sequence[Written], tools: Tools) -> list[Scored]:
    """CLIPScore of the whole text and of its sentences, RefCLIPScore, and how many texts are cut.

    A text tower of 77 tokens does not see the end of a long text, where the diagnosis stands: sentences fit.
    An empty caption scores 0; all is NaN where the tower cannot read the characters. Nothing is returned
    without `tools.encoder` and `tools.images`.
    Raises: NotSupported for an encoder without text; ShapeError if images and captions are not as many.
    """
    encoder, images = tools.encoder, tools.images
    if encoder is None or images is None or not written:
        return []
    if len(images) != len(written):
        raise ShapeError(f"One image embedding per caption is needed: {len(images)} for {len(written)}.")
    texts = sorted({text for one in written for text in _texts(one)})
    if not _can_read(encoder, texts):
        return [Scored(scale, mean_parts([np.nan] * len(written))) for scale in SCALES.values()]
    places = {text: place for place, text in enumerate(texts)}
    embedded = _embed(encoder, texts)
    photos = _unit(images.detach().cpu().double().numpy())
    rows = np.array(
        [_score(one, photo, embedded, places) for one, photo in zip(written, photos, strict=True)]
    )
    found = [
        Scored(scale, mean_parts(values)) for scale, values in zip(SCALES.values(), rows.T, strict=False)
    ]
    return [*found, *_count_cut(encoder, written)]


def _texts(one: Written) -> Iterator[str]:
    yield one.text
    yield from one.references
    yield from sentences_of(one.text)


def _score(
    one: Written,
    photo: Float[np.ndarray, "embed"],
    embedded: Float[np.ndarray, "texts embed"],
    places: dict[str, int],
) -> tuple[float, float, float, float]:
    """CLIPScore, RefCLIPScore, mean and smallest CLIPScore of the sentences."""
    sentences = sentences_of(one.text)
    if not sentences:
        return 0.0, 0.0, 0.0, 0.0

    def alike(text: str, other: Float[np.ndarray, "embed"]) -> float:
        return float(np.clip(embedded[places[text]] @ other, 0, 1))

    whole = STRETCH * alike(one.text, photo)
    parts = [STRETCH * alike(text, photo) for text in sentences]
    caption = embedded[places[one.text]]
    nearest = max((alike(text, caption) for text in one.references if text.strip()), default=float("nan"))
    both = whole + nearest
    harmonic = 2 * whole * nearest / both if both else 0.0
    return whole, harmonic, float(np.mean(parts)), min(parts)


def _embed(encoder: AbstractEncoder, texts: Sequence[str]) -> Float[np.ndarray, "texts embed"]:
    import torch

    from dermaxai.explain.base import TEXTS_AT_ONCE

    # Always the same batches, whatever texts were embedded before: last digits depend on them.
    starts = range(0, len(texts), TEXTS_AT_ONCE)
    with torch.no_grad():
        found = [encoder.encode_text(texts[first : first + TEXTS_AT_ONCE]).cpu().double() for first in starts]
    return _unit(torch.cat(found).numpy())


def _unit(rows: Float[np.ndarray, "rows embed"]) -> Float[np.ndarray, "rows embed"]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float[np.ndarray, "rows embed"] = rows / np.where(length > 0, length, 1.0)
    return unit


def _can_read(encoder: AbstractEncoder, texts: Sequence[str]) -> bool:
    from dermaxai.explain.legible import check_legible

    if not encoder.has_text:
        raise NotSupported(
            f"CLIPScore compares texts with photos; '{encoder.card.name}' reads no text.",
            hint="Choose an encoder with text.",
        )
    try:
        check_legible(encoder, texts)
    except NotSupported:
        return False
    return True


def _count_cut(encoder: AbstractEncoder, written: Sequence[Written]) -> list[Scored]:
    """Shares of captions and references that are cut; none for a text tower that cannot be opened."""
    texts = sorted({text for one in written for text in (one.text, *one.references)})
    try:
        is_cut = dict(zip(texts, find_cut(encoder, texts).tolist(), strict=True))
    except NotSupported:
        return []
    captions = [float(is_cut[one.text]) for one in written]
    references = [
        (float(sum(is_cut[text] for text in one.references)), float(len(one.references))) for one in written
    ]
    return [
        Scored(SCALES["clip_captions_cut"], mean_parts(captions)),
        Scored(SCALES["clip_references_cut"], np.array(references)),
    ]


def find_cut(encoder: AbstractEncoder, texts: Sequence[str]) -> Bool[np.ndarray, "texts"]:
    """Which texts have more tokens than the text tower reads. Raises: NotSupported.

    A text with room behind it gets other tokens when a word is added. Of the rest those are cut whose last
    word has fewer tokens than it has by itself; one that just fills the tower is not.
    """
    from dermaxai.encoders.word_tokens import tokens_of

    tokenize = encoder.text_tower.tokenize
    found = np.zeros(len(texts), bool)
    for place, text in enumerate(texts):
        ids, longer = tokenize([text, f"{text} a"])
        if text.strip() and bool((ids == longer).all()):
            word = text.split()[-1]
            stop = len(text.rstrip())
            (start, end), *_ = tokens_of(tokenize, text, [(stop - len(word), stop)])
            (alone, behind), *_ = tokens_of(tokenize, word, [(0, len(word))])
            found[place] = end - start < behind - alone
    return found
