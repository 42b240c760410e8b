"""Muon: steps of singular values near 1, queries, keys and values apart, and a descent that arrives."""

import pytest
import torch
from torch import nn

from dermaxai.embedded.muon import ADAM_SIZE, Muon, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6), (3, 8, 8)])
def test_singular_values_come_near_one(shape):
    given = torch.randn(*shape, generator=torch.Generator().manual_seed(1)) * 30
    left, values, right = torch.linalg.svd(given, full_matrices=False)
    values = torch.linspace(3.0, 1.0, values.shape[-1]) * 30
    found = torch.linalg.svdvals(orthogonalise((left * values) @ right))
    assert float(found.min()) > 0.6
    assert float(found.max()) < 1.3


def test_singular_vectors_stay():
    left, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))
    right, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))
    found = left.T @ orthogonalise(left @ torch.diag(torch.tensor([9.0, 5, 3, 2, 1, 0.5])) @ right.T) @ right
    assert float((found - torch.diag(found.diagonal())).abs().max()) < 1e-4


def test_queries_keys_and_values_are_three_matrices():
    gradient = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(4))
    gradient[1] *= 1000
    together = nn.Parameter(torch.zeros(24, 8))
    apart = [nn.Parameter(torch.zeros(8, 8)) for _ in range(3)]
    together.grad = gradient.reshape(24, 8)
    for weight, one in zip(apart, gradient, strict=True):
        weight.grad = one
    Muon([together], lr=0.1).step()
    Muon(apart, lr=0.1).step()
    assert torch.allclose(together.detach(), torch.cat([weight.detach() for weight in apart]), atol=1e-6)


def test_the_size_of_a_step_is_that_of_adam():
    weight = nn.Parameter(torch.zeros(64, 16))
    weight.grad = torch.randn(64, 16, generator=torch.Generator().manual_seed(5)) * 1e-4
    Muon([weight], lr=1.0).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(ADAM_SIZE, rel=0.3)


def test_decay_shrinks_weights_without_gradient_direction():
    weight = nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.5, weight_decay=0.1).step()
    assert torch.allclose(weight.detach(), torch.full((4, 4), 0.95))


def test_it_arrives():
    generator = torch.Generator().manual_seed(6)
    wanted, inputs = torch.randn(5, 7, generator=generator), torch.randn(7, 200, generator=generator)
    weight = nn.Parameter(torch.zeros(5, 7))
    optimiser = Muon([weight], lr=0.2)
    for step in range(120):
        optimiser.param_groups[0]["lr"] = 0.2 * (1 - step / 120)
        optimiser.zero_grad()
        (weight @ inputs - wanted @ inputs).square().mean().backward()
        optimiser.step()
    assert float((weight.detach() - wanted).norm() / wanted.norm()) < 0.1
