import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.data.samples import Sample
from dermaxai.errors import DataError, ImageUnreadable, SettingError, UsageError
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.records import Records, failures, plain, work_through

KEY = {"model": "demo", "seed": "0"}
ROOT = Path(__file__).parents[2]


def item(number, sha256=""):
    name = f"set/{number}"
    sample = Sample(id=name, dataset="set", path=None, place="")
    return Item(name, Path(f"{number}.jpg"), sha256 or f"{number:064x}", sample)


def items(count):
    return [item(number) for number in range(count)]


def same(one, two):
    """Equality where NaN equals itself."""
    return json.dumps(one) == json.dumps(two)


def test_what_was_put_comes_back(tmp_path):
    records = Records.open(tmp_path, KEY)
    document = {"text": "очаг", "value": 0.1 + 0.2, "more": [1, True, {"x": math.nan}]}
    records.put(item(1), document)
    for one in (records, Records.open(tmp_path, KEY)):
        assert same(
            one.get(item(1)), {"text": "очаг", "value": 0.1 + 0.2, "more": [1, True, {"x": math.nan}]}
        )
        assert one.get(item(2)) is None
        assert len(one) == 1


def test_the_file_is_json_lines_that_begin_with_the_key(tmp_path):
    with Records.open(tmp_path, KEY) as records:
        records.put(item(1), {"value": math.nan})
    first, second = records.path.read_text("utf-8").splitlines()
    assert json.loads(first) == {"format": 1, "key": KEY}
    assert json.loads(second) == {"id": "set/1", "sha256": f"{1:064x}", "document": {"value": None}}
    assert records.path.suffix == ".jsonl"


def test_nothing_is_written_before_the_first_document(tmp_path):
    Records.open(tmp_path / "records", KEY).close()
    assert not (tmp_path / "records").exists()


def test_other_keys_are_other_files(tmp_path):
    one, two = (Records.open(tmp_path, KEY | {"seed": seed}) for seed in "01")
    one.put(item(1), {"x": 1})
    assert two.get(item(1)) is None
    assert one.path != two.path
    assert Records.open(tmp_path, dict(reversed(KEY.items()))).get(item(1)) == {"x": 1}


def test_a_photo_that_changed_is_missing(tmp_path):
    records = Records.open(tmp_path, KEY)
    records.put(item(1), {"x": 1})
    changed = item(1, "f" * 64)
    assert records.get(changed) is None
    assert records.missing([item(1), changed, item(2)]) == [changed, item(2)]
    records.put(changed, {"x": 2})
    assert Records.open(tmp_path, KEY).get(changed) == {"x": 2}
    assert Records.open(tmp_path, KEY).get(item(1)) is None


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path):
    with Records.open(tmp_path, KEY) as records:
        records.put(item(1), {"x": 1})
        records.put(item(2), {"x": 2})
    whole = records.path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole), 5):
        records.path.write_bytes(whole[:cut])
        again = Records.open(tmp_path, KEY)
        assert again.get(item(2)) is None
        with again:
            again.put(item(3), {"x": 3})
        after = Records.open(tmp_path, KEY)
        assert after.get(item(3)) == {"x": 3}
        assert all(json.loads(line) for line in records.path.read_text("utf-8").splitlines())


def test_a_torn_key_is_begun_again(tmp_path):
    with Records.open(tmp_path, KEY) as records:
        records.put(item(1), {"x": 1})
    records.path.write_bytes(records.path.read_bytes()[:20])
    with Records.open(tmp_path, KEY) as again:
        again.put(item(1), {"x": 5})
    assert Records.open(tmp_path, KEY).get(item(1)) == {"x": 5}


def test_a_broken_line_in_between_is_passed_over(tmp_path):
    with Records.open(tmp_path, KEY) as records:
        for one in items(3):
            records.put(one, {"x": 1})
    lines = records.path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * (len(lines[2]) - 1) + b"\n"
    records.path.write_bytes(b"".join(lines))
    again = Records.open(tmp_path, KEY)
    assert again.missing(items(3)) == [item(1)]


def test_another_file_under_this_name_is_refused(tmp_path):
    path = Records.open(tmp_path, KEY).path
    path.write_text('{"format": 1, "key": {"model": "another"}}\n')
    with pytest.raises(DataError, match="does not begin with the key"):
        Records.open(tmp_path, KEY)


def test_a_key_is_needed(tmp_path):
    with pytest.raises(SettingError, match="need a key"):
        Records.open(tmp_path, {})


def test_two_writers_at_once_are_refused_and_one_after_the_other_is_not(tmp_path):
    one, two = Records.open(tmp_path, KEY), Records.open(tmp_path, KEY)
    one.put(item(1), {"x": 1})
    with pytest.raises(UsageError, match="written by another process"):
        two.put(item(2), {"x": 2})
    one.close()
    two.put(item(2), {"x": 2})
    assert two.get(item(1)) == {"x": 1}, "what the first one wrote meanwhile is known"
    two.close()
    one.put(item(3), {"x": 3})
    one.close()
    assert Records.open(tmp_path, KEY).missing(items(4)) == [item(0)]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    records = Records.open(tmp_path / "file" / "records", KEY)
    with pytest.raises(DataError, match="cannot be written"):
        records.put(item(1), {})


def test_values_become_plain():
    found = plain({1: np.float64(0.5), "a": np.arange(2), "b": (np.nan, True), "c": np.int64(3), "d": None})
    assert found == {"1": 0.5, "a": [0, 1], "b": [None, True], "c": 3, "d": None}
    assert type(found["c"]) is int
    with pytest.raises(DataError, match="infinite"):
        plain([math.inf])
    with pytest.raises(DataError, match="object came"):
        plain({"x": object()})


JSON = st.recursive(
    st.text() | st.integers() | st.floats(allow_infinity=False) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_document_survives(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("records")
    with Records.open(folder, KEY) as records:
        records.put(item(1), document)
    assert same(Records.open(folder, KEY).get(item(1)), document)


class TestWorkThrough:
    def test_only_what_is_missing_is_worked_out(self, tmp_path):
        asked, told = [], []

        def work(one):
            asked.append(one.id)
            return {"id": one.id, "pair": (1, np.float32(0.5)), "nothing": float("nan")}

        records = Records.open(tmp_path, KEY)
        first = work_through(items(2), records, work, lambda *step: told.append(step))
        second = work_through(items(4), Records.open(tmp_path, KEY), work)
        assert asked == ["set/0", "set/1", "set/2", "set/3"]
        assert told == [("photos", 1, 2), ("photos", 2, 2)]
        assert same(second[:2], first)
        assert same(work_through(items(4), None, work), second), "read back or not, documents are the same"
        assert first[0]["pair"] == [1, 0.5]

    def test_the_file_is_free_afterwards_also_after_an_error(self, tmp_path):
        records = Records.open(tmp_path, KEY)

        def work(one):
            if one.id == "set/1":
                raise KeyboardInterrupt
            return {}

        with pytest.raises(KeyboardInterrupt):
            work_through(items(3), records, work)
        with Records.open(tmp_path, KEY) as other:
            other.put(item(5), {})
            assert other.get(item(0)) == {}

    def test_a_photo_that_fails_is_told_and_tried_again(self, tmp_path):
        broken = {"set/1"}

        def work(one):
            if one.id in broken:
                raise ImageUnreadable("It is damaged.", hint="Copy it again.")
            return {"x": 1}

        found = work_through(items(3), Records.open(tmp_path, KEY), work)
        assert found == [{"x": 1}, {"error": "It is damaged. Copy it again."}, {"x": 1}]
        assert failures(items(3), found) == (
            "1 of 3 photos could not be used; the first, set/1: It is damaged. Copy it again.",
        )
        broken.clear()
        again = work_through(items(3), Records.open(tmp_path, KEY), work)
        assert again == [{"x": 1}] * 3
        assert failures(items(3), again) == ()

    def test_where_all_fail_the_first_error_is_raised(self):
        def work(one):
            raise ImageUnreadable(f"{one.id} is damaged.")

        with pytest.raises(ImageUnreadable, match="set/0"):
            work_through(items(2), None, work)

    def test_nothing_to_do(self, tmp_path):
        assert work_through([], Records.open(tmp_path, KEY), lambda one: {}) == []


SLOW = """
import sys, time
from pathlib import Path
from tests.evaluate.test_records import KEY, Records, items, work_through

def work(one):
    time.sleep(0.02)
    return {"number": one.id, "noise": list(range(300))}

work_through(items(1000), Records.open(Path(sys.argv[1]), KEY), work)
"""


def test_a_killed_process_loses_at_most_the_photo_under_way(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path)], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    path, limit = Records.open(tmp_path, KEY).path, time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") > 20) and time.monotonic() < limit:
        time.sleep(0.05)
    with pytest.raises(UsageError, match="another process"):
        Records.open(tmp_path, KEY).put(item(0), {})
    child.send_signal(signal.SIGKILL)
    child.wait()
    whole = path.read_bytes().count(b"\n") - 1
    assert whole >= 20
    left = Records.open(tmp_path, KEY)
    assert left.missing(items(1000)) == items(1000)[whole:]
    asked = []

    def work(one):
        asked.append(one.id)
        return {"number": one.id}

    found = work_through(items(whole + 5), left, work)
    assert [one["number"] for one in found] == [one.id for one in items(whole + 5)]
    assert asked == [one.id for one in items(whole + 5)[whole:]]
