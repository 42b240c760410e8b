"""The maps of the embedded model on drawn lesions, whose outline is known exactly."""

import numpy as np
import pytest

from dermaxai.explain.localisation import energy_inside
from dermaxai.phantom import draw_phantom, sample_plans

PHANTOMS = 8


@pytest.fixture(scope="module")
def shares():
    """(energy inside, area) of every map of a word; a map without positive energy counts as 0."""
    from dermaxai.pipeline import load

    model, found = load("demo", device="cpu"), []
    for number, plan in enumerate(sample_plans(PHANTOMS, seed=21)):
        drawn = draw_phantom(plan, seed=number)
        found.append([energy_inside(heat, drawn.mask) for heat in model.explain(drawn.image).maps])
    return found


@pytest.mark.slow
def test_words_with_evidence_rest_on_the_lesion(shares, capsys):
    assert all(shares), "a phantom without any word that comes from the image"
    energy, area = np.concatenate([np.array(photo) for photo in shares]).mean(axis=0)
    with capsys.disabled():
        print(
            f"\n{sum(map(len, shares))} maps of words on {PHANTOMS} phantoms: "
            f"{energy:.2f} of the positive energy inside the lesion, which is {area:.2f} of the area"
        )
    assert energy > area
