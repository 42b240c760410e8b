import pytest

from dermaxai.errors import StoreError
from dermaxai.reading.beside import readings_beside
from dermaxai.store.cases import find_case
from dermaxai.store.opening import FILE


@pytest.fixture
def caption(study):
    with study.store.read() as session:
        return find_case(session, "one").caption


def test_answers_of_all_readers(study, caption):
    study.answer("r1")
    study.answer("r2", "wrong_word")
    told = readings_beside(study.store.folder / "one", caption)
    assert [(one["pseudonym"], one["answer"]) for one in told] == [("r1", "agree"), ("r2", "wrong_word")]


def test_another_caption_or_an_unknown_case_has_none(study, caption):
    study.answer("r1")
    assert readings_beside(study.store.folder / "one", "another") == []
    assert readings_beside(study.store.folder / "none", caption) == []
    assert readings_beside(study.store.folder / "no name of a case", caption) == []


def test_no_store_is_made(tmp_path):
    assert readings_beside(tmp_path / "one", "") == []
    assert list(tmp_path.iterdir()) == []


def test_a_broken_store_is_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError):
        readings_beside(tmp_path / "one", "")
