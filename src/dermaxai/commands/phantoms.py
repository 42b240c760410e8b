"""The command that draws phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.checks import check_folder
from dermaxai.commands.console import plain_table, say, say_json, say_table, talk
from dermaxai.commands.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermaxai.measure.known_answers import Row
    from dermaxai.phantom import Phantom

MASKS = "masks"
"""Folder of the masks. They are GIF, which is lossless, opens everywhere, and is no format of a photo."""


def phantom(
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=100_000, help="How many.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("phantoms"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pixels.")] = 0,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="ENCODER", help="Draw nothing, but ask this encoder about phantoms.", show_default=False
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="With --check: methods, or 'all'.", show_default="all"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw dermoscopic photos whose lesions, colours, border and symmetry are known exactly.

    Beside the photos lie phantoms.jsonl with their true captions, and masks/ with a GIF of each lesion, which
    no command takes for a photo. With --check an encoder and the explanation methods are asked where the
    lesion of a colour lies on N phantoms of each kind; maps that know nothing stand beside.
    """
    import json

    if check is not None:
        _check(check, method or ["all"], (number, seed), as_json=as_json)
        return

    from dermaxai.phantom import draw_phantom, sample_plans

    check_folder(output)
    check_folder(output / MASKS)
    (output / MASKS).mkdir(parents=True, exist_ok=True)
    lines = []
    for index, plan in enumerate(sample_plans(number, seed)):
        row = _save(draw_phantom(plan, seed + index), output, index)
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        if as_json:
            say_json(row)
        else:
            say(f"{row['file']}\t{row['captions']['en']}")
    (output / "phantoms.jsonl").write_text("".join(lines), encoding="utf-8")


def _check(name: str, methods: list[str], drawn: tuple[int, int], *, as_json: bool) -> None:
    """The table of known answers on `drawn` (number, seed) phantoms.

    Raises: UnknownName, WeightsError, NotSupported.
    """
    from dermaxai.errors import NotSupported
    from dermaxai.measure.known_answers import colour_phantoms, lesion_phantoms, measure_methods
    from dermaxai.pipeline import load
    from dermaxai.questions import chosen_methods

    askers = chosen_methods([one.strip() for entry in methods for one in entry.split(",")])
    encoder = load(name).encoder
    if not encoder.has_text:
        raise NotSupported(f"'{name}' has no text tower to ask for a colour.", hint="Choose another encoder.")
    kinds = {"lesions": lesion_phantoms, "two colours": colour_phantoms}
    for asker in askers:
        if "query" not in asker.answers:
            talk(f"'{asker.name}' compares no photo with a text and is left out.")
    for kind, draw in kinds.items():
        rows = measure_methods(encoder, askers, draw(*drawn))
        for row in rows if as_json else ():
            say_json({"phantoms": kind, **_as_row(row)})
        if not as_json:
            _say_known(kind, rows)


def _as_row(row: Row) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(row), "verdict": row.verdict}


def _say_known(kind: str, rows: Sequence[Row]) -> None:
    table = plain_table(kind, "variant", "metric", "value", "95 % interval", "chance", "n", "verdict")
    for row in sorted(rows, key=lambda row: (row.metric, -row.value)):
        numbers = f"{row.value:.2f}", f"{row.low:.2f} to {row.high:.2f}", f"{row.chance:.2f}", str(row.n)
        table.add_row(row.method, row.variant, row.metric, *numbers, row.verdict)
    say_table(table)


def _save(drawn: Phantom, folder: Path, index: int) -> dict[str, Any]:
    from dataclasses import asdict

    from PIL import Image

    from dermaxai.images import write_photo

    photo, mask = folder / f"phantom-{index:04d}.png", folder / MASKS / f"phantom-{index:04d}.gif"
    write_photo(drawn.image, photo)
    Image.fromarray(drawn.mask).save(mask, "GIF")
    plan = asdict(drawn.plan)
    return {"file": str(photo), "mask": str(mask), "captions": dict(drawn.captions), "plan": plan}
