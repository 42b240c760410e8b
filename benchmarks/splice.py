"""Photos as a few concepts: the own solver against scikit-learn's Lasso, and against one encoder pass.

    python -m benchmarks.splice [--photos 256] [--repeats 5] [--threads 1] [--model demo]

The bar: 256 photos at 20 times the speed of scikit-learn, which takes one photo at a time, and an objective
that is not higher by more than one millionth. Dictionaries of 300 and 800 atoms, 512 wide: `related` atoms
share directions as names of one field do, `unrelated` ones are random. scikit-learn comes with the extra
`dev`; without it the ratios are left out. Peer and own solver take turns in one run, medians of repeats. The
Gram matrix is made once per dictionary and timed apart. One thread each: the peer uses no more, and on a busy
machine several threads wait for each other.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

import dermaxai
from dermaxai.explain.base import Explained
from dermaxai.explain.image_mean import find_mean
from dermaxai.explain.sparse import SparseSolver, objective, optimality_gap
from dermaxai.explain.splice import PENALTY, Splice, without_mean
from dermaxai.phantom import draw_phantom, sample_plans

Peer = Callable[[Tensor, Tensor, float], Tensor]
WIDTH = 512
SHARED = 24
"""Directions that related atoms share."""


def find_peer() -> Peer | None:
    try:
        from sklearn.linear_model import Lasso
    except ImportError:
        print("scikit-learn is not installed: no ratios to it")
        return None

    def solve(points: Tensor, atoms: Tensor, penalty: float) -> Tensor:
        columns, found = atoms.T.numpy(), []
        for point in points.numpy():
            alpha = penalty / (2 * atoms.shape[1])
            lasso = Lasso(alpha=alpha, positive=True, fit_intercept=False, tol=1e-6, max_iter=10_000)
            found.append(lasso.fit(columns, point).coef_)
        return torch.from_numpy(np.array(found))

    return solve


def draw_dictionary(atoms: int, *, related: bool, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(atoms, WIDTH, generator=generator)
    if related:
        shared = torch.randn(atoms, SHARED, generator=generator) @ torch.randn(
            SHARED, WIDTH, generator=generator
        )
        own = shared / SHARED**0.5 + 0.3 * own
    unit = normalize(own, dim=1)
    return normalize(unit - unit.mean(0), dim=1)


def draw_points(atoms: Tensor, count: int, seed: int = 1) -> Tensor:
    """Eight atoms each, and as much again of something else."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.zeros(count, len(atoms))
    for row in weights:
        chosen = torch.randperm(len(atoms), generator=generator)[:8]
        row[chosen] = 0.2 + 0.8 * torch.rand(8, generator=generator)
    noise = normalize(torch.randn(count, atoms.shape[1], generator=generator), dim=1)
    return normalize(normalize(weights @ atoms, dim=1) + 0.8 * noise, dim=1)


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def compare(
    atoms: Tensor, points: Tensor, penalty: float, peer: Peer | None, repeats: int
) -> dict[str, float]:
    """Times of both solvers in turns, and what says that they solve the same problem."""
    solver = SparseSolver(atoms)
    found = solver.solve(points, [penalty])[0]
    own, theirs = [], []
    for _ in range(repeats):
        own.append(min(seconds(lambda: solver.solve(points, [penalty])) for _ in range(3)))
        if peer is not None:
            theirs.append(seconds(lambda: peer(points, atoms, penalty)))
    row = {
        "concepts": float((found > 0).sum(1).double().mean()),
        "Gram matrix ms": 1e3 * seconds(lambda: SparseSolver(atoms)),
        "ms": 1e3 * statistics.median(own),
        "optimality gap": float(optimality_gap(points, atoms, found, penalty).max()),
    }
    if peer is not None:
        wanted = objective(points, atoms, peer(points, atoms, penalty), penalty)
        excess = (objective(points, atoms, found, penalty) - wanted) / wanted
        row |= {
            "scikit-learn ms": 1e3 * statistics.median(theirs),
            "ratio": statistics.median(one / other for one, other in zip(theirs, own, strict=True)),
            "objective above": float(excess.max()),
        }
    return row


def measure_model(name: str, peer: Peer | None, photos: int, repeats: int) -> dict[str, float]:
    """A real dictionary and drawn photos; one photo's concepts and maps beside one encoder pass."""
    model = dermaxai.load(name)
    images = [draw_phantom(plan, seed=5).image for plan in sample_plans(min(photos, 32), seed=5)]
    encoded = model.encoder.encode(images)
    method = Splice()
    explained = Explained(model.encoder)
    dictionary = method.decompose(explained, encoded[0]).dictionary
    mean = find_mean(model.encoder, "dermoscopic").vector
    points = without_mean(torch.stack([one.pooled for one in encoded]).double(), mean)[0]
    row = compare(dictionary.directions.float(), points.float(), PENALTY, peer, repeats)
    forward = statistics.median(seconds(lambda: model.encoder.encode(images[:1])) for _ in range(3 * repeats))
    alone = statistics.median(
        seconds(lambda: dictionary.solver.solve(points[:1], [PENALTY])) for _ in range(3 * repeats)
    )
    return row | {
        "photos": float(len(images)),
        "atoms": float(len(dictionary.atoms)),
        "encoder forward ms": 1e3 * forward,
        "one photo ms": 1e3 * alone,
        "one photo / encoder forward": alone / forward,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    peer = find_peer()
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    figures: dict[str, dict[str, float]] = {}
    for related in (True, False):
        for count in (300, 800):
            atoms = draw_dictionary(count, related=related)
            points = draw_points(atoms, arguments.photos)
            for penalty in (0.35, 0.25, PENALTY):
                name = f"{count} {'related' if related else 'unrelated'} atoms, penalty {penalty:g}"
                figures[name] = compare(atoms, points, penalty, peer, arguments.repeats)
                print(name, "  ".join(f"{key} {value:.3g}" for key, value in figures[name].items()), sep=": ")
    figures[arguments.model] = measure_model(arguments.model, peer, arguments.photos, arguments.repeats)
    print(arguments.model, "  ".join(f"{k} {v:.3g}" for k, v in figures[arguments.model].items()), sep=": ")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
