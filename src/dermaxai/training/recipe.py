"""`Recipe`: everything that decides a training, as one TOML file whose faults are told all at once.

Its tables are those of `sections.py`. Relative paths stand relative to the working directory.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError, model_validator

from dermaxai.errors import SettingError, UnknownName
from dermaxai.registry import check_name
from dermaxai.training.sections import (
    CaptionerSection,
    DataSection,
    EncoderSection,
    FeaturesSection,
    Section,
    TrainingSection,
    ValidationSection,
)

RIVALS = {"training.steps": "epochs", "training.epochs": "steps"}
"""Values of which a recipe has one or the other: a change to the one takes the other out."""


class Recipe(Section):
    """A whole training."""

    data: DataSection
    features: FeaturesSection
    encoder: EncoderSection
    captioner: CaptionerSection = CaptionerSection()
    training: TrainingSection
    validation: ValidationSection = ValidationSection()

    @model_validator(mode="after")
    def _stream_has_an_order(self) -> Recipe:
        drawn = {"data.datasets": self.data.datasets, "data.balance": self.data.balance}
        drawn["training.bucket_steps"] = self.training.bucket_steps - 1
        if self.features.shards and (given := [name for name, value in drawn.items() if value]):
            raise ValueError(f"photos from shards come in the stream's order; leave out {', '.join(given)}")
        if self.features.shards and self.training.batch % self.features.lanes:
            raise ValueError("training.batch must be a multiple of features.lanes")
        return self

    @property
    def values(self) -> dict[str, str]:
        """Every value as JSON under its dotted name."""
        return dict(_flat(self.model_dump(mode="json")))

    @property
    def sha256(self) -> str:
        """Of all values."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, ensure_ascii=False)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `changes` of the form 'training.steps=10', values as in TOML.

    A value that is no TOML counts as text. Raises: SettingError with every fault.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {error}.") from error
    faults = [fault for change in changes if (fault := apply_change(table, change, RIVALS))]
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        faults += faults_in_words(error, Recipe)
    tell_faults(path.name, faults)
    return recipe


def tell_faults(name: str, faults: Sequence[str]) -> None:
    """Raise SettingError with all of them, or do nothing where there are none."""
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise SettingError(f"{name}: {count}:" + "".join(f"\n  - {fault}" for fault in faults))


def apply_change(table: dict[str, Any], change: str, rivals: Mapping[str, str] | None = None) -> str:
    """Put one change into the table; gives the fault, '' for none.

    Of several tables of one name the one is meant that has the next part as its own name or as its number.
    """
    name, mark, text = change.partition("=")
    *path, last = name.strip().split(".")
    if not mark or not last:
        return f"--set {change}: expected table.key=value, such as training.steps=10"
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    inner: Any = table
    for part in path:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else _member(inner, part)
        if inner is None or not isinstance(inner, dict | list):
            return f"--set {change}: '{part}' is {'a value, no table' if inner is not None else 'not there'}"
    if isinstance(inner, list):
        return f"--set {change}: there are several '{path[-1]}'; say which by its name or number"
    inner[last] = value
    inner.pop((rivals or {}).get(name.strip(), ""), None)
    return ""


def _member(tables: list[Any], part: str) -> Any:  # noqa: ANN401 - whatever a table holds
    """Of a list of tables, by name or by number from 0; None where there is none."""
    numbered = int(part) if part.isdecimal() else len(tables)
    found = (one for one in tables if isinstance(one, dict) and one.get("name") == part)
    return next(found, tables[numbered] if numbered < len(tables) else None)


def faults_in_words(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    """Every fault of a file that should have been a `kind`, with the nearest known key."""
    return [_tell(fault, kind) for fault in error.errors() if not _is_other_branch(fault)]


def _is_other_branch(fault: Any) -> bool:  # noqa: ANN401 - pydantic's ErrorDetails, as below
    """Whether a table was compared with the word that might stand in its place."""
    return str(fault["loc"][-1:]).startswith('("literal[')


def _tell(fault: Any, kind: type[BaseModel]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose keys depend on the fault
    """In words; pydantic's marks of keys and of branches are no part of a place."""
    place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith(("dict[", "[key]")))
    if fault["type"] == "extra_forbidden":
        *above, name = fault["loc"]
        try:
            check_name("key", str(name), _keys_at(kind, above))
        except UnknownName as error:
            return f"{place}: {error}"
    message = fault["msg"].removeprefix("Value error, ")
    place = place or "the recipe"
    shown = "" if fault["type"] in ("missing", "value_error") else f" (it is {fault['input']!r})"
    return f"{place}: {message[:1].lower()}{message[1:]}{shown}"


def _keys_at(kind: Any, path: Sequence[int | str]) -> list[str]:  # noqa: ANN401 - types of any form
    """Keys of the table at `path` in a `kind`."""
    for part in path:
        if get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        else:
            kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[str(part)].annotation
    return list(kind.model_fields)
