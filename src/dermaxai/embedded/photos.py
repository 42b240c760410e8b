"""Training photos in memory, measured once."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dermaxai.data.appearance import FRAME, PALETTE, Appearance, measure, segment, to_frame
from dermaxai.embedded.lesions import LesionPhoto
from dermaxai.features.views import MASK_SIDE as MASK_SIDE
from dermaxai.features.views import augment as augment

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Photos of a dataset with what was measured in them; row i of everything is rows[i]."""

    rows: tuple[LesionPhoto, ...]
    photos: UInt8[Tensor, "n 3 224 224"]
    masks: UInt8[Tensor, "n 56 56"]
    """Lesion coverage of each cell, 0 to 255."""
    appearances: tuple[Appearance, ...]


Result = tuple[UInt8[np.ndarray, "224 224 3"], UInt8[np.ndarray, "56 56"], Appearance]
"""Photo, lesion coverage and measurement."""


def _measure_one(path: Path) -> Result:
    with Image.open(path) as photo:
        frame = to_frame(np.asarray(photo.convert("RGB")))
    found = segment(frame)
    cells = found.mask.reshape(MASK_SIDE, FRAME // MASK_SIDE, MASK_SIDE, FRAME // MASK_SIDE).mean(axis=(1, 3))
    return frame, np.rint(cells * 255).astype(np.uint8), measure(frame)


def load_measured(rows: Sequence[LesionPhoto], cache: Path) -> Measured:
    """Read and measure photos, or take them from `cache` when it holds exactly these files."""
    if not _holds(cache, rows):
        LOG.info("measuring %d photos, once; kept in %s", len(rows), cache)
        with Pool(os.cpu_count()) as pool:
            results = pool.map(_measure_one, [row.path for row in rows], chunksize=32)
        _save(cache, rows, results)
    with np.load(cache) as stored:
        measured = zip(stored["numbers"], stored["colours"], strict=True)
        return Measured(
            tuple(rows),
            torch.from_numpy(stored["photos"]).permute(0, 3, 1, 2).contiguous(),
            torch.from_numpy(stored["masks"]),
            tuple(_unpack(numbers, shares) for numbers, shares in measured),
        )


def _holds(cache: Path, rows: Sequence[LesionPhoto]) -> bool:
    if not cache.is_file():
        return False
    with np.load(cache) as stored:
        return "files" in stored and list(stored["files"]) == _files(rows)


def _files(rows: Sequence[LesionPhoto]) -> list[str]:
    """Names and sizes, so that the same photo in another size is measured again."""
    return [f"{row.image} {row.path.stat().st_size}" for row in rows]


def _save(
    cache: Path,
    rows: Sequence[LesionPhoto],
    results: Sequence[Result],
) -> None:
    measured = [appearance for _, _, appearance in results]
    numbers = [(a.area, a.asymmetry, a.irregularity, a.contrast, a.touches) for a in measured]
    shares = [[dict(a.colours).get(name, 0.0) for name in PALETTE] for a in measured]
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    np.savez(
        part,
        files=np.array(_files(rows)),
        photos=np.stack([result[0] for result in results]),
        masks=np.stack([result[1] for result in results]),
        numbers=np.array(numbers),
        colours=np.array(shares),
    )
    part.replace(cache)


def _unpack(numbers: Float[np.ndarray, "5"], shares: Float[np.ndarray, "7"]) -> Appearance:
    named = [(name, float(share)) for name, share in zip(PALETTE, shares, strict=True) if share]
    stated = sorted(named, key=lambda colour: -colour[1])
    area, asymmetry, irregularity, contrast, touches = map(float, numbers)
    return Appearance(area, asymmetry, irregularity, tuple(stated), contrast, touches)
