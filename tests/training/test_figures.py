"""Arithmetic, licences, memory: small figures, each against an answer known otherwise."""

import pytest
import torch

from dermaxai.training.arithmetic import count, peak_of
from dermaxai.training.licences import strictest
from dermaxai.training.meter import memory_megabytes
from tests.captioner import tiny


@pytest.mark.parametrize("mode", ["bridge+lora", "lora"])
def test_arithmetic_is_that_of_torch(mode):
    """Torch counts the products of matrices while they are done; attention scores are not counted by us."""
    from torch.utils.flop_counter import FlopCounterMode

    captioner = tiny.captioner(max_tokens=40)
    parts = captioner.set_mode(mode)
    patches = tiny.patches(6)
    batch = captioner.prepare([tiny.ENGLISH[0]] * 6, ["en"] * 6)
    with FlopCounterMode(display=False) as counter:
        captioner(patches, batch).backward()
    ours = count(captioner, parts).step(
        patches=6 * tiny.PATCHES, photos=6, texts=6, tokens=batch.labels.numel()
    )
    lora = sum(value.numel() for name, value in captioner.t5.named_parameters() if "lora_" in name)
    scores = 0.25 * counter.get_total_flops()
    assert ours == pytest.approx(counter.get_total_flops() - 6 * lora * batch.labels.numel(), abs=scores)


def test_peaks():
    assert peak_of("NVIDIA H200", bfloat16=True) == 989e12
    assert peak_of("NVIDIA H100 PCIe", bfloat16=False) == 51e12
    assert peak_of("NVIDIA A100-SXM4-80GB", bfloat16=True) == 312e12
    assert peak_of("NVIDIA L40S", bfloat16=True) == 362e12
    assert peak_of("GeForce 256", bfloat16=True) is None


def test_memory_is_what_is_held():
    before = memory_megabytes()
    held = torch.ones(50_000_000)
    assert memory_megabytes() - before > 150
    assert held.sum() > 0


@pytest.mark.parametrize(
    ("licences", "strict"),
    [
        ([], "not stated"),
        ([""], "not stated"),
        (["CC0", "CC BY 4.0"], "CC BY 4.0"),
        (["CC BY-NC 4.0", "CC BY-NC-SA 4.0", "CC BY-SA 4.0"], "CC BY-NC-SA 4.0"),
        (["CC BY-NC-ND 4.0", "Stanford research use agreement"], "Stanford research use agreement"),
        (["CC-0", "CC BY-NC, per photo", "CC BY 4.0"], "CC BY-NC, per photo"),
        (["CC BY 4.0", "CC-BY-4.0"], "CC BY 4.0; CC-BY-4.0"),
    ],
)
def test_the_strictest_licence(licences, strict):
    assert strictest(licences) == strict
