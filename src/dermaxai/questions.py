"""Which method is asked what: the words of a caption, and texts that the user brings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dermaxai.captioner.words import find_phrase
from dermaxai.errors import NotSupported, UsageError
from dermaxai.explain import METHODS
from dermaxai.explain.base import WORDS, AbstractMethod, Explained
from dermaxai.explain.evidence import known_mean, visual_evidence
from dermaxai.types import Caption, Case, Encoded, Evidence, Language, Target, TargetKind

WORD_METHOD = "evidence"
"""Asked why a word was said."""
QUERY_METHOD = "grad_eclip"
"""Asked about a text when none of the chosen methods compares image and text."""


ALL = "all"
"""Stands for every method, in its default variant, that this model can answer with."""


def chosen_methods(names: Sequence[str]) -> list[AbstractMethod]:
    """Methods by name; 'all' is every one of the table. Raises: UnknownName."""
    flat = [one for name in names for one in (METHODS if name == ALL else [name])]
    return [find_method(name) for name in dict.fromkeys(flat)]


def find_method(name: str) -> AbstractMethod:
    """A method in its default variant, or as `name:variant`. Raises: UnknownName."""
    table_name, _, variant = name.partition(":")
    kind: type[AbstractMethod] = METHODS.load(table_name)
    return kind.of_variant(variant or next(iter(kind.variants)))


def concept_finder(name: str, penalty: float | None = None) -> AbstractMethod:
    """A method that finds concepts by itself. Raises: UnknownName, NotSupported, SettingError."""
    method = find_method(name)
    if not finds_concepts(method):
        raise NotSupported(f"'{name}' finds no concepts of its own.", hint="Use 'splice'.")
    kind: Any = type(method)
    return method if penalty is None else kind(penalty=penalty)


def finds_concepts(method: AbstractMethod) -> bool:
    """Whether a method names concepts without being asked for any."""
    return type(method).find is not AbstractMethod.find


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

    A method that asks the text decoder is asked why the word was said; one that only compares image and text
    is asked where the image matches the word, in English. The two questions stay apart in the maps' targets.
    """
    prior = {entry.word for entry in evidence if not entry.from_image}
    words = [word for index, word in enumerate(caption.words) if index not in prior]
    said = [
        Target("word", word.text, index) for index, word in enumerate(caption.words) if index not in prior
    ]
    meant = [Target("query", text) for word in words if (text := in_english(word.text, caption.language))]
    queries = [Target("query", text) for text in texts]
    plan = []
    for method in methods:
        asked = said if "word" in method.answers else meant if "query" in method.answers else []
        if not method.reads_question:
            # One map for all questions: asked once, about what the user asked or what the model said.
            asked = queries[:1] or [Target("query", caption.text)]
        elif "query" in method.answers:
            asked = [*asked, *queries]
        if asked or finds_concepts(method):
            plan.append((method, list(dict.fromkeys(asked))))
    if queries and not any("query" in method.answers for method in methods):
        plan.append((find_method(QUERY_METHOD), queries))
    return plan


def texts_asked(case: Case) -> list[str]:
    """The texts that somebody asked a case about, besides the words of its caption."""
    caption = case.caption
    said = {in_english(word.text, caption.language) for word in caption.words} | {caption.text}
    asked = (heat.target for heat in case.maps if heat.target.against is None)
    return named([one.text for one in asked if one.kind == "query" and one.text not in said])


def in_english(word: str, language: Language) -> str | None:
    """A word of a caption as a text tower reads it: Russian ones through the glossary, None if not there."""
    from dermaxai.concepts.glossary import english_of

    return english_of(word) if language == "ru" else word


def in_readable_words(text: str) -> str:
    """A Russian text in English where the glossary knows it; otherwise as typed, with a warning."""
    if not any("а" <= sign <= "я" or sign == "ё" for sign in text.casefold()):
        return text
    english = in_english(text, "ru")
    if english is None:
        warnings.warn(
            f"'{text}' is not in the glossary and was asked as typed.", UntranslatedText, stacklevel=1
        )
    return english or text


def in_readable_question(target: Target) -> Target:
    """A similarity question in words that text towers read; `in_readable_words`."""
    if target.kind in WORDS:
        return target
    against = None if target.against is None else in_readable_words(target.against)
    return replace(target, text=in_readable_words(target.text), against=against)


class UntranslatedText(UserWarning):
    """A Russian text that a text tower may not read; a case keeps the text."""


def plan_phrase(caption: Caption, text: str, against: str | None = None) -> Target:
    """The question why the caption says `text`, one word or several in a row; rather than `against`.

    Raises: UsageError for words that the caption has not, an empty rival, and words against themselves.
    """
    places = find_phrase(caption, checked_text(text))
    spelled = caption.text[caption.words[places[0]].start : caption.words[places[-1]].stop]
    if against is not None and " ".join(spelled.casefold().split()) == " ".join(against.casefold().split()):
        raise UsageError(f"'{spelled}' cannot be compared with itself.", hint="Name another word.")
    rival = None if against is None else checked_text(against)
    return Target("word" if len(places) == 1 else "phrase", spelled, places[0], rival)


def plan_question(caption: Caption, text: str, kind: TargetKind, against: str | None = None) -> Target:
    """The target of one question of any kind. Raises: UsageError."""
    if kind in ("word", "phrase"):
        return plan_phrase(caption, text, against)
    if kind == "caption":
        if against is not None:
            raise UsageError("A whole caption cannot be compared with another text.", hint="Name its words.")
        return Target("caption", caption.text)
    asked, rival = checked_text(text), None if against is None else checked_text(against)
    if rival is not None and asked.casefold() == rival.casefold():
        raise UsageError(f"'{asked}' cannot be compared with itself.", hint="Name another text.")
    return Target(kind, asked, against=rival)


def default_method(kind: TargetKind) -> str:
    """Who is asked where no method is named."""
    return WORD_METHOD if kind in WORDS else QUERY_METHOD


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
