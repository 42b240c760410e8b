import json
import subprocess
import sys
from types import ModuleType

import pytest

import dermaxai

LOADED = """
import sys, json, dermaxai
before = sorted(name for name in ("torch", "numpy", "pydantic", "PIL") if name in sys.modules)
shown = [name for name in dir(dermaxai) if not name.startswith("_")]
dermaxai.DermaXAIError
after = sorted(name for name in ("torch", "pydantic") if name in sys.modules)
print(json.dumps([before, shown, after]))
"""


def test_every_public_name_is_there():
    for name in dermaxai.__all__:
        assert getattr(dermaxai, name).__name__ == name


def test_no_other_name_is_shown():
    plain = {"TYPE_CHECKING", "Any", "annotations", "importlib"}
    leaked = {
        name
        for name, value in vars(dermaxai).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert leaked - plain <= set(dermaxai.__all__)
    assert set(dir(dermaxai)) == {*dermaxai.__all__, "__version__"}


def test_public_classes_know_where_they_come_from():
    for name in dermaxai.__all__:
        assert getattr(dermaxai, name).__module__.startswith("dermaxai.")


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert dermaxai.__version__ == version("dermaxai")


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'explain_all'"):
        _ = dermaxai.explain_all


def test_importing_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    before, shown, after = json.loads(done.stdout)
    assert before == []
    assert after == []
    assert shown == dermaxai.__all__
