import math

import pytest

from dermaxai.collection.entries import read_folder
from dermaxai.collection.tables import cases_csv, certainty_of
from tests.collection.cases import write_cases


def test_a_case_without_words_has_no_certainty(tmp_path):
    import dataclasses

    write_cases(tmp_path, 1)
    (entry,) = read_folder(tmp_path).entries
    expected = math.exp(sum(word.logprob for word in entry.said) / len(entry.said))
    assert certainty_of(entry) == pytest.approx(expected)
    assert math.isnan(certainty_of(dataclasses.replace(entry, said=())))


def test_no_caption_is_a_formula(tmp_path):
    import dataclasses

    write_cases(tmp_path, 1)
    folder = read_folder(tmp_path)
    evil = dataclasses.replace(folder.entries[0], caption="=cmd|' /C calc'!A0")
    assert ",'=cmd" in cases_csv(dataclasses.replace(folder, entries=(evil,)))
