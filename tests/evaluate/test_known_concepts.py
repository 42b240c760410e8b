import dataclasses

import numpy as np
import pytest

from dermaxai.data.appearance import PALETTE, measure
from dermaxai.evaluate.known_concepts import ConceptSet, concept_set, known_truth, slug
from dermaxai.evaluate.masks import read_mask
from dermaxai.images import read_image
from tests.evaluate.small_set import draw_items

ASKED = ConceptSet(("melanoma", "dermatofibroma"), ("crust", "ulcer"), tuple(PALETTE))


@pytest.fixture(scope="module")
def item(tmp_path_factory):
    return draw_items(tmp_path_factory.mktemp("set"), 1)[0]


def told(item, outline=None, **changes):
    changed = dataclasses.replace(item, sample=dataclasses.replace(item.sample, **changes))
    return known_truth(changed, read_image(item.path), outline, ASKED)


def test_the_diagnosis_and_annotations_are_the_publishers(item):
    truth = told(item, present=("crust",), absent=(), other_diagnoses=("dermatofibroma",))
    assert (truth["melanoma"], truth["dermatofibroma"], truth["crust"]) == (1, 1, 1)
    assert np.isnan(truth["ulcer"])
    assert told(item, absent=("ulcer",))["ulcer"] == 0
    assert told(item)["dermatofibroma"] == 0
    unknown = told(item, diagnosis=None)
    assert np.isnan([unknown["melanoma"], unknown["dermatofibroma"]]).all()


def test_colours_are_those_that_are_measured(item):
    found = measure(read_image(item.path).pixels)
    assert found.trusted
    truth = told(item)
    stated = {slug(name) for name, _ in found.colours}
    assert {name for name in map(slug, PALETTE) if truth[name] == 1} == stated
    assert {name for name in map(slug, PALETTE) if truth[name] == 0} == set(map(slug, PALETTE)) - stated


def test_colours_of_other_photos_need_an_outline(item):
    image = read_image(item.path)
    bare = told(item, modality=None)
    assert np.isnan([bare[slug(name)] for name in PALETTE]).all()
    outline, origin = read_mask(item, image)
    assert origin == "expert"
    inside = told(item, outline, modality=None)
    assert 1 <= sum(inside[slug(name)] == 1 for name in PALETTE) <= 4
    skin = told(item, ~outline, modality=None)
    assert [skin[slug(name)] for name in PALETTE] != [inside[slug(name)] for name in PALETTE]


def test_an_outline_beyond_the_measured_square_tells_nothing(item):
    pixels = np.full((100, 300, 3), 200, np.uint8)
    outline = np.zeros((100, 300), bool)
    outline[:, :60] = True
    wide = dataclasses.replace(read_image(item.path), pixels=pixels)
    truth = known_truth(item, wide, outline, ASKED)
    assert np.isnan([truth[slug(name)] for name in PALETTE]).all()


def test_names_are_unique_and_known_to_the_tree(item):
    names = concept_set([item]).names
    assert len(names) == 7 + 1 + len(PALETTE)
    assert all(" " not in name and "-" not in name for name in names)
    assert names["actinic_keratosis_or_intraepithelial_carcinoma_akiec"] == (
        "actinic keratosis or intraepithelial carcinoma"
    )
