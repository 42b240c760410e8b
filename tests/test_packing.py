import base64
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from hypothesis.strategies import integers

import dermaxai
from dermaxai.measure.maps.base import Protocol
from dermaxai.packing import FIRST, LEVELS, MIDDLE, less_neighbours, pack_maps, squeeze_script, squeeze_style
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.report import render_report
from dermaxai.types import Score
from dermaxai.viewer import case_to_page, pack_cells
from tests.sample_case import make_case

LIMIT = 100_000
"""Bytes of a report beside its photo, whatever was asked."""


def restored(told):
    """The way back of `less_neighbours`, cell by cell, as painting.js goes it."""
    rows, columns = told.shape
    cells = np.zeros_like(told)
    for row in range(rows):
        for column in range(columns):
            left = cells[row, column - 1] if column else MIDDLE
            above = cells[row - 1, column] if row else MIDDLE
            number = int(told[row, column])
            step = -(number + 1) // 2 if number % 2 else number // 2
            cells[row, column] = (step + (left + above) // 2) % LEVELS
    return cells


grids = arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=integers(1, LEVELS - 1))


@given(grids)
def test_nothing_is_lost_of_a_cell(cells):
    told = less_neighbours(cells)
    assert ((told >= 0) & (told < LEVELS)).all()
    assert (restored(told) == cells).all()


@given(grids)
def test_a_map_of_any_size_is_taken_apart(cells):
    rows, columns = cells.shape
    place = {"rows": rows, "columns": columns}
    entry = {"cells": pack_cells(cells.ravel() - MIDDLE), "place": 0, "peak": 1.0}
    page, upper, lower = pack_maps({"maps": [entry, entry], "places": [place]})
    assert page["maps"] == {"columns": ["place", "peak"], "rows": [[0, 1.0]] * 2}
    signs = [np.frombuffer(part.encode(), np.uint8).astype(np.int64) - FIRST for part in (upper, lower)]
    for told in np.split(64 * signs[0] + signs[1], 2):
        assert (restored(told.reshape(rows, columns)) == cells).all()


def test_maps_without_a_case():
    page, *cells = pack_maps(case_to_page(dataclasses.replace(make_case(), maps=())))
    assert page["maps"] == {"columns": [], "rows": []}
    assert cells == ["", ""]


def test_what_only_authors_read_falls_away():
    script = '// Says.\nconst a = "http://b"; // why\n  if (a) {\n    b(" // kept "); // it\'s kept\n  }\n'
    assert squeeze_script(script) == ('const a = "http://b";\nif (a) {\nb(" // kept "); // it\'s kept\n}')
    assert squeeze_style("/* Why. */\na:hover , b { color: red; margin: 0 auto; }") == (
        "a:hover,b{color:red;margin:0 auto}"
    )


@pytest.fixture(scope="module")
def everything():
    """A case of the embedded model that was asked every kind of question with every method."""
    model = dermaxai.load("demo")
    photo = draw_phantom(sample_plans(12, seed=31)[5], seed=5).image
    case = model.explain(photo, methods="all", queries=["blue-white veil", "a dark brown lesion"])
    word = case.caption.words[-1].text
    case = model.contrast(model.contrast(case, word, "border"), word, "scar")
    case = model.ask(case, "melanoma", kind="diagnosis", against="melanocytic nevus")
    case = model.concepts(model.ask(case, "pigment network", kind="concept"))
    case = model.measure(case, protocol=Protocol(steps=2, random_maps=2))
    return dataclasses.replace(case, scores=(*case.scores, *checks_of(case)))


def checks_of(case):
    """As `sanity` would answer, which takes a minute."""
    numbers = iter(np.random.default_rng(0).uniform(-1, 1, 1000).tolist())
    return [
        Score(
            f"sanity_{name}", next(numbers), next(numbers), next(numbers), 7, method, 0.2, verdict="undecided"
        )
        for method in dict.fromkeys(heat.method for heat in case.maps)
        for name in ("random_weights", "wrong_question", "blank_photo", "mirrored_photo")
    ]


READINGS = [
    {
        "pseudonym": f"reader-{number}",
        "word": word,
        "text": "lesion",
        "answer": "wrong_place",
        "comment": f"Reader {number} would look at the border of word {word}, not at the hair beside it.",
        "regions": [{"kind": "polygon", "points": [[10 * number, 20], [31, 40 * word], [55, 67]]}],
    }
    for number in range(5)
    for word in range(4)
]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_whatever_was_asked_the_report_stays_small(everything, language):
    text = render_report(everything, language=language, readings=READINGS)
    photo = text.split('src="data:image/jpeg;base64,', 1)[1].partition('"')[0]
    assert len(base64.b64decode(photo)) > 5_000
    assert len({heat.method for heat in everything.maps}) >= 14
    assert {heat.target.kind for heat in everything.maps} >= {"word", "query", "concept", "diagnosis"}
    assert len(text.encode()) - len(photo) < LIMIT
