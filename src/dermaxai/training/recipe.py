"""`Recipe`: everything that decides a training, as one TOML file whose faults are told all at once.

[data]        which manifest, which of its photos, how often, and what is said of them
[features]    where the frozen encoder's patches come from
[encoder]     which encoder they are of
[captioner]   what is built, or which trained captioner is taken further
[training]    what trains, how long and how fast
[validation]  how a better state is told from a worse one

Relative paths stand relative to the working directory.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dermaxai.captioner.config import ALL_LINEAR
from dermaxai.captioner.modes import TrainingMode
from dermaxai.data.samples import Part, Source
from dermaxai.errors import SettingError, UnknownName
from dermaxai.registry import check_name
from dermaxai.types import Language

CaptionPolicy = Literal["real", "composed", "both", "demo"]
"""Written by somebody; composed from facts; composed where nobody wrote one; the embedded model's own."""
Metric = Literal["loss", "facts"]


class Section(BaseModel):
    """A table of a recipe: immutable, without keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataSection(Section):
    """Which photos are seen, how often, and what is said of them."""

    manifest: Path
    """Of `dermaxai data build`: any number of datasets under one split without leaks."""
    train: tuple[Part, ...] = ("train",)
    """Parts that are learned from."""
    validation: tuple[Part, ...] = ("validation",)
    """Parts that states are compared on."""
    datasets: dict[str, float] = {}
    """Shares in what is seen, by dataset; without any, every photo comes once per epoch."""
    languages: Literal["every"] | dict[Language, float] = "every"
    """Every language of each photo in each step, or one drawn with these weights."""
    captions: CaptionPolicy = "both"
    """'both': in each language those that somebody wrote, composed ones where there are none."""
    sources: tuple[Source, ...] = get_args(Source)
    """Sentences of composed captions that are kept, by where their facts are from."""
    drop_diagnosis: bool = False
    """Leave out sentences that state a diagnosis."""
    balance: float = Field(default=0.0, ge=0, le=1)
    """0: diagnoses as frequent as in the data; 1: all equally frequent."""

    @model_validator(mode="after")
    def _weights(self) -> DataSection:
        tables = {"datasets": self.datasets, "languages": self.languages}
        for name, weights in tables.items():
            if isinstance(weights, dict) and any(weight <= 0 for weight in weights.values()):
                raise ValueError(f"{name}: weights must be above 0; leave out what should not be seen")
        if self.languages == {}:
            raise ValueError("languages: name at least one")
        if both := sorted(set(self.train) & set(self.validation)):
            raise ValueError(f"train and validation both hold the part '{both[0]}'")
        return self


class FeaturesSection(Section):
    """Where patches come from."""

    cache: Path | None = None
    """Folder of `dermaxai features`."""
    live: bool = False
    """Encode every photo anew in every step instead."""
    shards: str = ""
    """Folder or address of tar shards that bring the photos of the training parts, encoded live."""
    lanes: int = Field(default=1, ge=1)
    """Parts of the stream of shards; a multiple of the processes, a divisor of the batch."""
    window: int = Field(default=4, ge=1)
    """Shards that each lane shuffles together."""
    views: int = Field(default=1, ge=1)
    """How many of the cached views of a photo are drawn from; 1: only the photo as it is."""
    skip_missing: bool = False
    """Leave out photos that the cache lacks; otherwise they are a fault."""

    @model_validator(mode="after")
    def _one_way(self) -> FeaturesSection:
        if (self.cache is None) != self.live:
            raise ValueError('give either cache = "folder" or live = true')
        if self.shards and not self.live:
            raise ValueError("photos from shards are encoded live: set live = true as well")
        if self.live and self.views > 1:
            raise ValueError("views are kept in a cache; live photos have one")
        return self


class EncoderSection(Section):
    """The frozen encoder."""

    name: str
    """Of a card, or a hub id."""
    source: str = ""
    """Folder or file of its weights, instead of the hub."""


class LoraSection(Section):
    """Sizes of a new adapter, as `LoraSettings`."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    layers: tuple[str, ...] = ALL_LINEAR
    encoder: bool = False


class PromptSection(Section):
    """How the decoder is told a language, as `LanguagePrompt`."""

    decoder_prefix: str = ""
    encoder_prompt: str = ""


class CaptionerSection(Section):
    """What is built, or what is taken further."""

    start: Path | None = None
    """Folder of a trained captioner; bridge, T5 and languages are then its own."""
    bridge: Literal["tiny", "small", "base"] = "small"
    sizes: dict[str, int | float] = {}
    """Fields of `BridgeConfig` that differ from the preset."""
    t5: str = "google-t5/t5-small"
    """Hub id, or folder."""
    t5_revision: str = ""
    skip_encoder: bool = True
    """Queries go to the T5's decoder directly instead of through its encoder."""
    max_tokens: int = Field(default=96, ge=2)
    languages: dict[Language, PromptSection] = {"en": PromptSection()}
    templates: tuple[Language, ...] = ()
    """Languages that are composed from the facts of the English caption instead of written."""
    adapters: dict[str, LoraSection] = {}
    """New adapters by name; without any, 'default' with the usual sizes."""

    @model_validator(mode="after")
    def _start_decides(self) -> CaptionerSection:
        free = {"start", "adapters", "templates"}
        if self.start is not None and (given := sorted(self.model_fields_set - free)):
            raise ValueError(f"start decides {', '.join(given)}; leave them out")
        if wrong := sorted(name for name in self.adapters if not name.isidentifier()):
            raise ValueError(f"adapters: '{wrong[0]}' is no name; letters, digits and _ are")
        if idle := sorted(name for name, one in self.adapters.items() if one.encoder and self.skip_encoder):
            raise ValueError(f"adapters.{idle[0]}: encoder = true adapts what skip_encoder leaves out")
        return self


class RatesSection(Section):
    """Highest learning rates of the three groups."""

    qformer: float = Field(default=1e-4, ge=0)
    projection: float = Field(default=1e-4, ge=0)
    lora: float = Field(default=2e-4, ge=0)


class TrainingSection(Section):
    """What trains, how long and how fast."""

    mode: TrainingMode = "bridge+lora"
    adapter: str = "default"
    """The LoRA that trains; others of the captioner stay as they are."""
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the photos of the training parts, instead of steps."""
    batch: int = Field(default=64, ge=1)
    """Photos per step, over all processes and all micro-batches."""
    accumulate: int = Field(default=1, ge=1)
    """Micro-batches per step."""
    rates: RatesSection = RatesSection()
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = Field(default=100, ge=0)
    """Steps until the highest rate."""
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of noise on patches, in their own standard deviations."""
    shift: float = Field(default=0.0, ge=0)
    """The same, of noise that all patches of a photo share."""
    bucket_steps: int = Field(default=1, ge=1)
    """Photos of this many steps are dealt to micro-batches by caption length; 1 leaves each step its own."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the arithmetic; weights stay float32."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    save_every: int = Field(default=500, ge=1)
    check_every: int = Field(default=500, ge=1)
    log_every: int = Field(default=10, ge=1)
    patience: int = Field(default=0, ge=0)
    """Checks without a better state after which the training ends; 0: never early."""
    keep: int = Field(default=2, ge=2)
    """Checkpoints that stay."""

    @model_validator(mode="after")
    def _whole(self) -> TrainingSection:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} must be a multiple of accumulate {self.accumulate}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in 0 to 1, not {self.betas}")
        return self


class ValidationSection(Section):
    """How a better state is told from a worse one."""

    metric: Metric = "loss"
    """'loss': nats per token; 'facts': share of the facts that greedy captions state rightly."""
    rows: int = Field(default=512, ge=1)
    """Photos that are compared, at most."""
    batch: int = Field(default=32, ge=1)


class Recipe(Section):
    """A whole training."""

    data: DataSection
    features: FeaturesSection
    encoder: EncoderSection
    captioner: CaptionerSection = CaptionerSection()
    training: TrainingSection
    validation: ValidationSection = ValidationSection()

    @model_validator(mode="after")
    def _stream_has_an_order(self) -> Recipe:
        drawn = {"data.datasets": self.data.datasets, "data.balance": self.data.balance}
        drawn["training.bucket_steps"] = self.training.bucket_steps - 1
        if self.features.shards and (given := [name for name, value in drawn.items() if value]):
            raise ValueError(f"photos from shards come in the stream's order; leave out {', '.join(given)}")
        if self.features.shards and self.training.batch % self.features.lanes:
            raise ValueError("training.batch must be a multiple of features.lanes")
        return self

    @property
    def values(self) -> dict[str, str]:
        """Every value as JSON under its dotted name."""
        return dict(_flat(self.model_dump(mode="json")))

    @property
    def sha256(self) -> str:
        """Of all values."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, ensure_ascii=False)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `changes` of the form 'training.steps=10', values as in TOML.

    A value that is no TOML counts as text. Raises: SettingError with every fault.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"The recipe {path} cannot be read: {error}.") from error
    faults = [fault for change in changes if (fault := _change(table, change))]
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        faults += [_tell(fault) for fault in error.errors()]
    tell_faults(path.name, faults)
    return recipe


def tell_faults(name: str, faults: Sequence[str]) -> None:
    """Raise SettingError with all of them, or do nothing where there are none."""
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        raise SettingError(f"{name}: {count}:" + "".join(f"\n  - {fault}" for fault in faults))


def _change(table: dict[str, Any], change: str) -> str:
    """Put one change into the table; gives the fault, '' for none."""
    name, mark, text = change.partition("=")
    *path, last = name.strip().split(".")
    if not mark or not last:
        return f"--set {change}: expected table.key=value, such as training.steps=10"
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return f"--set {change}: '{part}' is a value, no table"
    table[last] = value
    return ""


def _tell(fault: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose keys depend on the fault
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        *above, name = fault["loc"]
        try:
            check_name("key", str(name), _keys_at(above))
        except UnknownName as error:
            return f"{place}: {error}"
    message = fault["msg"].removeprefix("Value error, ")
    place = place or "the recipe"
    shown = "" if fault["type"] in ("missing", "value_error") else f" (it is {fault['input']!r})"
    return f"{place}: {message[:1].lower()}{message[1:]}{shown}"


def _keys_at(path: Sequence[int | str]) -> list[str]:
    """Keys of the table at `path`."""
    kind: Any = Recipe
    for part in path:
        kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[str(part)].annotation
    return list(kind.model_fields)
