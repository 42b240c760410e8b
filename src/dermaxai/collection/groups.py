"""Groups of cases, from a table that names them: skin type, site, device, anything."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermaxai.collection.entries import Entry
from dermaxai.errors import DataError

KEYS = ("case", "sha256")
"""Columns that say which case a row is of: the name of its folder, or the hash of its photo."""
CLUSTER = "cluster"
"""Column of what is drawn together when intervals are computed: a lesion, a patient."""
SHORTEST = 8
"""Digits of a hash that name a photo."""
MOST = 12
"""Groups of one column; a column with more is no table of groups."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which group each case is in, column by column."""

    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column to case name to group; a case without one is in no group."""
    clusters: Mapping[str, str] = field(default_factory=dict)
    """Case name to what it is drawn together with."""
    unmatched: int = 0
    """Rows of the table that no case belongs to."""

    def of(self, column: str) -> dict[str, list[str]]:
        """Case names of each group of a column, groups by name."""
        held: dict[str, list[str]] = {}
        for name, group in self.columns[column].items():
            held.setdefault(group, []).append(name)
        return dict(sorted(held.items()))


def read_groups(path: Path, entries: Sequence[Entry], own: Sequence[str] = ()) -> Groups:
    """Groups from a CSV file with a column `case` or `sha256`; every other column makes groups.

    Columns named in `own` are numbers of the report itself and make none, so that the table of cases that the
    report writes can be filled in and given back. Raises: DataError.
    """
    rows = _read(path)
    columns = list(rows[0]) if rows else []
    key = next((name for name in KEYS if name in columns), None)
    if key is None:
        raise DataError(
            f"'{path}' does not say which case a row is of: it has no column {' or '.join(KEYS)}.",
            hint="'dermaxai report CASES' writes a table of the cases to fill in.",
        )
    named = [(_find(row[key], key, entries), row) for row in rows]
    told = [name for name in columns if name and name not in (*KEYS, CLUSTER, *own)]
    return Groups(
        {name: _group(name, named, path) for name in told},
        {case: row[CLUSTER] for case, row in named if case and row.get(CLUSTER)},
        sum(case is None for case, _ in named),
    )


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [
                {name: (value or "").strip() for name, value in row.items() if name}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(
            f"'{path}' cannot be read as a table: {error}.", hint="Save it as CSV, UTF-8."
        ) from error


def _find(value: str, key: str, entries: Sequence[Entry]) -> str | None:
    if key == "case":
        return next((entry.name for entry in entries if entry.name == value), None)
    digits = value.casefold()
    fits = (entry.name for entry in entries if entry.sha256.startswith(digits))
    return next(fits, None) if len(digits) >= SHORTEST else None


def _group(column: str, named: Sequence[tuple[str | None, Mapping[str, str]]], path: Path) -> dict[str, str]:
    found = {case: row[column] for case, row in named if case and row.get(column)}
    count = len(set(found.values()))
    if count > MOST:
        raise DataError(
            f"Column '{column}' of '{path}' has {count} different values; there are at most {MOST} groups.",
            hint="Leave the column out, or put values into bands.",
        )
    return found
