"""The table of docs/caption_metrics.md, and the code."""

import re

import pytest

from dermaxai.measure.captions import bert_score, cider, clip_score, diversity, meteor, rouge
from dermaxai.measure.captions.bleu import bleu
from dermaxai.measure.captions.written import Tools, Written
from tests.measure.captions.conftest import ROOT

SCALES = {
    scale.name: scale
    for scale in (
        *(one.scale for one in bleu([Written("1", "a", ("a",))], Tools())),
        rouge.SCALE, meteor.SCALE, cider.SCALE, cider.FROZEN,
        diversity.LENGTH, *diversity.DISTINCT, diversity.UNIQUE,
        *bert_score.SCALES, *clip_score.SCALES.values(),
    )
}  # fmt: skip
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "caption_metrics.md").read_text("utf-8").split("\n")
    if re.match(r"\| `\w+`", line)
]


def names_in(cell):
    names = re.findall(r"`(\w+)`", cell)
    return [f"bleu_{n}" for n in range(1, 5)] if "…" in cell else names


def test_the_table_has_every_number():
    assert sorted(name for row in ROWS for name in names_in(row[0])) == sorted(SCALES)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_ranges_and_directions_are_those_of_the_code(row):
    for name in names_in(row[0]):
        assert SCALES[name].range == row[2]
        assert SCALES[name].better == row[3]
