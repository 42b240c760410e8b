"""Deleting, readers and the audit trail at the command line; data on stdout, talk on stderr."""

import json

import pytest
from typer.testing import CliRunner

from dermaxai.cases import save_case
from dermaxai.cli import app
from dermaxai.store import audit
from dermaxai.store.adopting import adopt_folders
from dermaxai.store.opening import open_store
from dermaxai.store.readers import reader_of_token
from tests.sample_case import make_case
from tests.store.tampering import tamper


@pytest.fixture
def folder(tmp_path):
    """Two cases that the store knows, and one that it has not seen yet."""
    place = tmp_path / "cases"
    for name in ("one", "two"):
        save_case(make_case(), place / name)
    store = open_store(place)
    adopt_folders(store)
    store.close()
    save_case(make_case(), place / "three")
    return place


def run(folder, *words, code=0):
    done = CliRunner().invoke(app, [*words, "--cases", str(folder)])
    assert done.exit_code == code, done.output
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_cases_are_deleted_by_id_and_by_folder(folder):
    assert run(folder, "delete", "one", str(folder / "two")).stdout == "deleted  one\ndeleted  two\n"
    assert sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")) == [
        "dermaxai.sqlite",
        "three",
    ]


def test_a_case_that_the_store_has_not_seen_is_deleted_too(folder):
    assert lines(run(folder, "delete", "three", "--json")) == [{"deleted": "three"}]
    assert not (folder / "three").exists()


def test_one_unknown_case_does_not_stop_the_rest(folder):
    done = run(folder, "delete", "nowhere", "one", code=2)
    assert done.stdout == "deleted  one\n"
    assert "nowhere: There is no case 'nowhere'" in done.stderr


def test_a_folder_elsewhere_is_not_deleted(folder, tmp_path):
    save_case(make_case(), tmp_path / "one")
    done = run(folder, "delete", str(tmp_path / "one"), code=2)
    assert "does not lie in" in done.stderr
    assert (tmp_path / "one" / "case.json").exists()
    assert (folder / "one" / "case.json").exists()


def test_old_cases_are_deleted(folder):
    done = run(folder, "delete", "--older-than", "1h")
    assert (done.stdout, done.stderr) == ("", "0 deleted.\n")


@pytest.mark.parametrize(
    "words", [[], ["one", "--older-than", "1d"], ["--older-than", "soon"], ["--older-than", "0d"]]
)
def test_deleting_has_to_be_told_what(folder, words):
    run(folder, "delete", *words, code=2)
    assert (folder / "one").exists()


def test_deleting_makes_no_folder(tmp_path):
    run(tmp_path / "none", "delete", "one", code=2)
    assert not (tmp_path / "none").exists()


def test_the_token_is_the_only_line_on_stdout(folder):
    done = run(folder, "readers", "add", "anna", "--days", "7")
    token = done.stdout.strip()
    assert "not shown again" in done.stderr
    assert token not in done.stderr
    store = open_store(folder)
    with store.read() as session:
        reader, found = reader_of_token(session, token)
    store.close()
    assert (reader.pseudonym, reader.role, (found.expires - found.created).days) == ("anna", "reader", 7)


def test_readers_come_and_go(folder):
    run(folder, "readers", "add", "anna")
    run(folder, "readers", "add", "boris", "--role", "admin", "--json")
    (further,) = lines(run(folder, "readers", "token", "anna", "--json"))
    assert set(further) == {"reader", "role", "days", "token"}
    rows = lines(run(folder, "readers", "list", "--json"))
    assert [(row["reader"], row["role"], row["tokens"]) for row in rows] == [
        ("anna", "reader", 2),
        ("boris", "admin", 1),
    ]
    assert run(folder, "readers", "revoke", "anna").stdout == "revoked  2\n"
    rows = lines(run(folder, "readers", "list", "--json"))
    assert (rows[0]["tokens"], rows[0]["valid_until"]) == (0, None)
    assert "anna" in run(folder, "readers", "list").stdout


def test_mistakes_with_readers(folder):
    run(folder, "readers", "add", "anna")
    assert "already" in run(folder, "readers", "add", "anna", code=2).stderr
    assert "e-mail" in run(folder, "readers", "add", "anna@clinic.org", code=2).stderr
    assert "no reader 'carl'" in run(folder, "readers", "revoke", "carl", code=2).stderr


def test_an_intact_trail_is_told_with_its_head(folder):
    (told,) = lines(run(folder, "audit", "verify", "--json"))
    assert (told["count"], told["intact"], told["faults"]) == (2, True, [])
    assert run(folder, "audit", "verify").stdout == f"events   2\nhead     {told['head']}\n"
    run(folder, "delete", "one")
    (later,) = lines(run(folder, "audit", "verify", "--json", "--head", told["head"]))
    assert (later["intact"], later["known_head"]) == (True, 2)


def test_a_broken_trail_ends_with_the_code_of_failed_checks(folder):
    store = open_store(folder)
    tamper(store, "UPDATE events SET actor = 'bob' WHERE seq = 1")
    store.close()
    done = run(folder, "audit", "verify", code=4)
    assert "event 1 is not as it was written" in done.stderr
    (told,) = lines(run(folder, "audit", "verify", "--json", code=4))
    assert (told["intact"], told["faults"][0]["seq"], told["faults"][0]["kind"]) == (False, 1, "changed")


def test_a_head_that_is_not_in_the_trail_fails(folder):
    done = run(folder, "audit", "verify", "--head", "ab" * 32, code=4)
    assert "not in the trail" in done.stderr


def test_events_are_listed(folder):
    run(folder, "delete", "one")
    rows = lines(run(folder, "audit", "list", "--json", "--subject", "one"))
    assert [(row["actor"], row["action"]) for row in rows] == [
        ("system", "case.adopted"),
        ("local", "case.deleted"),
    ]
    assert rows[1]["detail"] == {"readings": 0, "feedback": 0, "jobs": 0}
    assert len(lines(run(folder, "audit", "list", "--json", "--last", "1"))) == 1
    assert "case.deleted" in run(folder, "audit", "list").stdout


def test_looking_makes_no_store(tmp_path):
    for words in (["audit", "verify"], ["audit", "list"], ["readers", "list"]):
        run(tmp_path / "none", *words, code=1)
    assert not (tmp_path / "none").exists()


def test_the_address_of_the_database_may_stand_in_the_environment(folder, tmp_path, monkeypatch):
    """A password on the command line is seen by every program."""
    monkeypatch.setenv("DERMAXAI_STORE", f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    run(folder, "readers", "add", "anna")
    assert (tmp_path / "elsewhere.sqlite").exists()


def test_what_is_done_here_is_done_by_local(folder):
    run(folder, "readers", "add", "anna")
    store = open_store(folder)
    with store.read() as session:
        assert {event.actor for event in audit.list_events(session, last=2)} == {"local"}
    store.close()
