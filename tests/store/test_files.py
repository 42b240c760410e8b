import os

import pytest

from dermaxai.store import files


def fail(*_):
    raise OSError(28, "no space left")


def test_a_file_is_replaced_in_one_step(tmp_path):
    files.write_file(tmp_path / "page.json", b"one")
    files.write_file(tmp_path / "page.json", b"two")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("page.json", b"two")]


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    files.write_file(tmp_path / "page.json", b"one")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_file(tmp_path / "page.json", b"two")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("page.json", b"one")]


def test_a_folder_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    files.write_folder(tmp_path / "one", {"a": b"1", "b": b"2"})
    assert {entry.name: entry.read_bytes() for entry in (tmp_path / "one").iterdir()} == {
        "a": b"1",
        "b": b"2",
    }
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_folder(tmp_path / "two", {"a": b"1"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["one"]


def test_what_others_wrote_reaches_the_disk(tmp_path, monkeypatch):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "case.json").write_bytes(b"{}")
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    files.keep_folder(tmp_path / "case")
    assert synced == [str(tmp_path / "case" / "case.json"), str(tmp_path / "case"), str(tmp_path)]
