"""Tables: a name, and where the thing it names lives."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from dermaxai.errors import UnknownName


class Table(Mapping[str, str]):
    """A lazy, explicit table from names to ``module:attribute`` paths.

    Reading the table imports nothing; `load` imports one entry.

    >>> shapes = Table("shape", {"ordered": "collections:OrderedDict"})
    >>> shapes.load("ordered").__name__
    'OrderedDict'
    >>> shapes.load("orderd")
    Traceback (most recent call last):
    ...
    dermaxai.errors.UnknownName: No shape is called 'orderd'. Did you mean 'ordered'? Known: ordered.
    """

    def __init__(self, kind: str, rows: Mapping[str, str]) -> None:
        self.kind = kind
        self._rows = dict(rows)

    def __getitem__(self, name: str) -> str:
        check_name(self.kind, name, self._rows)
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def load(self, name: str) -> Any:  # noqa: ANN401 - a table holds classes and functions of any type
        """Import and return what `name` stands for. Raises: UnknownName."""
        module, _, attribute = self[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


def check_name(kind: str, name: str, known: Mapping[str, object] | list[str]) -> None:
    """Raise UnknownName, with the nearest known names, unless `name` is in `known`."""
    if name in known:
        return
    folded = {entry.replace("_", "").replace("-", "").lower(): entry for entry in known}
    near = difflib.get_close_matches(name.replace("_", "").replace("-", "").lower(), list(folded), n=1)
    guess = f" Did you mean '{folded[near[0]]}'?" if near else ""
    raise UnknownName(f"No {kind} is called '{name}'.{guess} Known: {', '.join(known)}.")
