"""The embedded captioner, trained as any other: manifest, feature cache, recipe; judged by its own facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float16
from torch import Tensor

from dermaxai.captioner import Captioner
from dermaxai.data.building import BuildOptions, build
from dermaxai.data.manifest import Manifest
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Part
from dermaxai.data.splitting import SplitOptions
from dermaxai.data.weak_captions import gather
from dermaxai.embedded.clip import MEAN, STD
from dermaxai.embedded.language import LANGUAGES
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.embedded.photos import Measured
from dermaxai.embedded.splits import Split
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.features.extracting import Extraction, extract, photos_of
from dermaxai.features.key import make_key
from dermaxai.features.store import FeatureCache
from dermaxai.statements import MEASURED_SLOTS, Facts, read_facts
from dermaxai.training.assembling import assemble
from dermaxai.training.checking import check_recipe
from dermaxai.training.loop import Listener, Training
from dermaxai.training.recipe import Recipe
from dermaxai.training.team import AcceleratedTeam
from dermaxai.training.validation import own_words

LICENCE = "CC BY-NC 4.0"
"""Of the photos, and therefore of the weights."""
FEWEST = 4
BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Frozen patch features of photos with what may be said of them."""

    patches: Float16[Tensor, "rows n width"]
    facts: tuple[Facts, ...]
    diagnosis: tuple[int, ...]


def encode_views(data: Measured, chosen: Sequence[int], encoder: AbstractEncoder) -> Views:
    """Patch features of the photos as they are."""
    patches = [
        encoder.forward(
            (data.photos[list(chosen[at : at + BATCH])].float() / 255 - MEAN) / STD
        ).patches.half()
        for at in range(0, len(chosen), BATCH)
    ]
    facts = tuple(gather(data.appearances[i], data.rows[i].diagnosis) for i in chosen)
    labels = tuple(DIAGNOSES.index(data.rows[i].diagnosis) for i in chosen)
    return Views(torch.cat(patches), facts, labels)


def write_manifest(data: Measured, split: Split, folder: Path, out: Path) -> Path:
    """The photos' manifest, every photo in the part that `split` gives it, the others in the test part.

    Photos are measured once more, and that is remembered beside the manifest.
    """
    parts: dict[str, Part] = {}
    chosen: Mapping[Part, Sequence[int]] = {
        "train": split.train,
        "validation": split.validation,
        "test": split.test,
    }
    for part, rows in chosen.items():
        parts |= {f"ham10000/{data.rows[row].image}": part for row in rows}
    options = BuildOptions(split=SplitOptions(fractions=(0, 0, 1), pinned=parts))
    return build([("ham10000", DatasetFolder(folder))], out / "ham10000.parquet", options).path


def write_features(manifest: Path, encoder: AbstractEncoder, folder: Path, views: int) -> None:
    """Patch features of every photo and its augmented views; what is there already stays."""
    key = make_key(encoder)
    place = folder / "features"
    cache = FeatureCache.open(place, key) if place.is_dir() else FeatureCache.create(place, key)
    extract(encoder, photos_of(Manifest.open(manifest)), cache, Extraction(views=views, batch=BATCH))


def run_recipe(recipe: Recipe, folder: Path, validation: Views, listen: Listener) -> Captioner:
    """Train in `folder`, or go on there; gives the state whose captions of `validation` are best.

    Raises: as `training.running.train_recipe`.
    """
    check_recipe(recipe)
    team = AcceleratedTeam("cpu")
    job = replace(assemble(recipe, folder, team), check=FactsCheck(validation))
    Training(job, folder, team, listen=listen).run(resume=True)
    return job.captioner


@final
class FactsCheck:
    """Compares states by the facts in their captions: rare diagnoses count as much as common ones."""

    def __init__(self, validation: Views) -> None:
        self._validation = validation

    def measure(self, captioner: Captioner) -> dict[str, float]:
        """Those of `score_captions`; the goal is the diagnosis and the mean of the measured facts."""
        with own_words(captioner):
            scores = score_captions(captioner, self._validation)
        goal = scores["diagnosis"] + sum(scores[slot] for slot in MEASURED_SLOTS) / len(MEASURED_SLOTS)
        return {**scores, "goal": goal}


def describe_views(captioner: Captioner, views: Views) -> dict[str, list[str]]:
    """Greedy captions of cached features, by language."""
    return {
        language: [
            one.text
            for start in range(0, len(views.patches), BATCH)
            for one in captioner.describe_patches(views.patches[start : start + BATCH].float(), language)
        ]
        for language in LANGUAGES
    }


def score_captions(captioner: Captioner, views: Views) -> dict[str, float]:
    """Balanced accuracy of the diagnosis, accuracy of the measured facts, agreement of the languages.

    Diagnoses with fewer than `FEWEST` photos do not count here: one photo would decide which state is kept.
    """
    texts = describe_views(captioner, views)
    english, russian = ([read_facts(text, language) for text in texts[language]] for language in LANGUAGES)
    recalls = []
    for label, name in enumerate(DIAGNOSES):
        rows = [i for i, one in enumerate(views.diagnosis) if one == label]
        if len(rows) >= min(FEWEST, len(views.diagnosis)):
            recalls.append(_share(english[i].diagnosis == name for i in rows))
    scores = {"diagnosis": sum(recalls) / max(len(recalls), 1)}
    known = [i for i, fact in enumerate(views.facts) if fact.size]
    for slot in MEASURED_SLOTS:
        scores[slot] = _share(english[i].value(slot) == views.facts[i].value(slot) for i in known)
    scores["same facts"] = _share(one == other for one, other in zip(english, russian, strict=True))
    return scores


def _share(right: Iterable[bool]) -> float:
    """Share of right answers; 0 where there is none to give."""
    answers = list(right)
    return sum(answers) / len(answers) if answers else 0.0


def as_published(captioner: Captioner, name: str) -> None:
    """What the embedded model is called: no path of this machine, the name of its text model."""
    tables: dict[str, Any] = {**captioner.config.tables, "name": "demo", "licence": LICENCE}
    captioner.config = captioner.config.with_changes(t5=name, tables=tables)
