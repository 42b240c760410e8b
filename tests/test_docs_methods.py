"""docs/methods.md names the methods as they are, and its example works as it stands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

import dermaxai.explain
from dermaxai.cli import app
from dermaxai.encoders import load_encoder
from dermaxai.explain import METHODS
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Explained
from dermaxai.questions import chosen_methods
from dermaxai.registry import Table
from dermaxai.types import Target
from tests.encoders import tiny

HOME = Path(__file__).parent.parent
PAGE = (HOME / "docs" / "methods.md").read_text(encoding="utf-8")
KINDS = {"class token": "class", "mean of patches": "mean", "MAP head": "map"}
PAPER = r"arXiv:\d{4}\.\d{4,5}"


def table_with(header):
    """Rows of the table whose first line has `header`, as dictionaries in order."""
    blocks = [part.splitlines() for part in PAGE.split("\n\n")]
    (lines,) = (block for block in blocks if block[0].startswith("| ") and header in block[0])
    first, _, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)
    return [dict(zip(first, row, strict=True)) for row in rows]


ROWS = {row["method"].strip("`"): row for row in table_with("| variants |")}
TOWERS = {row["method"].strip("`"): row for row in table_with("| MAP head |")}


DOCUMENTED = [name for name in METHODS if name in ROWS]
"""A method that was just added may still be without its row."""


def test_both_tables_name_methods_of_the_table_in_its_order():
    assert list(ROWS) == list(TOWERS) == DOCUMENTED
    assert len(DOCUMENTED) > 10


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_row_says_what_the_class_says(name):
    kind, row = METHODS.load(name), ROWS[name]
    assert re.findall("`([^`]+)`", row["variants"]) == list(kind.variants)
    assert row["sign"] == ("signed" if kind.signed else "0 or more")
    assert row["follows the text"].startswith("yes" if kind.reads_question else "no")
    cited = re.findall(PAPER, row["source"])
    assert cited
    assert set(cited) <= set(re.findall(PAPER, kind.__doc__))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_row_of_towers_says_what_support_says(name):
    method, row = METHODS.load(name)(), TOWERS[name]
    for column, pooling in KINDS.items():
        levels = {method.support(pooling, kind).level for kind in method.answers}
        worst = next(level for level in ("impossible", "doubtful", "supported") if level in levels)
        assert row[column].startswith(worst), column
    if not method.reads_question or not method.answers & SIMILARITY:
        assert row["no text tower"].startswith("supported")
    else:
        assert row["no text tower"] == ("words only" if method.answers & WORDS else "impossible")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_method_has_its_paragraph(name):
    assert PAGE.count(f"\n**`{name}`.** ") == 1


def commands():
    return re.findall(r"^dermaxai (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", commands())
def test_commands_name_what_exists(line):
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    context = command.make_context(name, arguments)
    chosen = context.params.get("method") or []
    names = [one for entry in ([chosen] if isinstance(chosen, str) else chosen) for one in entry.split(",")]
    assert len(chosen_methods(names)) >= len(names)


def test_the_example_of_a_new_method_works(tmp_path, monkeypatch):
    (source,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    (tmp_path / "patch_match.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    table = Table("explanation method", {**METHODS, "patch_match": "patch_match:PatchMatch"})
    monkeypatch.setattr(dermaxai.explain, "METHODS", table)
    kind = table.load("patch_match")
    assert issubclass(kind, AbstractMethod)
    made = tiny.open_clip_folder(tmp_path / "model")
    encoder = load_encoder(made.name, made.source, offline=True)
    encoded = encoder.encode([tiny.photo(90, 120)])[0]
    asked = [Target("query", "a dark mole"), Target("concept", "skin", against="mole")]
    dark, contrast = kind().explain(Explained(encoder), encoded, asked)
    assert dark.values.shape == contrast.values.shape == encoded.grid
    assert abs(dark.values).max() <= 1.001
    assert (dark.values != contrast.values).any()
    assert dark.variant == next(iter(kind.variants))
