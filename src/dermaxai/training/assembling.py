"""From a recipe to a job: manifest, features, texts and captioner put together."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dermaxai.captioner.agreement import LEAD
from dermaxai.captioner.checkpoint import Packing
from dermaxai.captioner.config import ADAPTER
from dermaxai.captioner.model import Captioner
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.errors import DataError
from dermaxai.features.store import FeatureCache
from dermaxai.training.batches import Batches, BatchPlan, Epochs, Mixture, balanced, spread
from dermaxai.training.building import Seen, build_captioner
from dermaxai.training.licences import strictest
from dermaxai.training.loop import Job, Rhythm
from dermaxai.training.material import DrawnFeed, ManifestMaterial
from dermaxai.training.photos import Photos, column_of, find_photos, once
from dermaxai.training.recipe import Recipe
from dermaxai.training.shards import read_index
from dermaxai.training.sources import CachedPatches, LivePatches, Patches
from dermaxai.training.spelling import fit_captions
from dermaxai.training.steps import StepPlan
from dermaxai.training.streamed import StreamedFeed
from dermaxai.training.streaming import ShardStream
from dermaxai.training.survey import Lengths, Progress, measure_texts, read_survey, write_survey
from dermaxai.training.team import AcceleratedTeam
from dermaxai.training.texts import Texts
from dermaxai.training.validation import Validation

_RHYTHM = ("save_every", "log_every", "keep")
_PLACES = (
    "data.manifest",
    "features.cache",
    "features.shards",
    "encoder.source",
    "captioner.start",
    "captioner.t5",
)
"""Values that may change without changing the training: paths, whose contents are named by hash."""
MEASURED_PHOTOS = 256
"""From which the mean photo and the spread of patches are measured."""


def assemble(recipe: Recipe, folder: Path, team: AcceleratedTeam, on_progress: Progress | None = None) -> Job:
    """Everything that a recipe asks for, opened and built.

    Raises: DataError, WeightsError, SettingError; `check_recipe` tells most of it sooner and all at once.
    """
    photos = find_photos(recipe)
    opened = _open_patches(recipe, photos, team)
    captioner = build_captioner(recipe, opened.seen)
    texts = Texts.of_recipe(recipe.data, tuple(captioner.config.languages))  # type: ignore[arg-type]
    lengths = _survey(photos, texts, folder, team, on_progress)
    train, compared = _usable(recipe, photos, opened.patches, lengths)
    sampled = photos.rows[train[list(spread(len(train), MEASURED_PHOTOS))]]
    fit_captions(captioner, photos.manifest.samples(sampled), texts)
    material = _material(recipe, photos, opened.patches, texts)
    feed = _feed(recipe, photos, train, lengths, material, opened.encoder)
    made_from = _made_from(recipe, photos, opened, captioner) | {"photos": _named(photos, train, compared)}
    captioner.mean_patches, unit = _measured(feed, opened, train)
    epoch = feed.epoch if isinstance(feed, StreamedFeed) else len(train) / recipe.training.batch
    step = step_plan(recipe, epoch, unit)
    return Job(
        captioner=captioner,
        mode=recipe.training.mode,
        feed=feed,
        check=_validation(recipe, material, compared, team),
        step=step,
        made_from=made_from,
        rhythm=_rhythm(recipe),
        epoch=epoch,
        packing=_packing(recipe, photos, train, captioner),
        told={"photos": len(train), "validation_photos": len(compared), "recipe": recipe.sha256},
        frozen=opened.frozen,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """Where patches come from, and what is known of the encoder."""

    patches: Patches
    seen: Seen
    digest: str
    """Of a cache's key, or of what the encoder at work reads."""
    encoder: AbstractEncoder | None = None
    """Where it is at work."""
    pooled: bool = False
    """Whether there are fewer of them than the encoder gives."""

    @property
    def frozen(self) -> dict[str, nn.Module]:
        """What must not change."""
        return {} if self.encoder is None else {"encoder": self.encoder.module}


def _open_patches(recipe: Recipe, photos: Photos, team: AcceleratedTeam) -> Opened:
    if recipe.features.cache is not None:
        cache = FeatureCache.open(recipe.features.cache)
        hashes = photos.column("sha256")
        seen = Seen(cache.key.encoder, cache.key.weights_sha256, cache.width)
        patches = CachedPatches(cache, hashes, recipe.features.views)
        return Opened(patches, seen, cache.key.digest, pooled=cache.key.pooling != "all")
    from dermaxai.encoders import load_encoder

    encoder = load_encoder(recipe.encoder.name, recipe.encoder.source or None, device=team.device)
    seen = Seen(encoder.card.name, encoder.sha256, encoder.width)
    return Opened(LivePatches(encoder, photos.paths), seen, _live_digest(recipe), encoder)


def _live_digest(recipe: Recipe) -> str:
    if not recipe.features.shards:
        return "live"
    shards = read_index(recipe.features.shards)
    return digest([(shard.url.rpartition("/")[2], shard.count) for shard in shards])


def _survey(
    photos: Photos, texts: Texts, folder: Path, team: AcceleratedTeam, on_progress: Progress | None
) -> Lengths:
    path = folder / "texts.npz"
    key = digest(photos.manifest.sha256, texts, hashlib.sha256(photos.rows.tobytes()).hexdigest())
    if team.leads and read_survey(path, key) is None:
        write_survey(path, key, measure_texts(photos.manifest, photos.rows, texts, on_progress))
    team.wait()
    found = read_survey(path, key)
    if found is None:
        raise DataError(f"'{path}' cannot be read by every process.", hint="Let them share the run's folder.")
    return found


def digest(*parts: object) -> str:
    """One hash of what decides something."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _usable(
    recipe: Recipe, photos: Photos, patches: Patches, lengths: Lengths
) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "validation"]]:
    """Places with patches and with something said, each photo once; of validation as many as are compared.

    Raises: DataError.
    """
    missing = patches.missing()
    if recipe.features.shards:
        missing = missing[missing >= photos.learned]
    if len(missing) and not recipe.features.skip_missing:
        raise DataError(
            f"{len(missing)} of {len(lengths)} photos have no patches.",
            hint="Write their features, or leave them out with features.skip_missing = true.",
        )
    said = lengths.sum(axis=1)
    said[missing] = 0
    found = once(photos.keys, said)
    train, compared = found[found < photos.learned], found[found >= photos.learned]
    for name, places in (("data.train", train), ("data.validation", compared)):
        if not len(places):
            raise DataError(
                f"Of no photo in {name} there are both patches and a caption.",
                hint="Check data.captions, data.languages and the cache of features.",
            )
    return train, compared[list(spread(len(compared), recipe.validation.rows))]


def _measured(
    feed: DrawnFeed | StreamedFeed, opened: Opened, places: Int[np.ndarray, "n"]
) -> tuple[Float[Tensor, "*tokens width"], float]:
    """The mean photo, and the standard deviation of single values, of some photos of the training.

    The mean of pooled patches is that of a single one: later every photo has all of its patches.
    """
    if isinstance(feed, StreamedFeed):
        every = feed.sample(MEASURED_PHOTOS).float().cpu()
    else:
        chosen = places[list(spread(len(places), MEASURED_PHOTOS))]
        blocks = np.array_split(chosen, max(len(chosen) // 32, 1))
        views = [np.zeros(len(block), dtype=np.int64) for block in blocks]
        read = map(opened.patches.read, blocks, views)
        every = torch.cat([patches.float().cpu() for patches in read])
    return every.mean(dim=(0, 1) if opened.pooled else 0), float(every.std())


def _material(recipe: Recipe, photos: Photos, patches: Patches, texts: Texts) -> ManifestMaterial:
    weights = None if recipe.data.languages == "every" else recipe.data.languages
    return ManifestMaterial(
        photos.manifest, photos.rows, patches, texts, languages=weights, seed=recipe.training.seed
    )


def _validation(
    recipe: Recipe, material: ManifestMaterial, rows: Int[np.ndarray, "n"], team: AcceleratedTeam
) -> Validation:
    section = recipe.validation
    dtype = getattr(torch, recipe.training.dtype)
    facts = section.metric == "facts"
    return Validation(material, rows, team, batch=section.batch, facts=facts, dtype=dtype)


def _feed(
    recipe: Recipe,
    photos: Photos,
    train: Int[np.ndarray, "n"],
    lengths: Lengths,
    material: ManifestMaterial,
    encoder: AbstractEncoder | None,
) -> DrawnFeed | StreamedFeed:
    chosen, source = recipe.training, recipe.features
    plan = BatchPlan(chosen.batch, chosen.accumulate, chosen.bucket_steps, chosen.seed)
    if not source.shards or encoder is None:
        return DrawnFeed(Batches(_draws(recipe, photos, train), plan, lengths.sum(axis=1)), material)
    stream = ShardStream(
        read_index(source.shards), lanes=source.lanes, window=source.window, seed=chosen.seed
    )
    return StreamedFeed(stream, plan, material, _places(photos, train), encoder)


def _named(photos: Photos, train: Int[np.ndarray, "n"], compared: Int[np.ndarray, "m"]) -> str:
    """Which photos they are, as one hash: a cache may have grown meanwhile."""
    keys = photos.keys
    return digest(keys[train].tolist(), keys[compared].tolist())


def _places(photos: Photos, train: Int[np.ndarray, "n"]) -> dict[str, int]:
    """The row that speaks for a photo, by the id of any row that shows it; -1 where none says anything."""
    keys = photos.keys
    speaking = dict(zip(keys[train].tolist(), train.tolist(), strict=True))
    own = photos.column("id")
    return {own[place]: speaking.get(str(keys[place]), -1) for place in range(photos.learned)}


def _draws(recipe: Recipe, photos: Photos, train: Int[np.ndarray, "n"]) -> Epochs | Mixture:
    section, seed = recipe.data, recipe.training.seed
    classes = np.array(column_of(photos.manifest, "diagnosis", photos.rows[train]))
    if not section.datasets:
        return Epochs(balanced(train, classes.tolist(), section.balance), (seed, 0))
    names = np.array(column_of(photos.manifest, "dataset", photos.rows[train]))
    pools = {
        name: balanced(train[names == name], classes[names == name].tolist(), section.balance)
        for name in section.datasets
    }
    return Mixture(pools, section.datasets, seed)


def step_plan(recipe: Recipe, epoch: float, unit: float = 1.0) -> StepPlan:
    """The arithmetic of a step. Args: steps of an epoch; unit, standard deviation of the patches."""
    chosen = recipe.training
    steps = chosen.steps or max(round((chosen.epochs or 0) * epoch), 1)
    return StepPlan(
        rates=(chosen.rates.qformer, chosen.rates.projection, chosen.rates.lora),
        steps=steps,
        warmup=min(chosen.warmup, steps),
        cosine=chosen.schedule == "cosine",
        weight_decay=chosen.weight_decay,
        betas=chosen.betas,
        clip=chosen.clip,
        label_smoothing=chosen.label_smoothing,
        noise=chosen.noise * unit,
        shift=chosen.shift * unit,
        dtype=getattr(torch, chosen.dtype),
        seed=chosen.seed,
    )


def _rhythm(recipe: Recipe) -> Rhythm:
    chosen = recipe.training
    return Rhythm(chosen.save_every, chosen.check_every, chosen.log_every, chosen.patience, chosen.keep)


def _made_from(recipe: Recipe, photos: Photos, opened: Opened, captioner: Captioner) -> dict[str, str]:
    free = {f"training.{name}" for name in _RHYTHM} | set(_PLACES)
    chosen = {name: value for name, value in recipe.values.items() if name not in free}
    return chosen | {
        "manifest": photos.manifest.sha256,
        "encoder weights": opened.seen.sha256,
        "features": opened.digest,
        "T5 weights": captioner.base_sha256,
        "captioner it starts from": captioner.sha256,
    }


def _packing(recipe: Recipe, photos: Photos, train: Int[np.ndarray, "n"], captioner: Captioner) -> Packing:
    rows = photos.rows[train]
    licence = strictest(set(column_of(photos.manifest, "licence", rows)))
    counts = Counter(column_of(photos.manifest, "dataset", rows))
    listed = ", ".join(f"{name} ({number:,} photos)" for name, number in sorted(counts.items()))
    tables = {**captioner.config.tables, "licence": licence, "recipe": recipe.sha256}
    if captioner.adapters.active is not None:
        tables[ADAPTER] = captioner.adapters.active
    if recipe.data.captions == "demo":
        tables.setdefault(LEAD, next(iter(captioner.config.languages)))
    captioner.config = captioner.config.with_changes(tables=tables)
    return Packing(
        embed_t5=not captioner.config.t5_revision,
        data=f"{listed}; manifest {photos.manifest.sha256}",
        licence=licence,
        notes=f"Captions: {recipe.data.captions}. Recipe {recipe.sha256}.",
    )
