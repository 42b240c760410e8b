"""docs/map_metrics.md says of every metric and baseline what its class says."""

import re
from pathlib import Path

import pytest

from dermaxai.measure.maps import BASELINES, MAP_METRICS

PAGE = (Path(__file__).parents[3] / "docs" / "map_metrics.md").read_text(encoding="utf-8")
PAPER = r"arXiv:\d{4}\.\d{4,5}"


def table_with(header):
    """Rows of the table whose first line has `header`, as dictionaries in order."""
    blocks = [part.splitlines() for part in PAGE.split("\n\n")]
    (lines,) = (block for block in blocks if block[0].startswith("| ") and header in block[0])
    first, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)
    return [dict(zip(first, row, strict=True)) for row in rows]


ROWS = {row["metric"].strip("`"): row for row in table_with("| what it measures |")}
BEATEN = {row["baseline"].strip("`"): row for row in table_with("| name in tables |")}


def test_the_table_names_every_metric_in_its_order():
    assert list(ROWS) == list(MAP_METRICS)


@pytest.mark.parametrize("name", MAP_METRICS)
def test_a_row_says_what_the_class_says(name):
    kind, row = MAP_METRICS.load(name), ROWS[name]
    assert row["better"] == kind.scale.better
    assert row["unit"] == kind.scale.unit
    assert row["range"] == kind.scale.range
    assert row["needs"] == (", ".join(sorted(kind.needs)) or "–")
    cited = re.findall(PAPER, row["source"])
    assert cited or name == "pixel_ap"
    assert set(cited) <= set(re.findall(PAPER, f"{kind.__doc__} {kind.scale.source}"))


def test_chance_is_told_of_every_metric():
    told = [
        name for row in table_with("| constant map |") for name in re.findall("`([a-z_]+)`", row["metric"])
    ]
    assert told == list(MAP_METRICS)


def test_baselines_are_named_as_they_are():
    assert list(BEATEN) == list(BASELINES)
    for name, row in BEATEN.items():
        kind = BASELINES.load(name)
        assert row["name in tables"] == kind.name
        assert row["follows the question"] == ("yes" if kind.reads_question else "no")
