import dataclasses
import math

import numpy as np
import pytest

from dermaxai.collection.entries import read_folder
from dermaxai.collection.groups import Groups
from dermaxai.collection.results import (
    FEW,
    MEASURES,
    captions_of,
    checks_of,
    cluster_numbers,
    mean_of_cases,
    results_of,
    words_of,
)
from tests.collection.cases import write_cases

NONE = Groups()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("cases")
    write_cases(home, 5)
    return read_folder(home)


def by_hand(folder, method, measure):
    """The same number by plain loops."""
    values = []
    for entry in folder.entries:
        for note in entry.maps:
            if note.method == method:
                verdicts = {score.metric: score.verdict for score in note.scores}
                values.append(
                    {
                        "better": float(note.verdict == "yes"),
                        "deletion": float(verdicts["deletion"] == "yes"),
                        "insertion": float(verdicts["insertion"] == "yes"),
                        "margin": note.margin,
                    }[measure]
                )
    return np.mean(values)


def test_every_measure_of_every_method(folder):
    results = results_of(folder, NONE)
    assert [(one.method, one.measure) for one in results] == [
        (method, measure) for method in ("grad_eclip", "evidence") for measure in MEASURES
    ]
    for one in results:
        if one.measure != "agreement":
            assert one.estimate.value == pytest.approx(by_hand(folder, one.method, one.measure))
        assert one.estimate.n == 5
        assert one.estimate.low <= one.estimate.value <= one.estimate.high
        assert one.few
    agreement = next(one for one in results if one.measure == "agreement")
    assert agreement.estimate.value == pytest.approx(0.2)
    assert results_of(folder, NONE) == results


def test_groups_come_after_all_cases(folder):
    groups = Groups({"skin": {"case0": "V", "case1": "V", "case3": "II"}})
    results = results_of(folder, groups)
    assert list(dict.fromkeys(one.group for one in results)) == ["", "skin=II", "skin=V"]
    found = {(one.group, one.method, one.measure): one.estimate for one in results}
    assert found["skin=V", "evidence", "better"].n == 2
    assert found["skin=V", "evidence", "better"].value == pytest.approx(0.5)
    assert found["skin=II", "evidence", "agreement"].value == pytest.approx(0.3)
    assert math.isnan(found["skin=II", "evidence", "agreement"].low), "one case tells nothing of the spread"


def test_photos_of_one_lesion_are_drawn_together(folder):
    groups = Groups(clusters={"case0": "x", "case1": "x", "case2": "y"})
    numbers = cluster_numbers(folder.entries, groups)
    assert numbers[0] == numbers[1]
    assert len(set(numbers.tolist())) == 4
    twins = [dataclasses.replace(entry, sha256="ab" * 32) for entry in folder.entries]
    assert cluster_numbers(twins, NONE).tolist() == [0] * 5


def test_thirty_cases_are_not_few(folder):
    many = [dataclasses.replace(folder.entries[0], name=f"c{k}", sha256=f"{k:064x}") for k in range(FEW)]
    assert not any(one.few for one in results_of(dataclasses.replace(folder, entries=tuple(many)), NONE))


def test_a_mean_over_cases_leaves_out_those_without_a_number(folder):
    told = mean_of_cases(folder.entries, lambda entry: math.nan if entry.outside else entry.agreement, NONE)
    assert (told.n, told.value) == (4, pytest.approx(0.25))


def test_checks_words_and_captions(folder):
    assert checks_of(folder)["evidence"] == {
        "random_weights": (0, 5), "wrong_question": (4, 5), "blank_photo": (4, 5), "mirrored_photo": (4, 5),
    }  # fmt: skip
    assert checks_of(folder)["caption"] == {"blank_words": (4, 5)}
    words = words_of(folder)
    assert {line.text for line in words} == {
        "large",
        "asymmetric",
        "dark",
        "brown",
        "lesion",
        "irregular",
        "border",
    }
    assert all((line.cases, line.from_image) == (5, 1.0) for line in words)
    assert captions_of(folder) == [(folder.entries[0].caption, 5)]
