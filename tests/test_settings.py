import os
import subprocess
import sys

import pytest

from dermaxai.errors import SettingError, UnknownName
from dermaxai.settings import Choices, Settings, choose_device, read_settings, unknown_names

pytestmark = pytest.mark.usefixtures("plain_environment")


def test_defaults_are_overruled_by_the_environment_and_that_by_the_caller(monkeypatch):
    assert read_settings().batch == 8
    monkeypatch.setenv("DERMAXAI_BATCH", "3")
    assert read_settings().batch == 3
    assert read_settings(batch=5).batch == 5
    assert read_settings(batch=None).batch == 3


def test_settings_do_not_change():
    with pytest.raises(Exception, match="frozen"):
        read_settings().seed = 2


def test_all_faults_are_told_at_once_under_the_names_that_were_written(monkeypatch):
    monkeypatch.setenv("DERMAXAI_THREADS", "many")
    with pytest.raises(SettingError) as caught:
        read_settings(beams=0, device="gpu")
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.startswith("3 setting(s)")
    for part in ("beams is 0", "device is 'gpu': expected one of auto", "DERMAXAI_THREADS is 'many'"):
        assert part in message


def test_an_unknown_setting_is_guessed():
    with pytest.raises(UnknownName, match="Did you mean 'beams'"):
        read_settings(beam=2)


@pytest.mark.parametrize("device", ["cuda:x", "cpu:1", "mps:0", "tpu", ""])
def test_strange_devices_are_refused(device):
    with pytest.raises(SettingError, match="device"):
        read_settings(device=device)


def test_misspelt_names_of_the_environment_are_found(monkeypatch):
    monkeypatch.setenv("DERMAXAI_BEAM", "2")
    assert "DERMAXAI_BEAM" in unknown_names()
    assert "DERMAXAI_BEAMS" not in unknown_names()


def test_the_limit_of_pixels_is_ours_alone(monkeypatch):
    """No bound of another library stands behind it; `tests/test_images.py` reads photos above that bound."""
    monkeypatch.setenv("DERMAXAI_MAX_PIXELS", "300000000")
    assert read_settings().max_pixels == 300_000_000
    with pytest.raises(SettingError, match="max_pixels is 0"):
        read_settings(max_pixels=0)


def test_choices_are_the_fields_of_settings():
    assert Choices.__annotations__.keys() == Settings.model_fields.keys()


def test_every_field_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


def test_a_device_comes_with_a_reason():
    chosen = choose_device()
    assert chosen.value in ("cpu", "cuda", "mps")
    assert chosen.reason
    assert choose_device("cpu") == type(chosen)("cpu", "it was asked for")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(SettingError, match="'cuda:99' was asked for"):
        choose_device("cuda:99")


def test_offline_reaches_the_hub_library_before_it_is_imported():
    code = (
        "from dermaxai.settings import read_settings; read_settings()\n"
        "from huggingface_hub import constants; print(constants.HF_HUB_OFFLINE)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    for value, expected in (("1", "True"), ("0", "False")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, "DERMAXAI_OFFLINE": value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected
