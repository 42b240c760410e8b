"""Whether the world holds what a recipe asks for: looked at before anything is loaded, told all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from dermaxai.captioner.config import CaptionerConfig, config_from_json
from dermaxai.data.manifest import Manifest
from dermaxai.encoders.cards import is_hub_id, read_card, short_name
from dermaxai.encoders.weights import read_json
from dermaxai.errors import DermaXAIError
from dermaxai.features.store import FeatureCache
from dermaxai.registry import check_name
from dermaxai.training.building import bridge_of
from dermaxai.training.photos import Photos, rows_of
from dermaxai.training.recipe import Recipe, tell_faults
from dermaxai.training.shards import read_index
from dermaxai.training.sources import absent
from dermaxai.training.survey import measure_texts
from dermaxai.training.texts import Texts
from dermaxai.types import Language

SAMPLED_PHOTOS = 200
"""On which it is tried whether anything is said."""


def check_recipe(recipe: Recipe, name: str = "The recipe") -> None:
    """Look at manifest, cache, encoder card, T5 and captioner. Raises: SettingError with every fault."""
    tell_faults(name, list(dict.fromkeys(_faults(recipe))))


def _faults(recipe: Recipe) -> Iterator[str]:
    checks: list[Callable[[Recipe], Iterator[str]]] = [
        _encoder_faults,
        _captioner_faults,
        _language_faults,
        _manifest_faults,
        _feature_faults,
    ]
    for check in checks:
        try:
            yield from check(recipe)
        except DermaXAIError as error:
            yield _one_line(error)
        except OSError as error:
            yield f"{error.filename}: {error.strerror}"


def _one_line(error: DermaXAIError) -> str:
    return " ".join(str(error).split())


def _encoder_faults(recipe: Recipe) -> Iterator[str]:
    name, source = recipe.encoder.name, recipe.encoder.source
    if not (Path(name).is_dir() or is_hub_id(name)):
        try:
            read_card(name)
        except DermaXAIError as error:
            yield f"encoder.name: {_one_line(error)}"
    if source and not Path(source).exists():
        yield f"encoder.source: there is nothing at '{source}'"


def _captioner_faults(recipe: Recipe) -> Iterator[str]:
    section, training = recipe.captioner, recipe.training
    started = start_of(recipe)
    if section.start is not None and started is None:
        yield f"captioner.start: there is no captioner in '{section.start}'"
        return
    if started is not None:
        if started.encoder not in (recipe.encoder.name, short_name(recipe.encoder.name)):
            yield f"captioner.start: it reads '{started.encoder}', encoder.name is '{recipe.encoder.name}'"
        if again := sorted(set(section.adapters) & set(started.adapters)):
            yield f"captioner.adapters: '{again[0]}' is in '{section.start}' already, with its own sizes"
    else:
        yield from _new_captioner_faults(recipe)
    named = {*section.adapters, *(started.adapters if started else ())}
    if section.adapters and "lora" in training.mode and training.adapter not in named:
        yield f"training.adapter: '{training.adapter}' is none of the adapters {', '.join(sorted(named))}"
    if not training.adapter.isidentifier():
        yield f"training.adapter: '{training.adapter}' is no name; letters, digits and _ are"


def _new_captioner_faults(recipe: Recipe) -> Iterator[str]:
    section = recipe.captioner
    folder = Path(section.t5)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            yield f"captioner.t5: '{section.t5}' holds no config.json"
    elif not is_hub_id(section.t5):
        yield f"captioner.t5: '{section.t5}' is neither a folder nor a hub id such as 'google-t5/t5-small'"
    if recipe.training.mode == "lora":
        yield "training.mode: 'lora' leaves a new bridge untrained; choose 'bridge+lora' or a captioner.start"
    try:
        bridge_of(section, 1, 1)
    except (DermaXAIError, TypeError) as error:
        yield f"captioner.sizes: {error}"


def start_of(recipe: Recipe) -> CaptionerConfig | None:
    """The config of the captioner that a recipe starts from, None where there is none."""
    place = recipe.captioner.start
    if place is None or not (place / "captioner.json").is_file():
        return None
    return config_from_json(cast(dict[str, Any], read_json(place / "captioner.json"))["config"])


def languages_of(recipe: Recipe) -> tuple[Language, ...]:
    """What the captioner will write."""
    started = start_of(recipe)
    return cast(tuple[Language, ...], tuple((started or recipe.captioner).languages))


def _language_faults(recipe: Recipe) -> Iterator[str]:
    written = languages_of(recipe)
    if recipe.data.languages != "every":
        for language in recipe.data.languages:
            if language not in written:
                listed = ", ".join(written)
                yield f"data.languages: the captioner writes {listed}, not {language}"
    if recipe.captioner.templates and "en" not in written:
        yield "captioner.templates: only a captioner that writes English can be retold"
    if recipe.captioner.start is None and len(written) > 1:
        prompts = recipe.captioner.languages.values()
        told = {(one.decoder_prefix, one.encoder_prompt) for one in prompts}
        if len(told) < len(written):
            yield "captioner.languages: two have the same prompt; the decoder could not tell them apart"


def _manifest_faults(recipe: Recipe) -> Iterator[str]:
    manifest = Manifest.open(recipe.data.manifest)
    for dataset in recipe.data.datasets:
        try:
            check_name("dataset of this manifest", dataset, list(manifest.datasets))
        except DermaXAIError as error:
            yield f"data.datasets: {_one_line(error)}"
            return
    for name in ("train", "validation"):
        rows = rows_of(manifest, getattr(recipe.data, name), recipe.data)
        if not len(rows):
            yield f"data.{name}: no photo of these parts in the recipe's datasets"
        elif not _is_something_said(recipe, manifest, rows):
            yield (
                f"data.captions: of {min(len(rows), SAMPLED_PHOTOS)} photos in data.{name} none has a "
                f"caption of policy '{recipe.data.captions}' in {', '.join(languages_of(recipe))}"
            )


def _is_something_said(recipe: Recipe, manifest: Manifest, rows: np.ndarray) -> bool:
    texts = Texts.of_recipe(recipe.data, languages_of(recipe))
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED_PHOTOS)).astype(int)]
    return bool(measure_texts(manifest, chosen, texts).any())


def _feature_faults(recipe: Recipe) -> Iterator[str]:
    if recipe.features.shards:
        count = len(read_index(recipe.features.shards))
        if count < recipe.features.lanes:
            yield f"features.lanes: {recipe.features.lanes} need as many shards, there are {count}"
    place = recipe.features.cache
    if place is None:
        absent_from_disk = {part: len(absent(photos.paths)) for part, photos in _parts(recipe).items()}
        if recipe.features.shards:
            absent_from_disk.pop("train", None)  # Shards bring what is learned from.
        yield from _missing_faults(recipe, "the disk", absent_from_disk)
        return
    cache = FeatureCache.open(place)
    if cache.key.encoder not in (recipe.encoder.name, short_name(recipe.encoder.name)):
        yield f"features.cache: it holds '{cache.key.encoder}', encoder.name is '{recipe.encoder.name}'"
    started = start_of(recipe)
    if started is not None and started.encoder_width != cache.width:
        yield (
            f"features.cache: its patches are {cache.width} wide, captioner.start reads "
            f"{started.encoder_width}"
        )
    elif started is not None and _differ(started.encoder_sha256, cache.key.weights_sha256):
        yield (
            f"features.cache: its patches are of weights {cache.key.weights_sha256[:12]}, captioner.start "
            f"reads {started.encoder_sha256[:12]}"
        )
    if cache.key.layer == "embedding":
        yield "features.cache: it holds image embeddings (--pool class); a captioner reads patches"
    if recipe.features.views > max(cache.views, 1):
        yield f"features.views: the cache has {cache.views}, not {recipe.features.views}"
    lacking = {
        part: len(photos.rows) - cached(cache, photos.column("sha256"))
        for part, photos in _parts(recipe).items()
    }
    yield from _missing_faults(recipe, "features.cache: it", lacking)


def _parts(recipe: Recipe) -> dict[str, Photos]:
    """The photos of both parts; none where the manifest's own check tells why."""
    try:
        manifest = Manifest.open(recipe.data.manifest)
        rows = {
            name: rows_of(manifest, getattr(recipe.data, name), recipe.data)
            for name in ("train", "validation")
        }
    except DermaXAIError:
        return {}
    return {name: Photos(manifest, found, len(found)) for name, found in rows.items()}


def _missing_faults(recipe: Recipe, place: str, missing: Mapping[str, int]) -> Iterator[str]:
    """Args: missing, photos of each part that `place` does not hold."""
    for name, photos in _parts(recipe).items():
        count, every = missing.get(name, 0), len(photos.rows)
        share = "all" if count == every else f"{count} of"
        told = f"{place} lacks {share} {every} photos in data.{name}"
        if count and not recipe.features.skip_missing:
            yield f"{told}; bring them, or set features.skip_missing = true"
        elif count and count == every:
            yield f"{told}; bring them"


def cached(cache: FeatureCache, sha256s: Sequence[str]) -> int:
    """How many of the photos a cache holds; those without a hash are in none."""
    return int((cache.locate([one for one in sha256s if one]) >= 0).sum())


def _differ(one: str, other: str) -> bool:
    """Whether two hashes are known to differ."""
    return bool(one and other) and one != other
