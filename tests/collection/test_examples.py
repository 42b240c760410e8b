import dataclasses

import pytest

from dermaxai.cases import load_case, save_case
from dermaxai.collection.entries import read_folder
from dermaxai.collection.examples import best_of, disputed_in, worst_of
from dermaxai.scores import map_names
from tests.collection.cases import write_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Case number k has margins of about k / 10."""
    home = tmp_path_factory.mktemp("cases")
    for number, place in enumerate(write_cases(home, 5)):
        case = load_case(place)
        names = map_names(case.maps)
        scores = tuple(
            dataclasses.replace(
                one,
                value=one.baseline
                + (0.1 * number + 0.01 * names.index(one.of)) * (one.metric == "insertion"),
                low=0.0,
                high=1.0,
            )
            for one in case.scores
            if one.of in names
        )
        save_case(dataclasses.replace(case, scores=scores), place)
    return read_folder(home)


def test_both_ends_and_no_case_at_both(folder):
    worst, best = worst_of(folder), best_of(folder)
    assert [one.name for one in worst] == ["case0", "case1", "case2"]
    assert [one.name for one in best] == ["case4", "case3"]
    assert best[0].value > worst[-1].value
    # The first map has the smallest margin of its case, the last, a query, the largest.
    assert {(one.method, one.word) for one in worst} == {("grad_eclip", "large")}
    assert all("pigment" in one.word for one in best)
    assert all(one.picture.startswith("data:image/jpeg;base64,") for one in (*worst, *best))


def test_where_the_methods_agree_least(folder):
    disputed = disputed_in(folder)
    assert [one.name for one in disputed] == [f"case{number}" for number in range(5)]
    assert disputed[0].value == pytest.approx(0.0)


def test_nothing_measured_no_examples(folder):
    bare = tuple(dataclasses.replace(entry, maps=(), agreements=()) for entry in folder.entries)
    empty = dataclasses.replace(folder, entries=bare)
    assert worst_of(empty) == best_of(empty) == disputed_in(empty) == []
