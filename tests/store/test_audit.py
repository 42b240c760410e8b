import subprocess
import sys

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from dermaxai.store import audit
from dermaxai.store.tables import Chain, Event
from tests.store.tampering import tamper

APPENDING = """
import sys
from dermaxai.store import audit
from dermaxai.store.opening import open_store

store = open_store(sys.argv[1], sys.argv[2])
for number in range(int(sys.argv[4])):
    with store.write() as session:
        audit.append(session, sys.argv[3], "case.made", f"case-{number}", number=number)
store.close()
"""


@pytest.fixture
def trail(store):
    """A store with six events."""
    with store.write() as session:
        for number in range(1, 7):
            audit.append(session, "anna", "case.made", f"case-{number}", maps=number, method="evidence")
    return store


def verify(store):
    with store.read() as session:
        return audit.verify(session)


def kinds_of(store):
    return [(fault.seq, fault.kind) for fault in verify(store).faults]


def test_an_empty_trail_is_intact(store):
    assert verify(store) == audit.Verified(0, audit.START)


def test_events_are_numbered_and_chained(trail):
    with trail.read() as session:
        events = session.scalars(select(Event).order_by(Event.seq)).all()
        end = session.get(Chain, 1)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.previous for event in events] == [audit.START, *(event.hash for event in events[:-1])]
    assert (end.seq, end.hash) == (6, events[-1].hash)
    assert events[0].detail == '{"maps":1,"method":"evidence"}'
    found = verify(trail)
    assert (found.count, found.head, found.intact) == (6, events[-1].hash, True)


def test_a_failed_transaction_leaves_no_event_and_no_gap(trail):
    def fail(session):
        audit.append(session, "anna", "case.made", "never")
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), trail.write() as session:
        fail(session)
    with trail.write() as session:
        assert audit.append(session, "anna", "case.made", "next").seq == 7
    assert verify(trail).intact


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'bob' WHERE seq = 3",
        "DELETE FROM events WHERE seq = 3",
        "UPDATE chain SET seq = 2",
        "UPDATE chain SET seq = 6, hash = 'x'",
        "DELETE FROM chain",
    ],
)
def test_the_database_refuses_to_change_the_trail(trail, statement):
    with pytest.raises(DBAPIError), trail.engine.begin() as connection:
        connection.execute(text(statement))
    assert verify(trail).intact


def test_the_database_refuses_to_empty_the_trail(trail):
    statement = "DELETE FROM events" if trail.is_sqlite else "TRUNCATE events"
    with pytest.raises(DBAPIError), trail.engine.begin() as connection:
        connection.execute(text(statement))
    assert verify(trail).count == 6


@pytest.mark.parametrize("column", ["actor", "action", "subject", "detail"])
def test_a_changed_event_is_found(trail, column):
    tamper(trail, f"UPDATE events SET {column} = 'other' WHERE seq = 3")
    assert kinds_of(trail) == [(3, "changed")]


def test_a_changed_time_is_found(trail):
    tamper(trail, "UPDATE events SET time = time + 1 WHERE seq = 3")
    assert kinds_of(trail) == [(3, "changed")]


def test_an_event_that_was_changed_and_hashed_anew_is_found(trail):
    with trail.read() as session:
        event = session.get(Event, 3)
        event.actor = "bob"
        forged = audit.hash_event(event)
    tamper(trail, f"UPDATE events SET actor = 'bob', hash = '{forged}' WHERE seq = 3")
    assert kinds_of(trail) == [(4, "moved")]


def test_a_removed_event_is_found(trail):
    tamper(trail, "DELETE FROM events WHERE seq = 3")
    (fault,) = verify(trail).faults
    assert (fault.seq, fault.kind, fault.message) == (3, "missing", "event 3 is missing")


def test_several_removed_events_are_named(trail):
    tamper(trail, "DELETE FROM events WHERE seq BETWEEN 2 AND 4")
    assert [fault.message for fault in verify(trail).faults] == ["events 2 to 4 are missing"]


def test_a_removed_event_whose_gap_was_closed_is_found(trail):
    tamper(
        trail,
        "DELETE FROM events WHERE seq = 3",
        "UPDATE events SET seq = seq - 1 WHERE seq = 4",
        "UPDATE events SET seq = seq - 1 WHERE seq = 5",
        "UPDATE events SET seq = seq - 1 WHERE seq = 6",
    )
    assert kinds_of(trail)[0] == (3, "moved")
    assert kinds_of(trail)[-1] == (6, "missing")


def test_a_cut_off_end_is_found(trail):
    tamper(trail, "DELETE FROM events WHERE seq > 4")
    (fault,) = verify(trail).faults
    assert (fault.seq, fault.kind) == (5, "missing")
    assert fault.message == "events 5 to 6 are missing at the end"


def test_an_end_that_was_cut_off_with_its_memory_shows_only_beside_a_head_written_down(trail):
    head = verify(trail).head
    with trail.read() as session:
        fourth = session.get(Event, 4).hash
    tamper(trail, "DELETE FROM events WHERE seq > 4", f"UPDATE chain SET seq = 4, hash = '{fourth}'")
    assert verify(trail).intact
    with trail.read() as session:
        assert audit.find_head(session, head) is None
        assert audit.find_head(session, f" {fourth.upper()}\n") == 4
        assert audit.find_head(session, audit.START) == 0


def test_two_events_that_changed_places_are_found(trail):
    tamper(
        trail,
        "UPDATE events SET seq = 99 WHERE seq = 3",
        "UPDATE events SET seq = 3 WHERE seq = 4",
        "UPDATE events SET seq = 4 WHERE seq = 99",
    )
    assert {(3, "moved"), (4, "moved"), (5, "moved")} <= set(kinds_of(trail))


def test_a_changed_end_is_found(trail):
    tamper(trail, "UPDATE chain SET hash = 'x'")
    assert kinds_of(trail) == [(6, "end")]


def test_a_lost_end_is_found(trail):
    tamper(trail, "DELETE FROM chain")
    assert kinds_of(trail) == [(6, "end")]


def test_an_event_behind_the_end_is_found(trail):
    with trail.read() as session:
        last = session.get(Event, 6)
        forged = Event(
            seq=7,
            time=last.time,
            actor="bob",
            action="case.made",
            subject="x",
            detail="{}",
            previous=last.hash,
        )
    row = f"7, 0, 'bob', 'case.made', 'x', '{{}}', '{last.hash}', '{audit.hash_event(forged)}'"
    tamper(
        trail,
        f"INSERT INTO events (seq, time, actor, action, subject, detail, previous, hash) VALUES ({row})",
    )
    assert (7, "end") in kinds_of(trail)


@pytest.mark.parametrize(
    "detail", [{"text": "x" * 201}, {"text": "two\nlines"}, {"what": object()}, {"of": ["a", "b" * 300]}]
)
def test_an_event_holds_no_texts(store, detail):
    with pytest.raises(ValueError, match="an event holds"), store.write() as session:
        audit.append(session, "anna", "case.made", "case", **detail)
    assert verify(store).count == 0


def test_names_that_are_too_long_are_refused_by_both_databases(store):
    with pytest.raises(ValueError, match="at most 64"), store.write() as session:
        audit.append(session, "a" * 65, "case.made", "case")


def test_the_newest_events_are_listed(trail):
    with trail.write() as session:
        audit.append(session, "анна", "case.changed", "case-2", words=["пятно"])
    with trail.read() as session:
        assert [event.seq for event in audit.list_events(session, last=2)] == [6, 7]
        assert [event.seq for event in audit.list_events(session, subject="case-2")] == [2, 7]


def test_many_processes_append_to_one_trail(database, store):
    command = [sys.executable, "-c", APPENDING, str(database.folder), database.url]
    running = [subprocess.Popen([*command, f"writer-{number}", "20"]) for number in range(4)]
    assert [process.wait(120) for process in running] == [0, 0, 0, 0]
    found = verify(store)
    assert (found.count, found.faults) == (80, ())
    with store.read() as session:
        actors = session.scalars(select(Event.actor)).all()
    assert {actor: actors.count(actor) for actor in set(actors)} == {
        f"writer-{number}": 20 for number in range(4)
    }


def test_the_trail_is_verified_while_others_write(database, trail):
    command = [sys.executable, "-c", APPENDING, str(database.folder), database.url, "writer", "60"]
    running = subprocess.Popen(command)
    seen = [verify(trail)]
    while running.poll() is None:
        seen.append(verify(trail))
    assert running.returncode == 0
    assert all(found.intact for found in seen)
    assert verify(trail).count == 66
