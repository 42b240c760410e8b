"""Maps on the pages of single photos."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaxai.evaluate.explanations import ExplanationPlan
from dermaxai.evaluate.known_concepts import concept_set
from dermaxai.evaluate.map_pictures import MOST_QUESTIONS, OUTLINE, MapPictures
from dermaxai.evaluate.masks import read_mask
from dermaxai.measure.maps.base import Protocol
from dermaxai.overlay import draw_overlay
from tests.evaluate.small_set import draw_items

PLAN = ExplanationPlan(
    ("evidence", "grad_eclip"), ("pointing",), ("word", "query"), Protocol(), texts="lesion"
)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return draw_items(tmp_path_factory.mktemp("set"), 2)


@pytest.fixture(scope="module")
def pictures(model, items):
    return MapPictures(model, PLAN, concept_set(items))


def test_each_question_is_a_row_of_contestants(pictures, items):
    first, *drawn = pictures(items[0])
    assert first.heading == ""
    rows = {}
    for one in drawn:
        rows.setdefault(one.heading, []).append(one.caption.split(":")[0])
    words = [heading for heading in rows if heading.startswith("word")]
    assert 0 < len(words) <= MOST_QUESTIONS
    assert all(rows[heading] == ["evidence", "grad_eclip"] for heading in words)
    assert rows["query “a lesion”"] == ["grad_eclip"]


def test_a_drawing_is_the_overlay_of_the_map_with_the_outline_on_it(model, pictures, items):
    item = items[0]
    drawn = pictures(item)[-1]
    image = model.read(item.path)
    (heat,) = model.explain(image, methods=["grad_eclip"], queries=["a lesion"]).maps[-1:]
    expected = Image.fromarray(draw_overlay(image, heat)).resize((480, 360), Image.Resampling.LANCZOS)
    lesion = Image.fromarray(read_mask(item, image)[0]).resize((480, 360), Image.Resampling.NEAREST)
    line = (drawn.pixels == OUTLINE).all(-1)
    assert line.any()
    assert not (line & np.array(lesion)).any()
    apart = np.abs(np.array(expected, float) - drawn.pixels).max(-1)
    assert apart[~line].max() < 12
    plain = Image.fromarray(image.pixels).resize((480, 360), Image.Resampling.LANCZOS)
    assert np.abs(np.array(plain, float) - drawn.pixels).max(-1)[~line].max() > 40


def test_the_same_twice_and_nothing_of_a_photo_that_is_gone(pictures, items):
    first, second = pictures(items[1]), pictures(items[1])
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))
    assert pictures(dataclasses.replace(items[1], path=Path("gone.png"))) == []
