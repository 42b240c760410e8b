"""The command that draws phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermaxai.commands.checks import check_folder
from dermaxai.commands.console import say, say_json
from dermaxai.commands.options import JsonOption

if TYPE_CHECKING:
    from dermaxai.phantom import Phantom

MASKS = "masks"
"""Folder of the masks. They are GIF, which is lossless, opens everywhere, and is no format of a photo."""


def phantom(
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=100_000, help="How many.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")] = Path("phantoms"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pixels.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Draw dermoscopic photos whose lesions, colours, border and symmetry are known exactly.

    Beside the photos lie phantoms.jsonl with their true captions, and masks/ with a GIF of each lesion, which
    no command takes for a photo.
    """
    import json

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


def _save(drawn: Phantom, folder: Path, index: int) -> dict[str, Any]:
    from dataclasses import asdict

    from PIL import Image

    from dermaxai.images import write_photo

    photo, mask = folder / f"phantom-{index:04d}.png", folder / MASKS / f"phantom-{index:04d}.gif"
    write_photo(drawn.image, photo)
    Image.fromarray(drawn.mask).save(mask, "GIF")
    plan = asdict(drawn.plan)
    return {"file": str(photo), "mask": str(mask), "captions": dict(drawn.captions), "plan": plan}
