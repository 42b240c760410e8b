"""A manifest is there whole or not at all, and the same rows give the same bytes."""

from pathlib import Path

import pyarrow.parquet
import pytest

from dermaxai.data.manifest import Manifest
from dermaxai.data.writing import ManifestWriter, hash_rows
from tests.data.manifests import sample, write


def test_the_same_rows_give_the_same_bytes(tmp_path):
    samples = [sample(number, tmp_path) for number in range(10)]
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert write(first, samples, {"ham10000": tmp_path}) == write(second, samples, {"ham10000": tmp_path})
    assert first.read_bytes() == second.read_bytes()


def test_the_hash_is_of_the_rows_not_of_their_place(tmp_path):
    def hashed(root, last="1"):
        samples = [sample(1, root, label=last)]
        return write(tmp_path / "m.parquet", samples, {"ham10000": root})

    assert hashed(Path("/a")) == hashed(Path("/b")) != hashed(Path("/a"), "2")


def test_what_is_not_finished_is_not_there(tmp_path):
    path = tmp_path / "m.parquet"
    path.write_bytes(b"the one before")
    with pytest.raises(RuntimeError), ManifestWriter(path, {}):
        raise RuntimeError
    assert path.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_is_that_of_the_file_before_its_footer(tmp_path):
    path = tmp_path / "m.parquet"
    told = write(path, [sample(number, tmp_path) for number in range(10)], {"ham10000": tmp_path})
    assert told == hash_rows(path) == Manifest.open(path).sha256


def test_each_batch_is_a_row_group(tmp_path):
    path = tmp_path / "m.parquet"
    write(path, [sample(number, tmp_path) for number in range(10)], {"ham10000": tmp_path}, size=4)
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 3
