"""A methods section that states every setting a number depends on, in English, ready to be quoted."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dermaxai.evaluate.items import Evaluation
from dermaxai.measure.estimates import LEVEL, RESAMPLES
from dermaxai.measure.scale import Scale
from dermaxai.provenance import LIBRARIES
from dermaxai.study.planning import DataFacts, ModelFacts, Task, plan_values
from dermaxai.study.recipe import Study
from dermaxai.study.sources import numbers_in, reference_lines

QUESTIONS = {
    "word": "why the text decoder wrote a word of its English caption that owes something to the photo",
    "query": "where the photo matches a text, by the similarity of their embeddings",
    "concept": "where the photo shows a concept that is known to be true of it",
}
REMOVALS = {
    "tokens": "their tokens were dropped before the first block",
    "blur": "their pixels were blurred",
    "mean": "their pixels were set to the photo's mean colour",
    "noisy linear": "their pixels were filled from their neighbours with noise",
}


def methods_page(study: Study, tasks: Sequence[Task], evaluations: Sequence[Evaluation]) -> str:
    """Markdown with a paragraph on models, photos, each plan, statistics and software, and the references."""
    lines = ["# Methods", ""]
    lines += [study.study.about, ""] if study.study.about else []
    lines += _section("Models", (_model(facts) for facts in _models(tasks)))
    lines += _section("Photos", (_photos(facts) for facts in _data(tasks)))
    lines += _section("Evaluation", _plans(tasks))
    lines += _section("Metrics", _metrics(evaluations))
    lines += _section("Statistics", [_statistics(study)])
    lines += _section("Software", [_software(tasks)])
    if notes := _notes(tasks, evaluations):
        lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    text = "\n".join(lines)
    return "\n".join([text, "## References", "", *reference_lines(numbers_in(text)), ""])


def _section(title: str, paragraphs: Sequence[str] | Iterator[str]) -> list[str]:
    return [f"## {title}", "", *(line for paragraph in paragraphs for line in (paragraph, ""))]


def _models(tasks: Sequence[Task]) -> list[ModelFacts]:
    return list({task.model.section.title: task.model for task in tasks}.values())


def _data(tasks: Sequence[Task]) -> list[DataFacts]:
    return list({task.data.section.name: task.data for task in tasks}.values())


def _model(facts: ModelFacts) -> str:
    key, section = facts.key, facts.section
    place = f"hub id {key['encoder hub id']}" if key["encoder hub id"] else "not from the hub"
    if key["encoder revision"]:
        place += f", revision {key['encoder revision']}"
    text = (
        f"*{section.title}*: the frozen image encoder {key['encoder title']} ({place}, SHA-256 of the "
        f"weights {key['encoder sha256'] or 'unknown'}, licence {facts.licence})"
    )
    if facts.has_captioner:
        text += (
            f", read by the captioner {key['captioner']} (SHA-256 {key['captioner sha256']}), which decoded "
            + ("greedily" if key["beams"] == "1" else f"with {key['beams']} beams")
        )
    text += (
        f". Both were run in {key['dtype']} on {_device(key)}."
        if facts.has_captioner
        else (f", without a captioner. It was run in {key['dtype']} on {_device(key)}.")
    )
    return f"{text} {facts.citation.rstrip('.')}." if facts.citation else text


def _device(key: Mapping[str, str]) -> str:
    threads = f"{key['threads']} thread{'s' if key['threads'] != '1' else ''} per process"
    return f"the device {key['device']} with {threads}"


def _photos(facts: DataFacts) -> str:
    section, items = facts.section, facts.items
    clusters = len({item.cluster or item.id for item in items})
    outlined = sum(item.mask is not None for item in items)
    text = (
        f"*{section.name}*: {len(items):,} photos in {clusters:,} clusters (of a lesion, patient or picture)"
    )
    text += f" from {', '.join(_source(place) for place in section.on)}"
    text += f", {_choice(facts)}. "
    text += (
        f"{outlined} of them have an outline that was brought with the data"
        if outlined
        else ("None of them has an outline that was brought with the data")
    )
    diagnoses = Counter(item.sample.diagnosis for item in items if item.sample.diagnosis)
    if diagnoses:
        told = ", ".join(f"{name} {count}" for name, count in diagnoses.most_common())
        unlabelled = len(items) - sum(diagnoses.values())
        text += f". Diagnoses: {told}" + (f", none {unlabelled}" if unlabelled else "")
    text += f". The photos and what is said of them have the digest {_digest(facts)}."
    if facts.train:
        text += f" {len(facts.train):,} photos of the training part served linear probes and baselines."
    return " ".join([text, *facts.notes])


def _digest(facts: DataFacts) -> str:
    import hashlib

    return hashlib.sha256("".join(facts.marks).encode()).hexdigest()[:16]


def _source(place: str) -> str:
    """Without the folders of this machine."""
    name, mark, _ = place.partition("=")
    if not mark:
        return f"'{'/'.join(Path(place).parts[-2:])}'"
    from dermaxai.data.cards import card_names, read_card

    return f"{name} ({read_card(name).citation.rstrip('.')})" if name in card_names() else f"'{name}'"


def _choice(facts: DataFacts) -> str:
    section = facts.section
    if section.ids:
        chosen = f"those listed in {section.ids.name}"
    else:
        chosen = "all parts" if section.part is None else f"the {section.part} part"
    if section.limit:
        chosen += f", {section.limit} at most, drawn by whole clusters with diagnoses in proportion"
    return chosen


def _plans(tasks: Sequence[Task]) -> Iterator[str]:
    for title, group in _by_title(tasks).items():
        first = group[0]
        names = [f"{one.model.section.title} on {one.data.section.name}" for one in group]
        where = "; ".join(dict.fromkeys(names))
        values = plan_values(first.plan)
        told = " ".join(_about_plan(values, first.kind))
        yield f"*{title}* ({first.kind}; {where}). {told}"


def _by_title(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.title, []).append(task)
    return groups


def _about_plan(values: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Sentences on every field; those that are known to this page are put into words."""
    rest = dict(values)
    if kind == "explanations":
        if "methods" in rest:
            yield _methods(rest.pop("methods"))
        if "questions" in rest:
            asked = rest.pop("questions")
            yield f"They were asked {'; '.join(f'({name}) {QUESTIONS.get(name, name)}' for name in asked)}."
        if "baselines" in rest:
            yield _baselines(rest.pop("baselines"))
        if isinstance(rest.get("protocol"), dict):
            yield _protocol(rest.pop("protocol"))
    for name, value in rest.items():
        yield f"{name.replace('_', ' ').capitalize()}: {_value(value)}."


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_value(one)}" for name, one in value.items())
    if value is None or value == "":
        return "none"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _methods(names: Sequence[str]) -> str:
    from dermaxai.questions import find_method

    told = []
    for name in names:
        method = find_method(name)
        told.append(f"{method.title}, variant '{method.variant}' ({source_of(type(method))})")
    return f"The methods were {'; '.join(told)}."


def _baselines(names: Sequence[str]) -> str:
    from dermaxai.measure.maps import BASELINES

    titles = [BASELINES.load(name).title for name in names]
    if not titles:
        return "No map that knows nothing of the question stood beside them."
    return f"Maps that know nothing of the question stood beside them: {', '.join(titles)}."


def _protocol(given: Mapping[str, Any]) -> str:
    removal = REMOVALS.get(str(given.get("removal")), str(given.get("removal")))
    return (
        f"Patches were taken away such that {removal}, in {given.get('steps')} equal shares; curves of "
        f"{given.get('random_maps')} random orders were compared with; correlation and infidelity used "
        f"{given.get('subsets')} random subsets of patches, max-sensitivity {given.get('noisy_photos')} "
        f"noisy photos of radius {given.get('radius')}; passes through the image tower were in "
        f"{'the numbers of the model' if given.get('passes') == 'model' else given.get('passes')}; patches "
        f"of equal value were ordered at random with seed {given.get('seed')}."
    )


def source_of(kind: type) -> str:
    """The works that a docstring names after 'Source:', on one line."""
    found = re.search(r"Source:\s*(.+?)(?:\n\s*\n|\Z)", inspect.getdoc(kind) or "", re.DOTALL)
    return " ".join(found[1].split()).rstrip(".") if found else "this project"


def _metrics(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    scales: dict[str, Scale] = {}
    for evaluation in evaluations:
        for column in evaluation.columns:
            scales.setdefault(column.scale.name, column.scale)
    for scale in scales.values():
        better = "descriptive" if scale.better == "neither" else f"{scale.better} is better"
        source = f"; {scale.source}" if scale.source else ""
        yield f"- {scale.title} (`{scale.name}`): {scale.unit}, {scale.range}, {better}{source}."


def _statistics(study: Study) -> str:
    text = (
        f"Intervals are {LEVEL:g} % percentile intervals of {RESAMPLES:,} bootstrap resamples of clusters "
        f"(photos of one lesion, patient or picture are drawn together; Efron and Tibshirani 1993, section "
        f"13.3), seed {study.study.seed}. Several values of one photo (its words, its questions) were "
        "averaged first, so that photos count equally. Differences are paired: both contestants on the same "
        "photos in the same resamples; their two-sided p value is twice the smaller share of resampled "
        "differences on one side of zero (Davison and Hinkley 1997, section 4.4), and beyond what resamples "
        "can count that of Student's t with the bootstrap's standard error. Values that are not defined for "
        "a photo are left out and reduce n; none is counted as zero."
    )
    if study.claim:
        text += (
            " Claimed rankings were decided at the level 0.05 after Holm's correction (1979) over the "
            "neighbouring pairs and metrics of the same photos and question; differences from maps that know "
            "nothing were corrected over contestants and such maps within each metric."
        )
    return text


def _software(tasks: Sequence[Task]) -> str:
    key = tasks[0].model.key
    versions = ", ".join(f"{name} {key[name]}" for name in ("python", *LIBRARIES) if name in key)
    code = f"digest of the source files that decide numbers {key['code']}"
    return f"DermaXAI {key['dermaxai']} ({code}); {versions}."


def _notes(tasks: Sequence[Task], evaluations: Sequence[Evaluation]) -> list[str]:
    """What evaluations remarked, once each, with the task that did."""
    told: dict[str, list[str]] = {}
    for task, evaluation in zip(tasks, evaluations, strict=True):
        for note in evaluation.notes:
            told.setdefault(note, []).append(task.name)
    return [f"{', '.join(names)}: {note}" for note, names in told.items()]
