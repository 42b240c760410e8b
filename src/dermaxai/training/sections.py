"""The tables of a recipe: every key with its meaning, range and default.

[data]        which manifest, which of its photos, how often, and what is said of them
[features]    where the frozen encoder's patches come from
[encoder]     which encoder they are of
[captioner]   what is built, or which trained captioner is taken further
[training]    what trains, how long and how fast
[validation]  how a better state is told from a worse one
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from dermaxai.captioner.config import ALL_LINEAR
from dermaxai.captioner.modes import TrainingMode
from dermaxai.data.samples import Part, Source
from dermaxai.types import Language

CaptionPolicy = Literal["real", "composed", "both", "demo"]
"""Written by somebody; composed from facts; composed where nobody wrote one; the embedded model's own."""
Metric = Literal["loss", "facts"]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of a recipe: immutable, without keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


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

    @field_validator("languages", mode="before")
    @classmethod
    def _every_or_weights(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if given != "every" and not isinstance(given, dict):
            raise ValueError(f"'every' or weights such as {{en = 1, ru = 1}} are expected, not {given!r}")
        return given

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
    layers: tuple[str, ...] = Field(default=ALL_LINEAR, min_length=1)
    encoder: bool = False


class PromptSection(Section):
    """How the decoder is told a language, as `LanguagePrompt`."""

    decoder_prefix: str = ""
    encoder_prompt: str = ""


class SizesSection(Section):
    """Sizes of the bridge that differ from the preset, as `BridgeConfig`."""

    hidden: Count | None = None
    layers: Count | None = None
    heads: Count | None = None
    queries: Count | None = None
    cross_attention_frequency: Count | None = None
    dropout: float | None = Field(default=None, ge=0, lt=1)
    output_std: float | None = Field(default=None, gt=0)

    @model_serializer
    def _given(self) -> dict[str, int | float]:
        """Without those of the preset."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class CaptionerSection(Section):
    """What is built, or what is taken further."""

    start: Path | None = None
    """Folder of a trained captioner; bridge, T5 and languages are then its own."""
    bridge: Literal["tiny", "small", "base"] = "small"
    sizes: SizesSection = SizesSection()
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
        if not self.languages:
            raise ValueError("languages: name at least one")
        if wrong := sorted(name for name in self.adapters if not name.isidentifier()):
            raise ValueError(f"adapters: '{wrong[0]}' is no name; letters, digits and _ are")
        layers = {layer for one in self.adapters.values() for layer in one.layers}
        if wrong := sorted(layers - set(ALL_LINEAR)):
            raise ValueError(f"adapters: a T5 has no layer '{wrong[0]}'; it has {', '.join(ALL_LINEAR)}")
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
