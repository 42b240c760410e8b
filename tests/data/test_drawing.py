import dataclasses
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from dermaxai.data.drawing import COLOURS, Chart, draw

PARTS = ("train", "validation", "test")
CHART = Chart("site", "Body site", PARTS, (("face", (5, 1, 2)), ("back", (3, 0, 1))), "2 photos without one")
STEPS = Chart("age", "Age", PARTS, (("0–9", (1, 0, 0)), ("10–19", (4, 1, 1))), is_scale=True)


@pytest.fixture
def texts(tmp_path):
    """The words of a chart's SVG."""

    def read(chart):
        draw([chart], tmp_path)
        tree = ElementTree.parse(tmp_path / f"{chart.name}.svg")
        return [text.strip() for node in tree.iter() if (text := node.text or "").strip()]

    return read


def test_every_chart_is_drawn_twice(tmp_path):
    written = draw([CHART, STEPS], tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["site.png", "site.svg", "age.png", "age.svg"]
    with Image.open(written[0]) as picture:
        assert picture.width > 800
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1_000_000)}
    wanted = {tuple(bytes.fromhex(colour[1:])) for colour in COLOURS.values()}
    assert wanted <= colours


def test_labels_totals_and_notes_are_text(texts):
    found = texts(CHART)
    assert {"Body site", "2 photos without one", "face", "back", "8", "4", *PARTS} <= set(found)


def test_a_series_of_nothing_is_not_in_the_legend(texts):
    rows = (("face", (5, 0, 2)),)
    assert "validation" not in texts(dataclasses.replace(CHART, rows=rows))
    alone = texts(dataclasses.replace(CHART, rows=(("face", (5, 0, 0)),)))
    assert "train" not in alone


def test_a_colour_stays_with_its_series(tmp_path):
    draw([dataclasses.replace(CHART, rows=(("face", (0, 0, 4)),))], tmp_path)
    svg = (tmp_path / "site.svg").read_text(encoding="utf-8")
    assert COLOURS["test"] in svg
    assert COLOURS["train"] not in svg


def test_nothing_is_drawn_of_nothing(tmp_path):
    empty = dataclasses.replace(CHART, rows=(("face", (0, 0, 0)),))
    assert draw([empty, dataclasses.replace(CHART, rows=())], tmp_path) == []


def test_a_long_label_is_shortened(texts):
    label = "a diagnosis whose name is far longer than any line of a figure could be"
    (shown,) = [
        text for text in texts(dataclasses.replace(CHART, rows=((label, (1, 1, 1)),))) if "diagnosis" in text
    ]
    assert shown.endswith("…")


def test_the_same_counts_give_the_same_files(tmp_path):
    one, other = (draw([CHART, STEPS], tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
