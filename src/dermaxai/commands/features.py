"""Commands about cached features: estimate, build, check, info."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dermaxai.commands.console import plain_table, say, say_json, say_table, talk, talk_console
from dermaxai.commands.options import JsonOption, grouped
from dermaxai.errors import SettingError, UsageError

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.cards import EncoderCard
    from dermaxai.features import Extracted, FeatureCache, FeatureKey, Photo
    from dermaxai.features.estimating import Plan
    from dermaxai.features.extracting import Progress
    from dermaxai.features.key import Pooling

features = typer.Typer(help="Patch features of frozen encoders, written once.", no_args_is_help=True)

DAMAGED = 4
"""Exit code where checks failed."""
TRIED = 8
"""Views in the batch, and photos, that are timed."""
SHOWN = 20
"""Photos that failed, in words; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Tower:
    """Which encoder, on which device."""

    encoder: Annotated[str, typer.Option("--encoder", "-e", help="Name of 'models list', or folder.")] = (
        "demo"
    )
    source: Annotated[Path | None, typer.Option(help="Folder or file of the encoder's weights.")] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", show_default="auto")] = ""
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Of the encoder's arithmetic.", show_default="float32"),
    ] = None

    def load(self) -> AbstractEncoder:
        """The encoder. Raises: as `load_encoder`."""
        import torch

        from dermaxai.encoders import load_encoder
        from dermaxai.loading import DEMO, carried_folder, demo_folder
        from dermaxai.settings import choose_device, read_settings

        settings = read_settings(device=self.device or None, dtype=self.precision)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        place = self.source or (demo_folder() / "encoder" if self.encoder == DEMO else None)
        return load_encoder(
            self.encoder,
            place or carried_folder(self.encoder, settings),
            device=choose_device(settings.device).value,
            dtype=getattr(torch, settings.dtype),
            offline=settings.offline,
        )

    def load_if_here(self) -> AbstractEncoder | None:
        """None where that would need the network. Raises: as `load_encoder`."""
        from dermaxai.commands.models import find_weights

        here = self.source or Path(self.encoder).is_dir() or find_weights(self.card())
        return self.load() if here else None

    def card(self) -> EncoderCard:
        """What is known without weights. Raises: UnknownName, SettingError."""
        from dermaxai.encoders.cards import read_card

        return read_card(self.encoder)


@dataclass(frozen=True, slots=True)
class Storing:
    """What is stored of each photo."""

    dtype: Annotated[
        Literal["float16", "int8"], typer.Option(help="As stored; int8 has one scale per token.")
    ] = "float16"
    pool: Annotated[
        str, typer.Option(help="'all' patches; a number N for N x N means; 'class' for the embedding alone.")
    ] = "all"
    views: Annotated[
        int, typer.Option(min=1, max=1000, help="Of each photo; those after the first are augmented.")
    ] = 1
    seed: Annotated[int, typer.Option(min=0, help="Of the augmented views.")] = 0

    def key(self, encoder: AbstractEncoder) -> FeatureKey:
        """Of a cache like this. Raises: SettingError."""
        from dermaxai.features.key import make_key

        return make_key(encoder, pooling=self.pooling, dtype=self.dtype, seed=self.seed)

    @property
    def pooling(self) -> Pooling:
        """Raises: SettingError."""
        if self.pool == "all":
            return "all"
        if self.pool == "class":
            return "class"
        if self.pool.isdecimal():
            return int(self.pool)
        raise SettingError(f"--pool is 'all', 'class' or a number; '{self.pool}' came.")


@dataclass(frozen=True, slots=True)
class Run:
    """How far, and whether to ask."""

    batch: Annotated[int, typer.Option(min=1, max=4096, help="Views encoded and written at once.")] = 64
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many photos.", show_default="all")
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False


@features.command("estimate")
@grouped
def estimate(
    tower: Tower,
    images: Annotated[int, typer.Option(min=1, help="How many photos.", show_default=False)],
    views: Annotated[int, typer.Option(min=1, max=1000, help="Of each photo.")] = 1,
    on: Annotated[Path, typer.Option(help="Folder on the disk that is to hold it.")] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """How large a cache of so many photos is in each form; how long it takes if the weights are here."""
    from dermaxai.features.estimating import choices, free_bytes, plan_by_card, plan_by_encoder, time_encoder

    encoder = tower.load_if_here()
    plan = plan_by_encoder(encoder, images) if encoder else plan_by_card(tower.card(), images)
    pace = time_encoder(encoder, TRIED) if encoder else None
    ways, free = choices(replace(plan, views=views)), free_bytes(on)
    if as_json:
        for way in ways:
            say_json(_row(way, free) | {"seconds": pace.seconds(images * views, 1) if pace else None})
        return
    _say_ways(ways, free)
    without = f"The weights of '{tower.encoder}' are not here, so the time cannot be measured."
    talk(pace.in_words(images * views, 1) if pace else without)


def _row(way: Plan, free: int) -> dict[str, Any]:
    return {
        "pooling": way.pooling,
        "dtype": way.dtype,
        "images": way.images,
        "views": way.views,
        "tokens": way.tokens,
        "width": way.stored_width,
        "bytes": way.bytes,
        "free": free,
    }


def _say_ways(ways: Sequence[Plan], free: int) -> None:
    """A table, and in words what the disk holds."""
    from dermaxai.features.estimating import advise, arithmetic, largest_that_fits, size_in_words

    table = plain_table("--pool", "--dtype", "tokens x width", "images x views", "size", "fits here")
    for way in ways:
        shape = f"{way.tokens} x {way.stored_width}"
        fits = "yes" if largest_that_fits([way], free) else "no"
        counts = f"{way.images:,} x {way.views}"
        table.add_row(str(way.pooling), way.dtype, shape, counts, size_in_words(way.bytes), fits)
    say_table(table)
    talk(arithmetic(ways[0]))
    talk(f"The disk has {size_in_words(free)} free. {advise(ways, free)}")


@features.command("build")
@grouped
def build(
    manifest: Annotated[Path, typer.Argument(help="Of 'data build'.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of caches.", show_default=False)],
    tower: Tower,
    storing: Storing,
    run: Run,
    as_json: JsonOption = False,
) -> None:
    """Encode the photos of a manifest into a cache, or go on where an earlier run stopped."""
    from dermaxai.data.manifest import Manifest
    from dermaxai.features import Extraction, FeatureCache, extract, photos_of
    from dermaxai.images import Limits
    from dermaxai.settings import read_settings

    settings = read_settings()
    limits = Limits(settings.max_bytes, settings.max_pixels, settings.min_side)
    photos = list(photos_of(Manifest.open(manifest), run.limit))
    if not photos:
        raise UsageError(f"'{manifest}' names no photo.", hint="Build it from a dataset with photos.")
    encoder = tower.load()
    key = storing.key(encoder)
    _announce(encoder, key, photos, output, storing.views)
    if not run.yes:
        _ask()
    cache = FeatureCache.create(output, key)
    how = Extraction(views=storing.views, batch=run.batch, limits=limits)
    with _counted() as on_progress:
        told = extract(encoder, photos, cache, how, on_progress)
    _tell(told, cache, as_json=as_json)
    if told.failed:
        raise typer.Exit(1)


def _announce(
    encoder: AbstractEncoder, key: FeatureKey, photos: Sequence[Photo], output: Path, views: int
) -> None:
    """Size and time of what is left to write, on stderr. Raises: UsageError where the disk is too small."""
    from dermaxai.features import estimating
    from dermaxai.features.estimating import advise, size_in_words
    from dermaxai.features.extracting import count_threads

    asked = len(photos) * views
    left = asked - _held(output, key, photos, views)
    plan = estimating.plan_by_encoder(encoder, left)
    chosen, free = replace(plan, pooling=key.asked_pooling, dtype=key.dtype), estimating.free_bytes(output)
    needed = size_in_words(chosen.bytes)
    talk(f"To be written: {left:,} of {asked:,} views, {needed}; the disk has {size_in_words(free)} free.")
    if estimating.largest_that_fits([chosen], free) is None:
        raise UsageError(f"{needed} do not fit there.", hint=advise(estimating.choices(plan), free))
    if left:
        talk(estimating.time_encoder(encoder, TRIED, photos[:TRIED]).in_words(left, count_threads()))


def _held(output: Path, key: FeatureKey, photos: Sequence[Photo], views: int) -> int:
    """How many of the photos x views an earlier run has written."""
    from dermaxai.errors import DataError
    from dermaxai.features import FeatureCache

    try:
        cache = FeatureCache.open(output, key)
    except DataError:
        return 0  # `create` makes it, or says why not
    names = [photo.sha256 for photo in photos if photo.sha256]
    return sum(int((cache.locate(names, view) >= 0).sum()) for view in range(views))


def _ask() -> None:
    """Raises: typer.Abort for no, UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here whether to start.", hint="Add --yes.")
    typer.confirm("Start?", abort=True, err=True)


@contextmanager
def _counted() -> Iterator[Progress]:
    """A progress bar on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("features"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk_console(), redirect_stdout=False) as bar:
        task = bar.add_task("features", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(told: Extracted, cache: FeatureCache, *, as_json: bool) -> None:
    """What was done, and which photos failed."""
    from dermaxai.features.estimating import time_in_words

    for name, why in told.failed[:SHOWN]:
        talk(f"{name}: {why}")
    if len(told.failed) > SHOWN:
        talk(f"… and {len(told.failed) - SHOWN} more.")
    if as_json:
        say_json(asdict(told) | {"folder": str(cache.folder), "loss": cache.loss})
        return
    counts = f"{told.written:,} written, {told.present:,} were there, {len(told.failed)} failed"
    talk(f"{counts}; {time_in_words(told.seconds)}.")
    if cache.loss is not None:
        talk(f"Rounding to {cache.key.dtype} changes the features by {cache.loss:.4f} of their size (RMS).")
    say(str(cache.folder))


CacheArgument = Annotated[Path, typer.Argument(help="Folder of a cache.", show_default=False)]


@features.command("info")
def info(cache: CacheArgument, as_json: JsonOption = False) -> None:
    """What a cache holds, and of which encoder."""
    from dermaxai.features import FeatureCache

    opened = FeatureCache.open(cache)
    names = ("tokens", "photos", "views", "bytes", "loss")
    values = {"folder": str(opened.folder), "digest": opened.key.digest, **asdict(opened.key)}
    values |= {"entries": len(opened)} | {name: getattr(opened, name) for name in names}
    if as_json:
        say_json(values)
        return
    for name, value in values.items():
        say(f"{name:16}{'' if value is None else value}")


@features.command("check")
def check(
    cache: CacheArgument,
    drop: Annotated[
        bool, typer.Option("--drop", help="Forget what is damaged, so that 'build' writes it again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read everything in a cache and compare it with the checksums taken when it was written."""
    from dermaxai.features import FeatureCache, FeatureWriter

    opened = FeatureCache.open(cache)
    with _counted() as on_progress:
        damaged = opened.check(on_progress).tolist()
    if damaged and drop:
        with FeatureWriter(opened) as writer:
            writer.forget(damaged)
    if as_json:
        say_json({"entries": len(opened), "damaged": damaged, "dropped": bool(damaged and drop)})
    else:
        say(f"{len(damaged)} damaged of {len(opened) + len(damaged) * drop:,}")
    if damaged and not drop:
        talk("Run it with --drop, then 'features build' once more.")
        raise typer.Exit(DAMAGED)
