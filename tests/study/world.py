"""A small study in a folder: a tiny model, drawn photos, a recipe; and a process that carries it out."""

import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dermaxai.study.recipe import read_study
from dermaxai.study.running import Way, run_study
from tests.study.fakes import WORK

RECIPE = """
[study]
name = "tried"
about = "Is Grad-CAM better than rollout?"
[[data]]
name = "first"
on = "{folder}/first"
split = "all"
[[data]]
name = "second"
on = "{folder}/second"
split = "all"
[[model]]
name = "{bundle}"
called = "tiny"
[[explanations]]
name = "maps"
[[captions]]
data = ["first"]
[[claim]]
name = "order"
ranking = ["grad_cam", "rollout"]
"""


def write_world(folder: Path, bundle: Path, count: int = 6) -> Path:
    """The recipe of a study of twice so many photos; the second set holds one that cannot be used."""
    for number, name in enumerate(("first", "second")):
        (folder / name).mkdir()
        for place in range(count):
            draw(folder / name / f"{place:02}.png", number * 100 + place)
    draw(folder / "second" / "broken.png", 999)
    path = folder / "tried.toml"
    path.write_text(RECIPE.format(folder=folder, bundle=bundle), encoding="utf-8")
    return path


def draw(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def hashes(folder: Path) -> dict[str, str]:
    """Of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    recipe, out, jobs = sys.argv[1:]
    run_study(read_study(Path(recipe), work=WORK), Way(Path(out), jobs=int(jobs), work=WORK))
