"""Train the demo's bridge and LoRA: encoder frozen, T5 base frozen, both proven bit-identical afterwards."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Float16
from torch import Tensor

from dermaxai.captioner import (
    BridgeConfig,
    Captioner,
    CaptionerConfig,
    FrozenWatch,
    LoraSettings,
    T5Base,
)
from dermaxai.captioner.agreement import LEAD
from dermaxai.data.ham10000 import DIAGNOSES
from dermaxai.data.weak_captions import caption
from dermaxai.embedded.clip import MEAN, STD
from dermaxai.embedded.language import LANGUAGES, NAME, PROMPTS
from dermaxai.embedded.photos import Measured, augment
from dermaxai.embedded.recipes import check_same, fingerprint
from dermaxai.embedded.texts import facts_of
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.statements import MEASURED_SLOTS, Facts, read_facts

LOG = logging.getLogger(__name__)
LICENCE = "CC BY-NC 4.0"
"""Of the photos, and therefore of the weights."""
FEWEST = 4


@dataclass(frozen=True, slots=True)
class CaptionerRecipe:
    """Everything that decides the demo captioner."""

    hidden: int = 192
    layers: int = 3
    heads: int = 4
    queries: int = 24
    dropout: float = 0.1
    rank: int = 16
    views: int = 4
    """Of each training photo: itself and augmented ones."""
    steps: int = 700
    batch: int = 64
    bridge_rate: float = 1.2e-3
    lora_rate: float = 1.5e-3
    weight_decay: float = 0.05
    noise: float = 0.1
    """Standard deviation of the noise on patch features, in their own standard deviations."""
    shift: float = 0.2
    """The same, of noise that all patches of a photo share: the encoder knows its training photos better than
    others, and a captioner that trusts their features to the last digit fails on others'."""
    balance: float = 0.8
    """0: diagnoses as frequent as in the data; 1: all equally frequent."""
    check_every: int = 100
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Frozen patch features with what may be said of them."""

    patches: Float16[Tensor, "rows n width"]
    facts: tuple[Facts, ...]
    diagnosis: tuple[int, ...]


def encode_views(
    data: Measured, chosen: Sequence[int], encoder: AbstractEncoder, *, views: Sequence[int], seed: int = 0
) -> Views:
    """Patch features of the photos: view 0 is the photo itself, every other number its own augmentation."""
    patches, facts, labels = [], [], []
    for view in views:
        generator = torch.Generator().manual_seed(seed * 97 + view)
        for start in range(0, len(chosen), 64):
            rows = list(chosen[start : start + 64])
            pixels, areas = data.photos[rows].float() / 255, [data.appearances[i].area for i in rows]
            if view:
                pixels, coverage = augment(data.photos[rows], data.masks[rows], generator)
                areas = coverage.mean(dim=(1, 2)).tolist()
            patches.append(encoder.forward((pixels - MEAN) / STD).patches.half())
            facts += [
                facts_of(data.appearances[i], area, data.rows[i].diagnosis)
                for i, area in zip(rows, areas, strict=True)
            ]
            labels += [DIAGNOSES.index(data.rows[i].diagnosis) for i in rows]
        LOG.info("features: view %d of %d photos", view, len(chosen))
    return Views(torch.cat(patches), tuple(facts), tuple(labels))


def build_captioner(recipe: CaptionerRecipe, encoder: AbstractEncoder, base: T5Base) -> Captioner:
    """The untrained captioner over a frozen encoder and a frozen T5."""
    bridge = BridgeConfig(
        encoder_width=encoder.width,
        output_width=base.width,
        hidden=recipe.hidden,
        layers=recipe.layers,
        heads=recipe.heads,
        queries=recipe.queries,
        cross_attention_frequency=1,
        dropout=recipe.dropout,
    )
    config = CaptionerConfig(
        encoder=encoder.card.name,
        encoder_sha256=encoder.sha256,
        bridge=bridge,
        t5=NAME,
        languages=PROMPTS,
        adapters={"default": LoraSettings(recipe.rank, 2 * recipe.rank)},
        max_tokens=80,
        tables={LEAD: LANGUAGES[0], "name": "demo", "licence": LICENCE},
    )
    return Captioner(config, base, seed=recipe.seed)


@final
class CaptionerTraining:
    """Bridge and LoRA on cached features, both languages of every photo in every step."""

    def __init__(
        self, captioner: Captioner, train: Views, validation: Views, recipe: CaptionerRecipe
    ) -> None:
        self.captioner, self.train, self.validation, self.recipe = captioner, train, validation, recipe
        self.parts = captioner.set_mode("bridge+lora")
        LOG.info("%s", self.parts)
        self.watch = FrozenWatch(t5=captioner.t5)
        bridge = [*self.parts.qformer, *self.parts.projection]
        groups = [
            {"params": bridge, "lr": recipe.bridge_rate},
            {"params": list(self.parts.lora), "lr": recipe.lora_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, [recipe.bridge_rate, recipe.lora_rate], recipe.steps, pct_start=0.08
        )
        counts = np.bincount(train.diagnosis, minlength=len(DIAGNOSES)).astype(float)
        weight = np.maximum(counts, 1) ** -recipe.balance
        self.chance = weight[list(train.diagnosis)] / weight[list(train.diagnosis)].sum()
        self.spread = float(train.patches[:200].float().std())
        before = captioner.config.encoder_sha256, captioner.base_sha256
        self.made_from = fingerprint(asdict(recipe), before, [asdict(one) for one in train.facts])
        self.step, self.best = 0, -1.0

    def advance(self) -> float:
        """One optimisation step; gives the loss in nats per token."""
        recipe = self.recipe
        numbers = np.random.default_rng((recipe.seed, self.step))
        rows = numbers.choice(len(self.chance), recipe.batch, p=self.chance)
        patches = self.train.patches[torch.from_numpy(rows)].float()
        patches = patches + torch.randn_like(patches) * (recipe.noise * self.spread)
        patches = patches + torch.randn_like(patches[:, :1]) * (recipe.shift * self.spread)
        texts = [caption(self.train.facts[row], language, numbers) for row in rows for language in LANGUAGES]
        self.captioner.train()
        loss = self.captioner.loss(patches, texts, list(LANGUAGES) * len(rows))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parts.all, 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return float(loss.detach())

    def run(self, folder: Path) -> None:
        """Train to the end; the state with the best validation captions is kept and put back."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(self.recipe.seed)
        self._resume(folder)
        while self.step < self.recipe.steps:
            loss = self.advance()
            if self.step % 20 == 0:
                LOG.info("captioner: step %d loss %.4f", self.step, loss)
            if self.step % self.recipe.check_every == 0 or self.step == self.recipe.steps:
                self._check(folder, loss)
        state = torch.load(folder / "captioner.best", weights_only=True)
        self.captioner.load_state_dict(state)
        self.captioner.requires_grad_(False).eval()
        self.watch.check()

    def _check(self, folder: Path, loss: float) -> None:
        scores = score_captions(self.captioner, self.validation)
        goal = scores["diagnosis"] + sum(scores[slot] for slot in MEASURED_SLOTS) / len(MEASURED_SLOTS)
        LOG.info("captioner: step %d %s", self.step, " ".join(f"{k} {v:.3f}" for k, v in scores.items()))
        _append(folder / "captioner.csv", {"step": self.step, "loss": loss, **scores})
        if goal > self.best:
            self.best = goal
            torch.save(self.captioner.state_dict(), folder / "captioner.best")
        state = {
            "made from": self.made_from,
            "step": self.step,
            "best": self.best,
            "weights": self.captioner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }
        part = folder / "captioner.part"
        torch.save(state, part)
        part.replace(folder / "captioner.state")

    def _resume(self, folder: Path) -> None:
        path = folder / "captioner.state"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        check_same(state.get("made from"), self.made_from, path)
        self.captioner.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        self.step, self.best = state["step"], state["best"]
        LOG.info("captioner: resumed at step %d", self.step)


def _append(path: Path, line: Mapping[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(line))
        if fresh:
            writer.writeheader()
        writer.writerow(line)


@contextmanager
def own_words(captioner: Captioner) -> Iterator[None]:
    """Captions as the decoder writes them: none mended, none brought into agreement with another language."""
    config = captioner.config
    tables = {name: value for name, value in config.tables.items() if name != LEAD}
    captioner.config = config.with_changes(tables=tables)
    try:
        yield
    finally:
        captioner.config = config


def describe_views(captioner: Captioner, views: Views) -> dict[str, list[str]]:
    """Greedy captions of cached features, by language."""
    return {
        language: [
            one.text
            for start in range(0, len(views.patches), 64)
            for one in captioner.describe_patches(views.patches[start : start + 64].float(), language)
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


def mean_patches(views: Views, photos: int) -> Float[Tensor, "n width"]:
    """The mean image's features: what the evidence of a word is measured against."""
    return views.patches[:photos].float().mean(dim=0)
