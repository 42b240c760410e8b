"""Options of the commands that evaluate over a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dermaxai.errors import UsageError

if TYPE_CHECKING:
    from dermaxai.data.samples import Part
    from dermaxai.evaluate.gathering import Gathered

PHOTOS = "Photos"
RESULTS = "Results"
PROTOCOL = "How faithfulness is measured"


@dataclass(frozen=True, slots=True)
class PhotoChoice:
    """Which photos; each field is an option of its name."""

    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="A manifest (all.parquet), a dataset (ham10000=FOLDER) or a folder; as often as needed.",
            show_default=False,
            rich_help_panel=PHOTOS,
        ),
    ] = None
    split: Annotated[
        Literal["train", "validation", "test", "all"],
        typer.Option(help="Part of manifests and of datasets that have parts.", rich_help_panel=PHOTOS),
    ] = "test"
    ids: Annotated[
        Path | None,
        typer.Option(
            help="File with names of photos, one a line; replaces the split.", rich_help_panel=PHOTOS
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="So many photos, drawn with the seed.", rich_help_panel=PHOTOS),
    ] = None
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of outlines, where they are not beside the photos.", rich_help_panel=PHOTOS
        ),
    ] = None

    def gather(self, seed: int) -> Gathered:
        """Raises: UsageError, DataError."""
        from dermaxai.evaluate.gathering import gather_noted

        return gather_noted(
            self.on or [],
            split=part_of(self.split),
            ids=self.ids,
            limit=self.limit,
            masks=self.masks,
            seed=seed,
        )

    @property
    def options(self) -> dict[str, str | Sequence[str]]:
        """As the command that repeats it has them."""
        return {
            "on": self.on or [],
            "split": "" if self.split == "test" else self.split,
            "ids": str(self.ids or ""),
            "limit": str(self.limit or ""),
            "masks": str(self.masks or ""),
        }


@dataclass(frozen=True, slots=True)
class TrainChoice:
    """Photos to learn from."""

    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Photos to learn from, as --on: the training part; those that are judged are left out.",
            show_default=False,
            rich_help_panel=PHOTOS,
        ),
    ] = None
    train_limit: Annotated[
        int | None, typer.Option(min=1, help="So many of them at most.", rich_help_panel=PHOTOS)
    ] = None

    def gather(self, seed: int) -> Gathered | None:
        """None where none are named. Raises: UsageError, DataError."""
        from dermaxai.evaluate.gathering import gather_noted

        if not self.train:
            return None
        return gather_noted(self.train, split="train", limit=self.train_limit, seed=seed)

    @property
    def options(self) -> dict[str, str | Sequence[str]]:
        """As the command that repeats it has them."""
        return {"train": self.train or [], "train-limit": str(self.train_limit or "")}


@dataclass(frozen=True, slots=True)
class ResultChoice:
    """Where results go, and in which groups."""

    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results.", rich_help_panel=RESULTS)
    ] = Path("results")
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Groups apart: skin_type, site, sex, age, modality, dataset, diagnosis, malignancy.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    photos: Annotated[
        bool,
        typer.Option(
            "--photos",
            help="Small copies on the pages of cases, with maps drawn on them.",
            rich_help_panel=RESULTS,
        ),
    ] = False
    figures: Annotated[bool, typer.Option(help="Draw figures.", rich_help_panel=RESULTS)] = True
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder of cases that pages link to, of 'dermaxai explain'.",
            show_default=False,
            rich_help_panel=RESULTS,
        ),
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line on stdout.", rich_help_panel=RESULTS)
    ] = False

    @property
    def options(self) -> dict[str, str | Sequence[str]]:
        """As the command that repeats it has them, without the folder."""
        return {"by": self.by or [], "reports": str(self.reports or "")}

    @property
    def flags(self) -> tuple[str, ...]:
        """Likewise."""
        return (*(["--photos"] if self.photos else []), *([] if self.figures else ["--no-figures"]))

    @property
    def groups(self) -> tuple[str, ...]:
        """Names with commas taken apart. Raises: UnknownName, UsageError."""
        from dermaxai.evaluate.groups import check_properties

        if self.reports is not None and not self.reports.is_dir():
            raise UsageError(
                f"'{self.reports}' is no folder.", hint="--reports names one that `dermaxai explain` wrote."
            )
        return check_properties(names_in(self.by))


@dataclass(frozen=True, slots=True)
class ProtocolChoice:
    """How faithfulness is measured; the fields of `measure.maps.base.Protocol`."""

    removal: Annotated[
        Literal["tokens", "blur", "mean", "noisy linear"],
        typer.Option(help="How patches are taken away.", rich_help_panel=PROTOCOL),
    ] = "tokens"
    steps: Annotated[int, typer.Option(min=2, help="Of a curve.", rich_help_panel=PROTOCOL)] = 20
    random_maps: Annotated[
        int, typer.Option(min=2, help="Random orders that a map is compared with.", rich_help_panel=PROTOCOL)
    ] = 20
    subsets: Annotated[
        int, typer.Option(help="For correlation and infidelity.", rich_help_panel=PROTOCOL)
    ] = 64
    noisy_photos: Annotated[int, typer.Option(help="For sensitivity.", rich_help_panel=PROTOCOL)] = 8
    radius: Annotated[
        float, typer.Option(help="Of that noise, share of the pixels' range.", rich_help_panel=PROTOCOL)
    ] = 0.05
    passes: Annotated[
        Literal["model", "bfloat16"],
        typer.Option(help="Numbers in which repeated passes compute.", rich_help_panel=PROTOCOL),
    ] = "model"


@dataclass(frozen=True, slots=True)
class CaptionChoice:
    """What is asked of captions; the fields of `evaluate.captions.CaptionPlan`."""

    lang: Annotated[list[str] | None, typer.Option(help="en, ru or both.", show_default="all it writes")] = (
        None
    )
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "--metrics", help="Names of 'dermaxai metrics'.", show_default="all"),
    ] = None
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline", "--baselines",
            help="nearest neighbour, label template, majority caption, or none.", show_default="all",
        ),
    ] = None  # fmt: skip
    score_encoder: Annotated[
        str, typer.Option(help="Encoder of CLIPScore, by name or folder.", show_default="left out")
    ] = ""
    bert: Annotated[
        Path | None, typer.Option(help="Folder of BERTScore's model.", show_default="left out")
    ] = None
    frequencies: Annotated[
        Path | None,
        typer.Option(
            help="File of words' frequencies, for CIDEr-D of a fixed scale.", show_default="left out"
        ),
    ] = None
    compose: Annotated[bool, typer.Option(help="Judge photos without a caption against a composed one.")] = (
        True
    )
    cache: Annotated[
        Path | None,
        typer.Option("--cache", "--embeddings", help="Folder for embeddings.", show_default="in the results"),
    ] = None


@dataclass(frozen=True, slots=True)
class MapChoice:
    """What is asked of maps; the fields of `evaluate.explanations.ExplanationPlan`."""

    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", "--methods",
            help="Names of 'dermaxai methods', or NAME:VARIANT.", show_default="evidence,grad_eclip",
        ),
    ] = None  # fmt: skip
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "--metrics", help="Names of 'dermaxai metrics'.", show_default="the usual ones"
        ),
    ] = None
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "--questions", help="word, query, concept.", show_default="word"),
    ] = None
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text", "--texts",
            help="Of queries: diagnosis (the photo's own), lesion, or a text, as often as needed.",
            show_default="diagnosis where all photos have one, else lesion",
        ),
    ] = None  # fmt: skip
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", "--baselines", help="random, centre, edges, or none.", show_default="all"),
    ] = None
    most_words: Annotated[
        int, typer.Option(min=0, help="Of a caption, those that owe most to the photo.", show_default="all")
    ] = 0
    measured_masks: Annotated[
        bool, typer.Option("--measured-masks", help="Outline dermoscopic photos that nobody outlined.")
    ] = False


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """What is asked of encoders; the fields of `evaluate.encoders.EncoderPlan`."""

    encoder: Annotated[
        list[str] | None,
        typer.Option(help="Names of 'models list', or folders.", show_default="that of --model"),
    ] = None
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "--tasks", help="zero_shot, concepts, retrieval, linear_probe.", show_default="all"
        ),
    ] = None
    names: Annotated[str, typer.Option(help="How classes are called: authors, derm1m, demo, vocabulary.")] = (
        "authors"
    )
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            "--templates",
            help="A prompt with {}; as often as needed.",
            show_default="the card's",
        ),
    ] = None
    scheme: Annotated[str, typer.Option(help="How concepts are asked for: authors, monet, derm1m, card.")] = (
        "authors"
    )
    fewest: Annotated[int, typer.Option(help="Photos with and without a concept, at least.")] = 10
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share", "--shares", help="Of the training photos, for the probe.", show_default="0.01,0.1,1"
        ),
    ] = None
    cache: Annotated[
        Path | None, typer.Option(help="Folder for embeddings.", show_default="in the results")
    ] = None


def names_in(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names with commas taken apart, each once. Raises: UsageError for an empty one.

    >>> names_in(["word, query", "word"])
    ('word', 'query')
    """
    names = [name.strip() for one in given or () for name in one.split(",")]
    if not all(names):
        raise UsageError("A list of names has an empty one.", hint="Put commas between names only.")
    return tuple(dict.fromkeys(names))


def part_of(split: str) -> Part | None:
    """As `gather` takes it: None for all photos."""
    parts: dict[str, Part] = {"train": "train", "validation": "validation", "test": "test"}
    return parts.get(split)
