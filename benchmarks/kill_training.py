"""Does a training that was killed at any moment end as one that was left alone?

    python -m benchmarks.kill_training [--kills 20] [--steps 40] [--folder PLACE] [--seed 0]

A child process trains the embedded captioner on drawn features, with dropout, saves every step, and is killed
(SIGKILL) after a random time; the next one resumes. After each kill the newest checkpoint must be whole and
not behind the log by more than the step under way. Once a run is through, its losses and its captioner must
be those of a run that nobody killed, to the last bit. Runs follow each other until enough kills are done.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch

from dermaxai.captioner import load_captioner
from dermaxai.encoders.weights import hash_file
from dermaxai.loading import demo_folder
from dermaxai.training.batches import Batches, BatchPlan, Draws, Epochs, balanced
from dermaxai.training.checkpoints import Checkpoints
from dermaxai.training.journal import read_journal
from dermaxai.training.loop import Job, Rhythm, Training
from dermaxai.training.material import DrawnFeed, Reading
from dermaxai.training.steps import StepPlan
from dermaxai.training.team import AcceleratedTeam
from dermaxai.training.validation import Validation

PHOTOS, PATCHES = 64, 49
LONGEST = 3.0
"""Seconds until a training is killed."""
MADE_FROM = {"benchmark": "kill_training"}
WORDS = ("small", "medium-sized", "large")


class DrawnMaterial:
    """Random patches; the caption of a photo follows from its number."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.patches = torch.randn(PHOTOS, PATCHES, width, generator=torch.Generator().manual_seed(0))

    def read(self, draws):
        texts = tuple(f"A {WORDS[row % 3]} symmetric lesion with a regular border." for row in draws.rows)
        languages, photos = ("en",) * len(draws), tuple(range(len(draws)))
        return Reading(self.patches[draws.rows], draws.numbers, texts, languages, photos)

    def plain(self, rows):
        return self.read(Draws(rows, rows))


def train(folder: Path, steps: int) -> None:
    """One training, from where it stands to its end."""
    torch.set_num_threads(1)
    team = AcceleratedTeam("cpu")
    captioner = load_captioner(demo_folder() / "captioner")
    material, rows = DrawnMaterial(captioner.config.encoder_width), np.arange(PHOTOS)
    draws = Epochs(balanced(rows, [""] * PHOTOS, 0.0), (0, 0))
    job = Job(
        captioner=captioner,
        mode="bridge+lora",
        feed=DrawnFeed(Batches(draws, BatchPlan(batch=4, accumulate=2)), material),
        check=Validation(material, rows[:4], team),
        step=StepPlan(rates=(1e-3, 1e-3, 1e-3), steps=steps, warmup=3, noise=0.1, shift=0.2),
        made_from=MADE_FROM,
        rhythm=Rhythm(save_every=1, check_every=5, log_every=1),
    )
    Training(job, folder, team).run(resume=True)


def start(folder: Path, steps: int) -> int:
    """The id of a child that trains; libraries are loaded already, autograd has not run yet."""
    child = os.fork()
    if child == 0:
        try:
            train(folder, steps)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def finish(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"A training ended with status {status}.")


def kill_somewhen(child: int, seconds: float) -> bool:
    """Whether the child was still at work when it was killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise SystemExit(f"A training ended with status {status}.")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def losses(folder: Path) -> list[tuple[int, str, float]]:
    return [(one["step"], one["kind"], one["loss"]) for one in read_journal(folder / "log.jsonl")]


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in (folder / "captioner").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def check_left(folder: Path) -> None:
    """What a killed training left: a whole newest checkpoint, at most one step behind the log."""
    logged = max((step for step, _, _ in losses(folder)), default=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Checkpoints(folder / "checkpoints").load(MADE_FROM)
    saved = found[0].step if found else 0
    if not logged - 1 <= saved <= logged + 1:
        raise SystemExit(f"{logged} steps are logged, {saved} are saved.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    place = chosen.folder or Path(tempfile.mkdtemp(prefix="kill-training-"))
    random_seconds = random.Random(chosen.seed)
    start_time = time.monotonic()
    finish(start(place / "alone", chosen.steps))
    wanted = losses(place / "alone"), hashes(place / "alone")
    kills = runs = 0
    while kills < chosen.kills:
        folder, killed = place / "killed", 0
        shutil.rmtree(folder, ignore_errors=True)
        while kills < chosen.kills and kill_somewhen(
            start(folder, chosen.steps), random_seconds.uniform(0.2, LONGEST)
        ):
            kills, killed = kills + 1, killed + 1
            check_left(folder)
        finish(start(folder, chosen.steps))
        runs += 1
        if (losses(folder), hashes(folder)) != wanted:
            raise SystemExit(f"A run of {killed} kills ended in other losses or weights; see {place}.")
    figures = {
        "kills": kills,
        "runs": runs,
        "steps": chosen.steps,
        "losses": len(wanted[0]),
        "equal": True,
        "seconds": round(time.monotonic() - start_time, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    if chosen.folder is None:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
