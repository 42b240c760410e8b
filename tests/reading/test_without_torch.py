"""A study is read, judged, summed up and exported on a machine that has neither torch nor weights."""

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.sample_case import ENGLISH

MISSING = ("torch", "torchvision", "transformers", "open_clip", "timm", "peft", "tokenizers", "safetensors")
RUN = f"""
import sys
for name in {MISSING!r}:
    sys.modules[name] = None
from dermaxai.cli import main
main()
"""


def command(*arguments):
    return [sys.executable, "-c", RUN, *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, encoding="utf-8")


@contextmanager
def serving(folder, *options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command("serve", "--cases", folder, "--no-model", "--port", 0, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield next(line.strip() for line in process.stdout if "http://" in line)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


class Client:
    """One browser without a page."""

    def __init__(self, address):
        self.place = urlsplit(address[address.index("http://") :])
        self.headers = {}

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=60)
        headers = {**self.headers, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        cookie = answer.getheader("Set-Cookie")
        connection.close()
        if cookie:
            self.headers["Cookie"] = cookie.split(";")[0]
        return answer.status, content

    def sign_in(self, name):
        self.ask("POST", "/api/session", {"pseudonym": name})
        self.headers["X-CSRF-Token"] = json.loads(self.ask("GET", "/api/session")[1])["csrf"]


@pytest.fixture
def folder(filled, tmp_path):
    """Two case folders as `explain -o` leaves them, without a database."""
    import shutil

    for name in ("one", "two"):
        shutil.copytree(filled[0] / name, tmp_path / "cases" / name)
    return tmp_path / "cases"


def wait_until_taken_in(client, count=2):
    """Folders are taken in behind the page, which is there first."""
    for _ in range(300):
        if json.loads(client.ask("GET", "/api/cases")[1])["total"] == count:
            return
        time.sleep(0.1)
    raise AssertionError("the folders were not taken in")


def test_a_whole_study(folder):
    with serving(folder) as address:
        client = Client(address)
        wait_until_taken_in(client)
        for path in (
            "/",
            "/api/cases",
            "/api/cases/one/photo",
            "/api/cases/one/maps.npz",
            "/api/cases/one/report",
        ):
            assert client.ask("GET", path)[0] == 200, path
        for name, answer in (("r1", "agree"), ("r2", "wrong_place")):
            client = Client(address)
            client.sign_in(name)
            body = {"answer": answer, "caption": ENGLISH, "word": 2, "method": "grad_eclip"}
            body["regions"] = [{"kind": "box", "points": [[180, 60], [300, 190]]}]
            status, content = client.ask("POST", "/api/cases/one/feedback", body)
            assert status == 201, content
        told = json.loads(client.ask("GET", "/api/agreement")[1])
        assert told["words"]["kappa"]["value"] == -1
        assert told["regions"]["dice"]["value"] == 1
        assert client.ask("GET", "/api/export/feedback?format=json")[0] == 200
    done = run("agreement", "--cases", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == told
    done = run("export", "feedback", "--cases", folder, "--format", "json")
    assert [row["answer"] for row in json.loads(done.stdout)] == ["agree", "wrong_place"]


def test_a_blind_study(folder):
    with serving(folder, "--blind") as address:
        client = Client(address)
        client.sign_in("r1")
        wait_until_taken_in(client)
        assert client.ask("GET", "/api/cases/one")[0] == 403
        assert client.ask("POST", "/api/cases/one/reading", {"findings": "a dark spot"})[0] == 201
        assert client.ask("GET", "/api/cases/one")[0] == 200
