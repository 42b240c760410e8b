import numpy as np
import pytest
import torch

from dermaxai.captioner.agreement import LEAD
from dermaxai.captioner.prompts import IGNORED
from dermaxai.training.material import Reading
from dermaxai.training.team import AcceleratedTeam
from dermaxai.training.validation import Validation, own_words
from dermaxai.types import Caption
from tests.captioner import tiny
from tests.training.small import MemoryMaterial


def test_the_loss_is_that_of_all_tokens_whatever_the_batch():
    captioner, material, rows = tiny.captioner(max_tokens=40), MemoryMaterial(), np.arange(7)
    figures = [
        Validation(material, rows, AcceleratedTeam("cpu"), batch=batch).measure(captioner)
        for batch in (1, 3, 99)
    ]
    reading = material.plain(rows)
    batch = captioner.prepare(reading.texts, reading.languages)
    wanted = captioner(reading.patches[list(reading.photos)], batch).item()
    for one in figures:
        assert one["loss"] == pytest.approx(wanted, abs=1e-5)
        assert one["goal"] == -one["loss"]
        assert one["tokens"] == int((batch.labels != IGNORED).sum())


def test_it_leaves_the_captioner_as_it_was():
    captioner = tiny.captioner(max_tokens=40).train()
    Validation(MemoryMaterial(), np.arange(3), AcceleratedTeam("cpu"), facts=True).measure(captioner)
    assert captioner.training


class Told:
    """Photos whose plainest caption is told."""

    width = tiny.WIDTH

    def __init__(self, *texts):
        self.texts = texts

    def plain(self, rows):
        places = tuple(range(len(rows)))
        return Reading(torch.zeros(len(rows), 9, 24), rows, self.texts, ("en",) * len(rows), places)


def test_facts_are_those_of_the_greedy_captions(monkeypatch):
    wanted = "A large symmetric lesion with an irregular border. Possible diagnosis: melanoma."
    said = ["A large symmetric lesion with a regular border.", wanted]
    captioner = tiny.captioner(max_tokens=40)
    monkeypatch.setattr(
        captioner, "describe_patches", lambda *_: [Caption(text, "en", (), (), ()) for text in said]
    )
    check = Validation(Told(wanted, wanted), np.arange(2), AcceleratedTeam("cpu"), facts=True)
    figures = check.measure(captioner)
    assert figures["facts"] == figures["goal"] == pytest.approx(6 / 8)


def test_captions_are_judged_before_they_are_mended():
    captioner = tiny.captioner()
    captioner.config = captioner.config.with_changes(tables={LEAD: "en", "name": "x"})
    with own_words(captioner):
        assert captioner.config.tables == {"name": "x"}
    assert captioner.config.tables[LEAD] == "en"
