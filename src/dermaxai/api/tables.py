"""What there is to choose from: methods, encoders, metrics, languages. Read from tables, without a model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from dermaxai.api.access import current_actor
from dermaxai.api.asking import State
from dermaxai.api.errors import refusals
from dermaxai.api.listing import Speed, listed
from dermaxai.api.schemas import Sent
from dermaxai.i18n import LANGUAGES, catalogue
from dermaxai.types import Language, TargetKind

if TYPE_CHECKING:
    from dermaxai.encoders.cards import EncoderCard

router = APIRouter(prefix="/api", tags=["tables"], dependencies=[Depends(current_actor)])

Level = Literal["supported", "doubtful", "impossible"]
Family = Literal["caption", "clinical", "map", "sanity", "encoder"]
SIMILARITY = ("query", "concept", "diagnosis")
"""Questions that need a text tower."""
NO_TEXT = "This encoder has no text tower, so an image cannot be compared with a text."


class Fit(Sent):
    """Whether a method can answer one kind of question on one encoder."""

    level: Level
    why: str = ""
    """What is doubtful or missing."""
    instead: str = ""
    """What to use, where it is impossible."""


class MethodRow(Sent):
    """One explanation method."""

    name: str
    title: str
    """For people, English."""
    titles: dict[Language, str]
    """In every language of the page."""
    about: str
    answers: list[TargetKind]
    """Kinds of questions: 'word', 'phrase' and 'caption' ask the decoder, the others the similarity."""
    signed: bool
    """Whether negative values mean 'speaks against'."""
    reads_question: bool
    """False: one map for every question."""
    reads_text: bool
    """Whether it also tells which words of the question count."""
    layer: str
    """Where it reads the network."""
    variants: list[str]
    """The first is the default."""
    speed: Speed
    """'fast': less than one more pass through the encoder; 'moderate': a few; 'slow': dozens to hundreds."""
    support: dict[str, dict[str, Fit]]
    """Encoder -> kind of question -> fit; what is not named is supported."""


class MethodTable(Sent):
    """All explanation methods."""

    methods: list[MethodRow]


class EncoderRow(Sent):
    """One encoder."""

    name: str
    title: str
    licence: str
    gated: bool
    """Whether the hub may ask to accept terms."""
    has_text: bool
    image_size: int
    """Side of the square it sees, pixels."""
    grid: tuple[int, int]
    """Rows and columns of patches; 0 where only the weights know."""
    megabytes: int
    """Size of the weights in units of 10^6 bytes; 0 where unknown."""
    citation: str
    page: str
    """Address of the model's page at the hub; text to read, nothing here asks it."""
    notes: list[str]
    served: bool
    """Whether photos can be given to it here."""
    here: bool
    """Whether its weights are on this machine."""
    how: str
    """How to bring the weights here, where they are not."""


class EncoderTable(Sent):
    """All encoders, and which are served here."""

    encoders: list[EncoderRow]
    served: list[str]
    """Models that photos can be given to, the first by default; a folder of one's own may be among them."""


class MetricRow(Sent):
    """One number of trust."""

    family: Family
    asked_by: str
    """What `/measure` is asked for, in the family 'map'."""
    name: str
    title: str
    about: str
    better: Literal["higher", "lower", "neither"]
    unit: str
    low: float | None
    """Smallest possible value; null where there is none."""
    high: float | None
    source: str


class MetricTable(Sent):
    """All metrics."""

    metrics: list[MetricRow]


class LanguageTable(Sent):
    """Languages of captions, page and reports."""

    languages: dict[Language, str]
    """Code -> its own name."""


@router.get("/methods", responses=refusals(), summary="Explanation methods")
def list_methods() -> MethodTable:
    """What each method answers, where it reads the network, how long it takes, and on which encoders it
    can be asked.
    """
    return MethodTable.model_validate({"methods": _methods()})


@router.get("/encoders", responses=refusals(), summary="Encoders")
def list_encoders(state: State) -> EncoderTable:
    """Facts of every encoder's card, whether it is served here, and where its weights are to be put."""
    served = [model.name for model in state.options.models]
    rows = [_encoder_row(card, served) for card in _cards()]
    return EncoderTable.model_validate({"encoders": rows, "served": served})


@router.get("/metrics", responses=refusals(), summary="Metrics")
def list_metrics(
    family: Annotated[Family | None, Query(description="Of one family only.")] = None,
) -> MetricTable:
    """What each number means: which direction is better, its unit, its range, and where it is from."""
    rows = [row for row in listed("metrics") if family in (None, row["family"])]
    return MetricTable.model_validate({"metrics": rows})


@router.get("/languages", responses=refusals(), summary="Languages")
def list_languages() -> LanguageTable:
    """Captions, page and reports come in these."""
    return LanguageTable(languages={language: catalogue(language).text("language") for language in LANGUAGES})


@functools.cache
def _methods() -> list[dict[str, Any]]:
    return [
        {
            **row,
            "titles": {language: catalogue(language).name("method", row["name"]) for language in LANGUAGES},
            "support": {card.name: fits for card in _cards() if (fits := _support(row, card))},
        }
        for row in listed("methods")
    ]


def _support(row: Mapping[str, Any], card: EncoderCard) -> dict[str, Any]:
    """Kind of question -> fit, for one method on one encoder, where it is not simply supported."""
    fits = {kind: dict(told) for kind, told in row["support"].get(pooling_of(card), {}).items()}
    if row["reads_question"] and not card.has_text:
        lacking = {"level": "impossible", "why": NO_TEXT, "instead": "evidence"}
        fits.update({kind: dict(lacking) for kind in row["answers"] if kind in SIMILARITY})
    return fits


def pooling_of(card: EncoderCard) -> Literal["class", "mean", "map"]:
    """How the encoder of a card reads its patches, known before its weights are opened."""
    if card.kind.startswith("siglip"):
        return "map"
    return "mean" if card.kind == "panderm_clip" else "class"


@functools.cache
def _cards() -> tuple[EncoderCard, ...]:
    from dermaxai.encoders.cards import card_names, read_card

    return tuple(read_card(name) for name in card_names())


def _encoder_row(card: EncoderCard, served: list[str]) -> dict[str, Any]:
    from dermaxai.commands.models import find_weights

    names = ("name", "title", "licence", "gated", "has_text", "image_size", "grid", "megabytes", "citation")
    here = find_weights(card) is not None
    facts = {name: getattr(card, name) for name in (*names, "page")}
    return {
        **facts,
        "notes": list(card.notes),
        "served": card.name in served,
        "here": here,
        "how": "" if here else _how(card),
    }


def _how(card: EncoderCard) -> str:
    """What to do for the weights; the same words as `dermaxai doctor`."""
    if not card.repo_id:
        return f"By hand, as its notes say: dermaxai models card {card.name}"
    return (
        f"dermaxai fetch {card.name}, or on another machine dermaxai fetch {card.name} --to FOLDER, "
        "and DERMAXAI_WEIGHTS=FOLDER here"
    )
