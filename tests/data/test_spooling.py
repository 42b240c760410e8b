"""Rows on disk between the steps of a build."""

from dermaxai.data.reading import DatasetFolder
from dermaxai.data.rows import sample_schema, to_columns, to_samples
from dermaxai.data.spooling import ROWS, Spool, photo_paths, spool_samples
from tests.data.manifests import sample


def filled(tmp_path, count, **facts):
    spool = Spool(tmp_path / "spool", sample_schema())
    samples = [sample(number, tmp_path, **facts) for number in range(count)]
    told = []
    folder = DatasetFolder(tmp_path)
    given = spool_samples(iter(samples), "ham10000", folder, spool, lambda *step: told.append(step))
    spool.finish()
    return spool, samples, given, told


def test_rows_come_back_in_batches(tmp_path):
    spool, samples, given, told = filled(tmp_path, ROWS + 3)
    assert given == spool.rows == len(samples)
    batches = list(spool.batches())
    assert [len(batch) for batch in batches] == [ROWS, 3]
    assert to_samples(batches[1], {"ham10000": tmp_path}) == samples[ROWS:]
    assert told == [("ham10000", ROWS, 0), ("ham10000", ROWS + 3, 0)]


def test_a_column_is_one_piece(tmp_path):
    spool, samples, *_ = filled(tmp_path, 5)
    assert spool.column("id").to_pylist() == [one.id for one in samples]
    assert [one.column("id").to_pylist() for one in spool.batches()] == [spool.column("id").to_pylist()]


def test_an_empty_spool_has_columns(tmp_path):
    spool = Spool(tmp_path / "spool", sample_schema())
    spool.finish()
    assert spool.column("groups").to_pylist() == []


def test_photos_by_their_kind(tmp_path):
    spool = Spool(tmp_path / "spool", sample_schema())
    roots = {"ham10000": tmp_path}
    rows = [
        sample(0, tmp_path, modality="dermoscopic"),
        sample(1, tmp_path, modality="clinical"),
        sample(2, tmp_path),
        sample(3, tmp_path, path=None, modality="dermoscopic"),
    ]
    spool.write(to_columns(rows, roots))
    spool.finish()
    assert list(photo_paths(spool, roots, dermoscopic=True)) == [rows[0].path]
    assert list(photo_paths(spool, roots, dermoscopic=False)) == [rows[1].path, rows[2].path]
