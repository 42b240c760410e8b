"""Nothing reaches a network: not an import, not a command, not a described photo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "no_network"
MARK = "NETWORK TOUCHED"

IMPORT_ALL = """
import importlib, pkgutil, dermaxai
names = [m.name for m in pkgutil.walk_packages(dermaxai.__path__, "dermaxai.") if "__main__" not in m.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def guarded(*arguments, cwd=None):
    """A Python process that no network answers, without this process's choice to be offline."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, "PYTHONPATH": str(GUARD)},
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )


def command(*arguments, cwd=None):
    """`dermaxai …` in such a process."""
    start = "import sys; from dermaxai.cli import main; sys.argv[0] = 'dermaxai'; sys.exit(main())"
    return guarded("-c", start, *arguments, cwd=cwd)


def test_the_guard_works():
    done = guarded("-c", "import socket; socket.create_connection(('127.0.0.1', 9), 1)")
    assert done.returncode != 0
    assert MARK in done.stderr
    done = guarded("-c", "import socket; socket.getaddrinfo('example.org', 80)")
    assert MARK in done.stderr


def test_importing_every_module_touches_no_network():
    done = guarded("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert MARK not in done.stderr
    assert int(done.stdout) > 40


@pytest.mark.parametrize(
    "words", [("--help",), ("methods",), ("models", "list"), ("data", "list"), ("data", "how", "ham10000")]
)
def test_commands_touch_no_network(words):
    done = command(*words)
    assert done.returncode == 0, done.stderr
    assert MARK not in done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_photo_is_described_without_network(tmp_path, language):
    drawn = command("phantom", "-n", "1", "-o", str(tmp_path))
    assert drawn.returncode == 0, drawn.stderr
    (photo,) = tmp_path.glob("phantom-????.png")
    done = command("describe", str(photo), "--json", "--lang", language)
    assert done.returncode == 0, done.stderr
    assert MARK not in drawn.stderr + done.stderr
    described = json.loads(done.stdout)
    assert described["caption"].strip()
    assert described["lang"] == language
