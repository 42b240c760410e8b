"""Tasks: one plan for one model on one data set, with a key of everything its numbers depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dermaxai
from dermaxai.evaluate.items import Item
from dermaxai.study.kinds import WORK, Assignment, KindOfWork, load_attribute
from dermaxai.study.recipe import Study, read_plan
from dermaxai.study.sections import KINDS, DataSection, Kind, ModelSection, PlanSection, StudySection

if TYPE_CHECKING:
    from dermaxai.evaluate.items import Evaluation, Progress
    from dermaxai.evaluate.records import Records
    from dermaxai.pipeline import Model

DECIDING = (
    "answers", "captioner", "colour", "concepts", "data", "dicom", "encoders", "evaluate", "explain",
    "geometry", "images", "loading", "measure", "phantom", "pipeline", "questions", "statements", "types",
    "vocabulary",
)  # fmt: skip
"""Rooms whose code may change a number that is recorded."""
UNSAID = frozenset({"path", "place"})
"""Of a sample: where it lies on this machine."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is said of a model, and what its numbers depend on."""

    section: ModelSection
    key: Mapping[str, str]
    """Part of every key of its tasks."""
    licence: str
    citation: str
    has_captioner: bool


@dataclass(frozen=True, slots=True, eq=False)
class DataFacts:
    """The photos of a data set."""

    section: DataSection
    items: tuple[Item, ...]
    train: tuple[Item, ...]
    marks: tuple[str, ...]
    """Of each item: a digest of its photo, of what is said of it, and of its outline."""
    notes: tuple[str, ...] = ()
    """On how the photos were chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One evaluation."""

    kind: Kind
    title: str
    """Of the plan."""
    plan: Any
    model: ModelFacts
    data: DataFacts
    key: Mapping[str, str]
    work: KindOfWork

    @property
    def name(self) -> str:
        """For people, and for `--only`: 'explanations/demo/ham10000'."""
        return f"{self.title}/{self.model.section.title}/{self.data.section.name}"

    @property
    def assignment(self) -> Assignment:
        """All of it."""
        return Assignment(self.plan, self.data.items, self.data.train)


Gather = Callable[[DataSection, int, bool], tuple[Sequence[Item], Sequence[str]]]
"""(which, seed, whether the training part is asked for) to photos and what must be known of the choice."""
Load = Callable[[ModelSection, StudySection], "Model"]


def gather_items(section: DataSection, seed: int, train: bool) -> tuple[Sequence[Item], Sequence[str]]:
    """The photos of a data set, with notes. Raises: as `evaluate.gathering.gather_noted`."""
    from dermaxai.evaluate.gathering import gather_noted

    if train:
        found = gather_noted(section.train, split="train", limit=section.train_limit, seed=seed)
    else:
        found = gather_noted(
            section.on,
            split=section.part,
            ids=section.ids,
            limit=section.limit,
            masks=section.masks,
            seed=seed,
        )
    return found.items, found.notes


def load_model(section: ModelSection, study: StudySection) -> Model:
    """The model in the study's numbers. Raises: as `pipeline.load`."""
    from dermaxai.pipeline import load

    return load(
        section.name,
        source=section.source or None,
        captioner=section.captioner or None,
        device=study.device,
        dtype=section.dtype,
        threads=study.threads,
        seed=study.seed,
    )


def plan_tasks(
    study: Study,
    work: Mapping[str, KindOfWork] = WORK,
    *,
    load: Load = load_model,
    gather: Gather = gather_items,
) -> list[Task]:
    """Every task of a study, those of one model together.

    Raises: what loading the models and reading the data sets raise; SettingError for a plan that is none.
    """
    seed = study.study.seed
    data = {section.name: _data_facts(section, seed, gather) for section in study.data}
    tasks = []
    for section in study.model:
        facts = facts_of(section, load(section, study.study), study.study)
        for kind, title, given in _plans_for(study, section):
            plan = read_plan(work[kind].plan, given.options, seed)
            for name in given.data or data:
                key = _key(kind, plan, facts, data[name], work[kind])
                tasks.append(Task(kind, title, plan, facts, data[name], key, work[kind]))
    return tasks


def _plans_for(study: Study, model: ModelSection) -> Iterator[tuple[Kind, str, PlanSection]]:
    for kind in KINDS:
        for title, section in study.plans(kind):
            if not section.models or model.title in section.models:
                yield kind, title, section


def facts_of(section: ModelSection, model: Model, study: StudySection) -> ModelFacts:
    """What must be known of a model when it is no longer in memory."""
    from dermaxai.features.key import preprocessing_digest
    from dermaxai.provenance import captioner_name, device_name, library_versions

    card, captioner = model.encoder.card, model.captioner
    key = {
        "encoder": card.name,
        "encoder title": card.title,
        "encoder hub id": card.repo_id,
        "encoder revision": model.encoder.revision,
        "encoder sha256": model.encoder.sha256,
        "preprocessing": preprocessing_digest(card)[:16],
        "prompts": _digest(list(card.templates))[:16],
        "captioner": captioner_name(captioner),
        "captioner sha256": captioner.sha256 if captioner else "",
        "beams": str(model.settings.beams),
        "dtype": str(model.encoder.dtype).removeprefix("torch."),
        "device": device_name(model.encoder.device),
        "threads": str(study.threads),
        "dermaxai": version("dermaxai"),
        "code": code_digest()[:16],
        **library_versions(),
    }
    return ModelFacts(section, key, card.licence, card.citation, captioner is not None)


def _data_facts(section: DataSection, seed: int, gather: Gather) -> DataFacts:
    items, notes = gather(section, seed, False)
    train, more = gather(section, seed, True) if section.train else ((), ())
    marks = tuple(mark_of(item) for item in items)
    return DataFacts(section, tuple(items), tuple(train), marks, tuple(dict.fromkeys((*notes, *more))))


def mark_of(item: Item) -> str:
    """A digest of a photo, of what is said of it and of its outline, wherever the files lie."""
    said = {name: value for name, value in dataclasses.asdict(item.sample).items() if name not in UNSAID}
    outline = hashlib.sha256(item.mask.read_bytes()).hexdigest() if item.mask else ""
    return _digest([item.id, item.sha256, said, outline])[:32]


def _key(kind: Kind, plan: object, model: ModelFacts, data: DataFacts, work: KindOfWork) -> dict[str, str]:
    train = [mark_of(item) for item in data.train]
    context = load_attribute(work.context)(Assignment(plan, data.items)) if work.context else ""
    return {
        "kind": kind,
        "plan": json.dumps(plan_values(plan), sort_keys=True, ensure_ascii=False),
        "context": context,
        **model.key,
        "photos": _digest(list(data.marks)),
        "training photos": _digest(train) if train else "",
    }


def plan_values(plan: Any) -> dict[str, Any]:  # noqa: ANN401 - a plan of any kind
    """Every field of a plan as JSON holds it."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(plan), default=str))
    return values


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_digest() -> str:
    """Of the source files that decide numbers: a working copy whose code changes computes anew."""
    home = Path(dermaxai.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*")):
        room = path.relative_to(home).parts[0].removesuffix(".py")
        if room in DECIDING and path.suffix in (".py", ".json", ".csv") and path.is_file():
            digest.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def work_on(
    task: Task,
    items: Sequence[Item],
    model: Model,
    records: Records | None,
    tell: Progress | None = None,
) -> None:
    """Put what is recorded of some photos of a task. Raises: what the evaluation raises."""
    if task.work.apart:
        load_attribute(task.work.portion)(task.assignment, items, model, records, tell)
    else:
        some = Assignment(task.plan, tuple(items), task.data.train)
        load_attribute(task.work.work)(some, model, records, tell)


def evaluate_task(
    task: Task, model: Model, records: Records | None, tell: Progress | None = None
) -> Evaluation:
    """All of a task; what the records hold is not computed again."""
    found: Evaluation = load_attribute(task.work.work)(task.assignment, model, records, tell)
    return found


def chosen_tasks(tasks: Sequence[Task], only: Sequence[str]) -> list[Task]:
    """Those whose name, kind, model or data set is named; all where nothing is.

    Raises: UnknownName for what names no task.
    """
    from dermaxai.registry import check_name

    words = {task.name: {task.name, *task.name.split("/"), task.kind} for task in tasks}
    for name in only:
        check_name("task", name, sorted(set().union(*words.values())))
    return [task for task in tasks if not only or words[task.name] & set(only)]
