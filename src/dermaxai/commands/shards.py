"""The command that packs a manifest's photos for streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dermaxai.commands.console import say, talk


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
