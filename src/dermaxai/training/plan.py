"""What a recipe will do, in words and numbers, before it does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dermaxai.captioner.model import Captioner
from dermaxai.captioner.modes import TrainableParts
from dermaxai.data.manifest import Manifest
from dermaxai.data.samples import Part
from dermaxai.encoders.cards import read_card
from dermaxai.errors import DermaXAIError, WeightsCorrupt, WeightsError, WeightsMismatch, WeightsUnsafe
from dermaxai.features.store import FeatureCache
from dermaxai.training.assembling import step_plan
from dermaxai.training.batches import spread
from dermaxai.training.building import Seen, build_captioner
from dermaxai.training.checking import SAMPLED_PHOTOS, cached, languages_of
from dermaxai.training.photos import column_of
from dermaxai.training.recipe import Recipe
from dermaxai.training.spelling import Fit, fit_captions
from dermaxai.training.texts import Texts
from dermaxai.types import Language


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a process needs at least; what attention and norms keep comes on top."""

    weights: int
    optimizer: int
    """Gradients and two moments of what trains."""
    patches: int
    """Of a micro-batch."""
    logits: int
    """Of a micro-batch with the longest captions: values, their softmax and their gradient."""

    @property
    def whole(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.patches + self.logits


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training will see, train and need."""

    train: dict[str, int]
    """Photos by dataset."""
    validation: dict[str, int]
    steps: int
    epochs: float
    parts: str
    """Trained and frozen parameters, or why they are not known."""
    memory: Memory | None
    missing: int
    """Photos that the cache lacks and that are left out."""
    fits: Mapping[Language, Fit]
    """How sampled captions fit the captioner, by language; empty without weights."""

    def lines(self) -> Iterator[str]:
        """For a reader."""
        for name, counts in (("train", self.train), ("validation", self.validation)):
            listed = ", ".join(f"{dataset} {count:,}" for dataset, count in sorted(counts.items()))
            yield f"{name}: {sum(counts.values()):,} photos ({listed})"
        if self.missing:
            yield f"without patches, left out: {self.missing:,}"
        yield f"steps: {self.steps:,} ({self.epochs:.2f} epochs)"
        yield self.parts
        for said, name in (
            ("longer than captioner.max_tokens, whose end is cut off", "cut"),
            ("with pieces that the T5's tokenizer does not know", "misspelt"),
        ):
            if shares := {one: getattr(fit, name) for one, fit in self.fits.items() if getattr(fit, name)}:
                yield f"captions {said}: {', '.join(f'{one} {share:.1%}' for one, share in shares.items())}"
        if self.memory is not None:
            kept = self.memory
            sizes = {name: getattr(kept, name) for name in ("weights", "optimizer", "patches", "logits")}
            told = ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in sizes.items())
            yield f"memory per process: {kept.whole / 1e6:,.0f} MB at least ({told})"


def plan_of(recipe: Recipe) -> Plan:
    """The plan of a recipe that `check_recipe` let pass; nothing is fetched.

    Raises: DataError, and WeightsError, SettingError for what only the weights tell.
    """
    manifest = Manifest.open(recipe.data.manifest)
    train = _counts(manifest, recipe.data.train, recipe)
    cache = FeatureCache.open(recipe.features.cache) if recipe.features.cache else None
    missing = _missing(manifest, recipe, cache)
    photos = max(sum(train.values()) - missing, 1)
    steps = step_plan(recipe, photos / recipe.training.batch).steps
    parts, memory, fits = _weights(recipe, manifest, cache)
    return Plan(
        train=train,
        validation=_counts(manifest, recipe.data.validation, recipe),
        steps=steps,
        epochs=steps * recipe.training.batch / photos,
        parts=parts,
        memory=memory,
        missing=missing,
        fits=fits,
    )


def _rows(manifest: Manifest, parts: Sequence[Part], recipe: Recipe) -> np.ndarray:
    datasets = sorted(recipe.data.datasets) or None
    return np.concatenate([manifest.rows(part, datasets) for part in parts])


def _counts(manifest: Manifest, parts: Sequence[Part], recipe: Recipe) -> dict[str, int]:
    names = np.asarray(manifest.column("dataset"))
    return dict(Counter(map(str, names[_rows(manifest, parts, recipe)])))


def _missing(manifest: Manifest, recipe: Recipe, cache: FeatureCache | None) -> int:
    if cache is None:
        return 0
    hashes = column_of(manifest, "sha256", _rows(manifest, recipe.data.train, recipe))
    return len(hashes) - cached(cache, hashes)


def _weights(
    recipe: Recipe, manifest: Manifest, cache: FeatureCache | None
) -> tuple[str, Memory | None, Mapping[Language, Fit]]:
    """What trains, what it takes and how captions fit, where the weights are on this machine."""
    try:
        seen, tokens = _seen(recipe, cache)
        captioner = build_captioner(recipe, seen, offline=True)
        parts = captioner.set_mode(recipe.training.mode)
    except (WeightsCorrupt, WeightsMismatch, WeightsUnsafe):
        raise
    except WeightsError as error:
        return f"what trains is not known yet: {error}", None, {}
    rows = _rows(manifest, recipe.data.train, recipe)
    photos = manifest.samples(rows[list(spread(len(rows), SAMPLED_PHOTOS))])
    fits = fit_captions(captioner, photos, Texts.of_recipe(recipe.data, languages_of(recipe)))
    return str(parts), _memory(recipe, captioner, parts, tokens), fits


def _seen(recipe: Recipe, cache: FeatureCache | None) -> tuple[Seen, int]:
    """The encoder, and patches per photo. Raises: WeightsError where only its weights know its width."""
    if cache is not None:
        return Seen(cache.key.encoder, cache.key.weights_sha256, cache.width), cache.tokens
    try:
        card = read_card(recipe.encoder.name)
    except DermaXAIError:
        raise WeightsError(f"'{recipe.encoder.name}' has no card, only its weights know its width.") from None
    if not (card.width and card.patch_size):
        raise WeightsError(f"only the weights of '{card.name}' know its width.")
    return Seen(card.name, "", card.width), card.grid[0] * card.grid[1]


def _memory(recipe: Recipe, captioner: Captioner, parts: TrainableParts, tokens: int) -> Memory:
    micro = recipe.training.batch // recipe.training.accumulate
    languages = len(captioner.config.languages) if recipe.data.languages == "every" else 1
    pieces = captioner.t5.lm_head.weight.shape[0]
    return Memory(
        weights=sum(value.numel() for value in captioner.parameters()) * 4,
        optimizer=parts.trainable * 12,
        patches=micro * tokens * captioner.config.encoder_width * 4,
        logits=micro * languages * captioner.config.max_tokens * pieces * 4 * 3,
    )
