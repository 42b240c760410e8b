"""What a server does by itself."""

import json
import time
from datetime import timedelta

import pytest

from dermaxai.api import upkeep
from dermaxai.api.upkeep import look_after
from dermaxai.cases import save_case
from dermaxai.errors import StoreReadOnly
from dermaxai.store.tables import CaseRow, now
from tests.api.whole_server import put_case, rows_of, running, whole_server
from tests.sample_case import make_case


def test_folders_are_taken_in_when_the_server_starts(tmp_path):
    app = whole_server(tmp_path)
    save_case(make_case(), tmp_path / "found")
    with running(app) as browser:
        deadline = time.monotonic() + 60
        while browser.get("/api/cases").json()["total"] == 0:
            assert time.monotonic() < deadline
        assert browser.get("/api/cases/found").json()["state"] == "ready"


def test_old_cases_go(tmp_path):
    app = whole_server(tmp_path, keep_days=30)
    for name in ("old", "new"):
        put_case(app, name)
    with app.state.server.store.write() as session:
        session.get(CaseRow, "old").created = now() - timedelta(days=31)
    look_after(app.state.server)
    assert rows_of(app, CaseRow) == 1
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize(
    ("name", "mark"), [("Ivanova 1963", "e6434a70"), ("19631205", "12325ba4"), ("7f3a91c2d4e5", "7f3a91c2")]
)
def test_a_folder_that_is_no_case_is_told_in_the_log_and_not_named(tmp_path, caplog, name, mark):
    """A folder may be called after a person; a name that was drawn says nothing."""
    app = whole_server(tmp_path)
    save_case(make_case(), tmp_path / name)
    (tmp_path / name / "maps.npz").write_bytes(b"")
    look_after(app.state.server)
    assert f"folder {mark}: " in caplog.text
    assert "maps.npz" in caplog.text
    assert name not in caplog.text


def test_what_a_damaged_case_holds_is_not_in_the_log(tmp_path, caplog):
    app = whole_server(tmp_path)
    save_case(make_case(), tmp_path / "damaged")
    file = tmp_path / "damaged" / "case.json"
    document = json.loads(file.read_bytes())
    document["case"]["seed"] = "Ivanova"
    document["case"]["captions"] = "Ivanova"
    file.write_text(json.dumps(document))
    look_after(app.state.server)
    assert "not taken in" in caplog.text
    assert "Ivanova" not in caplog.text


def test_a_fault_does_not_stop_the_server(tmp_path, monkeypatch, caplog):
    def refuse(_store):
        raise StoreReadOnly("Nothing may be written.")

    monkeypatch.setattr(upkeep, "adopt_folders", refuse)
    look_after(whole_server(tmp_path).state.server)
    assert "Nothing may be written." in caplog.text
