import pytest

from dermaxai.errors import UnknownName, WeightsMissing
from dermaxai.jobs.models import KEPT, Models


@pytest.fixture
def told():
    return []


@pytest.fixture
def models(told, monkeypatch):
    loaded = Models({name: {} for name in ("one", "two", "three", "gone")}, {}, told.append)
    loads = []

    def load(name):
        if name == "gone":
            raise WeightsMissing("no weights", hint="fetch them")
        loads.append(name)
        return object()

    monkeypatch.setattr(loaded, "_load", load)
    monkeypatch.setattr(loaded, "loads", loads, raising=False)
    return loaded


def test_the_latest_are_kept_and_the_oldest_goes(models):
    first = models.named("")
    assert models.named("one") is first
    for name in ("two", "one", "three", "one", "two"):
        models.named(name)
    assert models.loads == ["one", "two", "three", "two"]
    assert len(models._loaded) == KEPT


def test_states_are_told(models, told):
    models.named("one")
    with pytest.raises(WeightsMissing):
        models.named("gone")
    models.tell({"state": "failed", "model": "", "error": "StoreFull", "message": "", "hint": ""})
    models.tell(None)
    assert [(state["state"], state["model"]) for state in told] == [
        ("loading", "one"), ("ready", "one"), ("loading", "gone"), ("failed", "gone"), ("failed", ""),
        ("failed", "gone"),
    ]  # fmt: skip
    assert (told[3]["error"], told[3]["hint"]) == ("WeightsMissing", "fetch them")


def test_only_what_is_served_is_loaded(models):
    with pytest.raises(UnknownName):
        models.named("four")
