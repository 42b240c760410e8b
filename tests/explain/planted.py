"""A captioner that learned to read one word off one marked patch among noise, and off its absence."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from dermaxai.explain.base import Explained
from dermaxai.types import Target
from tests.captioner import tiny

SAYINGS = ["A large nodule.", "A small nodule.", "A round nodule."]
"""The first mark, the second mark, no mark: so that neither mark can be told by the other's absence."""
SCENES = [0, 1, 2] * 4


@cache
def planted_captioner():
    """(captioner, the two marks, the mean photo); nobody may change them."""
    made = tiny.captioner(bridge=tiny.bridge_config(hidden=32))
    generator = torch.Generator().manual_seed(3)
    marks = torch.randn(2, tiny.WIDTH, generator=generator) * 2
    batch = made.prepare(SAYINGS, ["en"] * len(SAYINGS))
    parts = made.set_mode("bridge+lora").all
    optimiser = torch.optim.AdamW(parts, lr=5e-3)
    for step in range(1, 1501):
        images, _ = marked(marks, SCENES, generator)
        made(images, batch.pick(SCENES)).backward()
        torch.nn.utils.clip_grad_norm_(parts, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step >= 150 and step % 50 == 0 and reads(made, marks, generator):
            break
    else:
        raise AssertionError("The captioner has not learned to read the marks.")
    made.requires_grad_(False).eval()
    return made, marks, marked(marks, SCENES * 25, generator)[0].mean(0)


def reads(made, marks, generator):
    """Whether it says the right word of 48 new photos."""
    images, _ = marked(marks, [0, 1, 2] * 16, generator)
    return [one.text for one in made.describe_patches(images)] == SAYINGS * 16


def marked(marks, kinds, generator, strength=1.0):
    """Photos of noise, and where the mark of each kind was put; kind 2 has none."""
    skin = torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(8))
    images = skin + torch.randn(len(kinds), tiny.PATCHES, tiny.WIDTH, generator=generator) * 0.2
    places = torch.randint(tiny.PATCHES, (len(kinds),), generator=generator)
    for image, kind, place in zip(images, kinds, places.tolist(), strict=True):
        if kind < len(marks):
            image[place] = skin + strength * (marks[kind] - skin)
    return images, places


ENCODER = SimpleNamespace(
    card=SimpleNamespace(name="planted"), has_text=False, tower=SimpleNamespace(pooling="class")
)


def patches_before(explain, strength=1.0, photos=32):
    """How many of nine patches rank before the marked one, mean over photos of both marks; by chance 4.

    Gradients need a word that is not certain: at `strength` 1 more of the mark would change nothing, and the
    mark may well come last.
    """
    made, marks, mean = planted_captioner()
    kinds = [0, 1] * (photos // 2)
    images, places = marked(marks, kinds, torch.Generator().manual_seed(4), strength)
    before = []
    for image, kind, place in zip(images, kinds, places.tolist(), strict=True):
        photo = replace(tiny.encoded(), patches=image)
        caption = made.score(photo, SAYINGS[kind])
        target = Target("word", caption.words[1].text, word=1)
        (heat,) = explain(Explained(ENCODER, made, caption, mean), photo, [target])
        before.append(int((heat.values > heat.values.ravel()[place]).sum()))
    return float(np.mean(before))
