"""The commands that take a manifest's photos elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dermaxai.commands.console import say, talk
from dermaxai.errors import DataError, UsageError


def shards(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Of 'data build'.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Part whose photos are packed.")
    ] = "train",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only of this dataset; as often as needed.", show_default="all")
    ] = None,
    per_shard: Annotated[int, typer.Option(min=1, help="Photos in a shard, at most.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the order in which photos are packed.")] = 0,
) -> None:
    """Pack photos with their samples into tar shards in WebDataset's form, for sets that fit no disk.

    A recipe reads them by features.shards. Broken off, it goes on where it was.
    """
    from dermaxai.data.manifest import Manifest
    from dermaxai.training.shard_items import items_of, shuffled
    from dermaxai.training.shards import write_shards

    opened = Manifest.open(manifest)
    rows = shuffled(opened.rows(split, dataset or None), seed)
    written = write_shards(items_of(opened, rows), out, per_shard=per_shard, on_shard=talk)
    talk(f"{sum(shard.count for shard in written):,} photos in {len(written):,} shards")
    say(str(out))


def move(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Of 'data build'.", show_default=False)
    ],
    folders: Annotated[
        list[str], typer.Argument(metavar="NAME=DIR...", help="Where datasets are now.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Another file.", show_default="the same file")
    ] = None,
) -> None:
    """Tell a manifest where its photos are now; its rows, and the trainings that know them, stay the same."""
    from dermaxai.data.manifest import Manifest
    from dermaxai.data.writing import rewrite

    roots: dict[str, Path] = {}
    for text in folders:
        name, equals, folder = text.partition("=")
        if not (equals and folder):
            raise UsageError(f"'{text}' is no dataset with its folder.", hint="Write NAME=DIR.")
        if not Path(folder).is_dir():
            raise DataError(f"There is no folder '{folder}'.", hint="Give the folder of the dataset.")
        roots[name] = Path(folder).resolve()
    opened = Manifest.open(manifest, roots=roots)
    rewrite(manifest, out or manifest, opened.roots)
    for name, root in opened.roots.items():
        talk(f"{name}: {root}")
    say(str(out or manifest))
