"""Which few atoms of a dictionary stand for a vector: the non-negative Lasso, exactly, for many at once.

    minimise ||z - wC||^2 + penalty * sum(w) over w >= 0

An active set grows by several atoms at a time and is solved in closed form, for all problems in one batch;
every step lowers the objective, so it ends, at the minimum up to the stated tolerance. The conditions of
Karush, Kuhn and Tucker say when: 2C(z - wC) <= penalty, with equality where w > 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from dermaxai.errors import SettingError, ShapeError, UsageError

TOLERANCES = {torch.float32: 1e-6, torch.float64: 1e-10}
"""How much 2C(z - wC) may exceed the penalty, as a share of the largest 2|Cz|, by the atoms' precision."""
RIDGE = 1e-11
"""Of the longest atom's squared length, on the diagonal: atoms that depend on each other share a weight."""
ENTERING = 4
"""Atoms that may enter in one step, or an eighth of those in use."""
AT_ONCE = 512
"""Problems solved together; more are solved in turns."""


@final
class SparseSolver:
    """The non-negative Lasso over one dictionary; its Gram matrix is computed once.

    Bfloat16 is taken as float32, and what MPS cannot compute in double precision is done on the CPU.

    >>> atoms = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> SparseSolver(atoms).solve(torch.tensor([[0.75, -0.5]]), [0.5]).tolist()
    [[[0.5, 0.0]]]
    """

    def __init__(self, atoms: Float[Tensor, "atoms width"]) -> None:
        """Raises: ShapeError unless there is at least one atom, UsageError for values that are not finite."""
        if atoms.ndim != 2 or not atoms.numel():
            raise ShapeError(f"A dictionary has one row per atom; this one has the shape {[*atoms.shape]}.")
        place = torch.device("cpu") if atoms.device.type == "mps" else atoms.device
        dtype = torch.float64 if atoms.dtype == torch.float64 else torch.float32
        self.atoms = _finite(atoms.detach()).to(place, dtype)
        self.tolerance = TOLERANCES[dtype]
        double = self.atoms.double()
        gram = double @ double.T
        # One row and column of zeros more, for places in a batch that hold no atom.
        self._gram = functional.pad(gram, (0, 1, 0, 1))
        self._prices = self._gram[:, :-1].to(dtype)
        self._ridge = RIDGE * max(float(gram.diagonal().max()), torch.finfo(dtype).tiny)

    @torch.no_grad()
    def solve(
        self, points: Float[Tensor, "points width"], penalties: Sequence[float]
    ) -> Float[Tensor, "penalties points atoms"]:
        """The weights of every point under every penalty, on the points' device and in the atoms' precision.

        Each problem is solved as if it were alone. Raises: ShapeError, SettingError for a negative penalty,
        UsageError for points that are not finite.
        """
        if points.ndim != 2 or points.shape[1] != self.atoms.shape[1]:
            raise ShapeError(
                f"Expected points of width {self.atoms.shape[1]}, one per row; got {[*points.shape]}."
            )
        if not all(0 <= penalty < float("inf") for penalty in penalties):
            raise SettingError(f"A penalty is 0 or more, not {min(penalties)}.")
        alike = _finite(points.detach()).to(self.atoms) @ self.atoms.T
        limits = self.tolerance / 2 * alike.abs().amax(1)
        found = [
            self._solve(block - penalty / 2, limit)
            for penalty in penalties
            for block, limit in zip(torch.split(alike, AT_ONCE), torch.split(limits, AT_ONCE), strict=True)
        ]
        shape = len(penalties), len(points), len(self.atoms)
        weights = torch.cat(found) if found else alike.new_zeros(shape)
        return weights.reshape(shape).to(points.device)

    def slopes(self, weights: Float[Tensor, "atoms"]) -> Float[Tensor, "atoms width"]:
        """dw/dz of a solution for one point, as long as its support stays: (C_S C_S^T)^-1 C_S, else 0."""
        support = (weights > 0).nonzero()[:, 0].to(self.atoms.device)
        gram = self._gram[support[:, None], support[None]]
        ridge = self._ridge * torch.eye(len(support)).to(gram)
        found = torch.zeros_like(self.atoms)
        found[support] = torch.linalg.solve(gram + ridge, self.atoms[support].double()).to(found.dtype)
        return found.to(weights.device)

    def _solve(
        self, gains: Float[Tensor, "problems atoms"], limits: Float[Tensor, "problems"]
    ) -> Float[Tensor, "problems atoms"]:
        """`gains` is Cz - penalty / 2; what an atom may gain above `limits` still counts as nothing."""
        count = gains.shape[1]
        done = gains.new_zeros(len(gains), count + 1)
        now, slack = _no_atoms(gains, limits), gains
        while len(now.rows):
            some = max(ENTERING, now.atoms.shape[1] // 8)
            most, entering = slack.topk(min(some, count), dim=1)
            fits = most > now.limits[:, None]
            wider = now.joined(torch.where(fits, entering, count)).without(~fits[:, 0], done)
            better = self._improve(wider)
            # Rounding may see a gain where there is none.
            stuck = better.value >= wider.value
            wider.without(stuck, done)
            now = better.of(~stuck).packed()
            slack = self._slack(now) if len(now.rows) else now.gains
        return done[:, :-1]

    def _slack(self, now: _Open) -> Float[Tensor, "open atoms"]:
        """By how much each atom outside the support would be worth more than it costs."""
        # A sum over the few atoms in use: ten times as fast as a product with a matrix of weights.
        taken = functional.embedding_bag(
            now.atoms, self._prices, per_sample_weights=now.weights.to(self._prices.dtype), mode="sum"
        )
        padded = functional.pad(now.gains - taken, (0, 1))
        return padded.scatter_(1, now.atoms, -torch.inf)[:, :-1]

    def _improve(self, wider: _Open) -> _Open:
        """The minimum over the wider support, or over a part of it that is lower than before."""
        # Picked from the flat matrix: four times as fast as with two indices.
        places = wider.atoms[:, :, None] * len(self._gram) + wider.atoms[:, None, :]
        gram = self._gram.flatten().index_select(0, places.flatten()).reshape(places.shape)
        live = (wider.atoms < len(self.atoms)).double()
        weights = _pruned(gram, wider.right, live, self._ridge)
        worse = _value(wider.right, weights) >= wider.value
        if worse.any():
            before = wider.weights[worse]
            # Of the atoms that enter, the first gains most; alone it surely helps.
            fresh = (live[worse] > 0) & (before == 0)
            some = live[worse] * (fresh.cumsum(1) <= 1)
            start = (gram[worse], wider.right[worse], some, self._ridge)
            weights[worse] = _descended(*start, before)
        return replace(wider, weights=weights, value=_value(wider.right, weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """Problems that are not solved yet, a row each, and the atoms in use.

    Rows are filled up with an atom one beyond the last, of weight 0.
    """

    rows: Int[Tensor, "open"]
    """Number of the problem."""
    gains: Float[Tensor, "open atoms"]
    limits: Float[Tensor, "open"]
    atoms: Int[Tensor, "open places"]
    weights: Float[Tensor, "open places"]
    right: Float[Tensor, "open places"]
    """Gain of each atom in use; the right side of the equations."""
    value: Float[Tensor, "open"]
    """Half the objective, without the constant."""

    def of(self, which: Bool[Tensor, "open"]) -> _Open:
        if which.all():
            return self
        chosen = which.nonzero()[:, 0]
        return _Open(*(getattr(self, field.name).index_select(0, chosen) for field in fields(self)))

    def without(self, which: Bool[Tensor, "open"], into: Float[Tensor, "problems places"]) -> _Open:
        """The other problems, after the weights of these have been written down."""
        if not which.any():
            return self
        ended = self.of(which)
        into[ended.rows[:, None], ended.atoms] = ended.weights.to(into.dtype)
        return self.of(~which)

    def joined(self, entering: Int[Tensor, "open entering"]) -> _Open:
        count = self.gains.shape[1]
        fresh = self.gains.gather(1, entering.clamp_max(count - 1)).double() * (entering < count)
        return replace(
            self,
            atoms=torch.cat([self.atoms, entering], 1),
            weights=torch.cat([self.weights, torch.zeros_like(fresh)], 1),
            right=torch.cat([self.right, fresh], 1),
        )

    def packed(self) -> _Open:
        """Atoms of weight 0 are left out, and rows get as short as the longest allows."""
        live = self.weights > 0
        longest = int(live.sum(1).max()) if len(live) else 0
        order = live.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
        kept = live.gather(1, order)
        return replace(
            self,
            atoms=torch.where(kept, self.atoms.gather(1, order), self.gains.shape[1]),
            weights=self.weights.gather(1, order),
            right=self.right.gather(1, order) * kept,
        )


def _no_atoms(gains: Float[Tensor, "problems atoms"], limits: Float[Tensor, "problems"]) -> _Open:
    rows = torch.arange(len(gains), device=gains.device)
    nothing = gains.new_zeros(len(gains), 0, dtype=torch.float64)
    return _Open(rows, gains, limits, nothing.long(), nothing, nothing, nothing.sum(1))


def _value(right: Float[Tensor, "open places"], weights: Float[Tensor, "open places"]) -> Tensor:
    """Half the objective at a minimum over a support: there wGw = w . right."""
    return -0.5 * (right * weights).sum(1)


def _minimum(gram: Tensor, right: Tensor, live: Tensor, ridge: float) -> Float[Tensor, "open places"]:
    """The weights that solve the equations of the support, of any sign; 0 where `live` is 0."""
    system = gram * live[:, :, None] * live[:, None, :]
    system.diagonal(dim1=1, dim2=2).add_(1 - (1 - ridge) * live)
    factor, _ = torch.linalg.cholesky_ex(system)
    return torch.cholesky_solve((right * live)[:, :, None], factor)[:, :, 0]


def _pruned(gram: Tensor, right: Tensor, live: Tensor, ridge: float) -> Float[Tensor, "open places"]:
    """A minimum over a part of the support without negative weights; fast, and nearly always lower."""
    weights = torch.zeros_like(right)
    rows = torch.arange(len(right), device=right.device)
    while len(rows):
        found = _minimum(gram, right, live, ridge)
        positive = live * (found > 0)
        weights[rows] = found * positive
        left = (positive < live).any(1).nonzero()[:, 0]
        rows, gram, right, live = (part.index_select(0, left) for part in (rows, gram, right, positive))
    return weights


def _descended(
    gram: Tensor, right: Tensor, live: Tensor, ridge: float, weights: Float[Tensor, "open places"]
) -> Float[Tensor, "open places"]:
    """The same as `_pruned`, surely lower than `weights`: the way to each minimum ends where a weight does.

    Source: Lawson and Hanson, Solving Least Squares Problems (1974), algorithm NNLS, inner loop.
    """
    weights = weights.clone()
    rows = torch.arange(len(right), device=right.device)
    while len(rows):
        before = weights[rows]
        found = _minimum(gram, right, live, ridge)
        leaving = (live > 0) & (found <= 0)
        steps = torch.where(leaving, before / (before - found).clamp_min(1e-300), 2.0)
        step = steps.amin(1, keepdim=True).clamp_max(1.0)
        staying = live * ~(leaving & (steps <= step))
        weights[rows] = (before + step * (found - before)) * staying
        left = leaving.any(1).nonzero()[:, 0]
        rows, gram, right, live = (part.index_select(0, left) for part in (rows, gram, right, staying))
    return weights


def _finite(values: Tensor) -> Tensor:
    """Raises: UsageError."""
    if not bool(torch.isfinite(values).all()):
        raise UsageError("Values that are infinite or no number cannot be decomposed.")
    return values


def objective(
    points: Float[Tensor, "points width"],
    atoms: Float[Tensor, "atoms width"],
    weights: Float[Tensor, "points atoms"],
    penalty: float,
) -> Float[Tensor, "points"]:
    """||z - wC||^2 + penalty * sum(w) of each point, in double precision."""
    rest = points.double() - weights.double() @ atoms.double()
    return rest.square().sum(1) + penalty * weights.double().sum(1)


def optimality_gap(
    points: Float[Tensor, "points width"],
    atoms: Float[Tensor, "atoms width"],
    weights: Float[Tensor, "points atoms"],
    penalty: float,
) -> Float[Tensor, "points"]:
    """By how much the weights miss 2C(z - wC) <= penalty, with equality where w > 0; 0 is optimal."""
    excess = 2 * (points.double() - weights.double() @ atoms.double()) @ atoms.double().T - penalty
    return torch.where(weights > 0, excess.abs(), excess.clamp_min(0)).amax(1)
