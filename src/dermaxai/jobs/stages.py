"""The stages of a job, as they go by."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any, Literal, final

StageState = Literal["waiting", "running", "done", "skipped", "failed"]


@final
class Stages:
    """What a job consists of, in order, and how far it is."""

    def __init__(self, names: Iterable[str]) -> None:
        self._rows = {name: _row(name) for name in names}
        self._begun = time.monotonic()

    def begin(self, name: str) -> None:
        """`name` is under way; one that nobody planned is added."""
        self._rows.setdefault(name, _row(name)).update(state="running", share=None)
        self._begun = time.monotonic()

    def begin_next(self) -> None:
        """The first that waits is under way."""
        waiting = next((name for name, row in self._rows.items() if row["state"] == "waiting"), None)
        if waiting is not None:
            self.begin(waiting)

    def end(self, name: str, state: StageState = "done", note: str = "") -> None:
        """`name` has ended; its seconds are counted from the latest beginning."""
        row = self._rows.setdefault(name, _row(name))
        seconds = round(time.monotonic() - self._begun, 3)
        row |= {"state": state, "share": None, "seconds": seconds, "note": note}
        self._begun = time.monotonic()

    def note(self, name: str, text: str) -> None:
        """What to know about a stage."""
        self._rows[name]["note"] = text

    def reach(self, share: float) -> None:
        """How much of what is under way is done, 0 to 1; rounded down to a hundredth."""
        for row in self._rows.values():
            if row["state"] == "running":
                row["share"] = math.floor(100 * share) / 100

    def skip_rest(self, note: str) -> None:
        """Whatever is left has nothing to do."""
        for row in self._rows.values():
            if row["state"] in ("waiting", "running"):
                row |= {"state": "skipped", "share": None, "note": note}

    def rows(self) -> list[dict[str, Any]]:
        """As the table keeps them: name, state, share, seconds (None where it has not ended), note.

        `share` is None but for a stage under way that tells how far it is.
        """
        return [dict(row) for row in self._rows.values()]


def _row(name: str) -> dict[str, Any]:
    return {"name": name, "state": "waiting", "share": None, "seconds": None, "note": ""}
