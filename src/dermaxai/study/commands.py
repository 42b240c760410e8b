"""The command that gives the numbers of one task again, without the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dermaxai.provenance import repeat_command
from dermaxai.study.planning import Task, plan_values
from dermaxai.study.recipe import Study

RENAMED = {"languages": "lang"}
"""Fields of plans whose option has another name."""
PLACES = frozenset({"cache", "embeddings"})
"""Fields that say where something is kept, which changes no number."""
ONE_BY_ONE = frozenset({"texts", "templates"})
"""Fields whose entries may hold a comma."""
Options = dict[str, str | Sequence[str]]


def command_of(study: Study, task: Task) -> str:
    """`dermaxai evaluate KIND` with every option."""
    values = {name: value for name, value in plan_values(task.plan).items() if name not in PLACES}
    flags = [f"--{name}" for name in _flags(values)]
    options = {**_of_data(task), **_of_plan(values), **_of_model(study, task)}
    return " ".join([repeat_command(["evaluate", task.kind], options), *flags])


def _of_data(task: Task) -> Options:
    section = task.data.section
    return {
        "on": list(section.on),
        "split": "" if section.split == "test" else section.split,
        "ids": str(section.ids or ""),
        "limit": str(section.limit or ""),
        "masks": str(section.masks or ""),
        "train": list(section.train) if task.kind != "explanations" else [],
        "train-limit": str(section.train_limit or "") if task.kind != "explanations" else "",
    }


def _of_model(study: Study, task: Task) -> Options:
    section = task.model.section
    return {
        "model": "" if section.name == "demo" else section.name,
        "source": section.source,
        "captioner": section.captioner,
        "dtype": "" if section.dtype == "float32" else section.dtype,
        "device": "" if study.study.device == "auto" else study.study.device,
        "threads": str(study.study.threads),
        "seed": str(study.study.seed),
    }


def _of_plan(values: Mapping[str, Any]) -> Options:
    found: Options = {}
    for name, value in values.items():
        option = RENAMED.get(name, name).replace("_", "-")
        if isinstance(value, dict):
            found |= {one: given for one, given in _of_plan(value).items() if one != "seed"}
        elif isinstance(value, list):
            found[option] = value if name in ONE_BY_ONE else ",".join(_short(one) for one in value)
            if name == "baselines" and not value:
                found[option] = "none"
        elif value is not None and not isinstance(value, bool) and name != "seed":
            found[option] = _short(value)
    return found


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flags(values: Mapping[str, Any]) -> Iterator[str]:
    """Those that are not as the command has them when nothing is said."""
    for name, value in values.items():
        if name == "compose":
            yield from () if value else ("no-compose",)
        elif value is True:
            yield name.replace("_", "-")
