import math

import pytest

from dermaxai.collection.entries import case_folders, margin_of, read_folder
from dermaxai.errors import DataError
from dermaxai.types import Score
from tests.collection.cases import write_cases


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("случаи")
    write_cases(home, 3)
    return home


def test_what_is_kept_of_a_case(home):
    heard = []
    folder = read_folder(home, lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert [entry.name for entry in folder.entries] == ["case0", "case1", "case2"]
    assert folder.methods == ("grad_eclip", "evidence")
    first, second, third = folder.entries
    assert (first.outside, second.outside, first.warnings) == (True, False, 1)
    assert (first.has_report, third.has_report) == (False, True)
    assert [round(entry.agreement, 6) for entry in folder.entries] == [0.0, 0.1, 0.2]
    assert first.better == pytest.approx(13 / 15)
    assert second.better == 0.0
    assert first.from_image == pytest.approx(0.7)
    assert {name for name, _ in third.pairs} == {"grad_eclip", "evidence"}
    assert len(first.maps) == 15
    assert first.margin == pytest.approx(sum(note.margin for note in first.maps) / 15)
    assert {score.metric for score in first.checks} >= {"sanity_random_weights", "sanity_blank_words"}


def test_margin_is_what_is_gained_over_random_maps():
    def score(metric, value, baseline=0.5):
        return Score(metric, value, value, value, 1, "a/1", baseline)

    both = {"deletion": score("deletion", 0.3), "insertion": score("insertion", 0.9)}
    assert margin_of(both) == pytest.approx(0.6)
    assert math.isnan(margin_of({"deletion": both["deletion"]}))
    assert math.isnan(margin_of({**both, "insertion": score("insertion", 0.9, None)}))


def test_a_damaged_case_is_left_out_and_said(tmp_path):
    places = write_cases(tmp_path, 2)
    (places[0] / "maps.npz").write_bytes(b"nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / ".waiting").mkdir()
    (tmp_path / ".waiting" / "case.json").write_text("{}", "utf-8")
    assert case_folders(tmp_path) == places
    folder = read_folder(tmp_path)
    assert [entry.name for entry in folder.entries] == ["case1"]
    assert folder.skipped[0][0] == "case0"
    assert "damaged" in folder.skipped[0][1]
    (places[1] / "case.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match="no case below"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        case_folders(tmp_path / "nowhere")
