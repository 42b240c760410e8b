"""The worker at work with a whole, tiny model, in this process."""

import errno

import numpy as np
import pytest
from sqlalchemy import update

from dermaxai.cases import load_case
from dermaxai.errors import NotSupported, StoreFull
from dermaxai.jobs import keeping, patience, queue, under_way
from dermaxai.jobs.models import Models
from dermaxai.jobs.queue import cancel_job, claim_next
from dermaxai.jobs.worker import Worker
from dermaxai.store.deleting import delete_case
from dermaxai.store.tables import Job
from tests.jobs.posting import ask_about, case_row, events, job_of, post_photo, states
from tests.sample_case import draw_photo

pytestmark = pytest.mark.usefixtures("plain_environment")
METHODS = ["evidence", "grad_cam", "xgrad_cam", "rollout"]


@pytest.fixture
def told():
    return []


@pytest.fixture
def worker(sqlite_store, bundle, model, told, monkeypatch):
    """A worker whose model is the one of all tests."""
    models = Models({str(bundle): {}}, {"device": "cpu", "batch": "2"}, told.append)
    monkeypatch.setattr(models, "_load", lambda _name: model)
    return Worker(sqlite_store, models)


def work(worker):
    """Everything that waits."""
    while worker.do_next():
        pass


@pytest.fixture
def made(sqlite_store, worker):
    """A ready case and its job."""
    job = post_photo(sqlite_store, photo=draw_photo(120, 160, (60.0, 80.0)), methods=["evidence"])
    work(worker)
    return job_of(sqlite_store, job)


def case_of(store, job):
    return load_case(store.folder / case_row(store, job.case_id).folder)


def test_a_job_makes_the_case_that_the_command_makes_bit_for_bit(sqlite_store, worker, model, tmp_path):
    photo = draw_photo(120, 160, (60.0, 80.0))
    request = {"methods": METHODS, "lang": "ru", "queries": ["a dark mole"], "measure": True}
    job = post_photo(sqlite_store, photo=photo, **request)
    work(worker)
    model.explain(photo, METHODS, "ru", ["a dark mole"], measure=True).save(tmp_path / "commanded")
    for name in ("case.json", "maps.npz", "image.png"):
        asked, made = (home / name for home in (tmp_path / "commanded", sqlite_store.folder / job.case_id))
        assert asked.read_bytes() == made.read_bytes(), name
    ended = job_of(sqlite_store, job)
    assert (ended.state, ended.error) == ("done", None)
    assert [stage["name"] for stage in ended.stages] == ["read", "caption", *METHODS, "measure"]
    assert all(stage["state"] == "done" and stage["seconds"] >= 0 for stage in ended.stages)
    assert ended.content > len(METHODS)
    assert case_row(sqlite_store, job.case_id).state == "ready"
    assert not (sqlite_store.folder / ".waiting" / job.case_id).exists()


def test_parts_are_shown_as_they_come(sqlite_store, worker, monkeypatch):
    shown = []
    write = worker.shelf.write_partial.__func__

    def look(shelf, case_id, page):
        write(shelf, case_id, page)
        job = job_of(sqlite_store, running)
        shown.append((shelf.read_partial(case_id).count(b'"cells"'), [row["state"] for row in job.stages]))

    monkeypatch.setattr(type(worker.shelf), "write_partial", look)
    running = post_photo(sqlite_store, methods=["evidence", "grad_cam"])
    work(worker)
    counts = [count for count, _ in shown]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert len(set(counts)) == 3


def test_what_cannot_be_answered_is_left_out_and_the_rest_is_kept(sqlite_store, worker, monkeypatch):
    def refuse(*_args, **_options):
        raise NotSupported("not here", hint="there")

    monkeypatch.setattr("dermaxai.explain.xgrad_cam.XGradCam._answer", refuse)
    job = post_photo(sqlite_store, methods=["evidence", "xgrad_cam", "grad_cam"])
    work(worker)
    stages = {stage["name"]: stage for stage in job_of(sqlite_store, job).stages}
    assert (stages["xgrad_cam"]["state"], stages["xgrad_cam"]["note"]) == ("skipped", "not here")
    assert stages["grad_cam"]["state"] == "done"
    made = case_of(sqlite_store, job)
    assert {heat.method for heat in made.maps} >= {"evidence", "grad_cam"}
    assert "'xgrad_cam' was left out: not here" in made.warnings


def test_what_nobody_foresaw_ends_the_job_and_tells_no_details(sqlite_store, worker, monkeypatch, caplog):
    def fail(*_args, **_options):
        raise RuntimeError("a secret")

    monkeypatch.setattr("dermaxai.explain.xgrad_cam.XGradCam._answer", fail)
    job = post_photo(sqlite_store, methods=["evidence", "xgrad_cam"])
    work(worker)
    ended = job_of(sqlite_store, job)
    assert (ended.state, ended.error["error"]) == ("failed", "InternalError")
    assert "secret" not in str(ended.error)
    assert "a secret" in caplog.text
    assert "a private name" not in caplog.text
    assert [stage["state"] for stage in ended.stages] == ["done", "done", "done", "failed"]
    assert events(sqlite_store, "case.failed") == {("case.failed", job.case_id): 1}
    assert case_row(sqlite_store, job.case_id).state == "failed"


@pytest.mark.parametrize(
    ("kind", "request_", "sign"),
    [
        (
            "query",
            {"text": "a dark mole", "kind": "query", "against": None, "method": "grad_eclip"},
            "a dark mole",
        ),
        ("contrast", {"word": "lesion", "against": "nodule", "method": "evidence"}, "nodule"),
        ("methods", {"methods": ["grad_cam", "rollout"]}, "rollout"),
        ("measure", {"metrics": ["deletion", "insertion"]}, "insertion"),
        ("sanity", {"methods": []}, "sanity_"),
    ],
)
def test_questions_about_a_case_that_is_there(sqlite_store, worker, made, kind, request_, sign):
    before = case_of(sqlite_store, made)
    job = ask_about(sqlite_store, made.case_id, kind, request_)
    work(worker)
    ended = job_of(sqlite_store, job)
    assert (ended.state, ended.error) == ("done", None)
    after = case_of(sqlite_store, made)
    told = [(heat.method, heat.target) for heat in after.maps] + [score.metric for score in after.scores]
    assert sign in str(told)
    kept = [heat for heat in after.maps if heat.method == "evidence" and heat.target.against is None]
    for old, new in zip(before.maps, kept, strict=True):
        assert np.array_equal(old.values, new.values)
    assert case_row(sqlite_store, made.case_id).revision == 2
    assert events(sqlite_store, "case.changed") == {("case.changed", made.case_id): 1}


def test_a_mistake_in_a_question_is_told_and_changes_nothing(sqlite_store, worker, made):
    job = ask_about(sqlite_store, made.case_id, "contrast", {"word": "unicorn", "against": "mole"})
    work(worker)
    assert job_of(sqlite_store, job).error["error"] == "UsageError"
    row = case_row(sqlite_store, made.case_id)
    assert (row.state, row.revision) == ("ready", 1)


def test_a_question_about_a_photo_that_failed_cannot_be_answered(sqlite_store, worker):
    job = post_photo(sqlite_store, methods=["no such method"])
    asked = ask_about(sqlite_store, job.case_id)
    work(worker)
    assert job_of(sqlite_store, job).error["error"] == "UnknownName"
    assert job_of(sqlite_store, asked).error["error"] == "Conflict"


def test_a_case_of_an_unknown_model_is_not_asked(sqlite_store, worker, made, monkeypatch):
    monkeypatch.setattr(worker.models.named("").encoder, "sha256", "f" * 64, raising=False)
    job = ask_about(sqlite_store, made.case_id)
    work(worker)
    assert job_of(sqlite_store, job).error["error"] == "NotSupported"


def while_showing(worker, monkeypatch, do):
    """`do(job)` when the first part of a case is shown."""
    calls = []
    show = under_way.UnderWay.show

    def first(way, case):
        if not calls:
            calls.append(1)
            do(way.job)
        show(way, case)

    monkeypatch.setattr(under_way.UnderWay, "show", first)


def test_a_job_that_is_cancelled_stops_before_its_next_stage(sqlite_store, worker, monkeypatch):
    def cancel(job):
        with sqlite_store.write() as session:
            cancel_job(session, job.id, actor="ann")

    while_showing(worker, monkeypatch, cancel)
    job = post_photo(sqlite_store, methods=METHODS)
    work(worker)
    ended = job_of(sqlite_store, job)
    assert ended.state == "cancelled"
    assert [stage["state"] for stage in ended.stages][:4] == ["done", "done", "cancelled", "waiting"]
    assert not (sqlite_store.folder / job.case_id).exists()
    assert events(sqlite_store, "case.made", "case.failed") == {}


def test_a_worker_that_stops_gives_its_job_back(sqlite_store, worker, monkeypatch):
    while_showing(worker, monkeypatch, lambda _job: worker.stop())
    job = post_photo(sqlite_store, methods=METHODS)
    worker.run()
    left = job_of(sqlite_store, job)
    assert (left.state, left.attempts, left.claim) == ("waiting", 0, None)


def while_heard(worker, monkeypatch, do):
    """`do(job)` when the worker hears for the second time that Score-CAM has come further; looks are never
    too early."""
    calls = []
    hear = under_way.UnderWay.hear

    def listen(way, name, share):
        if name == "score_cam" and share > 0:
            calls.append(share)
            if len(calls) == 2:
                do(way.job)
        hear(way, name, share)

    monkeypatch.setattr(under_way, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(under_way.UnderWay, "hear", listen)


def test_a_method_is_cancelled_in_the_middle_and_the_next_photo_is_as_ever(
    sqlite_store, worker, model, monkeypatch, tmp_path
):
    def cancel(job):
        with sqlite_store.write() as session:
            cancel_job(session, job.id, actor="ann")

    with monkeypatch.context() as patch:
        while_heard(worker, patch, cancel)
        job = post_photo(sqlite_store, methods=["score_cam", "evidence"])
        work(worker)
    ended = job_of(sqlite_store, job)
    assert ended.state == "cancelled"
    assert [stage["state"] for stage in ended.stages] == ["done", "done", "cancelled", "waiting"]
    assert 0 < ended.stages[2]["share"] < 1
    photo = draw_photo(120, 160, (60.0, 80.0))
    job = post_photo(sqlite_store, photo=photo, methods=["score_cam", "evidence"])
    work(worker)
    model.explain(photo, ["score_cam", "evidence"]).save(tmp_path / "commanded")
    for name in ("case.json", "maps.npz"):
        asked, made = (home / name for home in (tmp_path / "commanded", sqlite_store.folder / job.case_id))
        assert asked.read_bytes() == made.read_bytes(), name


def test_a_worker_stops_in_the_middle_of_a_method(sqlite_store, worker, monkeypatch):
    while_heard(worker, monkeypatch, lambda _job: worker.stop())
    job = post_photo(sqlite_store, methods=["score_cam"])
    worker.run()
    left = job_of(sqlite_store, job)
    assert (left.state, left.attempts, left.claim) == ("waiting", 0, None)
    assert [stage["state"] for stage in left.stages] == ["done", "done", "running"]


def test_a_stage_tells_how_far_it_is_and_never_less(sqlite_store, worker, monkeypatch):
    told = []
    tell = queue.tell

    def keep(session, job_id, claim, stages, *, more=False):
        told.append([dict(stage) for stage in stages])
        return tell(session, job_id, claim, stages, more=more)

    monkeypatch.setattr(queue, "tell", keep)
    monkeypatch.setattr(under_way, "TELL_SECONDS", 0.0)
    post_photo(sqlite_store, methods=["score_cam", "evidence"], measure=True)
    work(worker)
    for place, name in ((2, "score_cam"), (4, "measure")):
        shares = [rows[place]["share"] for rows in told if rows[place]["state"] == "running"]
        known = [share for share in shares if share is not None]
        assert told[0][place]["name"] == name
        assert known == sorted(known)
        assert len(set(known)) > 3
    assert all(row["share"] is None for row in told[-1] if row["state"] != "running")


def test_progress_is_told_at_a_bearable_pace(sqlite_store, worker, monkeypatch):
    """However many beats there are, the store is not asked between two looks."""
    looks = []
    tell = under_way.UnderWay.tell
    monkeypatch.setattr(under_way, "TELL_SECONDS", 3600.0)
    monkeypatch.setattr(under_way.UnderWay, "tell", lambda way, **more: looks.append(1) or tell(way, **more))
    post_photo(sqlite_store, methods=["score_cam"])
    work(worker)
    assert len(looks) < 8


def test_what_was_made_under_a_lost_claim_is_thrown_away(sqlite_store, worker, monkeypatch):
    def lose(job):
        with sqlite_store.write() as session:
            session.execute(update(Job).where(Job.id == job.id).values(state="waiting", claim=None))

    keep = keeping.keep

    def late(way, case):
        lose(way.job)
        with sqlite_store.write() as session:
            assert claim_next(session, "elsewhere:1:1").id == way.job.id
        keep(way, case)

    monkeypatch.setattr("dermaxai.jobs.worker.keep", late)
    job = post_photo(sqlite_store, methods=["evidence"])
    worker.do_next()
    assert job_of(sqlite_store, job).worker == "elsewhere:1:1"
    assert case_row(sqlite_store, job.case_id).state == "waiting"
    assert not (sqlite_store.folder / job.case_id).exists()
    assert not list((sqlite_store.folder / ".making").glob("*"))


def test_a_case_that_is_deleted_meanwhile_leaves_nothing(sqlite_store, worker, monkeypatch):
    while_showing(worker, monkeypatch, lambda job: delete_case(sqlite_store, job.case_id, actor="ann"))
    post_photo(sqlite_store, methods=METHODS)
    work(worker)
    assert states(sqlite_store) == {}
    names = {place.name for place in sqlite_store.folder.rglob("*") if place.is_file()}
    assert all(name.startswith("dermaxai.sqlite") for name in names), names


def test_a_full_disk_is_told_and_the_job_waits_for_better_times(sqlite_store, worker, told, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))
    failures = iter([OSError(errno.ENOSPC, "full"), OSError(errno.EROFS, "read-only")])
    save = keeping.save_case

    def fail(case, folder):
        error = next(failures, None)
        if error is not None:
            raise error
        return save(case, folder)

    monkeypatch.setattr(keeping, "save_case", fail)
    job = post_photo(sqlite_store, methods=["evidence"])
    work(worker)
    assert (job_of(sqlite_store, job).state, job_of(sqlite_store, job).attempts) == ("done", 1)
    assert [state["state"] for state in told] == ["loading", "ready", "failed", "failed", "ready"]
    assert [state["error"] for state in told if state["state"] == "failed"] == ["StoreFull", "StoreReadOnly"]


def test_progress_that_cannot_be_written_stops_nothing(sqlite_store, worker, monkeypatch):
    def fail(*_args):
        raise StoreFull("no space", hint="")

    monkeypatch.setattr(type(worker.shelf), "write_partial", fail)
    job = post_photo(sqlite_store, methods=["evidence"])
    work(worker)
    assert job_of(sqlite_store, job).state == "done"
