"""What a server sends, as the client gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, final

from dermaxai import errors
from dermaxai.errors import Conflict, DermaXAIError
from dermaxai.geometry import Placement
from dermaxai.types import HeatMap, Target

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

ENDED = ("done", "failed", "cancelled")
View = TypeVar("View")


@final
@dataclass(frozen=True, slots=True)
class JobView:
    """Something that a worker does, and how far it is."""

    id: int
    case: str
    """Id of the case it is for."""
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stages: tuple[Mapping[str, Any], ...] = ()
    """name, state, share (0 to 1 while it runs), seconds, note and `said` of each step."""
    content: int = 0
    """Raised whenever there is more of the case to fetch."""
    ahead: int = 0
    """Jobs that come first."""
    error: Mapping[str, Any] | None = None
    """error, message and hint, where it failed; `said` has both in other languages."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


@final
@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as the page reads it."""

    id: str
    state: Literal["waiting", "ready", "failed", "stopped", "gone"]
    revision: int
    name: str
    """Of the photo's file, as it was received."""
    created: str
    page: Mapping[str, Any] = field(default_factory=dict)
    """Captions, words, maps, scores: docs/api.md; empty until there is something to show."""

    @property
    def caption(self) -> str:
        """The explained caption; '' where there is none."""
        return str(self.page["captions"][0]["text"]) if self.page.get("captions") else ""

    @property
    def captions(self) -> dict[str, str]:
        """Language -> caption."""
        return {str(one["language"]): str(one["text"]) for one in self.page.get("captions", ())}

    @property
    def words(self) -> list[str]:
        """The words of the explained caption, in order."""
        first = next(iter(self.page.get("captions", ())), {"words": ()})
        return [self.caption[word["start"] : word["stop"]] for word in first["words"]]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before trusting it."""
        return tuple(map(str, self.page.get("warnings", ())))


@final
@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A row of the list of cases."""

    id: str
    state: str
    name: str
    created: str
    caption: str = ""
    encoder: str = ""
    disagreement: float | None = None
    """1 - mean rank correlation of the methods' maps, 0 to 2."""
    faithfulness: float | None = None
    """Of the worst judged map: how far it is better than random maps."""
    hidden: bool = False
    """Blind mode: own reading first."""


def view(kind: type[View], row: Mapping[str, Any]) -> View:
    """The fields that are known here: a newer server may send more."""
    names = [one.name for one in fields(cast(Any, kind))]
    return kind(**{name: row[name] for name in names if row.get(name) is not None})


def job_of(row: Mapping[str, Any]) -> JobView:
    """A job as the server sent it."""
    return view(JobView, {**row, "stages": tuple(row["stages"])})


def done(job: JobView) -> JobView:
    """The job itself. Raises: what stopped it; Conflict where it was cancelled."""
    if job.state == "failed" and job.error is not None:
        raise error_of(job.error)
    if job.state == "cancelled":
        raise Conflict(f"Job {job.id} was cancelled.", hint="Ask again.")
    return job


def error_of(told: Mapping[str, Any]) -> DermaXAIError:
    """The error of that name, with its message and hint; one without a name here is a `DermaXAIError`.

    >>> type(error_of({"error": "QueueFull", "message": "64 jobs are waiting."})).__name__
    'QueueFull'
    """
    kind = getattr(errors, told["error"], DermaXAIError)
    known = isinstance(kind, type) and issubclass(kind, DermaXAIError)
    return (kind if known else DermaXAIError)(told.get("message", ""), hint=told.get("hint", ""))


def heat_map(fact: Mapping[str, Any], values: Float32[np.ndarray, "rows columns"]) -> HeatMap:
    """A map from what is said of it and its raw values."""
    return HeatMap(
        values,
        fact["method"],
        Target(**fact["target"]),
        Placement(**fact["placement"]),
        fact["scalar"],
        fact["layer"],
        fact["variant"],
    )
