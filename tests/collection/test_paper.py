import dataclasses

import pytest

from dermaxai.collection.entries import read_folder
from dermaxai.collection.paper import methods_text, protocols_of
from dermaxai.i18n import catalogue
from tests.collection.cases import write_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("cases")
    write_cases(home, 3)
    return read_folder(home)


def test_everything_that_a_methods_section_needs(folder):
    text = " ".join(methods_text(folder, catalogue("en"), seed=7))
    for part in (
        "3 photos were described", "DermaXAI 0.1.0",
        f"sha256 {'ab' * 8}", f"sha256 {'cd' * 8}", "Grad-ECLIP (corrected)",
        "20 random maps", "in 20 steps", "2,000 bootstrap resamples", "seed 7",
        "fewer than 30", "torch 2.9.0",
    ):  # fmt: skip
        assert part in text, part
    assert "{" not in text
    russian = " ".join(methods_text(folder, catalogue("ru"), seed=7))
    assert "описано и объяснено 3 фото" in russian
    assert "{" not in russian


def test_two_models_are_both_named(folder):
    first, *others = folder.entries
    other = dataclasses.replace(first, made_by=dataclasses.replace(first.made_by, encoder="another"))
    text = methods_text(dataclasses.replace(folder, entries=(other, *others)), catalogue("en"), 0)[0]
    assert "another, sha256" in text
    assert "demo, sha256" in text


def test_protocols_are_told_once(folder):
    assert protocols_of(folder) == [
        {"removal": "tokens", "steps": "20", "random_maps": "20", "passes": "model", "seed": "0"}
    ]
    unmeasured = dataclasses.replace(
        folder, entries=tuple(dataclasses.replace(entry, maps=()) for entry in folder.entries)
    )
    assert protocols_of(unmeasured) == []
