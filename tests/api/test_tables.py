"""What there is to choose from."""

import pytest

from dermaxai.api import tables
from dermaxai.api.tables import pooling_of
from dermaxai.encoders.cards import card_names, read_card
from dermaxai.explain import METHODS
from dermaxai.measure.maps import MAP_METRICS
from dermaxai.pipeline import load
from tests.api.whole_server import talk, whole_server


@pytest.fixture
def browser(tmp_path):
    return talk(whole_server(tmp_path))


def test_methods(browser):
    rows = {row["name"]: row for row in browser.get("/api/methods").json()["methods"]}
    assert list(rows) == list(METHODS)
    assert rows["grad_eclip"]["titles"] == {"en": "Grad-ECLIP", "ru": "Grad-ECLIP"}
    assert rows["evidence"]["answers"] == ["caption", "phrase", "word"]
    assert (rows["evidence"]["speed"], rows["score_cam"]["speed"]) == ("fast", "slow")
    assert all(row["about"] and row["variants"] and row["layer"] for row in rows.values())


def test_an_encoder_without_text_answers_no_similarity(browser):
    rows = {row["name"]: row for row in browser.get("/api/methods").json()["methods"]}
    told = rows["grad_eclip"]["support"]["panderm-base"]
    assert told["query"]["level"] == "impossible"
    assert told["query"]["instead"] == "evidence"
    assert "word" not in told
    assert rows["rollout"]["support"] == rows["evidence"]["support"] == {}


def test_doubts_are_told_by_the_way_an_encoder_reads_its_patches(monkeypatch):
    doubt = {"level": "doubtful", "why": "It was never tried.", "instead": ""}
    row = {"answers": ["query", "word"], "reads_question": True, "support": {"map": {"query": doubt}}}
    assert tables._support(row, read_card("siglip-so400m-384")) == {"query": doubt}
    assert tables._support(row, read_card("demo")) == {}


def test_encoders(browser):
    told = browser.get("/api/encoders").json()
    rows = {row["name"]: row for row in told["encoders"]}
    assert list(rows) == card_names()
    assert told["served"] == ["demo"]
    assert (rows["demo"]["here"], rows["demo"]["served"], rows["demo"]["how"]) == (True, True, "")
    assert rows["monet"]["megabytes"] == 1711
    assert all(row["how"] for row in rows.values() if not row["here"])
    assert "models card panderm-base" in rows["panderm-base"]["how"]


def test_metrics(browser):
    rows = browser.get("/api/metrics", params={"family": "map"}).json()["metrics"]
    assert {row["asked_by"] for row in rows} == set(MAP_METRICS)
    assert len(browser.get("/api/metrics").json()["metrics"]) > len(rows)
    assert browser.get("/api/metrics", params={"family": "magic"}).status_code == 422


def test_languages(browser):
    assert browser.get("/api/languages").json() == {"languages": {"en": "English", "ru": "Русский"}}


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("demo", "class"), ("monet", "class"), ("siglip2-so400m-384", "map"), ("dermlip-panderm-base", "mean")],
)
def test_poolings(name, pooling):
    assert pooling_of(read_card(name)) == pooling


def test_the_pooling_of_the_embedded_encoder_is_the_tower_s():
    assert load("demo").encoder.tower.pooling == pooling_of(read_card("demo"))
