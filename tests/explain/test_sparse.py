"""The non-negative Lasso: optimal by its conditions, equal to the published solvers and to a slow one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import SettingError, ShapeError, UsageError
from dermaxai.explain import sparse
from dermaxai.explain.sparse import SparseSolver, objective, optimality_gap
from tests.explain.conftest import GOLDEN

PENALTIES = (0.05, 0.25)


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1)


def problem(atoms=120, width=32, points=16, *, seed=0, alike=0.3, dtype=torch.float64):
    """Atoms that share directions, as names of one field do, and points that lie between them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = unit(draw(atoms, 6) @ draw(6, width) / 6**0.5 + alike * draw(atoms, width))
    rows = unit(rows - rows.mean(0))
    chosen = draw(points, atoms).clamp_min(1.5) - 1.5
    return rows.to(dtype), unit(unit(chosen @ rows + 1e-6) + 0.5 * unit(draw(points, width))).to(dtype)


def descend(point, atoms, penalty):
    """One coordinate after the other until nothing moves: slow and obvious."""
    atoms, point = atoms.double().numpy(), point.double().numpy()
    gram, gains = atoms @ atoms.T, atoms @ point - penalty / 2
    weights = np.zeros(len(atoms))
    for _ in range(20_000):
        moved = 0.0
        for index in range(len(atoms)):
            best = max(0.0, weights[index] + (gains[index] - gram[index] @ weights) / gram[index, index])
            moved = max(moved, abs(best - weights[index]))
            weights[index] = best
        if moved < 1e-12:
            return torch.from_numpy(weights)
    raise RuntimeError("the slow solver did not settle")


@pytest.fixture(scope="module")
def golden():
    path = GOLDEN / "splice.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return np.load(path)


@pytest.mark.shared
@pytest.mark.parametrize("row", range(2))
def test_equals_both_published_solvers(golden, row):
    penalty = PENALTIES[row]
    atoms, points = (torch.from_numpy(golden[name]).double() for name in ("dictionary", "centered"))
    found = SparseSolver(atoms).solve(points, PENALTIES)[row]
    value = objective(points, atoms, found, penalty).numpy()
    lasso, admm = (golden[f"l1_{penalty}_{solver}_weights"] for solver in ("skl", "admm"))
    assert np.abs(found.numpy() - lasso).max() < 1e-5
    assert np.abs(value / golden[f"l1_{penalty}_admm_objective"] - 1).max() < 1e-5
    assert np.abs(value / golden[f"l1_{penalty}_skl_objective"] - 1).max() < 1e-6
    assert ((found.numpy() > 0) == (admm > 0)).all()
    assert (found > 0).sum(1).tolist() == golden[f"l1_{penalty}_skl_l0"].tolist()


@given(
    atoms=st.integers(1, 40),
    width=st.integers(1, 24),
    twins=st.integers(0, 3),
    penalty=st.sampled_from([0.0, 0.01, 0.15, 0.6]),
    seed=st.integers(0, 10_000),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_satisfies_the_conditions_of_optimality(atoms, width, twins, penalty, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(atoms, width, generator=generator, dtype=dtype)
    rows = unit(torch.cat([rows, rows[:twins]]))
    points = unit(torch.randn(4, width, generator=generator, dtype=dtype))
    solver = SparseSolver(rows)
    found = solver.solve(points, [penalty])[0]
    assert found.dtype == dtype
    assert (found >= 0).all()
    scale = 2 * (points.double() @ rows.double().T).abs().amax(1).clamp_min(1e-3)
    allowed = 10 * solver.tolerance * scale * max(1.0, float(found.sum(1).max()))
    assert (optimality_gap(points, rows, found, penalty) <= allowed).all()


@pytest.mark.parametrize("penalty", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("alike", [0.05, 0.3, 2.0])
def test_objective_of_a_slow_obvious_solver(penalty, alike):
    atoms, points = problem(points=3, alike=alike)
    found = SparseSolver(atoms).solve(points, [penalty])[0]
    slow = torch.stack([descend(point, atoms, penalty) for point in points])
    wanted = objective(points, atoms, slow, penalty)
    assert torch.allclose(objective(points, atoms, found, penalty), wanted, rtol=1e-9)
    assert torch.allclose(found, slow, atol=1e-5)
    assert (found > 0).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_together_is_one_by_one(dtype, monkeypatch):
    atoms, points = problem(dtype=dtype)
    solver, penalties = SparseSolver(atoms), [0.3, 0.02, 0.1]
    together = solver.solve(points, penalties)
    alone = torch.stack(
        [torch.cat([solver.solve(point[None], [one])[0] for point in points]) for one in penalties]
    )
    assert together.shape == (3, len(points), len(atoms))
    # The sums of one product differ in the last bits, and atoms that are alike magnify them.
    close = 2e-4 if dtype == torch.float32 else 1e-9
    assert torch.allclose(together, alone, atol=close)
    assert torch.equal(together, solver.solve(points, penalties))
    monkeypatch.setattr(sparse, "AT_ONCE", 5)
    assert torch.allclose(solver.solve(points, penalties), together, atol=close)


def test_the_sure_way_alone_ends_at_the_same_weights(monkeypatch):
    atoms, points = problem(alike=0.1)
    solver = SparseSolver(atoms)
    wanted = solver.solve(points, [0.02])
    monkeypatch.setattr(sparse, "_pruned", lambda gram, right, live, ridge: torch.zeros_like(right))
    assert torch.allclose(solver.solve(points, [0.02]), wanted, atol=1e-9)
    assert (wanted > 0).sum() > len(points)


def test_atoms_that_are_the_same_share_their_weight():
    atoms = torch.eye(3, dtype=torch.float64)[[0, 0, 1]]
    found = SparseSolver(atoms).solve(torch.tensor([[0.8, 0.6, 0.0]], dtype=torch.float64), [0.2])
    assert torch.allclose(found[0, 0], torch.tensor([0.35, 0.35, 0.5], dtype=torch.float64), atol=1e-9)


def test_a_larger_penalty_leaves_less():
    atoms, points = problem()
    found = SparseSolver(atoms).solve(points, [0.0, 0.05, 0.2, 2.5])
    sums = found.sum(2)
    assert (sums[:-1] > sums[1:]).all()
    assert not found[-1].any()


def test_slopes_are_the_change_of_the_weights():
    atoms, points = problem(points=2)
    solver, step = SparseSolver(atoms), 1e-6
    for point in points:
        weights = solver.solve(point[None], [0.1])[0, 0]
        slopes = solver.slopes(weights)
        towards = torch.randn(len(point), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        ends = solver.solve(torch.stack([point + step * towards, point - step * towards]), [0.1])[0]
        assert torch.allclose((ends[0] - ends[1]) / (2 * step), slopes @ towards, atol=1e-4)
        assert not slopes[weights == 0].any()
        assert slopes[weights > 0].any(1).all()


def test_nothing_to_solve_gives_nothing():
    atoms, points = problem()
    solver = SparseSolver(atoms)
    assert solver.solve(points[:0], [0.1]).shape == (1, 0, len(atoms))
    assert solver.solve(points, []).shape == (0, len(points), len(atoms))
    assert not solver.solve(torch.zeros_like(points), [0.1]).any()
    assert not SparseSolver(torch.zeros(2, 3)).solve(torch.ones(1, 3), [0.0]).any()


def test_half_precision_is_computed_in_single():
    atoms, points = problem(dtype=torch.float32)
    found = SparseSolver(atoms.bfloat16()).solve(points.bfloat16(), [0.1])
    wanted = SparseSolver(atoms.bfloat16().float()).solve(points.bfloat16().float(), [0.1])
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


def test_what_cannot_be_solved_is_refused():
    atoms, points = problem()
    with pytest.raises(ShapeError, match="one row per atom"):
        SparseSolver(atoms[0])
    with pytest.raises(ShapeError, match="Expected points of width 32"):
        SparseSolver(atoms).solve(points[:, :5], [0.1])
    with pytest.raises(SettingError, match=r"0 or more, not -0\.1"):
        SparseSolver(atoms).solve(points, [0.2, -0.1])
    for solve in (
        lambda: SparseSolver(atoms * torch.nan),
        lambda: SparseSolver(atoms).solve(points * torch.inf, [0.1]),
    ):
        with pytest.raises(UsageError, match="infinite or no number"):
            solve()
