"""Five readers, two hundred cases: how long agreement and export take.

    python benchmarks/reading_room.py

Every answer has a brush stroke, every case eight methods: more than a study is likely to have.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tests.sample_case import ENGLISH, make_case

from dermaxai.cases import save_case
from dermaxai.reading.export import export
from dermaxai.reading.looking import hash_caption
from dermaxai.reading.summary import summarise_study
from dermaxai.store.cases import adopt_folders
from dermaxai.store.opening import open_store
from dermaxai.store.readers import add_reader
from dermaxai.store.shelf import Shelf
from dermaxai.store.tables import Feedback, now

READERS, CASES, WORDS = 5, 200, (2, 3, 4, 5, 8, 9)
METHODS = ("evidence", "grad_eclip", "rollout", "xgradcam", "score_cam", "legrad", "chefer", "grad_cam")


def fill(store):
    save_case(make_case(methods=METHODS), store.folder / "c0")
    for number in range(1, CASES):
        shutil.copytree(store.folder / "c0", store.folder / f"c{number}")
    adopt_folders(store)
    generator = np.random.default_rng(1)
    with store.write() as session:
        readers = [add_reader(session, f"r{n}", "reader", actor="local").id for n in range(READERS)]
        for case, reader, word in ((c, r, w) for c in range(CASES) for r in readers for w in WORDS):
            x, y = (int(value) for value in generator.integers(40, 190, 2))
            points = [[x + 5 * step, y + 3 * step] for step in range(12)]
            answer = str(generator.choice(["agree", "wrong_place", "wrong_word"], p=[0.6, 0.3, 0.1]))
            row = {"case_id": f"c{case}", "reader_id": reader, "revision": 1, "word": word, "answer": answer}
            stroke = {"kind": "brush", "points": points, "radius": 14.0}
            sha256 = hash_caption(ENGLISH)
            session.add(
                Feedback(
                    **row,
                    caption_sha256=sha256,
                    text=ENGLISH.split()[word],
                    method="grad_eclip",
                    regions=[stroke],
                    comment="",
                    created=now(),
                )
            )


def timed(what, work):
    began, used = time.perf_counter(), time.process_time()
    found = work()
    wall, processor = time.perf_counter() - began, time.process_time() - used
    print(f"{what:30}{wall:8.2f} s, processor {processor:.2f} s")
    return found


def main():
    folder = Path(tempfile.mkdtemp())
    try:
        store = open_store(folder / "cases")
        fill(store)
        shelf = Shelf(store.folder)
        with store.read() as session:
            for turn in ("agreement, pages to be made", "agreement"):
                summary = timed(turn, lambda: summarise_study(session, shelf))
            print(f"{len(summary.collected.given)} answers, {summary.regions.dice.n} pairs of regions")
            size = timed(
                "export of answers, CSV", lambda: sum(map(len, export(session, shelf, "feedback", "csv")))
            )
            print(f"{size / 1e6:.1f} MB")
        store.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
