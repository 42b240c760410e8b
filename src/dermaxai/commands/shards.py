"""The command that packs a manifest's photos for streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermaxai.commands.console import say, talk
from dermaxai.data.samples import PARTS, Part


def shards(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Of 'data build'.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.", show_default=False)],
    part: Annotated[str, typer.Option(help=f"Which photos: {', '.join(PARTS)}.")] = "train",
    per_shard: Annotated[int, typer.Option(min=1, help="Photos in a shard, at most.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the order in which photos are packed.")] = 0,
) -> None:
    """Pack photos with their samples into tar shards in WebDataset's form, for sets that fit no disk.

    Broken off, it goes on where it was. The address of the index is printed.
    """
    from dermaxai.data.manifest import Manifest
    from dermaxai.registry import check_name
    from dermaxai.training.shard_items import items_of, shuffled
    from dermaxai.training.shards import INDEX, write_shards

    check_name("part", part, list(PARTS))
    chosen: Part = next(known for known in PARTS if known == part)
    opened = Manifest.open(manifest)
    rows = shuffled(opened.rows(chosen), seed)
    written = write_shards(items_of(opened, rows), out, per_shard=per_shard, on_shard=talk)
    talk(f"{sum(shard.count for shard in written):,} photos in {len(written):,} shards")
    say(str(out / INDEX))
