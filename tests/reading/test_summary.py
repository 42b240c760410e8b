import json
import shutil

from dermaxai.commands.reading import _say
from dermaxai.i18n import catalogue
from dermaxai.reading.blind import OwnReading, give_reading
from dermaxai.reading.summary import summarise_study
from dermaxai.store.tables import Reader, now
from tests.reading.conftest import Somebody

PLACE = {"kind": "box", "points": [[180, 60], [300, 190]]}


def summarise(study):
    with study.store.read() as session:
        return summarise_study(session, study.shelf)


def test_a_whole_study_in_one_object(study):
    for reader in ("r1", "r2"):
        study.answer(reader, "wrong_place", regions=[PLACE])
        study.answer(reader, "agree", case="two")
        study.answer(reader, "agree", word=None, method="")
    study.answer("r3", "wrong_word")
    with study.store.write() as session:
        give_reading(session, study.readers["r3"], "two", OwnReading("x"), blind=True)
    found = summarise(study)
    assert [(one.pseudonym, one.cases, one.answers, one.readings) for one in found.readers] == [
        ("r1", 2, 3, 0),
        ("r2", 2, 3, 0),
        ("r3", 1, 1, 1),
    ]
    assert (found.cases, found.words.items, found.captions.items) == (2, 2, 1)
    assert found.regions.dice.value == 1
    told = found.as_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [one["method"] for one in told["methods"]] == ["evidence", "grad_eclip"]


def test_an_empty_study_is_a_summary_too(study):
    told = summarise(study).as_json()
    assert (told["readers"], told["answers"], told["methods"]) == ([], 0, [])
    assert told["words"]["undefined"] == "no_items"


def test_a_lost_case_folder_does_not_stop_it(study):
    study.answer("r1", "wrong_place", regions=[PLACE])
    shutil.rmtree(study.store.folder / "one")
    shutil.rmtree(study.store.folder / ".derived", ignore_errors=True)
    found = summarise(study)
    assert found.cases == 1
    assert found.methods[0].energy.n == 0


def test_it_is_the_same_on_every_database(any_study):
    any_study.answer("r1", "wrong_place", regions=[PLACE])
    any_study.answer("r2", "agree")
    found = summarise(any_study)
    assert found.words.kappa.value == -1


def test_readers_who_may_be_one_person_are_named(any_study, capsys):
    """They come from the time when each spelling was a reader of its own."""
    assert summarise(any_study).alike == ()
    with any_study.store.write() as session:
        double = Reader(pseudonym="R1", role="reader", created=now(), folded="r1#9")
        silent = Reader(pseudonym="R2", role="reader", created=now(), folded="r2#9")
        session.add_all([double, silent])
        session.flush()
        any_study.readers["R1"] = Somebody("R1", double.id)
    for name in ("r1", "R1", "r2"):
        any_study.answer(name, "agree")
    found = summarise(any_study)
    assert found.alike == (("R1", "r1"),)
    assert found.as_json()["alike"] == [["R1", "r1"]]
    assert found.words.most == 3
    _say(found, catalogue("ru"))
    assert "R1, r1: псевдонимы различаются только написанием" in capsys.readouterr().out
