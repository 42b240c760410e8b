"""Commands from a publisher's folder to a manifest: check, build, stats, unpack."""

from __future__ import annotations

import tempfile
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, final, get_args

import typer

from dermaxai.commands.checks import check_file
from dermaxai.commands.console import say, say_json, talk_console
from dermaxai.commands.data_telling import build_row, check_row, say_build, say_charts, say_check
from dermaxai.commands.options import JsonOption, grouped
from dermaxai.errors import DataError, UsageError

if TYPE_CHECKING:
    from dermaxai.data.building import BuildOptions
    from dermaxai.data.checking import ExpectedCounts
    from dermaxai.data.reading import DatasetFolder
    from dermaxai.data.samples import Part
    from dermaxai.data.scanning import Photos, Progress, Scan
    from dermaxai.data.splitting import SplitOptions

FAULTY = 4
"""Exit code where a check found faults."""
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Dataset of 'data list'.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Dividing:
    """How photos come to train, validation and test; each field is an option of its name."""

    seed: Annotated[int, typer.Option(help="Of the drawing of clusters.", rich_help_panel="Split")] = 0
    fractions: Annotated[
        str, typer.Option(help="Of train, validation and test.", rich_help_panel="Split")
    ] = "0.8,0.1,0.1"
    official: Annotated[
        bool,
        typer.Option(
            "--honour-official/--own-split",
            help="Keep publishers' parts, but for splits that are known to leak; or draw all anew.",
            rich_help_panel="Split",
        ),
    ] = True
    pin: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns key (of a group or sample) and part.", rich_help_panel="Split"
        ),
    ] = None
    published: Annotated[
        str, typer.Option(help="A split of this package: skincap.", rich_help_panel="Split")
    ] = ""

    def read(self) -> SplitOptions:
        """Raises: SettingError, UnknownName, DataError for a file of pins that is none."""
        from dermaxai.data.cards import card_names, read_card
        from dermaxai.data.published import published_split
        from dermaxai.data.splitting import SplitOptions

        pins: list[Mapping[str, Part]] = [_read_pins(self.pin)] if self.pin else []
        if self.published:
            pins.append(published_split(self.published))
        return SplitOptions(
            fractions=_read_fractions(self.fractions),
            seed=self.seed,
            honour_official=self.official,
            leaking=frozenset(name for name in card_names() if read_card(name).split_leaks),
            pinned=ChainMap(*cast(Any, pins)),  # only read, so any mapping does
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What becomes of rows and photos; each field is an option of its name."""

    unknown_labels: Annotated[
        Literal["error", "keep"],
        typer.Option(help="Labels that no table maps: an error, or rows without diagnosis."),
    ] = "error"
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure the lesion in dermoscopic photos.")
    ] = True
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep rows whose photo is not there or cannot be used.")
    ] = False
    index: Annotated[
        Path | None,
        typer.Option(help="What photos told, kept for the next time.", show_default="beside the manifest"),
    ] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read photos.", show_default="one per core")
    ] = None

    def options(self, split: SplitOptions) -> BuildOptions:
        """With the split's."""
        from dermaxai.data.building import BuildOptions

        return BuildOptions(
            split=split,
            keep_missing=self.keep_missing,
            measured=self.measure,
            index=self.index,
            workers=self.workers,
        )


def check(
    name: NameArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the download.", show_default=False)
    ],
    photos: Annotated[
        bool, typer.Option("--photos/--no-photos", help="Open every photo, or rows only.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read photos.", show_default="one per core")
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Name every fault, not the first of each kind.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read a dataset as a build would, and say what is wrong with file and row; exit code 4 for faults."""
    from dermaxai.data.checking import check as find_faults
    from dermaxai.data.reading import DatasetFolder

    expected, source = _expected(name), DatasetFolder(folder)
    with _photos(workers) if photos else nullcontext(_NoPhotos()) as known, count_work() as progress:
        found = find_faults(name, source, expected, photos=known, on_progress=progress)
    if not photos:
        told = tuple(fault for fault in found.faults if fault.kind != "missing photo")
        found = replace(found, faults=told)
    if as_json:
        say_json(check_row(found))
    else:
        say_check(found, show_all=show_all)
    if not found.is_clean:
        raise typer.Exit(FAULTY)


def _expected(name: str) -> ExpectedCounts:
    """What the card promises of the whole dataset. Raises: UnknownName."""
    from dermaxai.data.cards import label_counts, read_card
    from dermaxai.data.checking import ExpectedCounts
    from dermaxai.data.samples import PARTS

    card = read_card(name)
    part = next((part for part in PARTS if part == card.counted_part), None)
    return ExpectedCounts(card.samples, label_counts(card) if part or not card.counted_of else {}, part)


@final
class _NoPhotos:
    """Stands in for the index of photos where none is to be opened."""

    def scan(self, paths: Iterable[Path], *, measured: bool, on_progress: Progress | None = None) -> int:
        return 0

    def find(self, paths: Sequence[Path]) -> list[Scan | None]:
        return [None] * len(paths)


@contextmanager
def _photos(workers: int | None) -> Iterator[Photos]:
    """An index of photos for one check; nothing is written into the dataset's folder."""
    from dermaxai.data.scanning import ScanIndex

    with (
        tempfile.TemporaryDirectory(prefix="dermaxai-check-") as place,
        ScanIndex(Path(place) / "photos", workers=workers) as index,
    ):
        yield index


@contextmanager
def count_work() -> Iterator[Progress]:
    """A progress bar on stderr for each thing that is told of; 0 for a total that is not known."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=talk_console(), redirect_stdout=False) as bar:

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield progress


@grouped
def build(
    split: Dividing,
    reading: Reading,
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="The manifest.", show_default=False)],
    sources: Annotated[
        list[str],
        typer.Argument(metavar="NAME=DIR...", help="Datasets and their folders.", show_default=False),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write one manifest of any number of datasets, with one split that leaks nowhere."""
    from dermaxai.data.building import build as make

    folders = _read_sources(sources, keep_unknown=reading.unknown_labels == "keep")
    check_file(out)
    chosen = reading.options(split.read())
    with count_work() as progress:
        made = make(folders, out, chosen, on_progress=progress)
    if as_json:
        say_json(build_row(made))
    else:
        say_build(made, pinned=bool(split.pin or split.published))


def _read_sources(sources: list[str], *, keep_unknown: bool) -> list[tuple[str, DatasetFolder]]:
    """Raises: UsageError, UnknownName; DataError for a folder that is not there."""
    from dermaxai.data.cards import read_card
    from dermaxai.data.reading import DatasetFolder

    found = []
    for source in sources:
        name, equals, folder = source.partition("=")
        if not (equals and folder):
            raise UsageError(f"'{source}' is no dataset with its folder.", hint="Write NAME=DIR.")
        card = read_card(name)
        found.append((card.name, DatasetFolder(folder, keep_unknown=keep_unknown)))
    return found


def _read_fractions(text: str) -> tuple[float, float, float]:
    """Raises: UsageError."""
    try:
        train, validation, test = map(float, text.split(","))
    except ValueError:
        raise UsageError(
            f"--fractions is '{text}'; three numbers with commas in between are wanted.",
            hint="As 0.8,0.1,0.1.",
        ) from None
    return train, validation, test


def _read_pins(path: Path) -> dict[str, Part]:
    """Raises: DataError for another part than the three, and where a key is in two."""
    from dermaxai.data.samples import Part
    from dermaxai.data.tables import read_table

    if not path.is_file():
        raise DataError(f"There is no file '{path}'.", hint="A CSV with the columns key and part is wanted.")
    parts: Mapping[str, Part] = {part: part for part in get_args(Part)}
    pins: dict[str, Part] = {}
    for row in read_table(path).require("key", "part"):
        part = parts.get(row["part"])
        if part is None or pins.get(row["key"], part) != part:
            fault = f"part is '{row['part']}'" if part is None else f"'{row['key']}' is in two parts"
            raise DataError(f"{row.place}: {fault}.", hint=f"Parts are {', '.join(parts)}.")
        pins[row["key"]] = part
    return pins


def stats(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Of 'data build'.", show_default=False)
    ],
    draw: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also as figures, PNG and SVG.", show_default=False)
    ] = None,
    unique: Annotated[
        bool, typer.Option("--unique/--all-rows", help="Count a photo once, or every row.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """What a manifest holds: per dataset and split, diagnosis, skin type, site, age, length of captions."""
    from dermaxai.data.charts import charts_of
    from dermaxai.data.drawing import draw as draw_charts
    from dermaxai.data.manifest import Manifest
    from dermaxai.data.statistics import count_manifest

    counted = count_manifest(Manifest.open(manifest), unique=unique)
    charts = charts_of(counted)
    drawn = draw_charts(charts, draw) if draw else []
    if as_json:
        say_json(asdict(counted) | {"figures": [str(path) for path in drawn]})
        return
    say_charts(charts, counted)
    for path in drawn:
        say(str(path))


def unpack(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with the Parquet shards.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write.", show_default="the same folder")
    ] = None,
) -> None:
    """Write the photos inside the shards of Derm1M-AgentAug as files; run again to go on."""
    from dermaxai.data.readers.derm1m_agentaug import unpack as write_photos
    from dermaxai.data.reading import DatasetFolder

    source = DatasetFolder(folder)
    written = write_photos(source, output or folder)
    say(f"{output or folder}\t{written} photos written")
    for fault in source.faults:
        say(f"{fault.place}: {fault.message}")
    if source.faults:
        raise typer.Exit(FAULTY)
