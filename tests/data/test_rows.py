"""Samples as columns; whole round trips are in test_manifest."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from dermaxai.data.rows import arrow, sample_schema, to_columns, to_samples
from dermaxai.data.samples import Sample
from dermaxai.errors import MissingExtra
from tests.data.manifests import sample


def test_every_field_has_its_column():
    assert set(sample_schema().names) == {field.name for field in fields(Sample)}


def test_paths_are_below_their_roots():
    rows = [sample(1, "/ham"), sample(2, "/cap", "skincap")]
    batch = to_columns(rows, {"ham10000": Path("/ham"), "skincap": Path("/cap")})
    assert batch.column("path").to_pylist() == ["photos/1.jpg", "photos/2.jpg"]
    moved = to_samples(batch, {"ham10000": Path("/a"), "skincap": Path("/b")})
    assert [one.path for one in moved] == [Path("/a/photos/1.jpg"), Path("/b/photos/2.jpg")]


def test_a_path_elsewhere_is_refused():
    with pytest.raises(ValueError, match="/ham"):
        to_columns([sample(1, "/ham")], {"ham10000": Path("/cap")})


def test_slices_and_choices_keep_their_rows():
    rows = [sample(number, "/ham", groups=(f"a/x/{number}",) * number) for number in range(6)]
    roots = {"ham10000": Path("/ham")}
    batch = to_columns(rows, roots)
    assert to_samples(batch.slice(2, 3), roots) == rows[2:5]
    assert to_samples(batch.take(arrow().array([4, 0, 4])), roots) == [rows[4], rows[0], rows[4]]


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install 'dermaxai\\[data\\]'"):
        arrow()
