"""Which method is asked what: the words of a caption, and texts that the user brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dermaxai.errors import NotSupported, UsageError
from dermaxai.explain import METHODS
from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.explain.evidence import known_mean, visual_evidence
from dermaxai.types import Caption, Encoded, Evidence, HeatMap, Target

WORD_METHOD = "evidence"
"""Asked why a word was said."""
QUERY_METHOD = "grad_eclip"
"""Asked about a text when none of the chosen methods compares image and text."""


def find_method(name: str) -> AbstractMethod:
    """A method in its default variant, or as `name:variant`. Raises: UnknownName."""
    table_name, _, variant = name.partition(":")
    kind: type[AbstractMethod] = METHODS.load(table_name)
    return kind.of_variant(variant or next(iter(kind.variants)))


def named(names: str | Sequence[str]) -> list[str]:
    """A list of names or texts, none twice; a plain string is one.

    >>> named("evidence"), named(["skin", "skin"])
    (['evidence'], ['skin'])
    """
    return list(dict.fromkeys([names] if isinstance(names, str) else names))


def checked_text(text: str) -> str:
    """A text to look for, without outer spaces. Raises: UsageError for an empty one."""
    if not text.strip():
        raise UsageError("There is no text to look for.", hint="Ask with at least one word.")
    return text.strip()


def plan_questions(
    methods: Sequence[AbstractMethod],
    caption: Caption,
    evidence: Sequence[Evidence],
    texts: Sequence[str],
) -> list[tuple[AbstractMethod, list[Target]]]:
    """Each method with its targets: the words that owe something to the image, then `texts`.

    A method that asks the text decoder is asked why the word was said; one that compares image and text is
    asked where the image matches the word. The two questions stay apart in the maps' targets.
    """
    prior = {entry.word for entry in evidence if not entry.from_image}
    words = [index for index in range(len(caption.words)) if index not in prior]
    queries = [Target("query", text) for text in texts]
    plan = []
    for method in methods:
        if "word" in method.answers:
            asked = [Target("word", caption.words[index].text, index) for index in words]
        else:
            asked = [Target("query", caption.words[index].text) for index in words]
        if "query" in method.answers:
            asked += queries
        if asked:
            plan.append((method, list(dict.fromkeys(asked))))
    if queries and not any("query" in method.answers for method in methods):
        plan.append((find_method(QUERY_METHOD), queries))
    return plan


def find_phrase(caption: Caption, text: str) -> range:
    """Indices of the words of the caption that are spelled `text`, case ignored; one, or several in a row.

    Raises: UsageError where the caption has no such words, or has punctuation between them.
    """
    wanted = text.casefold().split()
    if len(wanted) < 2:
        index = caption.find(text.strip())
        return range(index, index + 1)
    words = caption.words
    for start in range(len(words) - len(wanted) + 1):
        found = words[start : start + len(wanted)]
        spelled = caption.text[found[0].start : found[-1].stop].casefold()
        if [word.text.casefold() for word in found] == wanted == spelled.split():
            return range(start, start + len(wanted))
    raise UsageError(f"The caption has no words '{text}' in a row.", hint=f"Its text: {caption.text}")


def plan_contrast(caption: Caption, word: str, against: str) -> list[Target]:
    """The question 'why `word` rather than `against`', then those whose maps add to its map.

    Of several words in a row the first is asked against the rival, the others alone: log p(words) is the
    sum of each word's log-probability after the words before it.
    Raises: UsageError for words that the caption has not, an empty rival, and a word against itself.
    """
    rival = checked_text(against)
    first, *others = find_phrase(caption, checked_text(word))
    last = others[-1] if others else first
    spelled = caption.text[caption.words[first].start : caption.words[last].stop]
    if " ".join(spelled.casefold().split()) == " ".join(rival.casefold().split()):
        raise UsageError(f"'{spelled}' cannot be compared with itself.", hint="Name another word.")
    rest = [Target("word", caption.words[index].text, index) for index in others]
    return [Target("word", spelled, first, rival), *rest]


def check_contrast(method: AbstractMethod, parts: Sequence[Target]) -> None:
    """Raise NotSupported unless the maps of `parts` by `method` may be added."""
    if len(parts) > 1 and method.name != WORD_METHOD:
        raise NotSupported(
            f"Maps of '{method.name}' for single words do not add up to one of several words.",
            hint=f"Use '{WORD_METHOD}', or ask about one word.",
        )


def add_maps(target: Target, maps: Sequence[HeatMap]) -> HeatMap:
    """One map for `target`: the sum of maps of one method, whose scalars add up too."""
    first = maps[0]
    if len(maps) == 1:
        return dataclasses.replace(first, target=target)
    values = np.stack([heat.values for heat in maps]).sum(axis=0, dtype=np.float32)
    seconds = sum(heat.seconds for heat in maps)
    return dataclasses.replace(first, target=target, values=values, seconds=seconds)


def measure_words(model: Explained, encoded: Encoded) -> tuple[Evidence, ...]:
    """How much each word of the caption owes to the image.

    Empty without a caption, and for a captioner that does not know the mean photo of its training.
    """
    captioner, caption = model.captioner, model.caption
    if captioner is None or caption is None or not caption.words:
        return ()
    if model.mean_patches is None and known_mean(captioner) is None:
        return ()
    return visual_evidence(captioner, encoded, caption, mean_patches=model.mean_patches)
