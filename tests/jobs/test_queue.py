"""The queue alone: no worker, no model."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from dermaxai.errors import Conflict, NotFound, NotSupported, QueueFull
from dermaxai.jobs.lease import ATTEMPTS, LEASE, own_name
from dermaxai.jobs.queue import (
    JobRequest,
    ask,
    beat,
    cancel_job,
    claim_next,
    count_ahead,
    error_view,
    find_job,
    finish,
    give_back,
    job_view,
    list_jobs,
    release_lost,
    tell,
)
from dermaxai.store.tables import Job, now
from tests.jobs.posting import ask_about, case_row, events, job_of, post_row, states

DEAD = "elsewhere:1:1"


def claim(store, worker=None):
    with store.write() as session:
        return claim_next(session, worker or own_name())


def end(store, job, state="done", **more):
    with store.write() as session:
        return finish(session, job.id, job.claim, state, **more)


def silence(store, job):
    """As if the worker had given no sign of life for long."""
    with store.write() as session:
        session.execute(
            update(Job).where(Job.id == job.id).values(heartbeat=now() - LEASE - timedelta(seconds=1))
        )


def release(store):
    with store.write() as session:
        return release_lost(session)


def make_ready(store, job):
    from dermaxai.store.tables import CaseRow

    with store.write() as session:
        session.execute(update(CaseRow).where(CaseRow.id == job.case_id).values(state="ready"))


def test_a_job_goes_its_way(store):
    asked = post_row(store)
    assert (asked.state, asked.attempts, asked.stages) == ("waiting", 0, [])
    job = claim(store)
    assert (job.id, job.state, job.attempts, job.worker) == (asked.id, "running", 1, own_name())
    with store.write() as session:
        assert beat(session, job.id, job.claim).held
        stages = [{"name": "read", "state": "running", "seconds": None, "note": ""}]
        assert tell(session, job.id, job.claim, stages, more=True).held
    assert (job_of(store, job).content, job_of(store, job).stages) == (1, stages)
    ended = end(store, job, detail={"maps": 3})
    assert (ended.state, ended.claim, ended.error) == ("done", None, None)
    assert ended.created <= ended.started <= ended.finished
    assert events(store) == {("job.asked", str(job.id)): 1, ("case.made", job.case_id): 1}
    assert claim(store) is None


def test_the_view_is_json_and_tells_no_secret(store):
    job = claim(store) if post_row(store) else None
    view = job_view(job, ahead=3)
    assert set(view) == {
        "id", "case", "kind", "state", "stages", "content", "ahead", "cancel", "error", "created", "started",
        "finished",
    }  # fmt: skip
    assert view["ahead"] == 0, "a job that runs waits for nobody"
    assert job.claim not in str(view)


def test_the_view_of_a_job_that_failed_is_in_russian_too(store):
    post_row(store)
    job = claim(store)
    reason = "'convis' does not look into the text."
    told = [{"name": "convis", "state": "skipped", "seconds": 0.1, "note": reason}]
    with store.write() as session:
        tell(session, job.id, job.claim, told)
    error = error_view(NotFound("There is no job 7.", hint="Nobody has ever said this."))
    view = job_view(end(store, job, state="failed", error=error))
    assert view["error"] == error | {"said": {"ru": {"message": "Задания 7 нет."}}}
    russian = "Метод «ConVis» не заглядывает в текст."
    assert view["stages"] == [told[0] | {"said": {"ru": {"note": russian}}}]
    assert job_of(store, job).error == error, "the table keeps what was said"


def test_the_same_key_is_the_same_job_and_nobody_elses(store):
    first = post_row(store)
    wanted = JobRequest("query", first.case_id, "ann", {"text": "mole"}, key="k")
    with store.write() as session:
        one, two = (ask(session, wanted, limit=10) for _ in range(2))
        assert one.id == two.id
        with pytest.raises(Conflict, match="somebody else"):
            ask(session, JobRequest("query", first.case_id, "bob", key="k"), limit=10)


def test_a_full_queue_takes_no_more(store):
    case = post_row(store).case_id
    ask_about(store, case, limit=2)
    with pytest.raises(QueueFull):
        ask_about(store, case, limit=2)
    assert states(store) == {"waiting": 2}
    assert sum(events(store, "job.asked").values()) == 2


def test_what_is_not_there(store):
    with store.write() as session:
        with pytest.raises(NotFound):
            find_job(session, 99)
        with pytest.raises(NotFound):
            cancel_job(session, 99, actor="ann")
        with pytest.raises(NotFound):
            ask(session, JobRequest("query", "nowhere", "ann"), limit=9)


def test_only_the_holder_of_the_claim_is_heard(store):
    job = claim(store) if post_row(store) else None
    with store.write() as session:
        assert not beat(session, job.id, "0" * 32).held
        assert not tell(session, job.id, "0" * 32, []).held
        assert not give_back(session, job.id, "0" * 32)
        with pytest.raises(Conflict, match="another worker"):
            finish(session, job.id, "0" * 32)
    assert job_of(store, job).state == "running"


def test_what_a_stale_worker_brings_is_refused(store):
    post_row(store)
    stale = claim(store, DEAD)
    silence(store, stale)
    assert [job.state for job in release(store)] == ["waiting"]
    fresh = claim(store)
    assert (fresh.id, fresh.attempts) == (stale.id, 2)
    with pytest.raises(Conflict):
        end(store, stale)
    end(store, fresh)
    with pytest.raises(Conflict):
        end(store, fresh)
    assert events(store, "case.made") == {("case.made", fresh.case_id): 1}


def test_a_job_that_kills_its_worker_is_given_up(store):
    post_row(store)
    for number in range(ATTEMPTS):
        job = claim(store, DEAD)
        assert job.attempts == number + 1
        silence(store, job)
        release(store)
    ended = job_of(store, job)
    assert (ended.state, ended.error["error"]) == ("failed", "WorkerLost")
    assert case_row(store, job.case_id).state == "failed"
    assert events(store, "case.failed") == {("case.failed", job.case_id): 1}
    assert release(store) == []


def test_stopping_is_no_failed_attempt(store):
    post_row(store)
    for _ in range(2 * ATTEMPTS):
        job = claim(store)
        assert job.attempts == 1
        with store.write() as session:
            assert give_back(session, job.id, job.claim)
    assert job_of(store, job).state == "waiting"


def test_a_worker_of_this_machine_that_lives_keeps_its_job(store):
    job = claim(store) if post_row(store) else None
    assert release(store) == []
    assert job_of(store, job).state == "running"


def test_cancelling_a_job_that_waits_ends_it(store):
    job = post_row(store)
    for _ in range(2):
        with store.write() as session:
            assert cancel_job(session, job.id, actor="ann").state == "cancelled"
    assert claim(store) is None
    assert case_row(store, job.case_id).state == "stopped"
    assert events(store, "job.cancelled") == {("job.cancelled", str(job.id)): 1}


def test_cancelling_a_job_that_runs_asks_its_worker(store):
    job = claim(store) if post_row(store) else None
    with store.write() as session:
        assert cancel_job(session, job.id, actor="ann").state == "running"
        assert beat(session, job.id, job.claim).cancel
    assert end(store, job, "cancelled").state == "cancelled"
    done = claim(store) if post_row(store) else None
    end(store, done)
    with store.write() as session, pytest.raises(Conflict, match="has ended"):
        cancel_job(session, done.id, actor="ann")


def test_a_lost_job_that_was_to_be_stopped_is_not_begun_again(store):
    post_row(store)
    job = claim(store, DEAD)
    with store.write() as session:
        cancel_job(session, job.id, actor="ann")
    silence(store, job)
    assert [released.state for released in release(store)] == ["cancelled"]


def test_never_two_running_jobs_for_one_case(store):
    first = post_row(store)
    make_ready(store, first)
    later = ask_about(store, first.case_id)
    other = post_row(store, "bob")
    assert claim(store).id == first.id, "of a case in order of arrival, though questions come first"
    assert claim(store).id == other.id
    assert claim(store) is None
    end(store, job_of(store, first))
    assert claim(store).id == later.id


def test_a_stage_that_ran_when_its_job_ended_does_not_run_on(store):
    job = claim(store) if post_row(store) else None
    with store.write() as session:
        tell(session, job.id, job.claim, [{"name": "read", "state": "running", "seconds": None, "note": ""}])
    end(store, job, "failed", error=error_view(NotSupported("no", hint="yes")))
    ended = job_of(store, job)
    assert ended.stages[0]["state"] == "failed"
    assert ended.error == {"error": "NotSupported", "message": "no", "hint": "yes"}


def test_an_unforeseen_error_tells_nothing_of_itself():
    assert "secret" not in str(error_view(ValueError("secret")))


def test_lists_are_newest_first(store):
    jobs = [post_row(store) for _ in range(3)]
    claim(store)
    with store.read() as session:
        assert [job.id for job in list_jobs(session)] == [job.id for job in reversed(jobs)]
        assert [job.id for job in list_jobs(session, "running")] == [jobs[0].id]


def test_what_is_ahead_is_what_comes_first(store):
    jobs = [post_row(store, owner) for owner in "aaabbc"]
    claim(store)
    with store.read() as session:
        ahead = count_ahead(session)
    assert sorted(ahead.values()) == [1, 2, 3, 4, 5]
    while running := next((job for job in map(job_of_store(store), jobs) if job.state == "running"), None):
        end(store, running)
        following = claim(store)
        if following is not None:
            assert ahead[following.id] == min(
                ahead[job.id] for job in jobs if waits_in(store, job, ahead, following)
            )


def job_of_store(store):
    return lambda job: job_of(store, job)


def waits_in(store, job, ahead, following):
    return job.id in ahead and (job.id == following.id or job_of(store, job).state == "waiting")


def test_workers_that_ask_at_once_get_different_jobs(store):
    wanted = {post_row(store, owner).id for owner in "abcabcab"}
    barrier = Barrier(8)

    def take(number):
        barrier.wait()
        job = claim(store, f"elsewhere:{number}:1")
        return job.id if job else None

    with ThreadPoolExecutor(8) as pool:
        taken = [job for job in pool.map(take, range(8)) if job is not None]
    while (job := claim(store, "elsewhere:9:1")) is not None:
        taken.append(job.id)
    assert sorted(taken) == sorted(wanted)


class Simulation:
    """Workers that work, stop, die, sleep through their lease and come back, in any order."""

    def __init__(self, store):
        self.store = store
        self.held = []
        self.jobs = []
        self.draw = random.Random(0)

    def post(self, owner):
        self.jobs.append(post_row(self.store, owner))

    def question(self, number):
        if self.jobs:
            case = self.jobs[number % len(self.jobs)].case_id
            self.jobs.append(ask_about(self.store, case, owner="eve"))

    def claim(self, _):
        with self.store.read() as session:
            rows = session.execute(select(Job.id, Job.case_id, Job.state)).all()
        job = claim(self.store, f"elsewhere:{len(self.held)}:1")
        busy = {row.case_id for row in rows if row.state == "running"}
        free = [row.id for row in rows if row.state == "waiting" and row.case_id not in busy]
        assert (job is not None) == bool(free)
        if job is not None:
            assert job.id in free
            self.held.append(job)

    def finish(self, number):
        """By whoever once had it: only the holder of the newest claim succeeds."""
        if self.held:
            job = self.held[number % len(self.held)]
            try:
                end(self.store, job, ("done", "failed")[number % 2], error=None)
            except Conflict:
                assert job_of(self.store, job).claim != job.claim

    def lose(self, number):
        if self.held:
            job = self.held[number % len(self.held)]
            if job_of(self.store, job).claim == job.claim:
                silence(self.store, job)
            release(self.store)

    def back(self, number):
        if self.held:
            job = self.held[number % len(self.held)]
            with self.store.write() as session:
                give_back(session, job.id, job.claim)

    def cancel(self, number):
        if self.jobs:
            job = self.jobs[number % len(self.jobs)]
            if job_of(self.store, job).state in ("waiting", "running"):
                with self.store.write() as session:
                    cancel_job(session, job.id, actor="ann")

    def settle(self):
        """Everybody who is left works on in peace."""
        for job in self.held:
            if job_of(self.store, job).claim == job.claim:
                silence(self.store, job)
        release(self.store)
        while (job := claim(self.store, "elsewhere:0:0")) is not None:
            end(self.store, job)


STEPS = ("post", "post", "question", "claim", "claim", "finish", "lose", "back", "cancel")


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 50)), max_size=40))
def test_every_job_ends_exactly_once_whatever_happens(tmp_path_factory, steps):
    from dermaxai.store.opening import open_store

    store = open_store(tmp_path_factory.mktemp("cases"))
    simulation = Simulation(store)
    for name, number in steps:
        getattr(simulation, name)("abc"[number % 3] if name == "post" else number)
    simulation.settle()
    assert set(states(store)) <= {"done", "failed", "cancelled"}
    assert sum(states(store).values()) == len(simulation.jobs)
    told = events(store, "case.made", "case.changed", "case.failed", "job.failed", "job.cancelled")
    photos = {job.case_id for job in simulation.jobs if job.kind == "explain"}
    for case in photos:
        assert told["case.made", case] + told["case.failed", case] <= 1
    finished = sum(count for (action, _), count in told.items() if action != "job.cancelled")
    assert finished == states(store)["done"] + states(store)["failed"]
    store.close()
