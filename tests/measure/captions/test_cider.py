import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from dermaxai.errors import DataError
from dermaxai.measure.captions.cider import Frequencies, cider_d, cider_values
from dermaxai.measure.captions.ngrams import cut
from dermaxai.measure.captions.written import Tools, Written
from tests.measure.captions.drawing import captions, corpus, each


def runs(text, n):
    words = text.split()
    return Counter(" ".join(words[start : start + n]) for start in range(len(words) - n + 1))


def slow_cider(written, documents):
    """By the definition, vectors as dictionaries; `documents` are lists of texts."""

    def idf(run, n):
        often = sum(any(run in runs(text, n) for text in texts) for texts in documents)
        return math.log(len(documents)) - math.log(max(1, often))

    def similarity(caption, reference, n):
        ours = {run: count * idf(run, n) for run, count in runs(caption, n).items()}
        theirs = {run: count * idf(run, n) for run, count in runs(reference, n).items()}
        dot = sum(min(weight, theirs[run]) * theirs[run] for run, weight in ours.items() if run in theirs)
        lengths = math.prod(math.sqrt(sum(w * w for w in side.values())) for side in (ours, theirs))
        apart = sum(runs(caption, 2).values()) - sum(runs(reference, 2).values())
        return dot / lengths * math.exp(-(apart**2) / 72) if lengths else 0.0

    return [
        10
        * np.mean([np.mean([similarity(one.text, text, n) for n in (1, 2, 3, 4)]) for text in one.references])
        for one in written
    ]


@settings(max_examples=40)
@given(captions)
def test_is_the_definition(written):
    expected = slow_cider(written, [one.references for one in written])
    assert each(cider_d(written, Tools())[0]) == pytest.approx(expected, abs=1e-9)
    assert corpus(cider_d, written) == pytest.approx([np.mean(expected)], abs=1e-9)


@settings(max_examples=40)
@given(captions, captions)
def test_frequencies_of_another_set_are_the_definition_too(written, others):
    documents = [one.references for one in others]
    found = cider_values(cut(written), Frequencies.of(documents))
    assert found.tolist() == pytest.approx(slow_cider(written, documents), abs=1e-9)


@settings(max_examples=40)
@given(captions)
def test_own_frequencies_given_from_outside_change_nothing(written):
    frequencies = Frequencies.of([one.references for one in written])
    texts = cut(written)
    assert cider_values(texts, frequencies) == pytest.approx(cider_values(texts), abs=1e-12)


@pytest.mark.shared
def test_agrees_with_the_coco_evaluation(golden, golden_written):
    (scored,) = cider_d(golden_written, Tools())
    assert each(scored) == pytest.approx(golden["cider"]["per_caption"], abs=1e-9)
    assert corpus(cider_d, golden_written) == pytest.approx([golden["cider"]["corpus"]], abs=1e-9)


def test_one_photo_alone_scores_nothing_as_in_the_reference():
    written = [Written("1", "a dark brown lesion here", ("a dark brown lesion here",))]
    assert corpus(cider_d, written) == [0]


def test_frozen_frequencies_tell_of_one_photo(tmp_path):
    texts = ["a dark brown lesion here", "a pink plaque", "small white papules"]
    path = tmp_path / "frequencies.json"
    Frequencies.of([[text] for text in texts]).save(path)
    written = [Written("1", texts[0], (texts[0],))]
    own, frozen = cider_d(written, Tools(frequencies=path))
    assert (own.scale.name, frozen.scale.name) == ("cider_d", "cider_d_frozen")
    assert each(own) == [0]
    assert each(frozen) == pytest.approx([10])


def test_frequencies_are_saved_and_read(tmp_path):
    kept = Frequencies.of([["Тёмный очаг.", "очаг"], ["Очаг тёмный"]], "ru")
    assert (kept.documents, kept.runs["очаг"], kept.runs["темный очаг"]) == (2, 2, 1)
    kept.save(tmp_path / "one.json")
    assert Frequencies.read(tmp_path / "one.json") == kept
    Frequencies.of([["очаг", "тёмный очаг"], ["Очаг тёмный"]], "ru").save(tmp_path / "other.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"documents": 2}', '{"documents": 1, "runs": {"a": 2}}', '{"documents": 0, "runs": {}}'],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"other\.json"):
        Frequencies.read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        cider_d([Written("1", "a", ("a",))], Tools(frequencies=tmp_path / "nowhere.json"))


def test_without_a_reference_nothing_is_defined():
    written = [Written("1", "a mole", ("",)), Written("2", "a mole", ("a mole",)), Written("3", "b", ("c",))]
    values = cider_values(cut(written))
    assert np.isnan(values[0])
    assert values[1] > 0
    assert values[2] == 0
