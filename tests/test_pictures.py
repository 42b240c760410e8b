import base64
import io

import numpy as np
import pytest
from PIL import Image

from dermaxai.overlay import covered
from dermaxai.pictures import as_address, draw_small, shrink
from tests.sample_case import make_case


@pytest.fixture(scope="module")
def case():
    return make_case()


def test_small_photos_stay_themselves_and_large_ones_keep_their_shape(case):
    assert shrink(case.image, 400) is case.image
    small = shrink(case.image, 100)
    assert small.pixels.shape == (75, 100, 3)
    assert small.sha256 == case.image.sha256


def test_a_map_lies_over_the_same_part_of_a_small_photo(case):
    heat = case.map("border", "grad_eclip")
    small = shrink(case.image, 200)
    drawn, grey = draw_small(small, heat).astype(int), small.pixels.mean(-1)
    coloured = np.ptp(drawn, axis=-1) > 25
    y, x = np.nonzero(coloured)
    row, column = np.unravel_index(heat.values.argmax(), heat.values.shape)
    top, left, bottom, right = heat.placement.cell(int(row), int(column), heat.values.shape)
    assert abs(y.mean() * 2 - (top + bottom) / 2) < 15
    assert abs(x.mean() * 2 - (left + right) / 2) < 15
    assert not coloured[~covered(heat)[::2, ::2]].any()
    assert grey.shape == coloured.shape


def test_a_picture_as_an_address(case):
    address = as_address(case.image.pixels)
    assert address == as_address(case.image.pixels.copy())
    head, _, data = address.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (400, 300)
        assert not picture.getexif()
