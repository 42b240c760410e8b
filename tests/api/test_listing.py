"""What is written down of methods and metrics is what the classes say."""

from importlib.resources import files

import pytest

from dermaxai.api.listing import SPEEDS, listed, texts
from dermaxai.explain import METHODS


@pytest.fixture(scope="module")
def now():
    return dict(texts())


@pytest.mark.parametrize("name", ["methods.json", "metrics.json"])
def test_the_files_are_up_to_date(now, name):
    there = files("dermaxai").joinpath(f"cards/{name}").read_text(encoding="utf-8")
    assert there == now[name], "run: python -m dermaxai.api.listing"


def test_every_method_is_listed():
    assert [row["name"] for row in listed("methods")] == list(METHODS)
    assert set(SPEEDS) < set(METHODS)
