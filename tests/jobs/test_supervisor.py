"""The supervisor with children that are a few lines of Python."""

import sys
import time
from types import SimpleNamespace

import pytest

from dermaxai.jobs import supervisor
from dermaxai.jobs.options import WorkerOptions
from dermaxai.jobs.supervisor import Supervisor

READY = (
    "import sys, json\nline = sys.stdin.readline()\n"
    "print(json.dumps({'state': 'ready', 'model': 'x'}), flush=True)\n"
)
WAIT = "sys.stdin.read()\n"
PATIENCE = 60


def options_of(tmp_path, models=("x",)):
    named = tuple(SimpleNamespace(name=name, options=(("captioner", "here"),)) for name in models)
    return SimpleNamespace(cases=tmp_path, url="", models=named, settings=(("device", "cpu"),))


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 1.0)
    started = []

    def start(code):
        one = Supervisor(options_of(tmp_path), [sys.executable, "-c", code, str(tmp_path)])
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


def wait_until(fits):
    end = time.monotonic() + PATIENCE
    while not fits():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_state_is_what_the_child_says(supervise):
    one = supervise(READY + "print('no json', flush=True)\n" + WAIT)
    one.start()
    wait_until(lambda: one.state()["state"] == "ready")
    assert one.state() == {"state": "ready", "model": "x", "error": "", "message": "", "hint": ""}
    one.stop()
    assert one.state()["state"] == "none"
    assert one.pid is None


def test_a_child_that_dies_is_started_again(supervise, tmp_path):
    count = "from pathlib import Path\nlog = Path(sys.argv[1]) / 'log'\nlog.open('a').write('x')\n"
    one = supervise(
        "import sys\n" + count + "sys.exit(3) if len(log.read_text()) < 3 else None\n" + READY + WAIT
    )
    wait_until(lambda: one.state()["state"] == "ready")
    assert (tmp_path / "log").read_text() == "xxx"


def test_waking_is_a_byte(supervise, tmp_path):
    one = supervise(
        READY
        + "sys.stdin.read(1)\nprint(json.dumps({'state': 'ready', 'model': 'woken'}), flush=True)\n"
        + WAIT
    )
    wait_until(lambda: one.state()["state"] == "ready")
    one.wake()
    wait_until(lambda: one.state()["model"] == "woken")
    assert one.state()["state"] == "ready"


def test_a_child_that_does_not_stop_is_made_to(supervise):
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    one = supervise(deaf + READY + "time.sleep(1000)\n")
    wait_until(lambda: one.state()["state"] == "ready")
    one.stop()
    assert one.pid is None


def test_a_child_that_does_not_read_holds_nobody_up(supervise):
    one = supervise(READY + "import time\ntime.sleep(1000)\n")
    wait_until(lambda: one.state()["state"] == "ready")
    for _ in range(100_000):
        one.wake()
    assert one.state()["state"] == "ready"


def test_without_models_nothing_happens(tmp_path):
    one = Supervisor(options_of(tmp_path, models=()))
    one.start()
    one.wake()
    assert one.state()["state"] == "none"
    one.stop()


def test_options_travel_on_one_line(tmp_path):
    options = WorkerOptions.of_server(options_of(tmp_path))
    assert WorkerOptions.from_line(options.to_line()) == options
    assert options.models == (("x", {"captioner": "here"}),)
    assert "\n" not in options.to_line()


def test_the_server_side_loads_no_model_library(heavy_after):
    assert not set(heavy_after("import dermaxai.jobs.queue, dermaxai.jobs.supervisor")) & {
        "torch", "transformers", "open_clip",
    }  # fmt: skip
