"""The application as a whole: every route is described, every refusal has one shape, no model is loaded."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from dermaxai.api.app import ROOMS
from dermaxai.api.documents import describe, operations
from tests.api.small_server import ask
from tests.api.whole_server import put_case, running, talk, whole_server

ROOT = Path(__file__).parents[2]
ROUTES = [route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute)]


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def is_problem(answered):
    told = answered.json()
    assert set(told) == {"error", "message", "hint", "said"}
    assert re.search("[а-яё]", told.pop("said")["ru"]["message"])
    assert all(isinstance(value, str) for value in told.values())
    assert told["error"]
    assert told["message"].endswith((".", "?", "!", ")"))
    return told["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("GET", "/api/cases/", 404, "NotFound"),
        ("PUT", "/api/cases", 405, "UsageError"),
        ("PATCH", "/healthz", 405, "UsageError"),
        ("GET", "/api/jobs/zero", 422, "UsageError"),
        ("GET", "/api/jobs/0", 422, "UsageError"),
        ("GET", "/api/jobs/99999999999999999999", 422, "UsageError"),
        ("GET", "/api/jobs/7", 404, "NotFound"),
        ("GET", "/api/cases?limit=0", 422, "UsageError"),
        ("GET", "/api/cases?after=-1", 422, "UsageError"),
        ("GET", "/api/examples/4/photo", 422, "UsageError"),
        ("GET", "/web/secret.py", 404, "NotFound"),
    ],
)
def test_every_refusal_has_one_shape(app, method, path, status, error):
    answered = talk(app).request(method, path)
    assert (answered.status_code, is_problem(answered)) == (status, error)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"text": 1}', b'{"text": "a", "more": 1}', b'{"text": " "}']
)
def test_a_body_that_is_none_has_the_same_shape(app, body):
    put_case(app)
    answered = ask(app, "POST", "/api/cases/one/query", ("Content-Type", "application/json"), body=body)
    assert (answered.status, answered.error) == (422, "UsageError")


def test_what_nobody_foresaw_tells_nothing(app, monkeypatch):
    from dermaxai.api import cases

    def broken(*_):
        raise RuntimeError("the patient Ivanov")

    monkeypatch.setattr(cases, "list_cases", broken)
    answered = talk(app).get("/api/cases")
    assert (answered.status_code, is_problem(answered)) == (500, "InternalError")
    assert "Ivanov" not in answered.text


def test_every_call_is_described(app):
    document = describe(app)
    for path, method, operation in operations(document):
        called = f"{method} {path}"
        assert operation.get("summary"), called
        assert len(operation.get("description", "")) > 20, called
        assert operation.get("tags"), called
        assert "security" in operation, called
        good = [told for status, told in operation["responses"].items() if status.startswith("2")]
        assert good, called
        for told in good:
            assert told.get("description"), called
        for status, told in operation["responses"].items():
            if status >= "400" and (path, status) != ("/healthz", "503"):
                schema = told["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (called, status)


def test_operations_have_names_of_their_own(app):
    names = [operation["operationId"] for _, _, operation in operations(describe(app))]
    assert len(names) == len(set(names))


def test_the_rooms_are_all_there(app):
    described = {(path, method.upper()) for path, method, _ in operations(describe(app))}
    for route in ROUTES:
        if route.include_in_schema:
            assert {(route.path_format, method) for method in route.methods} <= described


def test_the_server_loads_no_model(tmp_path):
    """Not even where torch cannot be imported; everything but describing works."""
    code = f"""
import sys
class Forbidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "transformers", "open_clip", "timm", "peft", "torchvision"):
            raise ImportError(name + " is not to be imported")
sys.meta_path.insert(0, Forbidden())
from pathlib import Path
from tests.api.whole_server import put_case, running, whole_server
app = whole_server(Path({str(tmp_path)!r}), models=())
put_case(app)
with running(app) as browser:
    paths = ["/", "/healthz", "/version", "/api/state", "/api/session", "/api/methods", "/api/metrics",
             "/api/encoders", "/api/languages", "/api/examples", "/api/examples/2/thumb", "/api/jobs",
             "/api/cases", "/api/cases/one", "/api/cases/one/maps", "/api/cases/one/photo",
             "/api/cases/one/thumb", "/api/cases/one/maps.npz", "/api/cases/one/report", "/api/audit",
             "/api/audit/verify", "/docs", "/openapi.json", "/api/agreement", "/api/readers"]
    print([path for path in paths if browser.get(path).status_code != 200])
    print(browser.post("/api/cases", files={{"file": ("a.jpg", b"x")}}).json()["error"])
    print(browser.post("/api/cases/one/query", json={{"text": "a veil"}}).json()["error"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "NotSupported", "NotSupported"]


def test_nothing_is_sent_elsewhere(app, monkeypatch):
    """The framework can report to an address of the environment; it is not let."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4318")
    with running(app) as browser:
        assert browser.get("/healthz").json()["status"] == "ok"


def test_the_description_is_json(app):
    answered = talk(app).get("/openapi.json")
    assert answered.headers["content-type"] == "application/json"
    assert json.loads(answered.content)["openapi"].startswith("3.")
