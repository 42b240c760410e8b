"""The results folder: tables, figures and pages of evaluations, the same bytes for the same evaluations.

| file | holds |
| --- | --- |
| `summary.json` | settings, versions, commands and notes of every evaluation, who won, hashes of all files |
| `values.csv` | one line per contestant, condition, metric and photo, of metrics that are means over photos |
| `table.csv` | one line per estimate, over all photos and per group, every digit, with the best baseline |
| `baselines.csv` | one line per estimate and baseline: the difference |
| `comparisons.csv` | one line per pair of contestants, p before and after Holm |
| `gaps.csv` | the groups that are furthest apart |
| `table.md`, `table.tex`, `comparisons.md` | the same for readers and papers, rounded |
| `figures/` | PDF, SVG and PNG |
| `cases/index.html` | the worst and best photos, linked |
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dermaxai.errors import DataError, UsageError
from dermaxai.evaluate import tables
from dermaxai.evaluate.charts import draw_figures
from dermaxai.evaluate.groups import check_properties
from dermaxai.evaluate.items import Evaluation
from dermaxai.evaluate.joining import join_encoders
from dermaxai.evaluate.latex import table_tex
from dermaxai.evaluate.layout import winners
from dermaxai.evaluate.pages import USUAL, PageOptions, write_pages
from dermaxai.evaluate.summary import FEW, SIGNIFICANT, Summary, summarise
from dermaxai.measure.estimates import LEVEL, RESAMPLES
from dermaxai.measure.scale import Scale

FORMAT = 1
SUMMARY = "summary.json"
COUNTED = ("dermaxai", "numpy", "scipy", "matplotlib", "pillow")
"""Packages that made the numbers and pictures of this folder."""
TEXTS = frozenset(
    {
        "evaluation", "condition", "contestant", "metric", "title", "by", "group", "item", "better", "unit",
        "range", "best_baseline", "over", "ours", "theirs", "largest", "smallest",
    }
)  # fmt: skip
"""Columns of the tables that hold words; the others hold numbers or yes and no."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was written."""

    folder: Path
    summary: Summary
    files: tuple[Path, ...]
    """Relative to the folder, in order, without `summary.json`."""


@dataclass(frozen=True, slots=True)
class Written:
    """A results folder as read back: rows of its tables by column; NaN where a cell is empty."""

    document: Mapping[str, Any]
    """`summary.json`."""
    table: tuple[Mapping[str, Any], ...]
    values: tuple[Mapping[str, Any], ...]
    comparisons: tuple[Mapping[str, Any], ...]


def write_results(
    evaluations: Sequence[Evaluation],
    folder: Path,
    *,
    by: Sequence[str] = (),
    seed: int = 0,
    pages: PageOptions | None = USUAL,
    figures: bool = True,
) -> Results:
    """Write everything; `pages` None leaves the cases out, `figures` False the figures.

    Encoders are compared with each other, also where each was evaluated by itself (`join_encoders`).
    What an earlier call wrote into the folder and this one does not is removed; other files stay.
    `summary.json` comes last, so that a folder with it is whole.
    Raises: UsageError where there is nothing to write, or a property to group by is unknown or given twice;
    DataError where nothing can be written.
    """
    check_properties(by)
    if not any(one.columns for one in evaluations):
        notes = " ".join(dict.fromkeys(note for one in evaluations for note in one.notes))
        hint = notes or "Choose metrics and photos."
        raise UsageError("Nothing was measured, so there are no results.", hint=hint)
    evaluations = join_encoders(evaluations)
    summary = summarise(evaluations, by, seed)
    texts = {
        "values.csv": tables.values_csv(summary, evaluations),
        "table.csv": tables.table_csv(summary),
        "baselines.csv": tables.baselines_csv(summary),
        "comparisons.csv": tables.comparisons_csv(summary),
        "gaps.csv": tables.gaps_csv(summary),
        "table.md": tables.table_md(summary, evaluations),
        "comparisons.md": tables.comparisons_md(summary),
        "table.tex": table_tex(summary),
    }
    try:
        earlier = _earlier(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMMARY).unlink(missing_ok=True)
        for name, text in texts.items():
            _replace(folder / name, text)
        written = [folder / name for name in texts]
        if figures:
            written += draw_figures(summary, evaluations, folder / "figures", pages.tell if pages else None)
        if pages is not None:
            written += write_pages(summary.evaluations, evaluations, folder / "cases", pages)
        files = tuple(path.relative_to(folder) for path in written)
        _remove(folder, set(earlier) - {path.as_posix() for path in files})
        _replace(folder / SUMMARY, _summary_json(summary, evaluations, folder, files))
    except OSError as error:
        raise DataError(
            f"Results cannot be written to '{folder}': {error.strerror or error}.",
            hint="Choose another folder.",
        ) from error
    return Results(folder, summary, files)


def read_results(folder: Path) -> Written:
    """What `write_results` wrote. Raises: DataError where it is not whole, or of a later format."""
    try:
        document = json.loads((folder / SUMMARY).read_text("utf-8"))
        if document.get("format") != FORMAT:
            raise DataError(
                f"'{folder}' holds results of format {document.get('format')}; {FORMAT} is read.",
                hint="Evaluate again.",
            )
        found = (_rows(folder / f"{name}.csv") for name in ("table", "values", "comparisons"))
        return Written(document, *found)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f"'{folder}' holds no whole results: {error}.", hint="Make them with `dermaxai evaluate`."
        ) from error


def _rows(path: Path) -> tuple[Mapping[str, Any], ...]:
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(
            {name: text if name in TEXTS else _value(text) for name, text in row.items()}
            for row in csv.DictReader(lines)
        )


def _value(text: str) -> float | bool | int:
    if text in ("yes", "no"):
        return text == "yes"
    if not text:
        return math.nan
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _summary_json(
    summary: Summary, evaluations: Sequence[Evaluation], folder: Path, files: Iterable[Path]
) -> str:
    told = zip(summary.evaluations, evaluations, strict=True)
    document = {
        "format": FORMAT,
        "seed": summary.seed,
        "by": list(summary.by),
        "level": LEVEL,
        "resamples": RESAMPLES,
        "few": FEW,
        "significant": SIGNIFICANT,
        "versions": {name: _version(name) for name in COUNTED},
        "evaluations": [_evaluation(label, one) for label, one in told],
        "best": [
            dict(zip(("evaluation", "condition", "metric", "contestant"), one, strict=True))
            for one in sorted(winners(summary))
        ],
        "files": {
            path.as_posix(): hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in files
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _evaluation(label: str, one: Evaluation) -> dict[str, Any]:
    scales = {column.scale.name: column.scale for column in one.columns}
    alone = sum(not item.cluster for item in one.items)
    return {
        "name": label,
        "kind": one.kind,
        "command": one.command,
        "settings": dict(one.settings),
        "notes": list(one.notes),
        "photos": len(one.items),
        "clusters": len({item.cluster for item in one.items if item.cluster}) + alone,
        "contestants": list(dict.fromkeys(column.contestant for column in one.columns)),
        "baselines": list(dict.fromkeys(column.contestant for column in one.columns if column.is_baseline)),
        "conditions": list(dict.fromkeys(column.condition for column in one.columns)),
        "metrics": {name: _scale(scale) for name, scale in scales.items()},
    }


def _scale(scale: Scale) -> dict[str, str]:
    return {
        "title": scale.title,
        "better": scale.better,
        "unit": scale.unit,
        "range": scale.range,
        "source": scale.source,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _earlier(folder: Path) -> list[str]:
    """Files that an earlier call wrote."""
    try:
        told = json.loads((folder / SUMMARY).read_text("utf-8"))["files"]
        return [str(name) for name in told]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Files below the folder, and nothing else."""
    for name in sorted(names):
        if not Path(name).is_absolute() and ".." not in Path(name).parts:
            (folder / name).unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8", "backslashreplace")
    os.replace(fresh, path)
