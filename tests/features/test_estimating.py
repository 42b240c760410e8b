"""Size and time before anything starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from dermaxai.encoders import load_encoder
from dermaxai.encoders.cards import card_names, read_card
from dermaxai.errors import NotSupported
from dermaxai.features import Extraction, FeatureCache, Photo, estimating, extract
from dermaxai.features.estimating import (
    Pace,
    Plan,
    advise,
    arithmetic,
    choices,
    free_bytes,
    largest_that_fits,
    plan_by_card,
    plan_by_encoder,
    time_encoder,
)
from dermaxai.features.key import make_key
from tests.encoders import tiny

DERM1M = 403_563
PLAN = plan_by_card(read_card("dermlip-vit-b16"), DERM1M)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = tiny.BUILDERS["openclip"](tmp_path_factory.mktemp("models") / "openclip")
    return load_encoder(made.name, made.source, offline=True)


@pytest.mark.parametrize(
    ("changes", "gigabytes"),
    [({}, 121.5), ({"dtype": "int8"}, 61.1), ({"pooling": 7}, 30.4), ({"pooling": 7, "dtype": "int8"}, 15.3),
     ({"pooling": "class"}, 0.4), ({"views": 3}, 364.6)],
)  # fmt: skip
def test_derm1m(changes, gigabytes):
    assert replace(PLAN, **changes).bytes / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_the_class_token_is_what_the_published_figure_has_more():
    """197 tokens of a ViT-B/16 are 122 GB; the Q-Former does not read the class token, and it is not kept."""
    assert pytest.approx(122.1, abs=0.05) == DERM1M * 197 * 768 * 2 / 1e9
    assert PLAN.tokens == 196


@pytest.mark.parametrize(
    ("name", "kibibytes"), [("panderm-base", 294), ("openclip-l14", 512), ("openclip-h14", 640)]
)
def test_other_towers(name, kibibytes):
    assert plan_by_card(read_card(name), 1).bytes / 1024 == pytest.approx(kibibytes, abs=0.1)


def test_every_card_is_estimated_or_says_why_not():
    for name in card_names():
        if name != "demo":
            assert plan_by_card(read_card(name), 1).bytes > 10_000
    with pytest.raises(NotSupported, match="--source"):
        plan_by_card(read_card("demo"), 1)


@pytest.mark.parametrize("how", [dict(), dict(dtype="int8"), dict(pooling=2), dict(pooling="class")])
def test_the_estimate_is_what_is_written(encoder, photos, tmp_path, how):
    cache = FeatureCache.create(tmp_path, make_key(encoder, **how))
    extract(encoder, [Photo(path) for path in photos], cache, Extraction(views=2))
    plan = replace(plan_by_encoder(encoder, len(photos)), views=2, **how)
    assert cache.bytes == plan.bytes


def test_choices_go_from_large_to_small():
    ways = choices(PLAN)
    assert [(way.pooling, way.dtype) for way in ways[:4]] == [
        ("all", "float16"), ("all", "int8"), (7, "float16"), (7, "int8"),
    ]  # fmt: skip
    assert [way.bytes for way in ways] == sorted((way.bytes for way in ways), reverse=True)
    assert choices(Plan(1, (4, 5), 8, 8))[0].tokens == 20
    assert {way.pooling for way in choices(Plan(1, (4, 5), 8, 8))} == {"all", 4, "class"}


@pytest.mark.parametrize(
    ("gigabytes", "words"),
    [(500, "All patches in float16 fit"),
     (100, "--pool all --dtype int8 (61.1 GB), or --pool 7 --dtype float16 (30.4 GB). Means lose"),
     (40, "What fits: --pool 7 --dtype float16 (30.4 GB). Means lose"), (1.2, "--pool class"),
     (0.1, "No form fits")],
)  # fmt: skip
def test_what_a_disk_holds(gigabytes, words):
    assert words in advise(choices(PLAN), int(gigabytes * 1e9))


def test_the_arithmetic_is_shown():
    words = arithmetic(PLAN)
    assert "403,563 images x 1 x 196 patches x 768 x 2 bytes: 121.5 GB" in words
    assert "class token would add 619.9 MB" in words
    assert arithmetic(replace(PLAN, pooling=7, dtype="int8")) == words


def test_a_disk_keeps_some_room():
    assert largest_that_fits([PLAN], int(PLAN.bytes * 1.06)) is PLAN
    assert largest_that_fits([PLAN], int(PLAN.bytes * 1.04)) is None


def test_free_room_of_a_folder_to_be(tmp_path, monkeypatch):
    asked = []

    def usage(place):
        asked.append(place)
        return type("Usage", (), {"free": 7})

    monkeypatch.setattr(estimating.shutil, "disk_usage", usage)
    assert free_bytes(tmp_path / "not" / "yet") == 7
    assert asked == [tmp_path]
    monkeypatch.chdir(tmp_path)
    assert free_bytes(Path("here")) == 7
    assert asked[1] == tmp_path


def test_time_is_measured(encoder, photos, broken):
    pace = time_encoder(encoder, 2, [Photo(path) for path in (*photos, broken)] + [Photo(None)])
    assert 0 < pace.encode < 10
    assert 0 < pace.read < 10
    assert time_encoder(encoder, 1).read == 0


def test_the_slower_of_reading_and_encoding_decides():
    assert Pace(0.2, 0.1).seconds(100, 2) == pytest.approx(20)
    assert Pace(0.01, 0.1).seconds(100, 2) == pytest.approx(5)
    assert (
        Pace(0.2, 0.05).in_words(DERM1M, 4)
        == "Encoding a photo takes 200.0 ms here, reading a photo 50.0 ms: 22.4 h for 403,563."
    )
    assert "reading" not in Pace(0.2).in_words(1, 1)
