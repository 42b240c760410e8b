"""Commands about what there is: models, methods, fetch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.console import complain, plain_table, say, say_json, say_table, talk
from dermaxai.commands.options import JsonOption
from dermaxai.errors import WeightsError, WeightsMissing

if TYPE_CHECKING:
    from dermaxai.encoders.cards import EncoderCard

models = typer.Typer(help="Encoders: what exists, what is on this machine.", no_args_is_help=True)


@models.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """Every encoder, and whether its weights are on this machine."""
    from dermaxai.encoders.cards import card_names, read_card

    rows = [_row(read_card(name)) for name in card_names()]
    if as_json:
        for row in rows:
            say_json(row)
        return
    table = plain_table("name", "title", "here", "size", "text", "gated", "licence")
    for row in rows:
        size = f"{row['megabytes']} MB" if row["megabytes"] else ""
        flags = ["yes" if row[name] else "no" for name in ("has_text", "gated")]
        table.add_row(row["name"], row["title"], "yes" if row["here"] else "no", size, *flags, row["licence"])
    say_table(table)


def _row(card: EncoderCard) -> dict[str, Any]:
    names = ("name", "title", "repo_id", "revision", "megabytes", "has_text", "gated", "licence")
    return {name: getattr(card, name) for name in names} | {"here": find_weights(card) is not None}


def find_weights(card: EncoderCard) -> Path | None:
    """The weights of an encoder on this machine; nothing is opened, no network touched, no torch loaded."""
    from importlib.resources import files

    from dermaxai.encoders import hub
    from dermaxai.settings import read_settings

    carried = read_settings().weights
    places = [carried / card.name] if carried else []
    if not card.repo_id:
        places.append(Path(str(files("dermaxai"))) / card.name / "encoder")
    names = (card.weights, *card.alternatives)
    known = (place / name for place in places for name in names)
    found = next((path for path in known if path.is_file()), None)
    return found or (hub.find(card) if card.repo_id else None)


def missing_weights(card: EncoderCard) -> WeightsMissing:
    """What is missing, how large it is, and where to put it."""
    size = f" ({card.megabytes} MB)" if card.megabytes else ""
    fetched = f"dermaxai fetch {card.name}, here or elsewhere with --to FOLDER" if card.repo_id else ""
    put = f"put {card.weights} into FOLDER/{card.name} and set DERMAXAI_WEIGHTS=FOLDER"
    return WeightsMissing(
        f"The weights of '{card.name}'{size} are not on this machine.",
        hint=f"{fetched}; or {put}." if fetched else f"dermaxai models card {card.name}; then {put}.",
    )


@models.command("card")
def show_card(
    name: Annotated[str, typer.Argument(help="Encoder.", show_default=False)], as_json: JsonOption = False
) -> None:
    """Everything that is known about one encoder."""
    from dermaxai.encoders.cards import read_card

    values = asdict(read_card(name))
    if as_json:
        say_json(values)
        return
    for field, value in values.items():
        if value not in ("", (), {}, 0):
            say(f"{field:20}{_plain(value)}")


@models.command("activation")
def judge_activation(
    name: Annotated[str, typer.Argument(help="Encoder.", show_default=False)],
    on: Annotated[
        Path,
        typer.Option(
            help="Folder with a folder of photos for each diagnosis, or CSV with the columns file and text.",
            show_default=False,
        ),
    ],
    source: Annotated[Path | None, typer.Option(help="Folder or file of the encoder's weights.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge by labelled photos whether an encoder was trained with GELU or QuickGELU."""
    from dermaxai.encoders.activation import check_activation, read_labelled
    from dermaxai.encoders.naming import find_card
    from dermaxai.loading import carried_folder
    from dermaxai.settings import read_settings

    settings = read_settings()
    given = source or carried_folder(name, settings)
    card, place = find_card(name, given, offline=settings.offline)
    asked = read_labelled(on, (card.templates or ("{}",))[0])
    verdict = check_activation(
        card, asked.photos, asked.texts, asked.labels, source=place, offline=settings.offline
    )
    if as_json:
        more = {"margin": verdict.margin, "decided": verdict.decided, "card": card.activation}
        say_json(asdict(verdict) | more)
        return
    say(str(verdict))
    if verdict.decided and card.activation != verdict.better:
        talk(f"The card says '{card.activation}'. To change it, copy the card, set the activation there to "
             f"'{verdict.better}', and give the copy's path instead of the name.")  # fmt: skip


@models.command("convert")
def convert_weights(
    source: Annotated[Path, typer.Argument(help="A .pt, .pth or .bin.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="The new .safetensors file.", show_default=False)],
) -> None:
    """Rewrite a checkpoint of tensors as safetensors that keep its hash; code inside is never run."""
    from dermaxai.encoders.weights import convert, metadata

    made = convert(source, target)
    say(f"{made}\t{metadata(made)['source_sha256']}")


def _plain(value: object) -> str:
    if isinstance(value, tuple | list):
        return "; ".join(map(_plain, value))
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(entry)}" for key, entry in value.items())
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def methods(as_json: JsonOption = False) -> None:
    """Every explanation method: what it answers, on which towers, and its variants."""
    from dermaxai.explain import METHODS

    rows = [method_row(name, METHODS.load(name)) for name in METHODS]
    if as_json:
        for row in rows:
            say_json(row)
        return
    table = plain_table("name", "title", "answers", "signed", *POOLINGS.values(), "variants")
    for row in rows:
        answers, variants = (", ".join(row[name]) for name in ("answers", "variants"))
        levels = (_level(row["support"][pooling]) for pooling in POOLINGS)
        table.add_row(row["name"], row["title"], answers, _plain(row["signed"]), *levels, variants)
    say_table(table)
    for row in rows:
        for sentence in _remarks_of(row):
            say(f"{row['name']}: {sentence}")


POOLINGS = {"class": "class token", "mean": "mean of patches", "map": "MAP head"}
"""How the towers read their patches: open_clip and timm; PanDerm; SigLIP."""


def method_row(name: str, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a subclass of AbstractMethod
    """Everything an explanation method says of itself, as JSON has it."""
    about = (kind.__doc__ or "").strip().splitlines()
    method = kind()
    return {
        "name": name,
        "title": kind.title,
        "answers": sorted(kind.answers),
        "reads_question": kind.reads_question,
        "reads_text": kind.reads_text,
        "signed": kind.signed,
        "layer": kind.layer,
        "variants": list(kind.variants),
        "support": {
            pooling: {asked: asdict(method.support(pooling, asked)) for asked in sorted(kind.answers)}
            for pooling in POOLINGS
        },
        "about": about[0] if about else "",
    }


def _level(support: Mapping[str, Mapping[str, str]]) -> str:
    """One word for a tower; the worst of the questions where they differ."""
    found = {entry["level"] for entry in support.values()}
    return next(level for level in ("impossible", "doubtful", "supported") if level in found)


def _remarks_of(row: Mapping[str, Any]) -> list[str]:
    """What a reader must know: why a tower is doubtful or impossible, and that a question is ignored."""
    entries = [entry for support in row["support"].values() for entry in support.values()]
    told = [
        f"{entry['why']} Use '{entry['instead']}'." if entry["instead"] else entry["why"] for entry in entries
    ]
    ignored = [] if row["reads_question"] else ["the map does not depend on the question."]
    return [*ignored, *dict.fromkeys(filter(None, told))]


def fetch(
    names: Annotated[list[str], typer.Argument(help="Encoders, or 'all'.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option(help="Folder to carry to another machine; set DERMAXAI_WEIGHTS there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the weights of encoders to this machine."""
    from dermaxai.encoders.cards import card_names, read_card
    from dermaxai.settings import read_settings

    read_settings()
    wanted = [name for name in card_names() if read_card(name).repo_id] if names == ["all"] else names
    cards = [read_card(name) for name in wanted]
    failed = [card.name for card in cards if not _fetch(card, to, as_json=as_json)]
    if failed:
        talk(f"Not fetched: {', '.join(failed)}.")
        raise typer.Exit(WeightsError.exit_code)


def _fetch(card: EncoderCard, to: Path | None, *, as_json: bool) -> bool:
    """Whether it worked; one encoder that is gated does not stop the others."""
    from dermaxai.encoders.fetch import fetch as bring

    try:
        (found,) = bring([card.name], to, _announce)
    except WeightsError as error:
        complain(error, card.name)
        return False
    row = {"name": card.name, "file": str(found.weights), "sha256": found.sha256, "revision": found.revision}
    if as_json:
        say_json(row)
    else:
        say(f"{card.name}\t{found.weights}\t{found.sha256}")
    return True


def _announce(card: EncoderCard, file: str, size: int) -> None:
    from dermaxai.encoders.hub import size_in_words

    talk(f"{card.name}: fetching {file} ({size_in_words(size)}) from {card.repo_id}")
