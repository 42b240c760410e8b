import json

import numpy as np
import pytest

from dermaxai.errors import UsageError
from dermaxai.reading.looking import read_page, unpack_cells
from dermaxai.viewer import STEPS, case_to_page, pack_cells
from tests.sample_case import ENGLISH, HEIGHT, WIDTH, make_case


def looked():
    return read_page(json.dumps(case_to_page(make_case())).encode())


def test_words_and_size_are_those_of_the_case():
    found = looked()
    assert found.caption == ENGLISH
    assert found.words == tuple(ENGLISH.split())
    assert (found.height, found.width) == (HEIGHT, WIDTH)
    assert found.methods == ("grad_eclip", "evidence")
    assert found.word(2) == "asymmetric"
    assert found.word(None) == ""


def test_maps_come_back_to_a_quarter_of_a_thousandth():
    case = make_case()
    maps = looked().maps_of(2)
    assert list(maps) == ["grad_eclip", "evidence"]
    for name, heat in maps.items():
        wanted = case.map("asymmetric", name)
        assert np.abs(heat.values - wanted.values).max() <= np.abs(wanted.values).max() / STEPS
        assert heat.placement == wanted.placement


def test_a_word_that_is_not_from_the_image_has_no_map():
    assert looked().maps_of(0) == {}


@pytest.mark.parametrize("count", [1, 2, 7, 196])
def test_cells_go_there_and_back(count):
    steps = np.random.default_rng(count).integers(-STEPS, STEPS + 1, count)
    assert np.allclose(unpack_cells(pack_cells(steps), count), steps / STEPS)


def test_a_photo_that_is_not_described_has_nothing_to_judge():
    with pytest.raises(UsageError, match="not described"):
        read_page(b"null")


def test_a_case_without_a_caption():
    page = case_to_page(make_case()) | {"captions": []}
    found = read_page(json.dumps(page).encode())
    assert found.caption == ""
    with pytest.raises(UsageError, match="no word 0"):
        found.word(0)
