"""The cache that studies share: records of tasks, and how one takes over what another has found.

Beside the records of a task lies a list of its photos' marks. A photo that another task of the same key, but
of other photos, has done is not done again: its mark says that photo, labels and outline are the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dermaxai.evaluate.items import Item
from dermaxai.evaluate.records import Records
from dermaxai.study.planning import Task

SHARE = "share"
"""Of the key of records that one of several processes writes."""
FREE = frozenset({"photos", "training photos", SHARE})
"""Of a key: what may differ between records of one photo, where photos are worked on apart."""
MARKS, DONE = ".marks.json", ".done"
"""Endings of the files beside records."""


def open_records(folder: Path, task: Task, share: str = "") -> Records:
    """The records of a task, or of one process's share of it; `share` tells the processes apart."""
    records = Records.open(folder, {**task.key, **({SHARE: share} if share else {})})
    beside = records.path.with_suffix(MARKS)
    if task.work.apart and not beside.exists():
        folder.mkdir(parents=True, exist_ok=True)
        marks = {item.id: mark for item, mark in zip(task.data.items, task.data.marks, strict=True)}
        fresh = beside.with_name(f".{beside.name}.{os.getpid()}")
        fresh.write_text(json.dumps(marks), encoding="utf-8")
        os.replace(fresh, beside)
    return records


def take_over(folder: Path, task: Task, records: Records) -> int:
    """Copy what other records hold of the task's photos; gives how many. Shares of this very task go away."""
    if not task.work.apart:
        return 0
    marks = {item.id: mark for item, mark in zip(task.data.items, task.data.marks, strict=True)}
    taken = 0
    for path, key in list(_others(folder, records, task.key)):
        try:
            theirs = json.loads(path.with_suffix(MARKS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        source = Records.open(folder, key)
        for item in records.missing(task.data.items):
            document = source.get(item) if theirs.get(item.id) == marks[item.id] else None
            if document is not None:
                records.put(item, document)
                taken += 1
        if SHARE in key and all(key.get(name, "") == value for name, value in task.key.items()):
            records.close()
            path.with_suffix(MARKS).unlink(missing_ok=True)
            path.unlink()
    records.close()
    return taken


def _others(folder: Path, own: Records, key: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Other records whose key is the same but for the photos."""
    wanted = {name: value for name, value in key.items() if name not in FREE}
    for path in sorted(folder.glob("*.jsonl")):
        if path == own.path:
            continue
        try:
            with path.open(encoding="utf-8") as file:
                found = {str(name): str(value) for name, value in json.loads(file.readline())["key"].items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
        if {name: value for name, value in found.items() if name not in FREE} == wanted:
            yield path, found


def mark_done(records: Records) -> None:
    """Remember that a whole task was evaluated, whatever of it is in the records."""
    records.path.parent.mkdir(parents=True, exist_ok=True)
    records.path.with_suffix(DONE).touch()


def missing_of(task: Task, records: Records) -> list[Item]:
    """Photos still to do; what is kept elsewhere, as embeddings are, counts once the task is done."""
    if not task.work.apart and records.path.with_suffix(DONE).exists():
        return []
    return records.missing(task.data.items)


def size_of(records: Records) -> int:
    """Bytes on the disk."""
    return records.path.stat().st_size if records.path.exists() else 0


def shares(items: Sequence[Item], count: int) -> list[tuple[Item, ...]]:
    """Photos dealt to processes in turn.

    >>> shares("abcde", 2)
    [('a', 'c', 'e'), ('b', 'd')]
    """
    return [tuple(items[start::count]) for start in range(count)]
