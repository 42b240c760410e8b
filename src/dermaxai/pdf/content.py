"""What stands on the two pages: chosen, counted and put into words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermaxai.concepts.tree import read_tree
from dermaxai.i18n import Catalogue, blurred_text
from dermaxai.messages import for_reader
from dermaxai.overlay import account_for, is_empty, seen_share, summarise
from dermaxai.pdf.made import cut, made_lines
from dermaxai.pdf.trust import AgreementLine, MethodRow, agreement_line, method_rows, words_check
from dermaxai.pictures import as_address, draw_small, shrink
from dermaxai.report import LIMITS, commands_of
from dermaxai.scores import JUDGED, scores_by_map, verdict_of
from dermaxai.types import Caption, Case, HeatMap, Language, Score, SkinImage, Verdict

PHOTO_SIDE, CARD_SIDE = 900, 360
"""Pixels of the longer side."""
MARKS: Mapping[Verdict, str] = {"yes": "✓", "no": "✗", "undecided": "?", "": ""}
RANKS: Mapping[Verdict, int] = {"yes": 0, "undecided": 1, "": 2, "no": 3}
NAME = 60
"""Signs of a title."""
WHOLE = 99
"""Percent of the photo from which nothing is said of what the model did not see, as on the page."""
LIKELY = 0.01
"""Probability from which another word is named."""
TOGETHER = ("consensus", "spread")
"""Maps made of the maps of several methods; they are no method's best map."""


@dataclass(frozen=True, slots=True)
class Density:
    """How much is shown, in numbers of things and of signs."""

    name: str
    """Of the style."""
    words: int
    others: int
    """Questions beside the words of the caption."""
    methods: int
    concepts: int
    warnings: int
    readings: int
    commands: int
    caption: int
    line: int
    """Of a warning, a comment, a value of 'How made'."""


DENSITIES = (
    Density("roomy", 21, 7, 14, 10, 10, 14, 24, 2000, 600),
    Density("close", 21, 7, 14, 8, 6, 8, 16, 2000, 400),
    Density("tight", 14, 7, 14, 6, 3, 4, 8, 900, 220),
    Density("least", 7, 0, 14, 4, 2, 2, 3, 500, 110),
)
"""Tried in this order until two pages hold it; the last holds any case."""


@dataclass(frozen=True, slots=True)
class Card:
    """A map over the photo, small, with what is said of it."""

    title: str
    method: str
    mark: str
    note: str
    rival: str
    """What else would have been said there, and how likely; '' where nothing is likely enough."""
    picture: str
    alt: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the caption: a word, or what stands between words."""

    text: str
    style: str = ""
    """'sure', 'fair' or 'unsure', 'prior' for a word not from the image; '' between words."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A concept."""

    name: str
    weight: str
    width: int
    """Percent of the longest."""
    words: str


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that the template shows, in one language."""

    title: str
    photo: str
    captions: list[tuple[str, list[Piece]]]
    """Language and pieces; the first is the explained one."""
    outside: str
    blurred: str
    seen: str
    """Which share of the photo the model saw; '' where that is all of it."""
    cards: list[Card]
    others: list[Card]
    columns: int
    unmapped: list[str]
    methods: list[MethodRow]
    checks: list[tuple[str, str]]
    """Name and heading of the checks that some method has."""
    measured: bool
    words_check: str
    agreement: AgreementLine | None
    concepts: list[Bar]
    warnings: list[tuple[str, Language]]
    """Each with the language it is in."""
    readings: list[dict[str, str]]
    made: list[tuple[str, str]]
    limits: tuple[str, ...]
    left_out: list[str]
    alone: bool
    """Whether there is one method only."""
    short: str
    version: str


def choose_content(
    case: Case,
    densities: tuple[Density, Density],
    texts: Catalogue,
    readings: Sequence[Mapping[str, Any]] = (),
) -> Content:
    """What is shown of a case on the first and the second page, and what is left out."""
    front, back = densities
    best = best_maps(case)
    words = [pair for pair in best if _is_word(pair[0])]
    others = [pair for pair in best if not _is_word(pair[0])]
    shown = _foremost(case, words, front.words)
    rows, checks = method_rows(case, texts)
    small = shrink(case.image, CARD_SIDE)
    left = {
        "words": len(words) - len(shown),
        "others": len(others) - front.others,
        "methods": len(rows) - back.methods,
        "concepts": len(case.concepts) - front.concepts,
        "warnings": len(case.warnings) - back.warnings,
        "readings": len(readings) - back.readings,
        "commands": len(commands_of(case.made_by)) - back.commands,
    }
    return Content(
        title=texts.text("title"),
        photo=as_address(shrink(case.image, PHOTO_SIDE).pixels),
        captions=[(one.language, _pieces(case, one, front.caption)) for one in case.captions],
        outside=_outside(case, texts),
        blurred=blurred_text(case.blur, texts),
        seen=_seen(case, texts),
        cards=[_card(case, small, *pair, texts) for pair in shown],
        others=[_card(case, small, *pair, texts) for pair in others[: front.others]],
        columns=_columns(len(shown), front),
        unmapped=list(_unmapped(case, texts)),
        methods=rows[: back.methods],
        checks=checks,
        measured=any(row.better for row in rows),
        words_check=words_check(case, texts),
        agreement=agreement_line(case, texts),
        concepts=_bars(case, texts)[: front.concepts],
        warnings=[
            (cut(text, back.line), language)
            for text, language in for_reader(case.warnings[: back.warnings], texts.language)
        ],
        readings=[_reading(row, texts, back.line) for row in readings[: back.readings]],
        made=made_lines(case, texts, back.line, back.commands),
        limits=LIMITS,
        left_out=[texts.count(f"print.left.{name}", number) for name, number in left.items() if number > 0],
        alone=len(rows) == 1,
        short=case.image.sha256[:8],
        version=case.made_by.dermaxai,
    )


def best_maps(case: Case) -> list[tuple[HeatMap, dict[str, Score]]]:
    """One map per question, with its scores: words of the caption in order, then the other questions.

    Of those, what was compared comes first, and what asks for the text of a word of the caption last.
    A map that says something comes first; then better than random maps, undecided, not measured, no better;
    then without a caution; then the larger gap between insertion and deletion; then the order of the case.
    """
    held: dict[Any, list[tuple[HeatMap, dict[str, Score]]]] = {}
    for heat, scores in zip(case.maps, scores_by_map(case), strict=True):
        if heat.method not in TOGETHER and np.isfinite(heat.values).all():
            held.setdefault(heat.target, []).append((heat, scores))
    best = [min(pairs, key=lambda pair: _order(case, *pair)) for pairs in held.values()]
    said = {word.text.casefold() for word in case.caption.words}
    return sorted(best, key=lambda pair: _place(pair[0], said))


def _place(heat: HeatMap, said: Set[str]) -> tuple[int, int]:
    target = heat.target
    if _is_word(heat):
        return 0, target.word or 0
    return (1 if target.against else 3 if target.text.casefold() in said else 2), 0


def _order(case: Case, heat: HeatMap, scores: Mapping[str, Score]) -> tuple[bool, int, bool, float]:
    account = account_for(case, heat)
    return is_empty(heat), RANKS[verdict_of(scores)], bool(account and account.doubt), -gap(scores)


def gap(scores: Mapping[str, Score]) -> float:
    """Insertion minus deletion, in the unit of the score; 0 where one is missing."""
    if not all(metric in scores for metric in JUDGED):
        return 0.0
    found = scores["insertion"].value - scores["deletion"].value
    return found if math.isfinite(found) else 0.0


def _is_word(heat: HeatMap) -> bool:
    return heat.target.kind == "word" and heat.target.against is None


def _foremost(
    case: Case, pairs: list[tuple[HeatMap, dict[str, Score]]], most: int
) -> list[tuple[HeatMap, dict[str, Score]]]:
    """The words that owe most to the image, in the order of the caption."""
    nats = {entry.word: entry.nats for entry in case.evidence}
    ranked = sorted(pairs, key=lambda pair: -nats.get(pair[0].target.word or 0, 0.0))
    kept = {id(pair[0]) for pair in ranked[:most]}
    return [pair for pair in pairs if id(pair[0]) in kept]


def _card(case: Case, small: SkinImage, heat: HeatMap, scores: Mapping[str, Score], texts: Catalogue) -> Card:
    target, told = heat.target, summarise(heat)
    text = _concept(target.text, texts) if target.kind == "concept" else target.text
    title = texts.text("against", word=text, other=target.against) if target.against else text
    where = texts.text(f"region.{told.region}") if told.region else texts.text("print.nowhere")
    account = account_for(case, heat)
    doubt = texts.text(f"figure.{account.doubt}") if account and account.doubt else ""
    percent = {"share": round(100 * told.share), "area": round(100 * told.area)}
    sentence = texts.text("map.hottest", region=where, **percent) if told.region else texts.text("map.none")
    method = texts.name("method", heat.method)
    plain = _is_word(heat) or target.against is not None
    return Card(
        title=cut(title if plain else f"{texts.text(f'query.{target.kind}')}: {title}", NAME),
        method=method,
        mark=MARKS[verdict_of(scores)],
        note="; ".join(filter(None, [where, doubt])),
        rival=_rival(case, heat, texts),
        picture=as_address(draw_small(small, heat)),
        alt=texts.text("map.label", word=title, method=method, sentence=sentence),
    )


def _columns(cards: int, density: Density) -> int:
    """Few cards are drawn large."""
    if density.name == "roomy":
        return 4 if cards <= 8 else 5 if cards <= 15 else 7
    return 5 if density.name == "close" and cards <= 5 else 7


def _rival(case: Case, heat: HeatMap, texts: Catalogue) -> str:
    if not _is_word(heat):
        return ""
    found = [entry for entry in case.alternatives if entry.word == heat.target.word]
    likely = [entry for entry in found if entry.logprob > math.log(LIKELY)]
    told = [f"{cut(entry.text, 24)} {texts.percent(math.exp(entry.logprob))}" for entry in likely[:2]]
    return texts.text("print.rival", words=", ".join(told)) if told else ""


def _pieces(case: Case, caption: Caption, most: int) -> list[Piece]:
    """The caption word by word, cut after `most` signs."""
    explained = caption is case.caption
    prior = {entry.word for entry in case.evidence if not entry.from_image} if explained else set()
    pieces: list[Piece] = []
    end = 0
    for index, word in enumerate(caption.words):
        if word.stop > most:
            return [*pieces, Piece(" …")]
        pieces.append(Piece(caption.text[end : word.start]))
        sure = "sure" if word.logprob > -0.1 else "fair" if word.logprob > -0.7 else "unsure"
        style = ("prior" if index in prior else sure) if explained else ""
        pieces.append(Piece(caption.text[word.start : word.stop], style))
        end = word.stop
    return [*pieces, Piece(cut(caption.text[end:], most))]


def _unmapped(case: Case, texts: Catalogue) -> Iterator[str]:
    for prior in ("expected", "despite"):
        words = [case.caption.words[entry.word].text for entry in case.evidence if entry.prior == prior]
        if words:
            yield texts.text(f"print.{prior}", words=cut(", ".join(dict.fromkeys(words)), 200))


def _outside(case: Case, texts: Catalogue) -> str:
    found = case.outside
    if found is None or not found.flag:
        return ""
    return texts.text(
        "outside.text", score=texts.number(found.score), threshold=texts.number(found.threshold)
    )


def _seen(case: Case, texts: Catalogue) -> str:
    share = round(100 * seen_share(case.maps[0].placement)) if case.maps else 100
    return texts.text("map.seen", share=share) if share < WHOLE else ""


def _bars(case: Case, texts: Catalogue) -> list[Bar]:
    words = case.caption.words
    longest = max((entry.weight for entry in case.concepts), default=0.0) or 1.0
    return [
        Bar(
            _concept(entry.name, texts),
            texts.number(entry.weight),
            max(0, round(100 * entry.weight / longest)),
            cut(", ".join(words[index].text for index in entry.words if index < len(words)), NAME),
        )
        for entry in case.concepts
    ]


def _concept(name: str, texts: Catalogue) -> str:
    found = read_tree().matches(name, "en")
    return str(found[0].names.get(texts.language, name)) if found else name


def _reading(row: Mapping[str, Any], texts: Catalogue, line: int) -> dict[str, str]:
    regions = len(row.get("regions") or ())
    marked = texts.count("print.marked", regions) if regions else ""
    return {
        "who": str(row.get("pseudonym", "")),
        "word": str(row.get("text") or texts.text("readings.whole")),
        "answer": texts.name("print.answer", str(row.get("answer", ""))),
        "comment": cut("; ".join(filter(None, [marked, str(row.get("comment") or "")])), line),
    }
