"""Three drawn photos."""

import functools
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dermaxai import phantom
from dermaxai.api import examples, upkeep
from dermaxai.api.examples import COUNT, draw_example, example_photo
from dermaxai.errors import NotFound
from dermaxai.store.shelf import Shelf
from tests.api.whole_server import running, talk, whole_server


@pytest.fixture
def app(tmp_path):
    return whole_server(tmp_path)


def test_all_are_listed_with_words_and_pictures(app):
    browser = talk(app)
    rows = browser.get("/api/examples").json()["examples"]
    assert [row["number"] for row in rows] == list(range(1, COUNT + 1))
    assert len({row["text"]["ru"] for row in rows}) == COUNT
    for row in rows:
        with Image.open(io.BytesIO(browser.get(row["thumb"]).content)) as small:
            assert max(small.size) == 320
        with Image.open(io.BytesIO(browser.get(row["photo"]).content)) as whole:
            assert whole.size == (600, 450)


def test_one_becomes_a_case(app):
    told = talk(app).post("/api/examples/2", data={"lang": "ru"})
    assert told.status_code == 202
    kept = Shelf(app.state.server.store.folder).read_upload(told.json()["case"])
    assert np.array_equal(kept.pixels, draw_example(2))


def test_two_who_ask_at_once_wait_for_one_drawing(monkeypatch):
    """Also the thread that draws them while the server starts."""
    drawn = []

    def draw(plan, seed):
        drawn.append(seed)
        time.sleep(0.05)
        return plan

    monkeypatch.setattr(phantom, "draw_phantom", draw)
    monkeypatch.setattr(examples, "_drawn", functools.cache(examples._drawn.__wrapped__))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(examples._phantom, [1, 2, 1, 2]))
    assert sorted(drawn) == [1, 2]


def test_a_server_with_a_model_draws_them_when_it_starts(tmp_path, monkeypatch):
    drawn = threading.Event()
    monkeypatch.setattr(upkeep, "prepare_examples", drawn.set)
    with running(whole_server(tmp_path / "shown", models=())):
        assert not drawn.is_set()
    with running(whole_server(tmp_path / "made")):
        assert drawn.wait(60)


def test_the_same_photo_every_time():
    assert example_photo(1)[0].sha256 == example_photo(1)[0].sha256 != example_photo(2)[0].sha256


def test_there_is_no_fourth():
    with pytest.raises(NotFound):
        draw_example(COUNT + 1)
