"""What the store costs: opening, appending to the audit trail, listing many cases, adopting case folders.

    python -m benchmarks.store

PostgreSQL is measured where `initdb` is found, with its usual care for the disk.
"""

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from tests import databases
from tests.sample_case import make_case, write_caption

from dermaxai.api.state import Actor
from dermaxai.cases import save_case
from dermaxai.reading.looking import hash_caption
from dermaxai.reading.unread import find_next, is_unread
from dermaxai.store import audit
from dermaxai.store.cases import CaseSearch, adopt_folders, list_cases
from dermaxai.store.deleting import delete_case
from dermaxai.store.indexing import search_words
from dermaxai.store.opening import open_store
from dermaxai.store.readers import add_reader
from dermaxai.store.tables import CaseRow, Feedback, now

CASES, FOLDERS, EVENTS, ROUNDS = 2000, 200, 300, 20
WORDS = (
    "dark brown blue white irregular border network lesion veil streaks pale symmetric",
    "тёмный коричневый край сеть бледный",
)
START = "import time; begin = time.perf_counter(); from dermaxai.store.opening import open_store; "
OPEN = "import sys; ready = time.perf_counter(); open_store(sys.argv[1]).close(); "
TELL = "print((ready - begin) * 1000, (time.perf_counter() - ready) * 1000)"


def opening(folder):
    """Milliseconds of the import and of opening an existing store, in fresh processes: medians."""
    open_store(folder).close()
    command = [sys.executable, "-c", START + OPEN + TELL, str(folder)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(5)
    ]
    return [statistics.median(float(run[place]) for run in runs) for place in (0, 1)]


def appending(store):
    """Events per second, each in its own transaction; milliseconds of CPU of this process for each."""
    begin, spent = time.perf_counter(), time.process_time()
    for number in range(EVENTS):
        with store.write() as session:
            audit.append(session, "anna", "case.changed", f"case-{number}", revision=number)
    return EVENTS / (time.perf_counter() - begin), (time.process_time() - spent) / EVENTS * 1000


def verifying(store):
    """Events per second."""
    begin = time.perf_counter()
    with store.read() as session:
        found = audit.verify(session)
    assert found.intact
    return found.count / (time.perf_counter() - begin)


def fill(store):
    draw, words = random.Random(0), " ".join(WORDS).split()
    with store.write() as session:
        for number in range(CASES):
            caption = " ".join(draw.choices(words, k=14))
            session.add(
                CaseRow(
                    id=f"case-{number}", folder=f"case-{number}", sha256="", name=f"{number}.jpg",
                    state="ready", created=now(), changed=now(),
                    caption=caption, words=search_words([caption]),
                    disagreement=draw.random(), faithfulness=draw.random(), facts={"methods": ["evidence"]},
                )
            )  # fmt: skip


def listing(store, search):
    """Milliseconds of one part of the list: median."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        with store.read() as session:
            list_cases(session, search)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def going_on(store):
    """Milliseconds of the unread part of the list and of the next case, for one of five readers who has
    answered four words of each case but the last hundred: median."""
    with store.write() as session:
        readers = [add_reader(session, f"r{number}", "reader", actor="local").id for number in range(5)]
        for row in session.scalars(select(CaseRow).order_by(CaseRow.created).limit(CASES - 100)).all():
            session.add_all(
                Feedback(
                    case_id=row.id, reader_id=reader, revision=row.revision, word=word, answer="agree",
                    caption_sha256=hash_caption(row.caption), regions=[], created=now(),
                )
                for reader in readers for word in range(4)
            )  # fmt: skip
    actor, times = Actor("r0", "reader", readers[0], "token"), []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        with store.read() as session:
            assert list_cases(session, CaseSearch(), is_unread(session, actor, blind=False)).total == 100
            assert find_next(session, actor, blind=False).read == CASES - 100
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def adopting(store):
    """Seconds for many new case folders, and for looking at them again."""
    case = make_case(methods=("grad_eclip", "evidence", "rollout", "xgradcam"))
    for number in range(FOLDERS):
        caption = write_caption(f"a dark brown lesion number {number}", "en")
        save_case(replace(case, captions=(caption,)), store.folder / f"case-{number}")
    times = []
    for _ in range(2):
        begin, spent = time.perf_counter(), time.process_time()
        assert adopt_folders(store) == []
        times.append((time.perf_counter() - begin, time.process_time() - spent))
    return len(case.maps), times


def measure(name, folder, url=""):
    store = open_store(folder, url)
    rate, spent = appending(store)
    print(f"{name:11}append {rate:6.0f} events/s, {spent:.2f} ms of CPU each")
    print(f"{'':11}verify {verifying(store):6.0f} events/s")
    fill(store)
    plain, found = CaseSearch(), CaseSearch(text="irregular сеть", sort="disagreement")
    times = listing(store, plain), listing(store, found)
    print(f"{'':11}list {CASES} cases {times[0]:6.1f} ms   with search and sort {times[1]:6.1f} ms")
    print(f"{'':11}unread and next of {CASES} cases {going_on(store):6.1f} ms")
    begin = time.perf_counter()
    delete_case(store, "case-7", actor="anna")
    print(f"{'':11}delete one of {CASES} cases {(time.perf_counter() - begin) * 1000:6.1f} ms")
    store.close()


def main():
    home = Path(tempfile.mkdtemp(prefix="store-", dir="/tmp"))
    server = None
    try:
        imported, opened = opening(home / "opening")
        print(f"import {imported:.0f} ms   open an existing store {opened:.1f} ms")
        measure("SQLite", home / "sqlite")
        programs = databases.find_programs()
        if programs is not None:
            place = home / "server"
            place.mkdir()
            home.chmod(0o755)
            server = databases.start_server(programs, place, settings=("listen_addresses=",))
            databases.wait_for(place)
            measure("PostgreSQL", home / "postgres", databases.make_database(place))
        store = open_store(home / "adopting")
        maps, (first, again) = adopting(store)
        print(f"adopt {FOLDERS} cases of {maps} maps {first[0]:.2f} s, {first[1]:.2f} s of CPU")
        print(f"look at them again {again[0]:.2f} s, {again[1]:.2f} s of CPU")
        store.close()
    finally:
        if server is not None:
            databases.stop_server(server)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
