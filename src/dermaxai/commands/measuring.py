"""Commands about trust: the scores of a case's maps, and the checks of its methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dermaxai.bulk import DIGITS
from dermaxai.commands.console import plain_table, say, say_json, say_table, talk
from dermaxai.commands.explaining import (
    CaseArgument,
    keep_case,
    model_of,
    places_of,
    read_case,
    say_places,
)
from dermaxai.commands.options import CaseStyle, Choice, grouped
from dermaxai.commands.watching import shown
from dermaxai.errors import UsageError
from dermaxai.i18n import Catalogue, catalogue
from dermaxai.scores import map_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermaxai.measure.maps.base import Protocol
    from dermaxai.measure.sanity import Check
    from dermaxai.types import Case, Score

CHECK_FAILED = 4
"""Exit code where a check is not passed."""


@dataclass(frozen=True, slots=True)
class Way:
    """How maps are measured; each field is an option of its name."""

    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics, with commas or repeated.", show_default="deletion, insertion"),
    ] = None
    removal: Annotated[
        Literal["tokens", "blur", "mean", "noisy linear"], typer.Option(help="How places are taken away.")
    ] = "tokens"
    steps: Annotated[int, typer.Option(min=2, help="Shares that are taken away one after the other.")] = 20
    random: Annotated[int, typer.Option(min=2, help="Random maps beside each map; below 20 none is '✓'.")] = (
        20
    )

    def protocol(self, seed: int) -> Protocol:
        """The same as metrics take it. Raises: SettingError."""
        from dermaxai.measure.maps.base import Protocol

        return Protocol(self.removal, self.steps, self.random, seed=seed)

    @property
    def metrics(self) -> list[str]:
        """Names, none twice. Raises: UnknownName; UsageError for one that a case can never have."""
        from dermaxai.measure.maps import MAP_METRICS
        from dermaxai.registry import check_name
        from dermaxai.scores import JUDGED

        names = _names(self.metric, "A metric has no name.", "'dermaxai metrics map' lists them.") or JUDGED
        for name in names:
            check_name("map metric", name, list(MAP_METRICS))
            if "mask" in MAP_METRICS.load(name).needs:
                raise UsageError(
                    f"'{name}' needs an outlined lesion, and a case has none.",
                    hint="'dermaxai evaluate explanations' measures photos with masks.",
                )
        return list(dict.fromkeys(names))


def _names(given: list[str] | None, nameless: str, hint: str) -> list[str]:
    """Names with commas taken apart. Raises: UsageError where one is empty."""
    names = [name.strip() for one in given or () for name in one.split(",")]
    if not all(names):
        raise UsageError(nameless, hint=hint)
    return names


@grouped
def measure(choice: Choice, style: CaseStyle, case: CaseArgument, way: Way) -> None:
    """Add scores to a case: whether each map is better than random maps of the same question.

    Deletion takes the hottest places away first, and the model's score should fall at once; insertion puts
    them in first, and it should rise. Scores of the same metrics are replaced.
    """
    from dermaxai.commands.tables import score_row, show_doubts

    before, metrics = read_case(case), way.metrics
    model = model_of(choice, before, case)
    with shown():
        after = model.measure(before, metrics, way.protocol(model.settings.seed))
    answer = style.of(before)
    places = places_of(keep_case(after, case, answer.lang))
    names = set(map_names(after.maps))
    scores = [score for score in after.scores if score.metric in metrics and score.of in names]
    if answer.as_json:
        say_json(
            {"scores": [score_row(score) for score in scores], "warnings": list(after.warnings)} | places
        )
    else:
        _say_scores(after, scores, catalogue(answer.lang))
        say_places(places)
    show_doubts(after, answer.lang)


def _say_scores(case: Case, scores: Sequence[Score], texts: Catalogue) -> None:
    from dermaxai.commands.tables import TRUST

    headers = [texts.text(key) for key in ("scores.map", "scores.metric", "scores.value", "scores.random")]
    table = plain_table(*headers, "")
    named = dict(zip(map_names(case.maps), case.maps, strict=True))
    for score in scores:
        heat = named[score.of]
        target = heat.target
        rival = texts.text("against", word=target.text, other=target.against)
        asked = rival if target.against else target.text
        beside = "" if score.baseline is None else texts.number(score.baseline, 3)
        if score.baseline_low is not None and score.baseline_high is not None:
            beside += f" ({texts.number(score.baseline_low, 3)} – {texts.number(score.baseline_high, 3)})"
        method = score.of.split("/")[0].partition(":")
        name = texts.name("method", method[0]) + (f" ({method[2]})" if method[2] else "")
        table.add_row(
            f"{name}, {asked}",
            texts.name("metric", score.metric),
            texts.number(score.value, 3),
            beside,
            TRUST[score.verdict],
        )
    say_table(table)
    if any(score.verdict for score in scores):
        say(texts.text("trust.marks"))


@grouped
def sanity(
    choice: Choice,
    style: CaseStyle,
    case: CaseArgument,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="Methods of the case, with commas or repeated, or 'all'.",
            show_default="all but the slow ones",
        ),
    ] = None,
) -> None:
    """Check whether the methods of a case explain this model: exit code 4 where one does not.

    Their maps must change with random weights, with a word or text that does not fit and on a photo of plain
    skin, and must turn with the photo. The answers are kept in the case and shown in its report.
    """
    from dermaxai.commands.tables import show_doubts
    from dermaxai.measure.case_scores import left_out

    before = read_case(case)
    names = _names(method, "A method has no name.", "Name some of the case, 'all', or none.")
    answer = style.of(before)
    texts = catalogue(answer.lang)

    def tell(what: str, done: int, total: int) -> None:
        name, check = what.split(": ")
        talk(f"{texts.name('method', name)}: {texts.text(f'check.{check}')} ({done + 1} / {total})")

    model = model_of(choice, before, case)
    with shown():
        checks = model.sanity(before, names, tell=tell)
    after = model.keep_checks(before, checks, names)
    places = places_of(keep_case(after, case, answer.lang))
    if answer.as_json:
        say_json({"checks": [check_row(check) for check in checks]} | places)
    else:
        _say_checks(checks, texts)
        say_places(places)
    show_doubts(after, answer.lang)
    if slow := left_out(before, names):
        talk(f"Not checked, since it takes minutes: {', '.join(slow)}. Add '-m all', or name them with -m.")
    if any(check.verdict == "failed" for check in checks):
        raise typer.Exit(CHECK_FAILED)


def check_row(check: Check) -> dict[str, Any]:
    """A check for `--json`; numbers that are not defined are null."""
    return {
        "method": check.method,
        "check": check.name,
        "value": _rounded(check.value),
        "low": _rounded(check.low),
        "high": _rounded(check.high),
        "limit": check.limit,
        "unit": check.unit,
        "n": check.n,
        "verdict": check.verdict,
        "about": check.about,
    }


def _rounded(number: float) -> float | None:
    return None if math.isnan(number) else round(number, DIGITS)


def _say_checks(checks: Sequence[Check], texts: Catalogue) -> None:
    from dermaxai.commands.tables import TRUST
    from dermaxai.measure.sanity import RULES, VERDICTS

    keys = ("control.method", "sanity", "scores.value", "scores.interval", "scores.limit", "scores.n")
    table = plain_table(*(texts.text(key) for key in keys), "")
    for check in checks:
        side = "below" if RULES[check.name].is_upper else "above"
        table.add_row(
            texts.text("caption") if check.method == "caption" else texts.name("method", check.method),
            texts.text(f"check.{check.name}"),
            texts.number(check.value),
            "" if math.isnan(check.low) else f"{texts.number(check.low)} – {texts.number(check.high)}",
            texts.text(f"sanity.{side}", limit=texts.signs(f"{check.limit:g}")),
            str(check.n),
            f"{TRUST[VERDICTS[check.verdict]]} {texts.text(f'sanity.{VERDICTS[check.verdict]}')}",
        )
    say_table(table)
    for check in checks:
        if not check.n:
            named = texts.name("method", check.method)
            say(f"{texts.text(f'check.{check.name}')}, {named}: {check.about}")
    for name in dict.fromkeys(check.name for check in checks if check.verdict == "failed"):
        say(f"{texts.text(f'check.{name}')}: {texts.text(f'check.{name}.fails')}")
