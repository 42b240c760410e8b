"""The tables of a study: every key with its meaning, range and default.

[study]            name, seed, groups, threads
[[data]]           which photos, by any number of names
[[model]]          which encoder, with or without a captioner
[[captions]]       a plan of `dermaxai evaluate captions`
[[explanations]]   a plan of `dermaxai evaluate explanations`
[[encoders]]       a plan of `dermaxai evaluate encoders`
[[claim]]          a ranking that somebody claims, and on what it is tested

Every plan is carried out for every model on every data set, unless it names some of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, field_validator, model_validator

from dermaxai.data.samples import Part
from dermaxai.training.sections import Section

Kind = Literal["captions", "explanations", "encoders"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
"""Of files too: letters, digits, '_', '.' and '-'."""


class StudySection(Section):
    """What holds for all of it."""

    name: Name
    about: str = ""
    """What is asked, in a sentence; stands first in the results."""
    by: tuple[str, ...] = ()
    """Groups that are reported apart: 'skin_type', 'site', 'sex', 'age', 'modality', 'dataset', …"""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of samples, resamples, and whatever draws random numbers."""
    device: str = "auto"
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads of each process. Another number may change the last bits, so it is part of the study."""


class DataSection(Section):
    """Photos."""

    name: Name
    on: tuple[str, ...] = Field(min_length=1)
    """Manifests (*.parquet), 'NAME=FOLDER' for a dataset in its publisher's folder, or folders of photos."""
    split: Part | Literal["all"] = "test"
    ids: Path | None = None
    """File with the ids to take, one a line."""
    limit: int | None = Field(default=None, ge=1)
    """So many photos, drawn with the seed: whole clusters, diagnoses as frequent as they are."""
    masks: Path | None = None
    """Folder of outlines by experts."""
    train: tuple[str, ...] = ()
    """Photos to learn from, for linear probes and captions of neighbours: the training part, as `on`."""
    train_limit: int | None = Field(default=None, ge=1)

    @field_validator("on", "train", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @property
    def part(self) -> Part | None:
        """As `gather` takes it: None for all photos."""
        return None if self.split == "all" else self.split


class ModelSection(Section):
    """An encoder, and the captioner that reads it where there is one."""

    name: str = "demo"
    """Of a card, hub id, or folder."""
    called: Name | None = None
    """In tables, where the name is long or two models share it."""
    source: str = ""
    """Folder or file of the encoder's weights, instead of the hub."""
    captioner: str = ""
    """Folder of a captioner trained on this encoder."""
    dtype: Literal["float32", "bfloat16"] = "float32"

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.called or Path(self.name).name


class PlanSection(Section):
    """One plan; every further key is a field of the plan itself."""

    model_config = ConfigDict(extra="allow")

    name: Name | None = None
    """Where there are several of a kind."""
    data: tuple[str, ...] = ()
    """Names of data sets; empty: all."""
    models: tuple[str, ...] = ()
    """Names of models; empty: all."""

    @property
    def options(self) -> dict[str, object]:
        """Fields of the plan."""
        return dict(self.model_extra or {})


class ClaimSection(Section):
    """'The first is better than the second, the second than the third, …', to be tested."""

    name: Name
    about: str = ""
    """Who claims it, in a sentence."""
    kind: Kind = "explanations"
    plans: tuple[str, ...] = ()
    """Names of plans; empty: all of the kind."""
    ranking: tuple[str, ...] = Field(min_length=2)
    """Contestants, the best first, as the tables call them."""
    metrics: tuple[str, ...] = ()
    """By name; empty: every metric in which one direction is better."""
    conditions: tuple[str, ...] = ()
    """Questions, such as 'word' and 'query'; empty: all."""

    @model_validator(mode="after")
    def _each_once(self) -> ClaimSection:
        if len(set(self.ranking)) != len(self.ranking):
            raise ValueError("ranking: a contestant stands in it twice")
        return self
