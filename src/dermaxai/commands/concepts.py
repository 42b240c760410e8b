"""Commands about concepts: those that stand for a case's image, and the mean image they are measured from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.checks import check_file, tell_missing
from dermaxai.commands.console import complain, plain_table, say, say_json, say_table, talk
from dermaxai.commands.explaining import (
    CaseArgument,
    keep_case,
    model_of,
    places_of,
    read_case,
    say_places,
)
from dermaxai.commands.options import CaseStyle, Choice, JsonOption, PhotoKind, Style, grouped
from dermaxai.errors import ImageError

if TYPE_CHECKING:
    from rich.table import Table

    from dermaxai.pipeline import Model
    from dermaxai.types import Case, Concept, Language, SkinImage

DIGITS = 4
"""Of weights and cosines in `--json`."""


@grouped
def concepts(
    choice: Choice,
    style: CaseStyle,
    case: CaseArgument,
    penalty: Annotated[
        float | None,
        typer.Option(min=0, help="More leaves fewer concepts.", show_default="the method's own"),
    ] = None,
) -> None:
    """Add to a case the few clinical concepts that stand for its image, and a map for each of the first."""
    before = read_case(case)
    after = model_of(choice, before, case).concepts(before, penalty=penalty)
    answer = style.of(before)
    _show(after, keep_case(after, case, answer.lang), answer)


@grouped
def concepts_mean(
    choice: Choice,
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File.", show_default=False)],
    which: PhotoKind,
    as_json: JsonOption = False,
) -> None:
    """Measure the mean image of an encoder, which concepts need: at least 1000 photos of one kind.

    Called image_mean_dermoscopic.json or image_mean_clinical.json in the encoder's folder it is found there.
    """
    from dermaxai.explain.image_mean import ENOUGH, measure_mean

    check_file(output)
    choice.check()
    paths = list(_chosen(photos, which.without))
    model = choice.load()
    mean = measure_mean(model.encoder, _read(model, paths), which.kind, about=which.about)
    mean.save(output)
    if mean.n < len(paths):
        talk(f"{len(paths) - mean.n} of {len(paths)} photos could not be read.")
    if mean.n < ENOUGH:
        talk(f"This is the mean of {mean.n} photos; with at least {ENOUGH} it would be a better one.")
    row = {
        "file": str(output),
        "encoder": mean.encoder,
        "kind": mean.kind,
        "n": mean.n,
        "sha256": mean.sha256,
    }
    if as_json:
        say_json(row)
    else:
        say("\t".join(str(value) for value in row.values()))


def _chosen(photos: list[Path], without: Path | None) -> Iterator[Path]:
    """Photos that are there and are not to be left out."""
    from dermaxai.images import find_images

    left_out = set(without.read_text(encoding="utf-8").split()) if without else set()
    found = [photo for photo in find_images(photos) if photo.stem not in left_out]
    missing = tell_missing(found)
    return (photo for photo in found if photo not in missing)


def _read(model: Model, photos: list[Path]) -> Iterator[SkinImage]:
    """One bad photo does not stop the rest."""
    for photo in photos:
        try:
            yield model.read(photo)
        except ImageError as error:
            complain(error, str(photo))


def _show(case: Case, folder: Path, style: Style) -> None:
    from dermaxai.commands.tables import show_doubts

    places = places_of(folder)
    if style.as_json:
        say_json(concepts_row(case, style.lang) | places)
        show_doubts(case, style.lang)
        return
    say_table(concepts_table(case, style.lang))
    say(fit_sentence(case, style.lang))
    show_doubts(case, style.lang)
    say_places(places)


def concepts_table(case: Case, lang: Language) -> Table:
    """A row per concept: weight, share of all weights in per cent, words of the caption that say it."""
    from dermaxai.i18n import catalogue

    texts = catalogue(lang)
    headers = texts.text("concepts"), texts.name("scalar", "concept weight"), "%", texts.text("caption")
    table = plain_table(*headers)
    for row in (concept_row(case, concept, lang) for concept in case.concepts):
        said = texts.text("concepts.words", words=", ".join(row["words"]))
        words = said if row["words"] else texts.text("concepts.no_word")
        table.add_row(row["text"], texts.number(row["weight"], 3), f"{100 * row['share']:.0f}", words)
    return table


def fit_sentence(case: Case, lang: Language) -> str:
    """How well the concepts stand for the image, beside what the mean image alone does."""
    from dermaxai.i18n import catalogue
    from dermaxai.messages import translated

    fit = case.concept_fit
    if fit is None:
        return ""
    cosines = {"cosine": fit.cosine, "with_mean": fit.cosine_with_mean, "of_mean": fit.cosine_of_mean}
    texts, mean = catalogue(lang), translated(fit.mean, lang) or fit.mean
    numbers = {name: texts.number(value, 3) for name, value in cosines.items()}
    told = {"atoms": fit.atoms, "penalty": texts.signs(f"{fit.penalty:g}"), "mean": mean}
    return texts.text("concepts.fit", **numbers, **told)


def concepts_row(case: Case, lang: Language) -> dict[str, Any]:
    """Concepts, their fit and their maps, for `--json`."""
    from dermaxai.commands.tables import map_row

    fit = asdict(case.concept_fit) if case.concept_fit else {}
    return {
        "concepts": [concept_row(case, concept, lang) for concept in case.concepts],
        "fit": {
            name: round(value, DIGITS) if isinstance(value, float) else value for name, value in fit.items()
        },
        "maps": [map_row(heat, lang) for heat in case.maps if heat.target.kind == "concept"],
    }


def concept_row(case: Case, concept: Concept, lang: Language) -> dict[str, Any]:
    """One concept; `text` is its name in the language asked for, `share` is of the sum of all weights."""
    from dermaxai.concepts.tree import read_tree

    nodes = read_tree().matches(concept.name, "en")
    return {
        "name": concept.name,
        "text": nodes[0].names.get(lang, concept.name) if nodes else concept.name,
        "kind": concept.kind,
        "weight": round(concept.weight, DIGITS),
        "share": round(concept.weight / sum(one.weight for one in case.concepts), DIGITS),
        "words": [case.caption.words[index].text for index in concept.words],
    }
