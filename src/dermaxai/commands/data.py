"""Commands about datasets: what there is, how to get it, what is in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.console import plain_table, say, say_json, say_table, talk
from dermaxai.commands.data_making import NameArgument, build, check, count_work, stats, unpack
from dermaxai.commands.data_moving import move, shards
from dermaxai.commands.data_show import (
    fetch_step,
    manifest_facts,
    next_command,
    sample_row,
    say_card,
    say_how,
    say_sample,
)
from dermaxai.commands.options import JsonOption
from dermaxai.errors import DataError, UsageError

if TYPE_CHECKING:
    from dermaxai.data.cards import DatasetCard
    from dermaxai.data.samples import Sample

data = typer.Typer(
    help="Datasets: what there is, how to get it, check it, build a manifest.", no_args_is_help=True
)


@data.command("list")
def list_datasets(
    place: Annotated[
        Path, typer.Option("--in", help="Folder with one folder of its name per dataset, for 'here'.")
    ] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """Every dataset that can be read, and how one gets it."""
    from dermaxai.data.cards import card_names, read_card

    rows = [_row(read_card(name), place) for name in card_names()]
    if as_json:
        for row in rows:
            say_json(row)
        return
    table = plain_table("name", "title", "photos", "captions", "licence", "access", "fetch", "here")
    for row in rows:
        photos = f"{row['photos']:,}" if row["photos"] else "varies"
        captions = ", ".join(row["caption_languages"]) or "composed"
        flags = ["yes" if row[name] else "no" for name in ("fetchable", "here")]
        table.add_row(row["name"], row["title"], photos, captions, row["licence"], row["access"], *flags)
    say_table(table)


def _row(card: DatasetCard, place: Path) -> dict[str, Any]:
    names = ("name", "title", "photos", "caption_languages", "licence", "access", "fetchable", "page")
    return {name: getattr(card, name) for name in names} | {"here": (place / card.name).is_dir()}


@data.command("show")
def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|ID", help="Dataset, or a sample as 'ham10000/ISIC_0027419'.", show_default=False
        ),
    ],
    manifest: Annotated[
        Path | None, typer.Option(help="Manifest that holds the sample.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Publisher's folder that holds the sample.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that is known about a dataset, or about one sample of it."""
    from dermaxai.data.cards import label_counts, read_card

    if "/" not in what:
        card = read_card(what)
        counts = label_counts(card)
        if as_json:
            say_json(asdict(card) | {"counts": counts})
        else:
            say_card(card, counts)
        return
    if (manifest is None) == (folder is None):
        raise UsageError(
            "A sample is shown from a manifest or from a folder.", hint="Give --manifest or --folder."
        )
    sample, more = _of_manifest(manifest, what) if manifest else _of_folder(folder or Path(), what)
    if as_json:
        say_json(sample_row(sample, more))
    else:
        say_sample(sample, more)


def _of_folder(folder: Path, name: str) -> tuple[Sample, dict[str, str]]:
    """Raises: UnknownName for another dataset, DataError where no row has this id."""
    from dermaxai.data.readers import READERS
    from dermaxai.data.reading import DatasetFolder

    read = READERS.load(name.partition("/")[0])
    found = next((sample for sample in read(DatasetFolder(folder)) if sample.id == name), None)
    if found is None:
        raise DataError(
            f"No row of '{folder}' is the sample '{name}'.", hint="Ids begin with the dataset's name."
        )
    return found, {}


def _of_manifest(path: Path, name: str) -> tuple[Sample, dict[str, str]]:
    """Raises: DataError where the manifest has no such sample."""
    import numpy as np

    from dermaxai.data.manifest import Manifest

    manifest = Manifest.open(path)
    rows = np.flatnonzero(np.asarray(manifest.column("id")) == name)
    if not rows.size:
        raise DataError(
            f"No row of '{path}' is the sample '{name}'.",
            hint=f"It holds {', '.join(manifest.datasets)}; `dermaxai data build` lists what was left out.",
        )
    (found,) = manifest.samples(rows[:1])
    return found.sample, manifest_facts(found)


@data.command("how")
def how(name: NameArgument, as_json: JsonOption = False) -> None:
    """The official way to a dataset: terms first, then licence, citation, commands, and what comes next."""
    from dermaxai.data.cards import read_card

    card = read_card(name)
    if not as_json:
        say_how(card)
        return
    names = ("name", "terms", "licence", "redistribution", "citation", "doi", "page", "steps", "layout")
    told = {entry: getattr(card, entry) for entry in names}
    say_json(told | {"steps": [*card.steps, *fetch_step(card)], "next": next_command(card)})


@data.command("fetch")
def fetch_dataset(
    name: NameArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the photos.", show_default=False)
    ],
    limit: Annotated[int, typer.Option(min=0, help="Photos at most; 0: all.")] = 0,
    collection: Annotated[
        list[int] | None, typer.Option(help="Collection of the archive, for isic_archive; may be repeated.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept-terms", help="I have read the terms and accept them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring an ISIC collection to this machine; run again to go on. Nothing else is ever fetched."""
    from dermaxai.data import isic_api
    from dermaxai.data.acquiring import check_allowed, fetch
    from dermaxai.data.cards import read_card

    card = read_card(name)
    collections = _collections(card, collection or [], limit)
    if card.fetchable:
        for term in card.terms:
            talk(f"{card.title}: {term}")
    check_allowed(card, accepted=accept)
    with count_work() as tell:
        done = fetch(
            isic_api.Archive(isic_api.ADDRESS),
            collections,
            output,
            limit=limit,
            progress=lambda count, total: tell("fetching", count, total),
        )
    for isic_id, told in done.failed:
        talk(f"{isic_id}: {told}")
    if as_json:
        say_json(asdict(done) | {"folder": str(done.folder), "read_as": card.fetched_as})
    else:
        say(f"{done.folder}\t{done.new} new, {done.kept} kept, {len(done.failed)} failed")
        say(f"Next: dermaxai data check {card.fetched_as} {done.folder}")
    if done.failed:
        raise typer.Exit(DataError.exit_code)


def _collections(card: DatasetCard, asked: list[int], limit: int) -> list[int]:
    """Raises: UsageError where it would be the whole archive, or another collection than the card's."""
    if asked and card.fetchable and card.collections:
        raise UsageError(
            f"{card.title} is collection {card.collections[0]}.",
            hint="Leave out --collection, or fetch isic_archive.",
        )
    if card.fetchable and not (asked or card.collections or limit):
        raise UsageError(
            "The whole archive is about 60 GB and has a snapshot of its own.",
            hint="Give --collection (`dermaxai data how isic_archive`), or --limit.",
        )
    return asked or list(card.collections)


for command in (check, build, stats, move, shards, unpack):
    data.command()(command)
