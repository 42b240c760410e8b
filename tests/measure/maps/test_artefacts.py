"""Energy on artefacts: by the pixel, per kind, and where nothing was found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from dermaxai.errors import ShapeError, UsageError
from dermaxai.measure.artefact_finding import ARTEFACTS, find_artefacts
from dermaxai.measure.maps import artefacts
from dermaxai.measure.maps.artefacts import ArtefactShare, artefact_area, energy_per_artefact
from tests.measure.maps import toy

mask_of_pixels = arrays(bool, (toy.SIDE, toy.SIDE))


@pytest.fixture(scope="module")
def plain():
    return toy.subject_of(toy.photo_of(toy.colours_of(0)))


def strip(first, last):
    mask = np.zeros((toy.SIDE, toy.SIDE), bool)
    mask[:, first * toy.PATCH : last * toy.PATCH] = True
    return mask


@given(mask_of_pixels, mask_of_pixels, arrays(np.float32, (6, 6), elements={"min_value": -1, "max_value": 1}))
def test_energy_by_the_pixel(hair, ruler, values):
    hair[0, 0] = True
    values[0, 0] = 0.5
    subject = toy.subject_of(toy.photo_of(toy.colours_of(0)), artefacts={"hair": hair, "ruler": ruler})
    heat = toy.heat_of(subject, values)
    energy = values.clip(0).repeat(toy.PATCH, 0).repeat(toy.PATCH, 1).astype(float)
    slow = {
        kind: energy[mask].sum() / energy.sum() if mask.any() else np.nan
        for kind, mask in {"hair": hair, "ruler": ruler, "together": hair | ruler}.items()
    }
    assert energy_per_artefact(subject, heat) == pytest.approx(slow, abs=1e-6, nan_ok=True)
    assert ArtefactShare().measure(subject, [heat]) == pytest.approx([slow["together"]], abs=1e-6)
    assert artefact_area(subject) == pytest.approx(
        {"hair": hair.mean(), "ruler": ruler.mean(), "together": (hair | ruler).mean()}
    )


def test_best_worst_and_flat_maps(plain):
    subject = replace(plain, artefacts={"border": strip(0, 1), "hair": strip(0, 2)})
    values = np.ones((6, 6)), np.tile([1.0, 1, 0, 0, 0, 0], (6, 1)), np.tile([0, 0, 1.0, 1, 1, 1], (6, 1))
    found = ArtefactShare().measure(subject, [toy.heat_of(subject, one) for one in values])
    assert found == pytest.approx([artefact_area(subject)["together"], 1, 0])
    assert artefact_area(subject) == pytest.approx({"border": 1 / 6, "hair": 1 / 3, "together": 1 / 3})


def test_nothing_found_and_nothing_positive(plain):
    heat = toy.heat_of(plain, np.ones((6, 6)))
    for given_artefacts in ({}, {"hair": np.zeros((toy.SIDE, toy.SIDE), bool)}):
        subject = replace(plain, artefacts=given_artefacts)
        assert np.isnan(ArtefactShare().measure(subject, [heat])).all()
        assert artefact_area(subject)["together"] == 0
    subject = replace(plain, artefacts={"hair": strip(0, 1)})
    assert np.isnan(ArtefactShare().measure(subject, [replace(heat, values=-heat.values)])).all()


def test_artefacts_are_found_where_nobody_gives_them(plain, monkeypatch):
    calls = []

    def find(image):
        calls.append(image)
        return {**find_artefacts(image), "hair": strip(5, 6)}

    monkeypatch.setattr(artefacts, "find_artefacts", find)
    subject = toy.subject_of(plain.image)
    heat = toy.heat_of(subject, np.ones((6, 6)))
    assert ArtefactShare().measure(subject, [heat]) == pytest.approx([1 / 6])
    assert set(artefact_area(subject)) == {*ARTEFACTS, "together"}
    assert calls == [plain.image]


def test_other_artefacts_are_another_answer(plain):
    heat = toy.heat_of(plain, np.tile([1.0, 0, 0, 0, 0, 0], (6, 1)))
    found = [
        ArtefactShare().measure(replace(plain, artefacts={"hair": strip(first, first + 1)}), [heat])[0]
        for first in range(6)
    ]
    assert found == pytest.approx([1, 0, 0, 0, 0, 0])


def test_what_does_not_belong_is_refused(plain):
    heat = toy.heat_of(plain, np.ones((6, 6)))
    with pytest.raises(ShapeError, match="mask"):
        ArtefactShare().measure(replace(plain, artefacts={"hair": np.ones((5, 5), bool)}), [heat])
    with pytest.raises(UsageError, match="no numbers"):
        ArtefactShare().measure(plain, [replace(heat, values=np.full((6, 6), np.inf, np.float32))])
