"""A folder of cases as one HTML file that opens from disk and asks for nothing, and its numbers as CSV."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from markupsafe import Markup

from dermaxai.collection.charts import histogram, span
from dermaxai.collection.entries import Entry, Folder, Tell, read_folder
from dermaxai.collection.examples import Example, best_of, disputed_in, worst_of
from dermaxai.collection.groups import Groups, read_groups
from dermaxai.collection.paper import methods_text
from dermaxai.collection.results import (
    FEW,
    MEASURES,
    Result,
    captions_of,
    checks_of,
    mean_of_cases,
    results_of,
    words_of,
)
from dermaxai.collection.tables import CASE_COLUMNS, cases_csv, certainty_of, results_csv
from dermaxai.i18n import LANGUAGES, Catalogue, catalogue
from dermaxai.measure.estimates import Estimate
from dermaxai.messages import translated
from dermaxai.report import LIMITS, THEN, commands_of
from dermaxai.types import Language

REPORT = "report.html"
NONE = Groups()
DIGITS = 2
"""Behind the point; the CSV has more."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a report."""

    report: Path
    results: Path
    """CSV: a row per group, method and measure."""
    cases: Path
    """CSV: a row per case."""
    skipped: tuple[tuple[str, str], ...]
    """Cases that could not be read, and why."""


def write_collection(
    home: Path | str,
    path: Path | str | None = None,
    *,
    language: Language | None = None,
    groups: Path | str | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> Written:
    """Write the report of the cases below `home`: `path`, by default report.html there, and two CSV files.

    `language` is that on opening, by default the commonest of the captions; both are inside. `groups`: a
    table as `collection.groups.read_groups` reads it. The same cases give the same files.
    Raises: DataError where there is no case, or for a table that names none; NotSupported for a language.
    """
    home, groups = Path(home), Path(groups) if groups else None
    folder = read_folder(home, tell)
    spoken = language or Counter(entry.language for entry in folder.entries).most_common(1)[0][0]
    catalogue(spoken)
    known = read_groups(groups, folder.entries, CASE_COLUMNS) if groups else NONE
    results = results_of(folder, known, seed)
    target = Path(path) if path else home / REPORT
    written = Written(
        target,
        target.with_name(f"{target.stem}_results.csv"),
        target.with_name(f"{target.stem}_cases.csv"),
        folder.skipped,
    )
    command = _command(home, groups, seed)
    page = _Page(folder, known, results, target, seed).render(spoken, command)
    _replace(written.results, results_csv(results))
    _replace(written.cases, cases_csv(folder))
    _replace(target, page)
    return written


def _command(home: Path, groups: Path | None, seed: int) -> str:
    """What makes the report again; names of folders, not whole paths, which may name a person."""
    line = ["dermaxai", "report", home.resolve().name or "CASES"]
    line += ["--groups", groups.name] if groups else []
    return shlex.join([*line, *(["--seed", str(seed)] if seed else [])])


def _replace(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        fresh.write_bytes(text.encode())
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Page:
    """What the template asks for."""

    folder: Folder
    groups: Groups
    results: Sequence[Result]
    target: Path
    seed: int

    def render(self, language: Language, command: str) -> str:
        from jinja2 import Environment, StrictUndefined

        style, script = _asset("collection.css"), _asset("collection.js")
        made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        made.filters |= {"estimate": _estimate, "interval": _interval, "number": _number, "percent": _percent}
        entries = self.folder.entries
        text: str = made.from_string(_asset("collection.html.j2")).render(
            language=language,
            languages=LANGUAGES,
            title=catalogue(language).text("collection.title"),
            say=_say,
            notice=lambda known: catalogue(known).text("notice"),
            alt=lambda one: _alt(one, catalogue(language)),
            count=_count,
            name=_name,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            entries=entries,
            skipped=[(place, _message(why)) for place, why in self.folder.skipped],
            methods=self.folder.methods,
            table={(one.group, one.method, one.measure): one for one in self.results},
            measures=MEASURES,
            few=FEW,
            span=span,
            groups={column: self.groups.of(column) for column in self.groups.columns},
            unmatched=self.groups.unmatched,
            totals=self._totals(),
            makers=_makers(entries),
            checks=checks_of(self.folder),
            words=words_of(self.folder),
            captions=captions_of(self.folder),
            distinct=len({entry.caption for entry in entries}),
            histogram=self._histogram(),
            examples=self._examples(),
            certainty=certainty_of,
            link=self._link,
            paper={known: methods_text(self.folder, catalogue(known), self.seed) for known in LANGUAGES},
            commands=Counter(THEN.join(commands_of(entry.made_by)) for entry in entries).most_common(5),
            command=command,
            limits=LIMITS,
        )
        return text

    def _totals(self) -> dict[str, Estimate]:
        values = {
            "better": lambda entry: entry.better,
            "agreement": lambda entry: entry.agreement,
            "from_image": lambda entry: entry.from_image,
            "certainty": certainty_of,
            "outside": lambda entry: float(entry.outside),
            "warnings": lambda entry: float(entry.warnings > 0),
        }
        return {
            name: mean_of_cases(self.folder.entries, value, self.groups, self.seed)
            for name, value in values.items()
        }

    def _histogram(self) -> dict[str, Markup]:
        values = [entry.agreement for entry in self.folder.entries]
        if all(math.isnan(value) for value in values):
            return {}
        return {
            texts.language: histogram(values, -1.0, 1.0, texts.text("collection.histogram"), texts)
            for texts in map(catalogue, LANGUAGES)
        }

    def _examples(self) -> list[tuple[str, list[Any]]]:
        rows = ("best", best_of), ("worst", worst_of), ("disputed", disputed_in)
        return [(name, found) for name, choose in rows if (found := list(choose(self.folder)))]

    def _link(self, name: str) -> str:
        """From the report to that of a case."""
        place = self.folder.home / name / REPORT
        return quote(Path(os.path.relpath(place, self.target.parent)).as_posix())


def _makers(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    made = (
        f"{one.encoder} {one.encoder_sha256[:12]} · {one.captioner} {one.captioner_sha256[:12]}"
        for one in (entry.made_by for entry in entries)
    )
    return Counter(made).most_common()


def _say(key: str, **values: object) -> Markup:
    """A string in every language; the page shows one of them."""
    return _spans({known: catalogue(known).text(key, **values) for known in LANGUAGES})


def _count(key: str, number: int, **values: object) -> Markup:
    return _spans({known: catalogue(known).count(key, number, **values) for known in LANGUAGES})


def _name(kind: str, name: str) -> Markup:
    told = {known: catalogue(known).name(kind, name) for known in LANGUAGES}
    return Markup.escape(name) if len(set(told.values())) == 1 and name in told.values() else _spans(told)


def _message(text: str) -> Markup:
    return _spans({known: translated(text, known) or text for known in LANGUAGES})


def _spans(told: dict[Language, str]) -> Markup:
    if len(set(told.values())) == 1:
        return Markup.escape(next(iter(told.values())))
    return Markup("").join(
        Markup('<span class="say" lang="{}">{}</span>').format(known, text) for known, text in told.items()
    )


def _alt(one: Example, texts: Catalogue) -> str:
    if not one.word:
        return texts.text("map.photo")
    method = texts.name("method", one.method)
    return texts.text("collection.picture", name=one.name, word=one.word, method=method)


def _estimate(told: Estimate) -> Markup:
    return _number(told.value)


def _number(value: float) -> Markup:
    """A number as each language writes it; a dash for NaN."""
    return _spans({known: catalogue(known).number(value, DIGITS) for known in LANGUAGES})


def _percent(value: float) -> Markup:
    return _spans({known: catalogue(known).percent(value) for known in LANGUAGES})


def _interval(told: Estimate, *, percent: bool = False) -> Markup:
    """The bounds in brackets, as each language writes numbers; '' where there are none."""
    if math.isnan(told.low) or math.isnan(told.high):
        return Markup("")
    return _spans({known: _bounds(told, catalogue(known), percent=percent) for known in LANGUAGES})


def _bounds(told: Estimate, texts: Catalogue, *, percent: bool) -> str:
    if percent:
        return f"({texts.number(100 * told.low, 0)} … {texts.percent(told.high)})"
    return f"({texts.number(told.low, DIGITS)} … {texts.number(told.high, DIGITS)})"


def _policy(style: str, script: str) -> str:
    """Nothing may load but this style, this script and pictures inside the file."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest(style)}'; "
        f"script-src 'sha256-{digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8").strip()
