"""A case as a reader sees it in a terminal."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dermaxai.bulk import DIGITS, case_row, error_row
from dermaxai.commands.console import plain_table, say, say_table, talk
from dermaxai.i18n import Catalogue, blurred_text, catalogue, prior_key
from dermaxai.overlay import is_empty, summarise
from dermaxai.scores import scores_by_map, verdict_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dermaxai.errors import DermaXAIError
    from dermaxai.types import Agreement, Case, HeatMap, Language, Prior, Score, TextMap, Verdict

MANY = 3
"""Methods of words beside which whole sentences do not fit into a table."""
MARKS: dict[Prior, str] = {"expected": "·", "despite": "!"}
"""In the place of the map of a word that does not come from the image; a line below the table explains it."""
TRUST: dict[Verdict, str] = {"": "", "yes": "✓", "no": "✗", "undecided": "?"}
"""Beside a map that was measured; a line below the tables explains them."""


def show_case(case: Case, lang: Language) -> None:
    """Captions, words and queries on stdout; doubts on stderr."""
    for caption in case.captions:
        if caption.text:
            say(f"{caption.language}  {caption.text}")
    if case.caption.words:
        say_table(words_table(case, catalogue(lang)))
        say_marks(case, catalogue(lang))
    if queries := query_maps(case):
        say_table(queries_table(case, queries, catalogue(lang)))
    say_trust(case, catalogue(lang))
    if case.concepts:
        from dermaxai.commands.concepts import concepts_table, fit_sentence

        say_table(concepts_table(case, lang))
        say(fit_sentence(case, lang))
    say_notes(case.maps, catalogue(lang))
    show_doubts(case, lang)


def show_answer(case: Case, heat: HeatMap, lang: Language) -> None:
    """One map in words, then the caption it belongs to; doubts on stderr."""
    table = queries_table(case, [heat], catalogue(lang))
    table.show_header = False
    say_table(table)
    for told in case.texts:
        if (told.target, told.method, told.variant) == (heat.target, heat.method, heat.variant):
            say(f"{catalogue(lang).text('text.shares')} {text_shares(told)}")
    say_notes([heat], catalogue(lang))
    if case.caption.text:
        say(f"{case.caption.language}  {case.caption.text}")
    show_doubts(case, lang)


def text_shares(told: TextMap) -> str:
    """Each word of a question with its share of the sum of absolute shares, signed."""
    whole = sum(abs(share.value) for share in told.shares) or 1.0
    return ", ".join(f"{share.text} {share.value / whole:+.0%}" for share in told.shares)


def say_notes(maps: Sequence[HeatMap], texts: Catalogue) -> None:
    """What must be known of the methods shown, such as that one ignores the question."""
    for method in dict.fromkeys(heat.method for heat in maps):
        if f"note.{method}" in texts.entries:
            say(f"{texts.name('method', method)}: {texts.text(f'note.{method}')}")


def say_marks(case: Case, texts: Catalogue) -> None:
    """What each mark in the table of words means, once."""
    unmapped = {entry.prior: texts.text(prior_key(entry)) for entry in case.evidence if entry.prior}
    for prior, sentence in sorted(unmapped.items()):
        say(f"{MARKS[prior]} {sentence}")


def trust_of(case: Case, heat: HeatMap) -> str:
    """The mark of a map that was measured; '' for others."""
    for other, scores in zip(case.maps, scores_by_map(case), strict=True):
        if other is heat:
            return TRUST[verdict_of(scores)]
    return ""


def say_trust(case: Case, texts: Catalogue) -> None:
    """What the marks of measured maps mean, once."""
    if any(verdict_of(scores) for scores in scores_by_map(case)):
        say(texts.text("trust.marks"))


def words_table(case: Case, texts: Catalogue) -> Table:
    """A row per word: certainty, evidence in nats, and what each method's map shows."""
    methods = list(dict.fromkeys(heat.method for heat in case.maps if heat.target.kind == "word"))
    headers = [texts.text("caption"), texts.text("word.certainty"), texts.text("word.evidence")]
    table = plain_table(*headers, *(texts.name("method", method) for method in methods))
    evidence = {entry.word: entry for entry in case.evidence}
    for index, word in enumerate(case.caption.words):
        found = evidence.get(index)
        likelier = _times(math.exp(found.nats), texts) if found else ""
        table.add_row(
            word.text,
            texts.percent(math.exp(min(word.logprob, 0))),
            likelier,
            *(_cell(case, index, method, texts, short=len(methods) > MANY) for method in methods),
            style="dim" if found and not found.from_image else None,
        )
    return table


def _cell(case: Case, index: int, method: str, texts: Catalogue, *, short: bool) -> str:
    for entry in case.evidence:
        if entry.word == index and entry.prior:
            return MARKS[entry.prior]
    for heat in case.maps:
        target = heat.target
        if (heat.method, target.kind, target.word, target.against) == (method, "word", index, None):
            told = _in_short(heat, texts) if short else map_sentence(heat, texts)
            return f"{told} {trust_of(case, heat)}".rstrip()
    return texts.text("map.missing")


def _times(factor: float, texts: Catalogue) -> str:
    """A factor to three digits.

    >>> _times(1047.3, catalogue("en")), _times(0.98312, catalogue("ru"))
    ('×1,050', '×0,983')
    """
    return texts.signs(f"×{float(f'{factor:.3g}'):,g}")


def _in_short(heat: HeatMap, texts: Catalogue) -> str:
    """Where a map is hottest, and how much of it lies there."""
    found = summarise(heat)
    return f"{texts.text(f'region.{found.region}')} {texts.percent(found.share)}" if found.region else "–"


def query_maps(case: Case) -> list[HeatMap]:
    """Maps of questions other than 'why this word'."""
    return [heat for heat in case.maps if heat.target.kind != "word" or heat.target.against]


def queries_table(case: Case, maps: list[HeatMap], texts: Catalogue) -> Table:
    """A row per question that compares image and text, or two words."""
    table = plain_table(texts.text("queries"), texts.text("control.method"), "")
    for heat in maps:
        target = heat.target
        rival = texts.text("against", word=target.text, other=target.against)
        asked = rival if target.against else target.text
        told = f"{map_sentence(heat, texts)} {trust_of(case, heat)}".rstrip()
        table.add_row(asked, texts.name("method", heat.method), told)
    return table


def map_sentence(heat: HeatMap, texts: Catalogue) -> str:
    """What a map shows, in words."""
    if is_empty(heat):
        return texts.text("map.none")
    found = summarise(heat)
    if not found.region:
        return texts.text("map.negative")
    region = texts.text(f"region.{found.region}")
    shares = {"share": round(100 * found.share), "area": round(100 * found.area)}
    return texts.text("map.hottest", region=region, **shares)


def show_doubts(case: Case, lang: Language) -> None:
    """Whether the photo is strange to the model or looks blurred, and warnings, on stderr."""
    if case.outside is not None and case.outside.flag:
        texts = catalogue(lang)
        score, limit = (texts.signs(f"{value:.3g}") for value in (case.outside.score, case.outside.threshold))
        talk("! " + texts.text("outside.text", score=score, threshold=limit))
    blurred = blurred_text(case.blur, catalogue(lang))
    if blurred:
        talk(f"! {catalogue(lang).text('blurred')}. {blurred}")
    for warning in case.warnings:
        talk(f"! {warning}")


def explained_row(case: Case, lang: Language) -> dict[str, Any]:
    """A case for `--json`: captions, words, and each map in words and numbers."""
    return case_row(case) | {
        "captions": {caption.language: caption.text for caption in case.captions},
        "maps": [map_row(heat, lang) for heat in case.maps],
        "texts": [text_row(told) for told in case.texts],
        "concepts": [asdict(concept) for concept in case.concepts],
        "concept_fit": asdict(case.concept_fit) if case.concept_fit else None,
        "agreements": [_agreement_row(agreement) for agreement in case.agreements],
        "scores": [score_row(score) for score in case.scores],
    }


def score_row(score: Score) -> dict[str, Any]:
    """A number of trust, for `--json`; what is not defined is null."""
    numbers = asdict(score)
    for name, value in numbers.items():
        if isinstance(value, float):
            numbers[name] = round(value, DIGITS) if math.isfinite(value) else None
    return numbers


def text_row(told: TextMap) -> dict[str, Any]:
    """The text side of one answer, for `--json`."""
    words = [{"text": share.text, "value": share.value} for share in told.shares]
    return {"method": told.method, "variant": told.variant, "text": told.target.text, "words": words}


def _agreement_row(agreement: Agreement) -> dict[str, Any]:
    """NaN, of a map without any order, is null."""
    numbers = [None if math.isnan(one) else round(one, DIGITS) for one in agreement.correlations]
    target = {
        "kind": agreement.target.kind,
        "text": agreement.target.text,
        "against": agreement.target.against,
    }
    return {**target, "methods": list(agreement.methods), "correlations": numbers}


def failed_row(lang: Language, error: DermaXAIError) -> dict[str, Any]:
    """A photo that could not be explained, for `--json`: the keys of `explained_row`, `error` and `kind`."""
    return error_row(lang, error) | {
        "captions": {},
        "maps": [],
        "texts": [],
        "concepts": [],
        "concept_fit": None,
        "agreements": [],
        "scores": [],
    }


def map_row(heat: HeatMap, lang: Language) -> dict[str, Any]:
    """A map in words and numbers, for `--json`."""
    target, found = heat.target, summarise(heat)
    return {
        "method": heat.method,
        "variant": heat.variant,
        "kind": target.kind,
        "text": target.text,
        "word": target.word,
        "against": target.against,
        "scalar": heat.scalar,
        "region": found.region,
        "share": round(found.share, DIGITS),
        "area": round(found.area, DIGITS),
        "sentence": map_sentence(heat, catalogue(lang)),
    }
