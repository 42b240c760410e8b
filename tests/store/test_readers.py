import hashlib
import unicodedata
from datetime import timedelta

import pytest
from sqlalchemy import select

from dermaxai.errors import Conflict, NotFound, UsageError
from dermaxai.store import audit, readers
from dermaxai.store.tables import Event, Reader, Token, Visit, now


@pytest.fixture
def anna(store):
    with store.write() as session:
        return readers.add_reader(session, "anna", "reader", actor="local")


def issue(store, reader, days=90):
    with store.write() as session:
        return readers.issue_token(session, reader, days=days, actor="local")


def whose(store, token):
    with store.read() as session:
        found = readers.reader_of_token(session, token)
    return found and found[0].pseudonym


def later(monkeypatch, **time):
    moment = now() + timedelta(**time)
    monkeypatch.setattr(readers, "now", lambda: moment)


def test_readers_are_found_and_listed(store, anna):
    with store.write() as session:
        readers.add_reader(session, "Борис 2", "admin", actor="anna")
    with store.read() as session:
        assert readers.find_reader(session, "anna").role == "reader"
        assert readers.find_reader(session, unicodedata.normalize("NFD", "Борис 2")).role == "admin"
        assert sorted(reader.pseudonym for reader in readers.list_readers(session)) == ["anna", "Борис 2"]
        with pytest.raises(NotFound, match="carl"):
            readers.find_reader(session, "carl")


def test_a_pseudonym_is_taken_once(store, anna):
    with pytest.raises(Conflict, match="anna"), store.write() as session:
        readers.add_reader(session, "anna", "admin", actor="local")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "has 1 to 64 characters"),
        ("x" * 65, "has 1 to 64 characters"),
        ("anna@clinic.org", "no e-mail"),
        (" anna", "begin or end"),
        ("anna ", "begin or end"),
        ("..", "dots alone"),
        ("an\nna", "control characters"),
        ("an\0na", "control characters"),
        ("an\u202ena", "control characters"),
        ("local", "of the program's own"),
        ("Worker", "of the program's own"),
        ("system", "of the program's own"),
    ],
)
def test_names_that_are_no_pseudonyms(store, name, why):
    with pytest.raises(UsageError, match=why), store.write() as session:
        readers.add_reader(session, name, "reader", actor="local")


def test_a_pseudonym_has_one_spelling():
    assert readers.check_pseudonym("и\u0306од") == "йод"


def test_there_are_two_roles(store):
    with pytest.raises(UsageError, match="no role 'owner'"), store.write() as session:
        readers.add_reader(session, "anna", "owner", actor="local")


def test_a_token_lets_in_and_only_its_hash_is_kept(store, anna):
    token = issue(store, anna)
    assert len(token) == 43
    assert whose(store, token) == "anna"
    with store.read() as session:
        assert session.scalar(select(Token.hash)) == hashlib.sha256(token.encode()).hexdigest()
        told = session.scalars(select(Event).order_by(Event.seq)).all()
    assert [event.action for event in told] == ["reader.added", "token.issued"]
    assert all(token not in event.detail for event in told)


@pytest.mark.parametrize("token", ["", "x" * 43, "\ud800", "a" * 100_000])
def test_what_is_no_token_lets_nobody_in(store, anna, token):
    issue(store, anna)
    assert whose(store, token) is None


def test_two_tokens_are_two(store, anna):
    one, other = issue(store, anna), issue(store, anna)
    assert one != other
    assert whose(store, one) == whose(store, other) == "anna"


def test_a_token_expires(store, anna, monkeypatch):
    token = issue(store, anna, days=2)
    later(monkeypatch, days=1, hours=23)
    assert whose(store, token) == "anna"
    later(monkeypatch, days=2, seconds=1)
    assert whose(store, token) is None
    with store.read() as session:
        assert readers.valid_tokens(session, anna) == []


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_token_is_valid_for_a_sensible_time(store, anna, days):
    with pytest.raises(UsageError, match="1 to 3650 days"):
        issue(store, anna, days)


def test_tokens_are_revoked_with_their_visits(store, anna):
    tokens = [issue(store, anna), issue(store, anna)]
    with store.write() as session:
        secret = readers.open_visit(session, anna.id, None, hours=8)
    with store.write() as session:
        assert readers.revoke_tokens(session, anna, actor="local") == 2
    assert [whose(store, token) for token in tokens] == [None, None]
    with store.write() as session:
        assert readers.visit_of(session, secret) is None
        assert readers.revoke_tokens(session, anna, actor="local") == 0
        assert audit.verify(session).intact


def test_a_visit_is_known_by_its_secret(store, anna):
    with store.write() as session:
        secret = readers.open_visit(session, anna.id, None, hours=8)
    with store.read() as session:
        assert readers.visit_of(session, secret).reader_id == anna.id
        assert readers.visit_of(session, secret[:-1]) is None
        assert session.scalar(select(Visit.hash)) == hashlib.sha256(secret.encode()).hexdigest()


def test_a_visit_ends_by_time_and_by_wish(store, anna, monkeypatch):
    with store.write() as session:
        first = readers.open_visit(session, anna.id, None, hours=1)
        second = readers.open_visit(session, None, None, hours=8)
        readers.close_visit(session, second)
        readers.close_visit(session, "never opened")
    with store.read() as session:
        assert readers.visit_of(session, second) is None
        assert readers.visit_of(session, first) is not None
    later(monkeypatch, hours=1, seconds=1)
    with store.read() as session:
        assert readers.visit_of(session, first) is None


def test_visits_that_are_over_are_forgotten(store, anna, monkeypatch):
    with store.write() as session:
        readers.open_visit(session, anna.id, None, hours=1)
    later(monkeypatch, hours=2)
    with store.write() as session:
        readers.open_visit(session, anna.id, None, hours=1)
    with store.read() as session:
        assert len(session.scalars(select(Visit)).all()) == 1


def test_a_visit_ends_with_its_token(store, anna, monkeypatch):
    token = issue(store, anna, days=1)
    with store.write() as session:
        found = readers.reader_of_token(session, token)
        secret = readers.open_visit(session, anna.id, found[1].id, hours=100)
    with store.read() as session:
        assert readers.visit_of(session, secret) is not None
    later(monkeypatch, days=1, hours=1)
    with store.read() as session:
        assert readers.visit_of(session, secret) is None


def test_secrets_stand_in_no_file(sqlite_store):
    with sqlite_store.write() as session:
        reader = readers.add_reader(session, "anna", "reader", actor="local")
        token = readers.issue_token(session, reader, days=1, actor="local")
        secret = readers.open_visit(session, reader.id, None, hours=1)
    content = b"".join(file.read_bytes() for file in sqlite_store.folder.rglob("*") if file.is_file())
    assert b"anna" in content
    assert token.encode() not in content
    assert secret.encode() not in content


def test_an_unknown_reader_has_no_row(store):
    with store.read() as session:
        assert session.scalars(select(Reader)).all() == []
        assert readers.reader_of_token(session, "nothing") is None


def test_doors_that_are_shut_are_forgotten(store, anna, monkeypatch):
    kept, short, revoked = issue(store, anna), issue(store, anna, days=1), issue(store, anna)
    with store.write() as session:
        ids = [readers.reader_of_token(session, token)[1].id for token in (kept, short, revoked)]
        session.get(Token, ids[2]).revoked = now()
        readers.open_visit(session, anna.id, ids[0], hours=12)
        readers.open_visit(session, anna.id, ids[0], hours=24 * 7)
    later(monkeypatch, days=2)
    with store.write() as session:
        readers.sweep_doors(session)
        assert [token.id for token in session.scalars(select(Token))] == ids[:1]
        assert len(session.scalars(select(Visit)).all()) == 1
        assert session.scalars(select(Event).where(Event.action == "token.issued")).all()[-1] is not None
    assert whose(store, kept) == "anna"


SPELLINGS = [
    "reader-1",
    "READER-1",
    "Reader\u20111",
    "reader_1",
    "reader 1",
    "\uff52\uff45ader\u22121",
    "reader--1",
]


@pytest.mark.parametrize("spelt", SPELLINGS)
def test_another_spelling_is_the_same_reader(store, spelt):
    with store.write() as session:
        first = readers.add_reader(session, "Reader-1", "reader", actor="local")
        assert readers.find_reader(session, spelt).id == first.id
        with pytest.raises(Conflict, match="There is a reader 'Reader-1' already"):
            readers.add_reader(session, spelt, "reader", actor="local")
        assert readers.alike(session.scalars(select(Reader))) == []


@pytest.mark.parametrize(("one", "other"), [("1-11", "11-1"), ("reader1", "reader-1"), ("r1", "r2")])
def test_pseudonyms_that_only_look_alike_are_two(store, one, other):
    with store.write() as session:
        readers.add_reader(session, one, "reader", actor="local")
        readers.add_reader(session, other, "reader", actor="local")
        assert readers.find_reader(session, one).pseudonym == one
        assert readers.find_reader(session, other).pseudonym == other


def test_a_reader_is_not_found_by_the_mark_of_another(store, anna):
    """'anna#2' is how an older reader with the same folded pseudonym is kept."""
    with store.write() as session:
        session.add(Reader(pseudonym="Anna", role="reader", created=now(), folded="anna#2"))
        session.flush()
        with pytest.raises(NotFound):
            readers.find_reader(session, "anna#2")
        assert readers.alike(session.scalars(select(Reader))) == [["Anna", "anna"]]


@pytest.mark.parametrize("name", ["\uff4cocal", "anna\uff20clinic.org", "\u2026", "a\uff0fb"])
def test_wide_signs_are_no_way_around_the_rules(name):
    with pytest.raises(UsageError):
        readers.check_pseudonym(name)
