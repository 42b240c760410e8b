"""Which photos have something said of them, and how much: gone through once, kept in the run folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int, Int32

from dermaxai.training.checkpoints import sync
from dermaxai.training.material import Shelf
from dermaxai.training.texts import Texts

BLOCK = 1000
Progress = Callable[[int, int], None]
Lengths = Int32[np.ndarray, "photos languages"]
"""Characters of the plainest caption of each photo in each language, 0 where there is none."""


def measure_texts(
    shelf: Shelf, rows: Int[np.ndarray, "photos"], texts: Texts, on_progress: Progress | None = None
) -> Lengths:
    """The lengths of all captions, language by language in the order of `texts`."""
    lengths = np.zeros((len(rows), len(texts.languages)), dtype=np.int32)
    for start in range(0, len(rows), BLOCK):
        for place, photo in enumerate(shelf.samples(rows[start : start + BLOCK]), start):
            told = texts.of(photo)
            lengths[place] = [len(told.get(language, "")) for language in texts.languages]
        if on_progress:
            on_progress(min(start + BLOCK, len(rows)), len(rows))
    return lengths


def read_survey(path: Path, key: str) -> Lengths | None:
    """What an earlier run measured with the same `key`; None where it did not."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return np.asarray(stored["lengths"]) if str(stored["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def write_survey(path: Path, key: str, lengths: Lengths) -> None:
    """Keep it, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}-{os.getpid()}.npz")
    np.savez_compressed(part, key=np.array(key), lengths=lengths)
    sync(part)
    part.replace(path)
