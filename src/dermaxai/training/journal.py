"""The log of a run: one record per logged step, as JSON lines and as a table.

`log.jsonl` holds all that is known; `log.csv` the same with dotted column names. A resumed training cuts off
what was logged after its checkpoint, so that no step stands there twice.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from dermaxai.training.checkpoints import sync
from dermaxai.training.steps import GROUPS, PHASES

COLUMNS = (
    "step", "epoch", "kind", "loss", "tokens", "photos", "texts", "tokens_per_second", "seconds",
    "gradient_norm", *(f"learning_rate.{name}" for name in GROUPS), *(f"shares.{name}" for name in PHASES),
    "memory_mb", "device_memory_mb", "flops", "flops_share", "facts", "goal",
)  # fmt: skip
"""Of log.csv. Units: loss nats per token, seconds per step, memory 10^6 bytes, shares 0 to 1."""
Record = Mapping[str, Any]


@final
class Journal:
    """The two files of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines, self.table = folder / "log.jsonl", folder / "log.csv"

    def begin(self, step: int) -> None:
        """Make both files, with what was logged up to `step` steps and no more."""
        kept = [record for record in read_journal(self.lines) if record["step"] <= step]
        self.folder.mkdir(parents=True, exist_ok=True)
        _replace(self.lines, "".join(map(_line, kept)))
        _replace(self.table, ",".join(COLUMNS) + "\n" + "".join(map(_row, kept)))

    def write(self, record: Record) -> None:
        """Add a record; it is on its way to the disk when this returns."""
        for path, text in ((self.lines, _line(record)), (self.table, _row(record))):
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log.jsonl up to a line that was cut off or is none; none where there is no file."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            return
        if not isinstance(record, dict) or "step" not in record:
            return
        yield record


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _row(record: Record) -> str:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= (
            {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        )
    out = io.StringIO(newline="")
    csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n").writerow(flat)
    return out.getvalue()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}-{os.getpid()}.part")
    part.write_text(text, encoding="utf-8", newline="")
    sync(part)
    part.replace(path)
