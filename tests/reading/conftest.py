"""A study on disk: two drawn cases, adopted into a store, and readers under pseudonyms."""

import shutil
from dataclasses import dataclass

import pytest

from dermaxai.cases import save_case
from dermaxai.reading.judging import Judgement, give_feedback
from dermaxai.reading.looking import read_page
from dermaxai.store.cases import adopt_folders, find_case
from dermaxai.store.opening import Store, open_store
from dermaxai.store.readers import add_reader
from dermaxai.store.shelf import Shelf
from tests.databases import database, postgres, store
from tests.sample_case import ENGLISH, make_case

__all__ = ["database", "postgres", "store"]


@dataclass(frozen=True)
class Somebody:
    """Who is asking, as the API would say."""

    name: str
    reader: int | None
    by: str = "session"
    is_admin: bool = False


@dataclass
class Study:
    store: Store
    readers: dict[str, Somebody]

    @property
    def shelf(self):
        return Shelf(self.store.folder)

    def looked(self, session, case="one"):
        row = find_case(session, case)
        return row, read_page(self.shelf.page(row))

    def answer(self, reader, answer="agree", case="one", word=2, **more):
        """One answer; the word of index 2 is 'asymmetric'."""
        given = {"caption": ENGLISH, "method": "grad_eclip", **more}
        with self.store.write() as session:
            row, looked = self.looked(session, case)
            judgement = Judgement(answer, word=word, **given)
            return give_feedback(session, self.readers[reader], row, looked, judgement).id


def fill(store, names=("r1", "r2", "r3")):
    """Cases 'one' and 'two', and readers, in an open store."""
    for name in ("one", "two"):
        save_case(make_case(), store.folder / name)
    assert adopt_folders(store) == []
    with store.write() as session:
        readers = {name: add_reader(session, name, "reader", actor="local").id for name in names}
    return Study(store, {name: Somebody(name, number) for name, number in readers.items()})


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A folder of cases with its database, to be copied."""
    folder = tmp_path_factory.mktemp("study") / "cases"
    opened = open_store(folder)
    readers = fill(opened).readers
    opened.close()
    return folder, readers


@pytest.fixture
def study(filled, tmp_path):
    """Two cases and three readers."""
    folder, readers = filled
    shutil.copytree(folder, tmp_path / "cases")
    opened = open_store(tmp_path / "cases")
    yield Study(opened, dict(readers))
    opened.close()


@pytest.fixture
def any_study(store):
    """The same on every database."""
    return fill(store)
