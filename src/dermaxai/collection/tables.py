"""The numbers of the report as CSV, beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from dermaxai.collection.entries import Entry, Folder
from dermaxai.collection.results import Result

CASE_COLUMNS = (
    "case", "sha256", "language", "caption", "words", "from_image", "certainty", "outside", "warnings",
    "maps", "better", "margin", "agreement", "encoder", "report",
)  # fmt: skip
"""Of the table of cases; other columns that are added to it make groups."""
RESULT_COLUMNS = ("group", "method", "measure", "value", "low", "high", "cases", "few")
DIGITS = 6


def results_csv(results: Sequence[Result]) -> str:
    """A row per group, method and measure."""
    rows = (
        (
            one.group,
            one.method,
            one.measure,
            *map(_number, (one.estimate.value, one.estimate.low, one.estimate.high)),
            one.estimate.n,
            int(one.few),
        )
        for one in results
    )
    return _csv(RESULT_COLUMNS, rows)


def cases_csv(folder: Folder) -> str:
    """A row per case; no pixels and no file names of photos."""
    return _csv(CASE_COLUMNS, (_row(entry) for entry in folder.entries))


def certainty_of(entry: Entry) -> float:
    """Mean log-probability per word, as a probability; NaN without words."""
    if not entry.said:
        return math.nan
    return math.exp(sum(word.logprob for word in entry.said) / len(entry.said))


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.name,
        entry.sha256,
        entry.language,
        _harmless(entry.caption),
        len(entry.said),
        _number(entry.from_image),
        _number(certainty_of(entry)),
        int(entry.outside),
        entry.warnings,
        len(entry.maps),
        _number(entry.better),
        _number(entry.margin),
        _number(entry.agreement),
        entry.made_by.encoder,
        f"{entry.name}/report.html" if entry.has_report else "",
    )


def _harmless(text: str) -> str:
    """A spreadsheet takes text with such a beginning for a formula.

    >>> _harmless("=1+1"), _harmless("a lesion")
    ("'=1+1", 'a lesion')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.{DIGITS}g}"


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
