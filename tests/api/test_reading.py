"""The reading room over HTTP, on the whole application; blind mode is tried on every route there is."""

import dataclasses
import gzip
import json
import re

import pytest
from fastapi.routing import APIRoute

from dermaxai.api.app import create_app
from dermaxai.api.state import ServeOptions, ServerState
from dermaxai.cases import save_case
from dermaxai.store.cases import adopt_folders
from dermaxai.store.opening import open_store
from dermaxai.store.tables import Job, now
from dermaxai.types import Concept
from tests.api.small_server import ask, bearer, token_of
from tests.sample_case import make_case, write_caption

SECRET = "a zebra quagga okapi numbat wombat with an ibex dugong"
GEHEIM = "зебра квагга окапи намбат вомбат"
HIDDEN = re.compile("zebra|quagga|okapi|numbat|wombat|ibex|dugong|зебра|квагга|окапи|kinkajou", re.IGNORECASE)
BOX = {"kind": "box", "points": [[10, 20], [110, 70]]}
READING = {"findings": "a dark spot", "diagnosis": "nevus", "confidence": 3, "seconds": 10.5}


def secret_case():
    """A case whose every word is an animal."""
    case = make_case()
    words = SECRET.split()
    maps = tuple(
        dataclasses.replace(
            heat,
            target=dataclasses.replace(
                heat.target, text="kinkajou" if heat.target.word is None else words[heat.target.word]
            ),
        )
        for heat in case.maps
    )
    captions = (write_caption(SECRET, "en"), write_caption(GEHEIM, "ru"))
    concepts = (Concept("kinkajou", 0.4, (2,)),)
    return dataclasses.replace(
        case, captions=captions, maps=maps, concepts=concepts, scores=(), warnings=("A kinkajou is near.",)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("blind") / "cases"
    save_case(secret_case(), home / "one")
    save_case(secret_case(), home / "two")
    return home


@dataclasses.dataclass
class Place:
    app: object
    tokens: dict

    def send(self, who, method, path, body=None):
        headers = [bearer(self.tokens[who])] if who else []
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers.append(("content-type", "application/json"))
        return ask(self.app, method, path, *headers, body=content)

    def get(self, who, path):
        return self.send(who, "GET", path)

    def post(self, who, path, body):
        return self.send(who, "POST", path, body)


def serve(folder, home, **options):
    import shutil

    shutil.copytree(folder, home)
    store = open_store(home)
    assert adopt_folders(store) == []
    options = ServeOptions(cases=home, models=(), **options)
    app = create_app(options, ServerState(options, store))
    tokens = {name: token_of(app, name) for name in ("r1", "r2")} | {"lead": token_of(app, "lead", "admin")}
    return Place(app, tokens)


@pytest.fixture
def place(folder, tmp_path):
    served = serve(folder, tmp_path / "cases")
    yield served
    served.app.state.server.store.close()


@pytest.fixture
def blind(folder, tmp_path):
    served = serve(folder, tmp_path / "cases", blind=True)
    yield served
    served.app.state.server.store.close()


def feedback(word=2, **more):
    return {"answer": "agree", "caption": SECRET, "word": word, "method": "grad_eclip", **more}


def plain(answered):
    body = answered.body
    return gzip.decompress(body) if answered.header("content-encoding") == "gzip" else body


def test_an_answer_goes_there_and_back(place):
    sent = place.post("r1", "/api/cases/one/feedback", feedback(regions=[BOX], comment="да"))
    assert sent.status == 201
    assert sent.json()["text"] == "quagga"
    assert sent.json()["current"] is True
    told = place.get("r1", "/api/cases/one/feedback").json()
    assert told["answers"] == [sent.json()]
    assert told["everyone"] is None


def test_readers_never_see_each_other_but_the_lead_sees_all(place):
    place.post("r1", "/api/cases/one/feedback", feedback(comment="mine alone"))
    assert place.get("r2", "/api/cases/one/feedback").json() == {"answers": [], "everyone": None}
    everyone = place.get("lead", "/api/cases/one/feedback").json()["everyone"]
    assert [(one["pseudonym"], one["comment"]) for one in everyone] == [("r1", "mine alone")]
    for path in ("/api/agreement", "/api/export/feedback", "/api/export/readings", "/api/export/events"):
        answered = place.get("r2", path)
        assert (answered.status, answered.error) == (403, "NotAllowed")


def test_another_caption_by_now_is_a_conflict(place):
    answered = place.post("r1", "/api/cases/one/feedback", feedback(caption="a small lesion"))
    assert (answered.status, answered.error) == (409, "Conflict")


@pytest.mark.parametrize(
    "body",
    [
        {},
        feedback(answer="maybe"),
        feedback(word=99),
        feedback(word=-1),
        feedback(word="two"),
        feedback(method="lime"),
        feedback(regions=[{"kind": "box", "points": [[1, 1]]}]),
        feedback(regions=[{"kind": "point", "points": [[5000, 1]]}]),
        feedback(regions=[{"kind": "point", "points": [[1e400, 1]]}]),
        feedback(regions=[BOX] * 65),
        feedback(comment="x" * 2001),
        feedback(colour="red"),
        [],
        "agree",
    ],
)
def test_what_does_not_fit_is_refused_in_one_shape(place, body):
    answered = place.post("r1", "/api/cases/one/feedback", body)
    assert answered.status == 422
    assert set(answered.json()) == {"error", "message", "hint", "said"}
    assert place.get("r1", "/api/cases/one/feedback").json()["answers"] == []


def test_unknown_cases_and_nobody(place):
    for path in ("/api/cases/three/feedback", "/api/cases/three/reading"):
        assert place.get("r1", path).status == 404
    assert place.post("r1", "/api/cases/three/feedback", feedback()).status == 404
    answered = place.post("", "/api/cases/one/feedback", feedback())
    assert (answered.status, answered.error) == (401, "NotSignedIn")


def test_odd_letters_reach_the_store_as_letters(place):
    comment = "пигментная сеть \U0001f52c \x00 end"
    sent = place.post("r1", "/api/cases/one/feedback", feedback(comment=comment))
    assert sent.status == 201
    assert sent.json()["comment"] == "пигментная сеть \U0001f52c  end"
    assert (
        place.post("r1", "/api/cases/one/feedback", feedback(comment="half a letter: \ud800")).status == 422
    )


def test_agreement_is_the_leads(place):
    for reader in ("r1", "r2"):
        place.post(reader, "/api/cases/one/feedback", feedback(answer="wrong_place", regions=[BOX]))
    told = place.get("lead", "/api/agreement").json()
    assert (told["answers"], told["words"]["items"], told["words"]["undefined"]) == (2, 1, "one_answer")
    assert told["regions"]["dice"]["value"] == 1


def test_exports_are_files_and_leave_an_event(place):
    place.post("r1", "/api/cases/one/feedback", feedback())
    answered = place.get("lead", "/api/export/feedback?format=csv&bom=yes")
    assert answered.header("content-type") == "text/csv; charset=utf-8"
    assert 'filename="dermaxai_feedback.csv"' in answered.header("content-disposition")
    assert plain(answered).startswith(b"\xef\xbb\xbfcase,")
    events = json.loads(plain(place.get("lead", "/api/export/events?format=json")))
    made = [event["subject"] for event in events if event["action"] == "export.made"]
    assert made == ["feedback", "events"]
    assert place.get("lead", "/api/export/everything").status == 422


def test_a_reading_is_needed_only_in_blind_mode(place):
    assert place.get("r1", "/api/cases/one/reading").json() == {
        "needed": False,
        "reading": None,
        "everyone": None,
    }
    answered = place.post("r1", "/api/cases/one/reading", READING)
    assert (answered.status, answered.error) == (409, "Conflict")


def test_own_reading_first_then_the_machines(blind):
    answered = blind.get("r1", "/api/cases/one")
    assert (answered.status, answered.error) == (403, "ReadingFirst")
    assert blind.get("r1", "/api/cases/one/reading").json()["needed"] is True
    assert blind.post("r1", "/api/cases/one/reading", READING).status == 201
    assert blind.get("r1", "/api/cases/one/reading").json()["reading"]["findings"] == "a dark spot"
    assert SECRET.encode() in plain(blind.get("r1", "/api/cases/one"))
    assert blind.get("r1", "/api/cases/two").status == 403
    assert blind.get("r2", "/api/cases/one").status == 403
    again = blind.post("r1", "/api/cases/one/reading", {**READING, "findings": "a zebra"})
    assert (again.status, again.error) == (409, "Conflict")


def test_a_case_that_is_no_more_needs_no_reading(blind):
    for path in ("", "/report", "/feedback", "/reading", "/photo"):
        assert blind.get("r1", f"/api/cases/none{path}").status == 404


def test_a_reading_that_says_nothing_is_refused(blind):
    for body in (
        {},
        {"findings": " "},
        {**READING, "confidence": 6},
        {**READING, "seconds": -1},
        {"findings": 3},
    ):
        assert blind.post("r1", "/api/cases/one/reading", body).status == 422
    assert blind.get("r1", "/api/cases/one/reading").json()["needed"] is True


def test_blind_readers_do_not_see_each_other(blind):
    blind.post("r1", "/api/cases/one/reading", {**READING, "findings": "capybara"})
    blind.post("r2", "/api/cases/one/reading", READING)
    assert b"capybara" not in blind.get("r2", "/api/cases/one/reading").body
    everyone = blind.get("lead", "/api/cases/one/reading").json()["everyone"]
    assert [one["pseudonym"] for one in everyone] == ["r1", "r2"]


def test_the_list_shows_what_is_read(blind):
    blind.post("r1", "/api/cases/two/reading", READING)
    cases = {case["id"]: case for case in json.loads(plain(blind.get("r1", "/api/cases")))["cases"]}
    assert (cases["one"]["hidden"], cases["two"]["hidden"]) == (True, False)
    assert cases["two"]["caption"] == SECRET
    assert not HIDDEN.search(json.dumps(cases["one"], ensure_ascii=False))


def fail_a_job(blind):
    """A job whose error repeats the caption."""
    with blind.app.state.server.store.write() as session:
        session.add(
            Job(
                kind="contrast",
                case_id="one",
                owner="lead",
                request={"word": "zebra"},
                state="failed",
                stages=[{"name": "contrast", "state": "failed", "seconds": 1, "note": "zebra"}],
                error={"error": "UsageError", "message": f"Its text: {SECRET}", "hint": ""},
                created=now(),
                finished=now(),
            )
        )


BODIES = {
    "/api/cases/{case_id}/query": {"text": "dark", "kind": "word"},
    "/api/cases/{case_id}/contrast": {"word": "nothing", "against": "dark"},
    "/api/cases/{case_id}/methods": {"methods": ["rollout"]},
    "/api/cases/{case_id}/feedback": feedback(caption="nothing"),
    "/api/cases/{case_id}/reading": {"findings": ""},
}
SEEN_BY_ALL = {"/api/cases/{case_id}/photo", "/api/cases/{case_id}/thumb"}


def routes_of(app):
    """Method and path of every route, those of routers too."""
    for path, entry in app.openapi()["paths"].items():
        for method in entry:
            yield method.upper(), path
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods)


def test_nothing_of_the_machines_leaves_by_any_route(blind):
    fail_a_job(blind)
    tried = set()
    for method, path in sorted(set(routes_of(blind.app))):
        if method == "DELETE":
            continue
        target = (
            re.sub(r"\{case_id(:path)?\}", "one", path).replace("{job_id}", "1").replace("{what}", "feedback")
        )
        body = BODIES.get(path, {}) if method == "POST" else None
        for query in ("", "?lang=ru", "?text=zebra", "?sort=caption", "?sort=disagreement", "?revision=1"):
            answered = blind.send("r1", method, target + query, body)
            content = plain(answered)
            assert not HIDDEN.search(content.decode("utf-8", "replace")), (method, target + query)
            if path.startswith("/api/cases/{case_id}") and path not in SEEN_BY_ALL | {
                "/api/cases/{case_id}/reading"
            }:
                assert answered.status in (403, 422), (method, target, answered.status)
                assert method == "POST" or answered.error == "ReadingFirst", (method, target)
        tried.add(path)
    assert {
        "/api/cases",
        "/api/cases/{case_id}",
        "/api/cases/{case_id}/maps.npz",
        "/api/cases/{case_id}/report",
    } <= tried


def test_what_is_hidden_is_there_for_the_lead_by_the_same_routes(blind):
    """Else the test before would pass on a server that shows nothing to anybody."""
    for path in ("/api/cases", "/api/cases/one", "/api/cases/one/report", "/api/export/cases"):
        answered = blind.get("lead", path)
        assert answered.status == 200
        assert HIDDEN.search(plain(answered).decode()), path


def test_a_search_does_not_tell_by_its_length(blind):
    for query in ("text=zebra", "text=nothing", "sort=caption", "sort=disagreement", "sort=faithfulness"):
        assert blind.get("r1", f"/api/cases?{query}").status == 403
    assert blind.get("r1", "/api/cases?sort=name").status == 200
