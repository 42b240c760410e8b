"""Train the demo's CLIP from nothing: open_clip format, frozen ever after.

Text and image meet in a contrastive loss; beside it, heads that are thrown away afterwards ask the image
tower for the diagnosis, the measured facts and the lesion's place, which a small data set needs to learn
patch features.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

from dermaxai.data.appearance import PALETTE
from dermaxai.embedded.clip import MEAN, PATCH, STD, build_clip, encode_short, export, image_tokens
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.embedded.muon import Muon
from dermaxai.embedded.photos import Measured, augment
from dermaxai.embedded.recipes import EncoderRecipe, Phase, check_same, fingerprint
from dermaxai.embedded.texts import draw_text, fact_vector, facts_of

LOG = logging.getLogger(__name__)


class Heads(nn.Module):
    """Questions asked while training and thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.diagnosis = nn.Linear(2 * width, len(DIAGNOSES))
        self.facts = nn.Linear(2 * width, 3 + 2 + 2 + len(PALETTE))
        self.lesion = nn.Linear(width, 1)


def contrastive(
    images: Float[Tensor, "b e"], texts: Float[Tensor, "b e"], scale: Tensor, words: Sequence[str]
) -> Tensor:
    """CLIP's symmetric loss with equal texts sharing the target.

    Source: UniCL (arXiv:2204.03610), equation 3.
    """
    numbers = {text: index for index, text in enumerate(dict.fromkeys(words))}
    ids = torch.tensor([numbers[text] for text in words])
    target = (ids[:, None] == ids).float()
    target = target / target.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def optimizers_for(
    named: Sequence[tuple[str, nn.Parameter]], recipe: EncoderRecipe
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside transformer blocks, AdamW for everything else; decay for matrices only."""
    trained = [(name, value) for name, value in named if value.requires_grad]
    inner = [value for name, value in trained if "resblocks" in name and value.ndim == 2]
    others = [value for name, value in trained if not ("resblocks" in name and value.ndim == 2)]
    groups = [
        {"params": [value for value in others if value.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [value for value in others if value.ndim <= 1], "weight_decay": 0.0},
    ]
    both: list[torch.optim.Optimizer] = [
        Muon(inner, lr=recipe.block_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98)),
    ]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["full rate"] = group["lr"]
    return both


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One training step's photos with all that is known of them."""

    pixels: Float[Tensor, "b 3 s s"]
    coverage: Float[Tensor, "b 56 56"]
    texts: tuple[str, ...]
    diagnosis: Int[Tensor, "b"]
    facts: Float[Tensor, "b 14"]
    """Size, symmetry, border as classes one-hot, colours as shares of a yes; NaN where unknown."""


@final
class EncoderTraining:
    """The state of one training run: resumable, one step at a time."""

    def __init__(self, data: Measured, train: Sequence[int], recipe: EncoderRecipe, folder: Path) -> None:
        self.data, self.recipe, self.folder = data, recipe, folder
        torch.manual_seed(recipe.seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
        self.model = build_clip(recipe, len(self.tokenizer))
        self.heads = Heads(recipe.width)
        named = [*self.model.named_parameters(), *self.heads.named_parameters()]
        self.parameters = [value for _, value in named if value.requires_grad]
        self.optimizers = optimizers_for(named, recipe)
        self.average = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.made_from = fingerprint(asdict(recipe), [data.rows[i].image for i in train])
        self.train = np.asarray(train)
        labels = np.array([DIAGNOSES.index(data.rows[i].diagnosis) for i in train])
        counts = np.bincount(labels, minlength=len(DIAGNOSES))
        weight = 1 / np.sqrt(np.maximum(counts, 1))
        self.chance = weight[labels] / weight[labels].sum()
        share = counts * weight
        self.prior = torch.tensor(np.log(np.maximum(share, 1e-9) / share.sum()), dtype=torch.float32)
        self.small = (
            functional.interpolate(data.photos.float(), (112, 112), mode="area").round().to(torch.uint8)
        )

    def draw(self, phase: Phase, numbers: np.random.Generator, generator: torch.Generator) -> Batch:
        """Photos of the step, rare diagnoses oversampled by the inverse square root of their frequency."""
        chosen = torch.from_numpy(numbers.choice(self.train, phase.batch, p=self.chance))
        source = self.small if phase.pixels == 112 else self.data.photos
        pixels, coverage = augment(source[chosen], self.data.masks[chosen], generator)
        areas = coverage.mean(dim=(1, 2)).tolist()
        facts = [
            facts_of(self.data.appearances[i], area, self.data.rows[i].diagnosis)
            for i, area in zip(chosen.tolist(), areas, strict=True)
        ]
        return Batch(
            (pixels - MEAN) / STD,
            coverage,
            tuple(draw_text(fact, numbers) for fact in facts),
            torch.tensor([DIAGNOSES.index(self.data.rows[i].diagnosis) for i in chosen.tolist()]),
            torch.tensor([fact_vector(fact) for fact in facts]),
        )

    def losses(self, batch: Batch, keep: float, generator: torch.Generator) -> dict[str, Tensor]:
        """The contrastive loss and those of the heads."""
        first, patches, kept = image_tokens(self.model.visual, batch.pixels, keep, generator)
        image = functional.normalize(first @ self.model.visual.proj, dim=-1)
        ids = self.tokenizer(
            list(batch.texts),
            padding="longest",
            truncation=True,
            max_length=self.recipe.context,
            return_tensors="pt",
        ).input_ids
        text = functional.normalize(encode_short(self.model, ids), dim=-1)
        summary = torch.cat([first, patches.mean(dim=1)], dim=1)
        side = batch.pixels.shape[-1] // PATCH
        cells = functional.adaptive_avg_pool2d(batch.coverage[:, None], side).flatten(1).gather(1, kept)
        return {
            "contrastive": contrastive(image, text, self.model.logit_scale.exp(), batch.texts),
            "diagnosis": functional.cross_entropy(
                self.heads.diagnosis(summary) + self.prior, batch.diagnosis, label_smoothing=0.1
            ),
            "facts": _facts_loss(self.heads.facts(summary), batch.facts),
            "lesion": functional.binary_cross_entropy_with_logits(
                self.heads.lesion(patches)[..., 0], cells.clamp(0, 1)
            ),
        }

    def advance(self) -> dict[str, float]:
        """One optimisation step; the learning rate warms up, then falls along a cosine."""
        begun = time.perf_counter()
        recipe, phase = self.recipe, self.recipe.phase_at(self.step)
        numbers = np.random.default_rng((recipe.seed, self.step))
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        batch = self.draw(phase, numbers, generator)
        losses = self.losses(batch, phase.keep, generator)
        total = losses["contrastive"] + losses["diagnosis"] + losses["facts"] + 0.5 * losses["lesion"]
        for value in self.parameters:
            value.grad = None
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        done = self.step / recipe.steps
        rate = float(min((self.step + 1) / recipe.warmup, 0.5 * (1 + np.cos(np.pi * done)) + 0.01))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full rate"] * rate
            optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=float(np.log(100)))
            decay = min(recipe.average, (self.step + 1) / (self.step + 10))
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - decay)
        self.step += 1
        self.seconds += time.perf_counter() - begun
        return {name: float(value.detach()) for name, value in losses.items()}

    def run(self) -> None:
        """Train to the end, saving on the way; a later call goes on where the last saved step stood."""
        self.resume()
        while self.step < self.recipe.steps:
            losses = self.advance()
            if self.step % 20 == 0:
                self._log(losses)
            if self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps:
                self.save()

    def _log(self, losses: Mapping[str, float]) -> None:
        line = {"step": self.step, "minutes": round(self.seconds / 60, 2), **losses}
        LOG.info(" ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))
        path = self.folder / "encoder.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(line))
            if fresh:
                writer.writeheader()
            writer.writerow(line)

    def save(self) -> None:
        """The run's state, and the averaged weights as an open_clip folder."""
        state = {
            "made from": self.made_from,
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        part = self.folder / "encoder.part"
        torch.save(state, part)
        part.replace(self.folder / "encoder.state")
        export(self.average, self.recipe, len(self.tokenizer), self.folder / "encoder")

    def resume(self) -> None:
        """Take up the last saved state, if there is one. Raises: SettingError for another training's."""
        path = self.folder / "encoder.state"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        check_same(state.get("made from"), self.made_from, path)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]
        LOG.info("resumed at step %d after %.1f minutes", self.step, self.seconds / 60)


def _facts_loss(logits: Float[Tensor, "b 14"], facts: Float[Tensor, "b 14"]) -> Tensor:
    """Cross-entropies of size, symmetry, border and the colours' yes or no, over the rows that know them."""
    known = ~facts.isnan().any(dim=1)
    if not known.any():
        return logits.sum() * 0
    logits, facts = logits[known], facts[known]
    total = functional.binary_cross_entropy_with_logits(logits[:, 7:], facts[:, 7:])
    for start, stop in ((0, 3), (3, 5), (5, 7)):
        total = total + functional.cross_entropy(logits[:, start:stop], facts[:, start:stop]) / 3
    return total
