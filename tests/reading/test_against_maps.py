import json

import pytest

from dermaxai.explain.localisation import energy_inside
from dermaxai.reading.against_maps import against_maps
from dermaxai.reading.looking import read_page
from dermaxai.reading.regions import draw_mask, read_regions
from dermaxai.viewer import case_to_page
from tests.reading.test_agreement import given
from tests.sample_case import HEIGHT, WIDTH, make_case

CASE = make_case()
LOOKED = read_page(json.dumps(case_to_page(CASE)).encode())
PLACE = {"kind": "polygon", "points": [[180, 60], [300, 60], [300, 190], [180, 190]]}


def against(*answers, look=lambda _: LOOKED):
    return {one.method: one for one in against_maps(answers, look)}


def test_what_readers_say_of_each_methods_maps():
    found = against(
        given("one", 1, 2, "agree", method="grad_eclip"),
        given("two", 1, 2, "wrong_place", method="grad_eclip"),
        given("two", 2, 2, "agree", method="evidence"),
        given("two", 3, 0, "wrong_word", method=""),
    )
    assert list(found) == ["", "evidence", "grad_eclip"]
    assert found["grad_eclip"].answers == 2
    assert found["grad_eclip"].shares["agree"].value == 0.5
    assert found[""].shares["wrong_word"].value == 1
    assert found["evidence"].energy.value is None


def test_energy_inside_what_was_marked_for_every_method():
    found = against(given("one", 1, 2, "wrong_place", PLACE, method="grad_eclip"))
    mask = draw_mask(read_regions([PLACE], HEIGHT, WIDTH), HEIGHT, WIDTH)
    for method in ("grad_eclip", "evidence"):
        energy, area = energy_inside(CASE.map("asymmetric", method), mask)
        assert found[method].energy.value == pytest.approx(energy, abs=0.01)
        assert found[method].chance.value == pytest.approx(area, abs=0.01)
        assert found[method].energy.n == 1
    assert found["grad_eclip"].energy.value > 2 * found["grad_eclip"].chance.value


def test_what_is_made_of_the_others_is_no_method():
    case = make_case(methods=("grad_eclip", "consensus", "spread"))
    looked = read_page(json.dumps(case_to_page(case)).encode())
    answers = (
        given("one", 1, 2, "agree", PLACE, method="consensus"),
        given("two", 1, 2, "agree", method="spread"),
    )
    assert {"consensus", "spread"} <= set(looked.maps_of(2))
    assert list(against(*answers, look=lambda _: looked)) == ["grad_eclip"]


def test_a_map_without_positive_values_has_no_energy_to_share():
    index = LOOKED.words.index("large")
    assert list(against(given("one", 1, index, "agree", PLACE, method="evidence"))) == ["evidence"]


def test_a_case_that_cannot_be_read_is_left_out():
    found = against(given("one", 1, 2, "agree", PLACE, method="evidence"), look=lambda _: None)
    assert found["evidence"].energy.n == 0


def test_the_caption_as_a_whole_has_no_map():
    assert against(given("one", 1, None, "agree", PLACE)) == {}
