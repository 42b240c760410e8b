"""What a worker is told when it starts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, final


class NamedModel(Protocol):
    """One model that photos can be given to, as the server's options have it."""

    @property
    def name(self) -> str:
        """As `pipeline.load` takes it."""

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """More of `pipeline.load`: source, captioner."""


class Served(Protocol):
    """The part of the server's options that its worker needs."""

    @property
    def cases(self) -> Path:
        """The folder of cases."""

    @property
    def url(self) -> str:
        """Of the database; '' for SQLite inside `cases`."""

    @property
    def models(self) -> tuple[Any, ...]:
        """Of `NamedModel`; the first is loaded at once."""

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """Changes of `Settings`."""


@final
@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Where the jobs are, and what they are done with."""

    cases: str
    url: str = ""
    models: tuple[tuple[str, dict[str, str]], ...] = (("demo", {}),)
    """Name and further options of `pipeline.load`; the first is loaded at once."""
    settings: tuple[tuple[str, str], ...] = ()
    """Changes of `Settings`: device, threads, …"""

    @classmethod
    def of_server(cls, options: Served) -> Self:
        """The part of the server's options that its worker needs."""
        models = tuple((model.name, dict(model.options)) for model in options.models)
        return cls(str(options.cases), options.url, models, tuple(options.settings))

    @classmethod
    def from_line(cls, line: str) -> Self:
        """As `to_line` wrote it. Raises: ValueError, TypeError."""
        told = json.loads(line)
        models = tuple((str(name), dict(more)) for name, more in told["models"])
        settings = tuple((str(name), str(value)) for name, value in told["settings"])
        return cls(str(told["cases"]), str(told["url"]), models, settings)

    def to_line(self) -> str:
        """On one line, for a pipe: an address may hold a password, which every process sees in a command."""
        told = {"cases": self.cases, "url": self.url, "models": self.models, "settings": self.settings}
        return json.dumps(told)
