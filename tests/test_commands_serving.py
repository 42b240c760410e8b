"""`dermaxai serve`: what it refuses at once, what it says, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from dermaxai.api.state import ServedModel, ServeOptions
from dermaxai.commands.serving import Door, Served, address_of, hints, listen
from dermaxai.errors import SettingError, UnknownName, UsageError, WeightsMissing
from dermaxai.store.opening import open_store
from dermaxai.store.readers import add_reader

PROGRAM = [sys.executable, "-m", "dermaxai.cli", "serve"]


def serve(*options):
    return subprocess.run([*PROGRAM, *options], capture_output=True, text=True, timeout=120)


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_there_and_ends_when_told_to(tmp_path, stop):
    options = ["--cases", str(tmp_path / "cases"), "--no-model", "--port", "0"]
    child = subprocess.Popen([*PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = child.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}healthz") as answered:
            assert b'"ok"' in answered.read()
        child.send_signal(stop)
        _, told = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0
    assert "Traceback" not in told
    assert "Research tool, not a medical device" in told
    assert "Исследовательский инструмент, не медицинское изделие" in told
    assert "No model" in told
    assert told.splitlines()[-1] == "Stopped."


def test_a_port_that_is_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = serve("--cases", str(tmp_path), "--no-model", "--port", str(other.getsockname()[1]))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    done = serve("--cases", str(tmp_path / "cases"), "--no-model", "--port", "0")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_a_place_that_is_a_file(tmp_path):
    (tmp_path / "cases").write_text("")
    done = serve("--cases", str(tmp_path / "cases"), "--no-model", "--port", "0")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Error:" in done.stderr


def test_a_store_that_is_none(tmp_path):
    done = serve("--cases", str(tmp_path), "--no-model", "--port", "0", "--store", "mysql://x/y")
    assert done.returncode == 2
    assert "PostgreSQL" in done.stderr


def test_weights_that_are_missing(tmp_path):
    done = serve("--cases", str(tmp_path), "--port", "0", "--model", "panderm-base")
    assert done.returncode == 3
    assert "models card panderm-base" in done.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours(host):
    with pytest.raises(UsageError):
        listen(host, free_port())


def test_models():
    assert Served().models() == (ServedModel("demo"),)
    assert Served(model=["demo", "demo"]).models() == (ServedModel("demo"),)
    assert Served(no_model=True).models() == ()
    with pytest.raises(UnknownName, match="Did you mean 'demo'"):
        Served(model=["dmeo"]).models()
    with pytest.raises(UsageError, match="nothing to load"):
        Served(model=["demo"], no_model=True).models()
    with pytest.raises(UsageError, match="belong to one model"):
        Served(model=["demo", "monet"], source="weights").models()
    with pytest.raises(WeightsMissing, match="nothing at"):
        Served(source="/nowhere/at/all").models()


def test_missing_weights_are_told_with_their_size_and_place(monkeypatch):
    monkeypatch.setattr("dermaxai.commands.models.find_weights", lambda card: None)
    with pytest.raises(WeightsMissing, match=r"'monet' \(1711 MB\)") as refused:
        Served(model=["monet"]).models()
    assert "dermaxai fetch monet" in refused.value.hint
    assert "into FOLDER/monet and set DERMAXAI_WEIGHTS=FOLDER" in refused.value.hint


def test_a_model_in_a_folder(bundle):
    assert Served(model=[str(bundle)]).models() == (ServedModel(str(bundle)),)


def test_settings_of_the_worker():
    assert Served(device="cpu", threads=0, offline=True).settings() == (
        ("device", "cpu"), ("threads", "0"), ("offline", "True"),
    )  # fmt: skip
    with pytest.raises(SettingError, match="device"):
        Served(device="gpu").settings()


def test_a_certificate_needs_its_key(tmp_path):
    with pytest.raises(UsageError, match="together"):
        Door(tls_cert=tmp_path / "a.pem").tls()
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(SettingError, match=r"a\.pem"):
        Door(tls_cert=tmp_path / "a.pem", tls_key=tmp_path / "a.pem").tls()
    assert Door().tls() is None


def told(tmp_path, **options):
    store = open_store(tmp_path)
    try:
        return " ".join(hints(ServeOptions(cases=tmp_path, **options), store))
    finally:
        store.close()


def test_on_this_machine_nothing_is_asked(tmp_path):
    assert "token" not in told(tmp_path)
    assert "older than 30 days" in told(tmp_path, keep_days=30)


def test_an_open_server_tells_what_it_needs(tmp_path):
    assert "dermaxai readers add NAME" in told(tmp_path, host="0.0.0.0")
    assert "--tls-cert" in told(tmp_path, host="0.0.0.0")
    assert "--tls-cert" not in told(tmp_path, host="0.0.0.0", proxied=True)
    assert "--tls-cert" not in told(tmp_path, host="0.0.0.0", tls=(Path("a"), Path("b")))
    store = open_store(tmp_path)
    with store.write() as session:
        add_reader(session, "chief", "admin", actor="local")
    store.close()
    assert "no reader yet" not in told(tmp_path, host="0.0.0.0")


def test_addresses():
    assert address_of(ServeOptions(port=8123)) == "http://127.0.0.1:8123/"
    assert address_of(ServeOptions(hosts=("derma.clinic",), proxied=True)) == "https://derma.clinic/"
    assert address_of(ServeOptions(host="0.0.0.0", hosts=("derma.clinic",), tls=(Path("a"), Path("b")))) == (
        "https://derma.clinic:8000/"
    )
