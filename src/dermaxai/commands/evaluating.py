"""Commands that judge captions, explanations and encoders over a whole dataset."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from dermaxai.commands.checks import check_folder
from dermaxai.commands.console import say, say_json, talk
from dermaxai.commands.evaluating_options import (
    CaptionChoice,
    MapChoice,
    PhotoChoice,
    ProtocolChoice,
    ResultChoice,
    TaskChoice,
    TrainChoice,
    names_in,
)
from dermaxai.commands.options import Choice, grouped
from dermaxai.commands.watching import Watch
from dermaxai.errors import UsageError

if TYPE_CHECKING:
    from dermaxai.evaluate.captions import CaptionPlan
    from dermaxai.evaluate.encoders import EncoderPlan
    from dermaxai.evaluate.explanations import ExplanationPlan
    from dermaxai.evaluate.gathering import Gathered
    from dermaxai.evaluate.items import Evaluation, Item
    from dermaxai.evaluate.pages import Drawing
    from dermaxai.evaluate.records import Records
    from dermaxai.measure.maps.base import Protocol

RECORDS, EMBEDDINGS = "records", "embeddings"
"""Folders in the results: what a broken off run goes on from."""
STOPPED = 130
"""Exit code after Ctrl-C."""
METHODS = ("evidence", "grad_eclip")
METRICS = (
    "deletion", "insertion", "insertion_minus_deletion", "pointing", "energy", "rank_accuracy", "pixel_ap",
)  # fmt: skip

evaluate = typer.Typer(
    help="Judge captions, explanations or encoders over a dataset: tables, figures, comparisons.",
    no_args_is_help=True,
)


@evaluate.command()
@grouped
def captions(
    choice: Choice, photos: PhotoChoice, train: TrainChoice, results: ResultChoice, asked: CaptionChoice
) -> None:
    """Captions against those that people wrote or that were composed, and against what is known of the photo.

    Beside them: the caption of the most alike training photo, the label in a template, the majority's. Run
    again, it goes on where it was. The table is printed; the folder holds CSV, LaTeX, figures and pages.
    """
    groups = _prepare(choice, results)
    from dermaxai.evaluate.captions import captions_key, evaluate_captions
    from dermaxai.evaluate.records import Records

    plan = _caption_plan(asked, results.output / EMBEDDINGS)
    found, lessons = _gather(choice, photos, train)
    with _going_on():
        model = choice.load()
        plan = plan if asked.lang else dataclasses.replace(plan, languages=cast(Any, model.languages))
        plan = dataclasses.replace(plan, beams=model.settings.beams)
        records = Records.open(results.output / RECORDS, captions_key(model, plan))
        _tell_done(records, found.items)
        with Watch() as watch:
            evaluation = evaluate_captions(model, found.items, plan, records, watch, train=_items(lessons))
        flags = () if asked.compose else ("--no-compose",)
        origin = _Origin(choice, photos, train, (found, lessons), results, _said(asked), flags)
        _finish([evaluation], groups, origin)


@evaluate.command()
@grouped
def explanations(
    choice: Choice, photos: PhotoChoice, results: ResultChoice, asked: MapChoice, protocol: ProtocolChoice
) -> None:
    """Maps of explanation methods, beside maps that know nothing: random, a hill in the middle, edges.

    Run again, it goes on where it was. The table is printed; the folder holds CSV, LaTeX, figures and pages.
    """
    groups = _prepare(choice, results)
    from dermaxai.evaluate.explanations import evaluate_explanations, explanation_key
    from dermaxai.evaluate.known_concepts import concept_set
    from dermaxai.evaluate.map_pictures import MapPictures
    from dermaxai.evaluate.records import Records

    plan = _map_plan(asked, _protocol(protocol, _seed(choice)), None)
    found, _ = _gather(choice, photos, None)
    plan = _map_plan(asked, plan.protocol, found.items)
    with _going_on():
        model = choice.load()
        records = Records.open(results.output / RECORDS, explanation_key(model, found.items, plan))
        _tell_done(records, found.items)
        with Watch() as watch:
            evaluation = evaluate_explanations(model, found.items, plan, records, watch)
        draw = MapPictures(model, plan, concept_set(found.items))
        _finish([evaluation], groups, _Origin(choice, photos, None, (found, None), results), draw)


@evaluate.command()
@grouped
def encoders(
    choice: Choice, photos: PhotoChoice, train: TrainChoice, results: ResultChoice, asked: TaskChoice
) -> None:
    """Encoders without a captioner: diagnosis and concepts by texts, retrieval, a linear probe.

    With the prompts and class names of the authors, so that a published row can be repeated. Embeddings are
    kept: run again, it goes on where it was.
    """
    groups = _prepare(choice, results)
    from dermaxai.evaluate.encoders import evaluate_encoder

    plan = _encoder_plan(asked, results.output / EMBEDDINGS, _seed(choice))
    found, lessons = _gather(choice, photos, train)
    names = names_in(asked.encoder) or (choice.model or "demo",)
    choices = [dataclasses.replace(choice, model=name) for name in names]
    for one in choices:
        one.check()
    evaluations = []
    with _going_on(), Watch() as watch:
        for one in choices:
            encoder = one.load().encoder
            evaluations.append(
                evaluate_encoder(encoder, found.items, plan, None, watch, train=_items(lessons))
            )
        _finish(evaluations, groups, _Origin(choice, photos, train, (found, lessons), results))


# ---- plans ----------------------------------------------------------------------------------------


def _caption_plan(asked: CaptionChoice, cache: Path) -> CaptionPlan:
    """Raises: UnknownName, SettingError."""
    from dermaxai.evaluate.captions import CaptionPlan

    given: dict[str, Any] = {"compose": asked.compose, "bert": asked.bert, "embeddings": asked.cache or cache}
    given["frequencies"] = asked.frequencies
    languages = names_in(asked.lang)
    if unknown := set(languages) - {"en", "ru", "both"}:
        raise UsageError(f"Languages are en, ru and both; not {', '.join(sorted(unknown))}.")
    if languages:
        given["languages"] = ("en", "ru") if "both" in languages else languages
    if asked.metric:
        given["metrics"] = names_in(asked.metric)
    if asked.baseline:
        given["baselines"] = _but_none(asked.baseline)
    return CaptionPlan(score_encoder=asked.score_encoder or None, **given)


def _map_plan(asked: MapChoice, protocol: Protocol, items: Sequence[Item] | None) -> ExplanationPlan:
    """`items` decide about texts that nobody named. Raises: UnknownName, SettingError, UsageError."""
    from dermaxai.evaluate.explanation_plan import contestants_of
    from dermaxai.evaluate.explanations import ExplanationPlan
    from dermaxai.measure.maps import BASELINES

    texts: Any = tuple(asked.text or ())
    if len(texts) == 1 and texts[0] in ("diagnosis", "lesion"):
        texts = texts[0]
    if not texts:
        known = items is not None and all(item.sample.diagnosis for item in items)
        texts = "diagnosis" if known else "lesion"
    plan = ExplanationPlan(
        methods=names_in(asked.method) or METHODS,
        metrics=names_in(asked.metric) or METRICS,
        questions=cast(Any, names_in(asked.question) or ("word",)),
        protocol=protocol,
        baselines=_but_none(asked.baseline) if asked.baseline else tuple(BASELINES),
        texts=texts,
        most_words=asked.most_words,
        measured_masks=asked.measured_masks,
    )
    contestants_of(plan)
    return plan


def _protocol(given: ProtocolChoice, seed: int) -> Protocol:
    """Raises: SettingError."""
    from dermaxai.measure.maps.base import Protocol

    return Protocol(**cast(Any, dataclasses.asdict(given)), seed=seed)


def _encoder_plan(asked: TaskChoice, cache: Path, seed: int) -> EncoderPlan:
    """Raises: SettingError, UsageError."""
    from dermaxai.evaluate.encoders import EncoderPlan

    given: dict[str, Any] = {}
    if asked.task:
        given["tasks"] = names_in(asked.task)
    if asked.share:
        try:
            given["shares"] = tuple(float(one) for one in names_in(asked.share))
        except ValueError as error:
            raise UsageError(f"A share is a number such as 0.1: {error}.") from None
    return EncoderPlan(
        names=cast(Any, asked.names),
        templates=tuple(asked.template or ()),
        scheme=cast(Any, asked.scheme),
        fewest=asked.fewest,
        seed=seed,
        cache=asked.cache or cache,
        **given,
    )


def _but_none(given: Sequence[str]) -> tuple[str, ...]:
    """Names of baselines; 'none' stands for no name."""
    return tuple(name for name in names_in(given) if name != "none")


# ---- before and after -----------------------------------------------------------------------------


def _prepare(choice: Choice, results: ResultChoice) -> tuple[str, ...]:
    """What can be wrong before anything is read; the groups. Raises: UsageError and its kin."""
    choice.check()
    groups = results.groups
    check_folder(results.output)
    return groups


def _seed(choice: Choice) -> int:
    from dermaxai.settings import read_settings

    return read_settings(seed=choice.seed).seed


def _gather(
    choice: Choice, photos: PhotoChoice, train: TrainChoice | None
) -> tuple[Gathered, Gathered | None]:
    """The photos to be judged and those to learn from; what is said of them goes to stderr."""
    seed = _seed(choice)
    found = photos.gather(seed)
    lessons = train.gather(seed) if train else None
    for note in _notes(found, lessons):
        talk(note)
    talk(f"{len(found.items)} photos" + (f", {len(lessons.items)} to learn from." if lessons else "."))
    return found, lessons


def _items(found: Gathered | None) -> tuple[Item, ...]:
    return found.items if found else ()


def _tell_done(records: Records, items: Sequence[Item]) -> None:
    done = len(items) - len(records.missing(items))
    if done:
        talk(f"{done} of {len(items)} photos are done already.")


@contextmanager
def _going_on() -> Iterator[None]:
    """Ctrl-C ends with one line, and nothing that is done is lost."""
    try:
        yield
    except KeyboardInterrupt:
        talk("Stopped. The same command goes on from there.")
        raise typer.Exit(STOPPED) from None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Which photos the results are of, for the command that repeats them and for their notes."""

    choice: Choice
    photos: PhotoChoice
    train: TrainChoice | None
    gathered: tuple[Gathered, Gathered | None]
    results: ResultChoice
    said: Mapping[str, str | Sequence[str]] = dataclasses.field(default_factory=dict)
    """Options that the evaluation does not put into its command itself."""
    flags: Sequence[str] = ()
    """Likewise."""

    def complete(self, evaluation: Evaluation) -> Evaluation:
        """With the places of photos in the command, and what was said when they were gathered."""
        from dermaxai.provenance import repeat_command

        options = {**self.photos.options, **(self.train.options if self.train else {}), **self.said}
        flags = (*self.flags, *self.results.flags)
        places = shlex.split(repeat_command(flags, {**options, **self.results.options}))[1:]
        words = shlex.split(evaluation.command)
        start = words.index("PHOTOS") - 1 if "PHOTOS" in words else len(words)
        command = shlex.join([*words[:start], *places, *words[start + 2 :]])
        notes = _notes(*self.gathered)
        return dataclasses.replace(evaluation, command=command, notes=(*notes, *evaluation.notes))


def _notes(found: Gathered, lessons: Gathered | None) -> list[str]:
    """What was said of the photos when they were gathered."""
    return [*found.notes, *(f"To learn from: {note}" for note in (lessons.notes if lessons else ()))]


def _said(asked: CaptionChoice) -> dict[str, str | Sequence[str]]:
    """The options of captions, as the command that repeats them has them."""
    return {
        "metric": asked.metric or [],
        "baseline": asked.baseline or [],
        "score-encoder": asked.score_encoder,
        "bert": str(asked.bert or ""),
        "frequencies": str(asked.frequencies or ""),
    }


def _finish(
    evaluations: Sequence[Evaluation],
    groups: Sequence[str],
    origin: _Origin,
    draw: Callable[[Item], Sequence[Drawing]] | None = None,
) -> None:
    """Write the folder, print the table."""
    from dermaxai.evaluate.pages import PageOptions
    from dermaxai.evaluate.results import read_results, write_results

    results = origin.results
    complete = [origin.complete(one) for one in evaluations]
    with Watch() as watch:
        pages = PageOptions(photos=results.photos, reports=results.reports, draw=draw, tell=watch)
        seed = _seed(origin.choice)
        write_results(complete, results.output, by=groups, seed=seed, pages=pages, figures=results.figures)
    if results.as_json:
        for row in read_results(results.output).table:
            say_json({name: None if value != value else value for name, value in row.items()})
    else:
        say((results.output / "table.md").read_text(encoding="utf-8").rstrip())
    talk(f"Results: {results.output}")
