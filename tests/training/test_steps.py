import math

import numpy as np
import pytest
import torch
from torch import nn

from dermaxai.captioner.prompts import IGNORED
from dermaxai.training.batches import Draws
from dermaxai.training.steps import Clock, Stepper, StepPlan, add_noise, collate, mixed_seed
from dermaxai.training.team import AcceleratedTeam
from tests.captioner import tiny
from tests.training.small import MemoryMaterial, job, without_dropout


def stepper(**changes):
    team = AcceleratedTeam("cpu")
    captioner = without_dropout(tiny.captioner(max_tokens=40))
    parts = captioner.set_mode("bridge+lora")
    plan = StepPlan(**{"rates": (1e-2, 2e-2, 3e-2), "steps": 10, "warmup": 4, **changes})
    return Stepper(captioner, captioner, parts, plan, team)


def readings(*rows):
    material = MemoryMaterial()
    return [material.read(Draws(np.array(part), np.array(part))) for part in rows]


def test_one_step_is_plain_torch():
    """By hand: the loss of all tokens in one batch, its gradient clipped, AdamW with three rates."""
    ours, theirs = stepper(clip=0.5, weight_decay=0.1), tiny.captioner(max_tokens=40)
    outcome = ours.advance(0, readings([0, 1, 2], [3, 4]))

    parts = without_dropout(theirs).set_mode("bridge+lora")
    groups = [
        {"params": list(values), "lr": rate / 4}
        for values, rate in ((parts.qformer, 1e-2), (parts.projection, 2e-2), (parts.lora, 3e-2))
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1, betas=(0.9, 0.98))
    losses, tokens = [], 0
    for row in range(5):
        (reading,) = readings([row])
        batch = theirs.prepare(reading.texts, reading.languages)
        count = int((batch.labels != IGNORED).sum())
        losses.append(theirs(reading.patches, batch) * count)
        tokens += count
    loss = torch.stack(losses).sum() / tokens
    loss.backward()
    norm = nn.utils.clip_grad_norm_(parts.all, 0.5)
    optimizer.step()

    assert outcome.loss == pytest.approx(loss.item(), abs=1e-6)
    assert (outcome.tokens, outcome.photos, outcome.texts) == (tokens, 5, 7)
    assert outcome.gradient_norm == pytest.approx(float(norm), rel=1e-5)
    assert outcome.rates == pytest.approx({"qformer": 2.5e-3, "projection": 5e-3, "lora": 7.5e-3})
    for mine, other in zip(ours.parts.all, parts.all, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-4)


def test_micro_batches_do_not_matter():
    one, two = stepper(noise=0.1, shift=0.1), stepper(noise=0.1, shift=0.1)
    for step in range(3):
        whole = one.advance(step, readings(list(range(8))))
        parts = two.advance(step, readings([0, 1], [2, 3], [4, 5], [6, 7]))
        assert whole.loss == pytest.approx(parts.loss, abs=1e-5)
    for mine, other in zip(one.parts.all, two.parts.all, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-5, rtol=1e-4)


def test_noise_hangs_on_the_draw_alone():
    patches, plan = torch.zeros(3, 9, 24), StepPlan(noise=2.0, shift=1.0, seed=5)
    noisy = add_noise(patches, np.array([7, 8, 9]), plan)
    again = add_noise(patches[:2], np.array([9, 7]), plan)
    assert torch.equal(noisy[2], again[0])
    assert torch.equal(noisy[0], again[1])
    assert not torch.equal(noisy[0], noisy[1])
    assert not patches.any()
    assert add_noise(patches, np.arange(3), StepPlan()) is patches


def test_noise_has_the_size_it_is_told():
    many = add_noise(torch.zeros(200, 9, 24), np.arange(200), StepPlan(noise=2.0, shift=1.0))
    shared = many.mean(dim=1, keepdim=True)
    assert float((many - shared).std()) == pytest.approx(2.0 * math.sqrt(8 / 9), rel=0.03)
    assert float(shared.std()) == pytest.approx(math.sqrt(1 + 4 / 9), rel=0.05)


def test_photos_with_unequal_numbers_of_texts_come_once_per_text():
    captioner = tiny.captioner(max_tokens=40)
    (unequal,) = readings([0, 1])
    part = collate(captioner, unequal, unequal.patches)
    assert torch.equal(part.patches, unequal.patches[[0, 1, 1]])
    material = MemoryMaterial(every=True)
    equal = material.read(Draws(np.array([0, 1]), np.array([0, 1])))
    part = collate(captioner, equal, equal.patches)
    assert part.patches is equal.patches
    assert part.batch.languages == ("en", "ru", "en", "ru")
    assert part.tokens == int((part.batch.labels != IGNORED).sum())


def test_dropout_hangs_on_seed_step_and_process():
    """No hidden state: the same step gives the same loss whatever was drawn before it."""
    team = AcceleratedTeam("cpu")
    losses = []
    for disturbed in (False, True):
        made = job(team, still=False)
        parts = made.captioner.set_mode("bridge+lora")
        one = Stepper(made.captioner, made.captioner, parts, made.step, team)
        if disturbed:
            torch.rand(99)
        losses.append(one.advance(3, readings([0, 1, 2, 3])).loss)
    assert losses[0] == losses[1]
    assert mixed_seed(1, 2) != mixed_seed(2, 1)


def test_bfloat16_arithmetic_leaves_weights_as_they_are():
    one = stepper(dtype=torch.bfloat16)
    first = one.advance(0, readings([0, 1, 2, 3])).loss
    assert first == pytest.approx(stepper().advance(0, readings([0, 1, 2, 3])).loss, rel=0.02)
    assert {value.dtype for value in one.parts.all} == {torch.float32}


def test_only_the_mode_s_groups_are_optimised():
    captioner = tiny.captioner()
    team = AcceleratedTeam("cpu")
    one = Stepper(captioner, captioner, captioner.set_mode("lora"), StepPlan(), team)
    assert [group["name"] for group in one.optimizer.param_groups] == ["lora"]


def test_schedule():
    plan = StepPlan(steps=100, warmup=10)
    factors = [plan.factor(step) for step in range(100)]
    assert factors[9] == 1.0
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.01
    assert StepPlan(warmup=0, cosine=False).factor(10**6) == 1.0


def test_clock_counts_and_begins_anew():
    clock = Clock(torch.device("cpu"))
    with clock.phase("read"):
        sum(range(1000))
    taken = clock.take()
    assert taken["read"] > 0
    assert clock.take()["read"] == 0
