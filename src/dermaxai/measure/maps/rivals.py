"""Wrong questions: what else a method can be asked in the place of a map's own question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dermaxai.captioner.templates import written_in
from dermaxai.explain.base import SIMILARITY, Explained, speaker
from dermaxai.explain.shared import Shared
from dermaxai.explain.word_gradients import said_words
from dermaxai.measure.maps.base import Subject
from dermaxai.progress import beat
from dermaxai.types import Caption, Target

EVERYDAY = ("a red bicycle", "a bowl of soup", "a page of printed text")
"""Texts that no photo of skin matches."""
OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "en": ("small", "asymmetric", "irregular", "white", "black", "red", "vascular", "nevus"),
    "ru": ("маленькое", "асимметричное", "неровной", "белый", "чёрный", "красный", "сосудистое", "невус"),
}
"""Words of captions, of which the least probable ones in a word's place are unsuited there."""
RIVALS = 2
"""Wrong questions per map."""


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """A wrong question, and the model that is asked; its caption holds the wrong word."""

    model: Explained
    target: Target


def rivals_of(subject: Subject, target: Target) -> list[Rival]:
    """Wrong questions for one target: the subject's where it has some of the kind, otherwise chosen ones.

    Similarity: everyday texts. Words and phrases: the caption with the least probable of `OTHER_WORDS` in
    their place, read by teacher forcing; in a language that is composed rather than written, other words of
    the caption. A whole caption has none.
    """
    given = [one for one in subject.rivals if one.kind == target.kind and one != target]
    if given:
        return [Rival(subject.model, one) for one in given]
    if target.kind in SIMILARITY:
        texts = [text for text in EVERYDAY if text != target.text.casefold()]
        return [Rival(subject.model, replace(target, text=text)) for text in texts[:RIVALS]]
    if target.kind == "caption":
        return []
    captioner, caption = speaker(subject.model)
    if written_in(captioner.config, caption.language) != caption.language:
        return [Rival(subject.model, one) for one in _other_words(caption, target)]
    return _unsuited(subject, target)


def _other_words(caption: Caption, target: Target) -> list[Target]:
    """The words after it, then those before it, that say something: composed words may have no tokens."""
    place = said_words(caption, target)
    order = [*range(place.stop, len(caption.words)), *range(place.start)]
    telling = [index for index in order if caption.words[index].tokens]
    return [Target("word", caption.words[index].text, index) for index in telling[:RIVALS]]


def _unsuited(subject: Subject, target: Target) -> list[Rival]:
    captioner, caption = speaker(subject.model)
    place = said_words(caption, target)
    start, stop = caption.words[place.start].start, caption.words[place.stop - 1].stop
    found: list[tuple[float, Caption, str]] = []
    for word in OTHER_WORDS[caption.language]:
        if word.casefold() in target.text.casefold().split():
            continue
        beat()
        spelled = word.capitalize() if caption.text[start].isupper() else word
        text = caption.text[:start] + spelled + caption.text[stop:]
        said = captioner.score(subject.encoded, text, caption.language)
        # A tokenizer may spell a word so that it is read back as none.
        if place.start < len(said.words) and said.words[place.start].text == spelled:
            found.append((said.words[place.start].logprob, said, spelled))
    found.sort(key=lambda one: one[0])
    return [
        Rival(
            replace(subject.model, caption=said, shared=Shared()),
            Target("word", spelled, place.start, target.against),
        )
        for _, said, spelled in found[:RIVALS]
    ]


def rivals_of_all(subject: Subject, targets: Sequence[Target]) -> dict[Target, list[Rival]]:
    """The wrong questions of every target, chosen once."""
    return {target: rivals_of(subject, target) for target in dict.fromkeys(targets)}
