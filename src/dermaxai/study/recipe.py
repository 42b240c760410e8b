"""`Study`: a whole comparison as one TOML file whose faults are told all at once.

Its tables are those of `sections.py`. Relative paths stand relative to the working directory.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError, field_validator, model_validator

from dermaxai.errors import DermaXAIError, SettingError, UnknownName
from dermaxai.registry import check_name
from dermaxai.study.kinds import WORK, KindOfWork, load_attribute
from dermaxai.study.sections import (
    KINDS,
    ClaimSection,
    DataSection,
    Kind,
    ModelSection,
    PlanSection,
    StudySection,
)
from dermaxai.training.recipe import apply_change, faults_in_words, tell_faults
from dermaxai.training.sections import Section


class Study(Section):
    """A whole comparison."""

    study: StudySection
    data: tuple[DataSection, ...]
    model: tuple[ModelSection, ...] = (ModelSection(),)
    captions: tuple[PlanSection, ...] = ()
    explanations: tuple[PlanSection, ...] = ()
    encoders: tuple[PlanSection, ...] = ()
    claim: tuple[ClaimSection, ...] = ()

    @field_validator("data", "model", *KINDS, "claim", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return [given] if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _names(self) -> Study:
        names = {
            "data": [one.name for one in self.data],
            "model": [one.title for one in self.model],
            "claim": [one.name for one in self.claim],
        }
        names |= {kind: [title for title, _ in self.plans(kind)] for kind in KINDS}
        for table, given in names.items():
            if twice := sorted({name for name in given if given.count(name) > 1}):
                raise ValueError(f"{table}: there are several '{twice[0]}'; give each a name of its own")
        if not self.data or not self.model:
            raise ValueError("data and model: name at least one of each")
        if not any(names[kind] for kind in KINDS):
            raise ValueError(f"at least one of the tables {', '.join(KINDS)} says what to evaluate")
        self._references(names)
        return self

    def _references(self, names: Mapping[str, list[str]]) -> None:
        for kind in KINDS:
            for title, section in self.plans(kind):
                _known(f"{kind} {title}", "data set", section.data, names["data"])
                _known(f"{kind} {title}", "model", section.models, names["model"])
        for claim in self.claim:
            _known(f"claim {claim.name}", "plan", claim.plans, names[claim.kind])
            if not names[claim.kind]:
                raise ValueError(f"claim {claim.name}: there is no table [[{claim.kind}]] that it is about")

    def plans(self, kind: Kind) -> list[tuple[str, PlanSection]]:
        """Plans of a kind with their names; one without a name is called as its kind."""
        sections: tuple[PlanSection, ...] = getattr(self, kind)
        return [(section.name or kind, section) for section in sections]


def _known(where: str, what: str, given: Sequence[str], known: list[str]) -> None:
    """Raises: ValueError."""
    for name in given:
        try:
            check_name(what, name, known)
        except UnknownName as error:
            raise ValueError(f"{where}: {error.message}") from error


def read_study(path: Path, changes: Sequence[str] = (), work: Mapping[str, KindOfWork] = WORK) -> Study:
    """A study from a TOML file, with `changes` of the form 'data.isic2017.limit=10', values as in TOML.

    A value that is no TOML counts as text. Raises: SettingError with every fault.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The study {path} cannot be read: {error}.") from error
    faults = [fault for change in changes if (fault := apply_change(table, change))]
    faults += _faults_of_plans(table, work)
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        faults += faults_in_words(error, Study)
    tell_faults(path.name, faults)
    return study


def read_plan(place: str, options: Mapping[str, object], seed: int = 0) -> Any:  # noqa: ANN401
    """An object of the dataclass at `place`; `seed` where its fields, or those of its parts, have one.

    Raises: SettingError with every fault.
    """
    kind = load_attribute(place)
    given = _seeded(kind, options, seed)
    faults = list(_unknown_keys(kind, options))
    plan = None
    try:
        plan = TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        faults += [_fault(fault) for fault in error.errors()]
    except DermaXAIError as error:
        faults.append(str(error))
    if faults:
        raise SettingError("\n".join(faults))
    return plan


def _faults_of_plans(table: Mapping[str, Any], work: Mapping[str, KindOfWork]) -> Iterator[str]:
    """Of the raw tables, so that they are told together with all others."""
    for kind in KINDS:
        given = table.get(kind, [])
        for number, raw in enumerate([given] if isinstance(given, dict) else given):
            if not isinstance(raw, dict):
                continue
            options = {name: value for name, value in raw.items() if name not in PlanSection.model_fields}
            try:
                read_plan(work[kind].plan, options)
            except SettingError as error:
                yield from (f"{kind}.{raw.get('name', number)}: {line}" for line in str(error).split("\n"))


def _seeded(kind: type, options: Mapping[str, object], seed: int) -> dict[str, object]:
    """The options with the study's seed where they name none."""
    hints, given = get_type_hints(kind), dict(options)
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        if field.name == "seed":
            given.setdefault("seed", seed)
        elif dataclasses.is_dataclass(inner) and isinstance(inner, type):
            asked = given.get(field.name, {})
            given[field.name] = _seeded(inner, asked, seed) if isinstance(asked, dict) else asked
    return given


def _unknown_keys(kind: type, options: Mapping[str, object], before: str = "") -> Iterator[str]:
    hints = get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    for name, value in options.items():
        try:
            check_name("key", name, known)
        except UnknownName as error:
            yield f"{before}{name}: {error}"
            continue
        inner = hints[name]
        if isinstance(value, dict) and dataclasses.is_dataclass(inner) and isinstance(inner, type):
            yield from _unknown_keys(inner, value, f"{before}{name}.")


def _fault(fault: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    place = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    shown = "" if fault["type"] in ("missing", "value_error") else f" (it is {fault['input']!r})"
    return f"{place}: {message[:1].lower()}{message[1:]}{shown}"
