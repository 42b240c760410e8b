"""The folder of results: the same bytes for the same numbers, without dates or times."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermaxai.evaluate.items import Evaluation
from dermaxai.measure.estimates import estimate
from dermaxai.study.claims import Tested, cluster_numbers, judge_claim
from dermaxai.study.claims_figure import draw_claim
from dermaxai.study.claims_text import claim_document, claim_page
from dermaxai.study.commands import command_of
from dermaxai.study.methods_text import methods_page
from dermaxai.study.planning import Task
from dermaxai.study.recipe import Study
from dermaxai.study.sources import bibtex, numbers_in

METHODS, CLAIMS, COMMANDS = "METHODS.md", "claims.md", "commands.csv"
FIGURES = "claims"
"""Folder of the figures of claims."""
NUMBERS = ("task", "condition", "contestant", "metric", "value", "low", "high", "n", "command")


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What a study came to."""

    folder: Path
    claims: tuple[Tested, ...]


def judge_claims(study: Study, tasks: Sequence[Task], evaluations: Sequence[Evaluation]) -> list[Tested]:
    """Every claim on the evaluations that it is about. Raises: as `judge_claim`."""
    found = []
    for claim in study.claim:
        chosen = [
            (_where(task, tasks), evaluation)
            for task, evaluation in zip(tasks, evaluations, strict=True)
            if task.kind == claim.kind and (not claim.plans or task.title in claim.plans)
        ]
        found.append(judge_claim(claim, chosen, study.study.seed))
    return found


def _where(task: Task, tasks: Sequence[Task]) -> str:
    """Model and data set, the plan where another one is on the same."""
    same = {(one.model.section.title, one.data.section.name): 0 for one in tasks}
    for one in tasks:
        if one.kind == task.kind:
            same[one.model.section.title, one.data.section.name] += 1
    title, name = task.model.section.title, task.data.section.name
    return f"{title}, {name}" + (f", {task.title}" if same[title, name] > 1 else "")


def write_study(
    study: Study, tasks: Sequence[Task], evaluations: Sequence[Evaluation], folder: Path
) -> Written:
    """Replace `folder` by the results, in one step once they are whole. Raises: as `judge_claim`."""
    from dermaxai.evaluate.results import write_results

    claims = judge_claims(study, tasks, evaluations)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    named = [_named(study, task, one, tasks) for task, one in zip(tasks, evaluations, strict=True)]
    write_results(named, fresh, by=study.study.by, seed=study.study.seed)
    methods = methods_page(study, tasks, evaluations)
    (fresh / METHODS).write_text(methods, encoding="utf-8")
    (fresh / "sources.bib").write_text(bibtex(numbers_in(methods)), encoding="utf-8")
    (fresh / COMMANDS).write_text(_numbers(study, tasks, evaluations), encoding="utf-8")
    (fresh / "study.json").write_text(f"{study.model_dump_json(indent=1)}\n", encoding="utf-8")
    if claims:
        _write_claims(study, claims, fresh)
    _replace(folder, fresh)
    return Written(folder, tuple(claims))


def _named(study: Study, task: Task, evaluation: Evaluation, tasks: Sequence[Task]) -> Evaluation:
    """Under a name that tells it from the others, with the command of its task and notes on its photos."""
    settings: Mapping[str, str] = {**evaluation.settings, "model": _where(task, tasks)}
    notes = tuple(dict.fromkeys((*task.data.notes, *evaluation.notes)))
    return dataclasses.replace(evaluation, settings=settings, command=command_of(study, task), notes=notes)


def _numbers(study: Study, tasks: Sequence[Task], evaluations: Sequence[Evaluation]) -> str:
    """Every number with its interval and the command that gives it again, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NUMBERS)
    for task, evaluation in zip(tasks, evaluations, strict=True):
        command = command_of(study, task)
        clusters = {item.id: item.cluster or f"photo {item.id}" for item in evaluation.items}
        for column in evaluation.columns:
            numbers = cluster_numbers(column.rows, clusters)
            found = estimate(column.parts, column.statistic, numbers, study.study.seed)
            values = (f"{number:.6g}" for number in (found.value, found.low, found.high))
            writer.writerow(
                [task.name, column.condition, column.contestant, column.scale.name, *values, found.n, command]
            )
    return text.getvalue()


def _write_claims(study: Study, claims: Sequence[Tested], folder: Path) -> None:
    pages = [f"# {study.study.name}: claims", ""]
    pages += [study.study.about, ""] if study.study.about else []
    for tested in claims:
        drawn = draw_claim(tested, folder / FIGURES)
        figure = drawn[0].relative_to(folder).as_posix() if drawn else ""
        pages += [*claim_page(tested, figure), ""]
    (folder / CLAIMS).write_text("\n".join(pages), encoding="utf-8")
    documents = [claim_document(tested) for tested in claims]
    text = json.dumps(documents, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "claims.json").write_text(f"{text}\n", encoding="utf-8")


def _replace(folder: Path, fresh: Path) -> None:
    """Put the new folder in the place of the old one."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def publish(study: Study, results: Path, place: Path) -> Path:
    """Copy claims, methods and the claims' figures into a folder of documents; gives the page.

    The page is `<name>.md` and its figures lie in `<name>/`, so that several studies fit into one folder.
    """
    name = study.study.name
    figures = place / name
    shutil.rmtree(figures, ignore_errors=True)
    page = (results / CLAIMS).read_text(encoding="utf-8") if (results / CLAIMS).exists() else ""
    for path in sorted((results / FIGURES).glob("*.svg")):
        figures.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, figures / path.name)
    page = page.replace(f"]({FIGURES}/", f"]({name}/")
    methods = (results / METHODS).read_text(encoding="utf-8")
    place.mkdir(parents=True, exist_ok=True)
    target = place / f"{name}.md"
    target.write_text(f"{page}\n{_lowered(methods)}", encoding="utf-8")
    return target


def _lowered(page: str) -> str:
    """With every heading one rank lower."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in page.split("\n"))
