"""Train the demo's CLIP from nothing: open_clip format, frozen ever after.

Text and image meet in a contrastive loss; beside it, heads that are thrown away afterwards ask the image tower for
the diagnosis, the measured facts and the lesion's place, which a small data set needs to learn patch features.
"""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

from dermaxai.data.appearance import PALETTE, Appearance
from dermaxai.data.ham10000 import DIAGNOSES
from dermaxai.data.weak_captions import TERMS, Facts, caption, compose, gather
from dermaxai.training.photos import Measured, augment
from dermaxai.types import Language

LOG = logging.getLogger(__name__)
MEAN, STD = 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training at one resolution."""

    steps: int
    batch: int
    pixels: int
    """Side of the photo, a multiple of the patch size."""
    keep: float
    """Share of patches the tower sees while training. Source: FLIP (arXiv:2212.00794), section 3."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """Everything that decides the demo encoder."""

    layers: int = 6
    width: int = 192
    text_layers: int = 2
    text_width: int = 128
    embed: int = 128
    vocabulary: int = 700
    context: int = 48
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup: int = 150
    average: float = 0.99
    """Decay of the running mean of the weights, which is what is saved."""
    phases: tuple[Phase, ...] = (Phase(2100, 64, 112, 1.0), Phase(1200, 40, 224, 0.5))
    seed: int = 0
    save_every: int = 100

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that holds `step`."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]


def model_config(recipe: EncoderRecipe, vocabulary: int) -> dict[str, object]:
    """The `model_cfg` of open_clip for this recipe."""
    vision = {"image_size": 224, "layers": recipe.layers, "width": recipe.width, "head_width": 64,
              "patch_size": 16, "pos_embed_type": "sin_cos_2d"}  # fmt: skip
    text = {"context_length": recipe.context, "vocab_size": vocabulary, "width": recipe.text_width,
            "heads": recipe.text_width // 64, "layers": recipe.text_layers, "hf_tokenizer_name": "."}  # fmt: skip
    return {"embed_dim": recipe.embed, "vision_cfg": vision, "text_cfg": text}


def build_clip(recipe: EncoderRecipe, vocabulary: int) -> CLIP:
    """The untrained model, attention initialised to look at similar tokens.

    Source: mimetic initialisation (Trockman & Kolter, arXiv:2305.09828), section 4.
    """
    config = model_config(recipe, vocabulary)
    text = {key: value for key, value in dict(config["text_cfg"]).items() if key != "hf_tokenizer_name"}
    model = CLIP(recipe.embed, CLIPVisionCfg(**dict(config["vision_cfg"])), CLIPTextCfg(**text))
    with torch.no_grad():
        for block in model.visual.transformer.resblocks:
            _mimic(block.attn, head=64)
    return model


def _mimic(attention: nn.MultiheadAttention, head: int) -> None:
    width = attention.embed_dim
    weight = attention.in_proj_weight
    for start in range(0, width, head):
        target = 0.7 * torch.randn(width, width) / width**0.5 + 0.7 * torch.eye(width)
        left, scale, right = torch.linalg.svd(target)
        root = scale[:head].sqrt()
        weight[start : start + head] = (left[:, :head] * root).T
        weight[width + start : width + start + head] = right[:head] * root[:, None]
    target = 0.4 * torch.randn(width, width) / width**0.5 - 0.4 * torch.eye(width)
    left, scale, right = torch.linalg.svd(target)
    weight[2 * width :] = (left * scale.sqrt()).T
    attention.out_proj.weight.copy_((right.T * scale.sqrt()))


class Heads(nn.Module):
    """Questions asked while training and thrown away afterwards."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.diagnosis = nn.Linear(2 * width, len(DIAGNOSES))
        self.facts = nn.Linear(2 * width, 3 + 2 + 2 + len(PALETTE))
        self.lesion = nn.Linear(width, 1)


def image_tokens(
    visual: nn.Module, pixels: Float[Tensor, "b 3 s s"], keep: float, generator: torch.Generator
) -> tuple[Float[Tensor, "b width"], Float[Tensor, "b n width"], Int[Tensor, "b n"]]:
    """Class token and patch tokens after the final norm, and which patches were kept.

    At `keep` 1 and 224 px this is the deployed forward pass; positions are interpolated at other sizes.
    """
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    side = pixels.shape[-1] // 16
    positions = visual.positional_embedding
    table = positions[1:]
    if side != 14:
        square = table.T.reshape(1, -1, 14, 14)
        table = functional.interpolate(square, (side, side), mode="bilinear", antialias=True)[0].flatten(1).T
    patches = patches + table
    kept = torch.arange(side * side).expand(len(pixels), -1)
    if keep < 1:
        scores = torch.rand(len(pixels), side * side, generator=generator)
        kept = scores.argsort(dim=1)[:, : int(side * side * keep)]
        patches = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[-1]))
    first = (visual.class_embedding + positions[0]).expand(len(pixels), 1, -1)
    tokens = visual.ln_post(visual.transformer(visual.ln_pre(torch.cat([first, patches], dim=1))))
    return tokens[:, 0], tokens[:, 1:], kept


def encode_short(model: CLIP, ids: Int[Tensor, "b length"]) -> Float[Tensor, "b embed"]:
    """`model.encode_text` on texts padded to less than the context; the mask is causal, so nothing changes."""
    length = ids.shape[1]
    tokens = model.token_embedding(ids) + model.positional_embedding[:length]
    tokens = model.ln_final(model.transformer(tokens, attn_mask=model.attn_mask[:length, :length]))
    return tokens[torch.arange(len(ids)), ids.argmax(dim=1)] @ model.text_projection


def draw_text(facts: Facts, generator: np.random.Generator) -> str:
    """A caption, some of its sentences, a single fact or a short prompt, in one of both languages."""
    language: Language = "ru" if generator.random() < 0.25 else "en"
    form = generator.random()
    if form < 0.45:
        return caption(facts, language, generator)
    if form < 0.65 and facts.diagnosis:
        name = TERMS["diagnosis"][facts.diagnosis][language]
        return {"en": f"dermoscopy of {name}", "ru": f"дерматоскопия: {name}"}[language]
    sentences = [sentence.text for sentence in compose(facts, language, generator)]
    count = int(generator.integers(1, len(sentences) + 1))
    chosen = sorted(generator.choice(len(sentences), count, replace=False))
    return " ".join(sentences[index] for index in chosen)


def facts_of(appearance: Appearance, coverage: float, diagnosis: str) -> Facts:
    """Facts of an augmented view: the size word is read again from the moved outline."""
    return gather(replace(appearance, area=coverage), diagnosis)


def contrastive(
    images: Float[Tensor, "b e"], texts: Float[Tensor, "b e"], scale: Tensor, words: Sequence[str]
) -> Tensor:
    """CLIP's symmetric loss with equal texts sharing the target. Source: UniCL (arXiv:2204.03610), equation 3."""
    numbers = {text: index for index, text in enumerate(dict.fromkeys(words))}
    ids = torch.tensor([numbers[text] for text in words])
    target = (ids[:, None] == ids).float()
    target = target / target.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One training step's photos with all that is known of them."""

    pixels: Float[Tensor, "b 3 s s"]
    coverage: Float[Tensor, "b 56 56"]
    texts: tuple[str, ...]
    diagnosis: Int[Tensor, "b"]
    facts: Float[Tensor, "b 14"]
    """Size, symmetry, border as classes one-hot, colours as shares of a yes; NaN where unknown."""


def fact_vector(facts: Facts) -> list[float]:
    """The measured facts as 14 numbers: 3 sizes, 2 symmetries, 2 borders, 7 colours; NaN where unknown."""
    vector: list[float] = []
    for slot, value in (("size", facts.size), ("symmetry", facts.symmetry), ("border", facts.border)):
        names = list(TERMS[slot])  # type: ignore[index]
        vector += [float(value == name) if value else float("nan") for name in names]
    return vector + [float(name in facts.colours) if facts.colours else float("nan") for name in PALETTE]


class EncoderTraining:
    """The state of one training run: resumable, one step at a time."""

    def __init__(self, data: Measured, train: Sequence[int], recipe: EncoderRecipe, folder: Path) -> None:
        self.data, self.recipe, self.folder = data, recipe, folder
        torch.manual_seed(recipe.seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "encoder")
        self.model = build_clip(recipe, len(self.tokenizer))
        self.heads = Heads(recipe.width)
        self.parameters = [p for p in (*self.model.parameters(), *self.heads.parameters()) if p.requires_grad]
        decayed = [p for p in self.parameters if p.ndim > 1]
        others = [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.learning_rate, betas=(0.9, 0.98),
        )  # fmt: skip
        self.average = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.train = np.asarray(train)
        labels = np.array([DIAGNOSES.index(data.rows[i].diagnosis) for i in train])
        counts = np.bincount(labels, minlength=len(DIAGNOSES))
        weight = 1 / np.sqrt(np.maximum(counts, 1))
        self.chance = weight[labels] / weight[labels].sum()
        share = counts * weight
        self.prior = torch.tensor(np.log(np.maximum(share, 1e-9) / share.sum()), dtype=torch.float32)
        self.small = functional.interpolate(data.photos.float(), (112, 112), mode="area").round().to(torch.uint8)

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
            list(batch.texts), padding="longest", truncation=True, max_length=self.recipe.context, return_tensors="pt"
        ).input_ids  # fmt: skip
        text = functional.normalize(encode_short(self.model, ids), dim=-1)
        summary = torch.cat([first, patches.mean(dim=1)], dim=1)
        side = batch.pixels.shape[-1] // 16
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
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        done = self.step / recipe.steps
        rate = float(min((self.step + 1) / recipe.warmup, 0.5 * (1 + np.cos(np.pi * done)) + 0.01))
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=float(np.log(100)))
            decay = min(recipe.average, (self.step + 1) / (self.step + 10))
            for key, value in self.model.state_dict().items():
                self.average[key].lerp_(value, 1 - decay) if value.is_floating_point() else None
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
            "step": self.step, "seconds": self.seconds, "model": self.model.state_dict(),
            "heads": self.heads.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        part = self.folder / "encoder.part"
        torch.save(state, part)
        part.replace(self.folder / "encoder.state")
        export(self.average, self.recipe, len(self.tokenizer), self.folder / "encoder")

    def resume(self) -> None:
        """Take up the last saved state, if there is one."""
        path = self.folder / "encoder.state"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
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


def export(state: Mapping[str, Tensor], recipe: EncoderRecipe, vocabulary: int, folder: Path) -> None:
    """Write weights (float16) and configuration as open_clip's `local-dir:` format."""
    config = {
        "model_cfg": model_config(recipe, vocabulary),
        "preprocess_cfg": {"size": 224, "mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic",
                           "resize_mode": "shortest"},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in state.items()
    }
    save_file(tensors, folder / "open_clip_model.safetensors", {"format": "pt", "recipe": json.dumps(asdict(recipe))})
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
