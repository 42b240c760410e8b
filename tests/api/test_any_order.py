"""Whatever is done in whatever order: no mistake of the server, nothing seen too early, nothing left of what
was deleted, and an audit trail that holds."""

import dataclasses
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from dermaxai.cases import save_case
from dermaxai.errors import Conflict
from dermaxai.jobs.queue import claim_next, finish
from dermaxai.store.audit import verify
from dermaxai.store.cases import find_case, index_case
from dermaxai.store.readers import find_reader as reader_named
from dermaxai.store.readers import issue_token
from dermaxai.store.shelf import Shelf
from tests.api.small_server import ask, bearer, token_of
from tests.api.whole_server import photo, whole_server
from tests.sample_case import make_case, write_caption

READERS = ("r1", "r2")
people = st.sampled_from((*READERS, "lead"))
JSON = ("content-type", "application/json")
BORDER = "x7Kq2vL9pZ"
ASKED = ("", "/maps", "/maps.npz", "/photo", "/thumb", "/report", "/feedback", "/reading")
AROUND = (
    "cases",
    "cases?text=secret",
    "cases?unread=true",
    "cases?sort=disagreement",
    "next",
    "jobs",
    "session",
    "agreement",
    "audit",
    "export/feedback",
)
KINDS = (("query", {"text": "a brown lesion"}), ("concepts", {}), ("sanity", {}), ("again", {}))


def form(content):
    """A photo as a browser sends it."""
    told = 'Content-Disposition: form-data; name="file"; filename="mole.jpg"\r\nContent-Type: image/jpeg'
    return f"--{BORDER}\r\n{told}\r\n\r\n".encode() + content + f"\r\n--{BORDER}--\r\n".encode()


class Room(RuleBasedStateMachine):
    """Two readers and a lead at one blind server; the worker is the machine itself."""

    cases = Bundle("cases")
    jobs = Bundle("jobs")
    at_hand = Bundle("at_hand")

    @initialize(target=cases)
    def open(self):
        """Two photos are there and described, and one reader has read one of them."""
        self.home = tempfile.TemporaryDirectory()
        self.app = whole_server(Path(self.home.name) / "cases", host="0.0.0.0", blind=True, per_minute=0)
        self.store = self.app.state.server.store
        self.tokens = {name: token_of(self.app, name) for name in READERS}
        self.tokens["lead"] = token_of(self.app, "lead", "admin")
        self.visits, self.strangers = {}, 0
        self.owners, self.made, self.gone, self.read = {}, {}, set(), set()
        self.said = {}
        sent = [self.send_one(who) for who in ("r1", "lead")]
        self.work()
        self.write_reading("r1", sent[0])
        return multiple(*sent)

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.home.cleanup()

    def ask(self, who, method, path, body=None, *headers):
        """One request; whatever comes back is no mistake, and tells nobody what is not theirs to see."""
        told = [*self.signs(who), *headers]
        if body is not None and not isinstance(body, bytes):
            told, body = [*told, JSON], json.dumps(body).encode()
        answered = ask(self.app, method, path, *told, body=body or b"")
        assert answered.status < 500, (method, path, answered.body)
        if who in READERS:
            for case, secret in self.made.items():
                assert (who, case) in self.read or secret.encode() not in answered.body, (who, path)
            for (other, _), words in self.said.items():
                assert other == who or words.encode() not in answered.body, (who, path)
        return answered

    def signs(self, who):
        """Cookie and mark of whoever has signed in, else the token."""
        if who not in self.visits:
            return [bearer(self.tokens[who])]
        secret, mark = self.visits[who]
        return [("cookie", f"dermaxai-8000={secret}"), ("x-csrf-token", mark)]

    # ---- what people do ---------------------------------------------------------------------

    @rule(target=cases, who=people, key=st.sampled_from(("", "k1", "k2")))
    def send(self, who, key):
        case = self.send_one(who, key)
        return multiple() if case is None else case

    def send_one(self, who, key=""):
        kind = ("content-type", f"multipart/form-data; boundary={BORDER}")
        told = [("idempotency-key", key)] if key else []
        answered = self.ask(who, "POST", "/api/cases", form(photo()), kind, *told)
        if answered.status == 409:  # The key belongs to a case that is deleted, or to somebody else.
            return None
        assert answered.status in (200, 202)
        case = answered.json()["case"]
        assert case not in self.gone
        self.owners.setdefault(case, who)
        return case

    @rule(who=people, case=cases, what=st.sampled_from(ASKED))
    def look(self, who, case, what):
        answered = self.ask(who, "GET", f"/api/cases/{case}{what}")
        assert (answered.status == 404) >= (case in self.gone)

    @rule(who=people, what=st.sampled_from(AROUND))
    def look_around(self, who, what):
        answered = self.ask(who, "GET", f"/api/{what}")
        if what.startswith("cases") and answered.status == 200:
            assert not self.gone & {case["id"] for case in answered.json()["cases"]}

    @rule(who=people, case=cases)
    def read_photo(self, who, case):
        self.write_reading(who, case)

    def write_reading(self, who, case):
        words = f"words-of-{who}-on-{case}"
        answered = self.ask(who, "POST", f"/api/cases/{case}/reading", {"findings": words})
        assert (answered.status == 404) == (case in self.gone)
        if answered.status == 201:
            self.read.add((who, case))
            self.said[who, case] = words
        for other in READERS:
            self.ask(other, "GET", f"/api/cases/{case}/reading")
            self.ask(other, "GET", f"/api/cases/{case}/feedback")

    @rule(who=people, case=cases, word=st.none() | st.integers(0, 12))
    def judge(self, who, case, word):
        caption = f"a lesion {self.made.get(case)} with a border"
        given = {
            "answer": "wrong_word",
            "caption": caption,
            "word": word,
            "comment": f"words-of-{who}-on-{case}",
        }
        answered = self.ask(who, "POST", f"/api/cases/{case}/feedback", given)
        if case in self.gone:
            assert answered.status == 404
        elif who in READERS and (who, case) not in self.read:
            assert answered.status in (403, 409)

    @rule(target=jobs, who=people, case=cases, kind=st.sampled_from(KINDS))
    def question(self, who, case, kind):
        answered = self.ask(who, "POST", f"/api/cases/{case}/{kind[0]}", kind[1])
        return answered.json()["job"]["id"] if answered.status == 202 else multiple()

    @rule(who=people, job=jobs)
    def cancel(self, who, job):
        self.ask(who, "DELETE", f"/api/jobs/{job}")
        self.ask(who, "GET", f"/api/jobs/{job}")

    @rule(who=people, case=cases)
    def delete(self, who, case):
        answered = self.ask(who, "DELETE", f"/api/cases/{case}")
        if case in self.gone:
            assert answered.status == 404
        elif who in ("lead", self.owners[case]):
            assert answered.status == 204
            self.gone.add(case)
            self.made.pop(case, None)
        else:
            assert answered.status == 403

    @rule(who=people, how=st.sampled_from(("in", "out", "shut out")))
    def come_and_go(self, who, how):
        signs = self.signs(who)
        if how == "in":
            told = json.dumps({"token": self.tokens[who]}).encode()
            answered = ask(self.app, "POST", "/api/session", JSON, body=told)
            secret = answered.header("set-cookie").split(";")[0].partition("=")[2]
            self.visits[who] = secret, answered.json()["csrf"]
            return
        if how == "shut out" and who in READERS:
            assert self.ask("lead", "DELETE", f"/api/readers/{who}").status == 200
            with self.store.write() as session:
                self.tokens[who] = issue_token(session, reader_named(session, who), days=1, actor="lead")
        elif who in self.visits:
            assert self.ask(who, "DELETE", "/api/session").status == 204
        else:
            return
        self.visits.pop(who, None)
        # From an address of its own: after a few wrong tokens an address has to wait.
        self.strangers += 1
        stranger = f"10.0.{self.strangers // 250}.{self.strangers % 250}", 50_000
        assert ask(self.app, "GET", "/api/session", *signs, client=stranger).status == 401

    # ---- what the worker does ---------------------------------------------------------------

    @rule(target=at_hand)
    def begin(self):
        with self.store.write() as session:
            job = claim_next(session, "elsewhere:1:1")
        return multiple() if job is None else job

    @rule()
    def work(self):
        """All that waits."""
        with self.store.write() as session:
            job = claim_next(session, "elsewhere:1:1")
        if job is not None:
            self.end_one(job, good=True)
            self.work()

    @rule(job=consumes(at_hand), good=st.booleans())
    def end(self, job, good):
        self.end_one(job, good=good)

    def end_one(self, job, *, good):
        """With a case of its own words; where the case was deleted meanwhile, there is nothing to end."""
        secret = f"secret-of-{job.case_id}"
        caption = write_caption(f"a lesion {secret} with a border", "en")
        case = dataclasses.replace(make_case(), captions=(caption,), maps=(), scores=(), concepts=())
        try:
            with self.store.write() as session:
                finish(session, job.id, job.claim, "done" if good else "failed", error=None)
                if good:
                    row = find_case(session, job.case_id)
                    save_case(case, Shelf(self.store.folder).case_folder(row))
                    index_case(session, row.id, case)
        except Conflict:
            assert job.case_id in self.gone or self.state_of(job) != "running"
        else:
            if good:
                self.made[job.case_id] = secret

    @rule(job=consumes(at_hand))
    def die(self, job):
        """The worker is not heard of again, and the job goes back."""
        del job

    def state_of(self, job):
        answered = self.ask("lead", "GET", f"/api/jobs/{job.id}")
        return answered.json().get("state") if answered.status == 200 else None

    # ---- what holds -------------------------------------------------------------------------

    @invariant()
    def the_trail_is_whole(self):
        with self.store.read() as session:
            assert verify(session).intact

    @invariant()
    def nothing_is_left_of_what_was_deleted(self):
        names = {path.name for path in self.store.folder.rglob("*")}
        assert not names & self.gone


TestAnyOrder = Room.TestCase
TestAnyOrder.settings = settings(
    max_examples=12,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
