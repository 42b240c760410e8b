"""Derm1M-AgentAug: tables and shards give the same samples; shards are written out whole, once."""

import csv
import sys

import pytest

from dermaxai.data.readers.derm1m import source_keys
from dermaxai.data.readers.derm1m_agentaug import PIECES, read, unpack
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError, MissingExtra

PREFIX = "data/pretrain/images/"


def row(name, **cells):
    return {
        "filename": PREFIX + name,
        "truncated_caption": "A red patch. It is scaly.",
        "ontology_caption": "This is psoriasis.",
        "visual_concept_caption": "Scale and erythema.",
        **{piece: "" for piece in PIECES},
        "subcaption_1": "On the elbow.",
        "subcaption_2": "Masked out.",
        "sub_caption_mask": "[1, 0, 0, 0, 0, 0, 0, 1]",
        "knowledge_masks": "[True, True, False]",
        "ontology_label": "-1",
        "agent_generated": "True",
        "source": "IIYI_chinese",
        "source_type": "forum",
        **cells,
    }


ROWS = [row("IIYI/1_1.png"), row("youtube/a_frame_2_0.jpg", ontology_label="137", sub_caption_mask="")]


def write_tables(root, train, validation=()):
    for name, rows in (("train", train), ("valid", validation)):
        with (root / f"MAGEN_{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ROWS[0])
            table.writeheader()
            table.writerows(rows)


def write_shard(path, rows, image=b"photo", *, plain=False):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    photos = [image if plain else {"bytes": image, "path": None} for _ in rows]
    parquet.write_table(
        pyarrow.Table.from_pylist([{**r, "image": p} for r, p in zip(rows, photos, strict=True)]), path
    )


def samples_of(root):
    folder = DatasetFolder(root)
    return list(read(folder)), folder.faults


def test_tables(tmp_path):
    write_tables(tmp_path, ROWS, [row("note/3.png")])
    photo = tmp_path / PREFIX / "IIYI" / "1_1.png"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"photo")
    samples, faults = samples_of(tmp_path)
    assert [sample.id for sample in samples] == [
        "derm1m_agentaug/IIYI/1_1.png",
        "derm1m_agentaug/youtube/a_frame_2_0.jpg",
        "derm1m_agentaug/note/3.png",
    ]
    assert [sample.path for sample in samples] == [photo, None, None]
    assert [(s.label, s.diagnosis) for s in samples] == [("", None), ("137", None), ("", None)]
    assert [sample.official_split for sample in samples] == ["train", "train", "validation"]
    assert samples[0].groups == source_keys("IIYI/1_1.png"), "Derm1M's photo is in the same group"
    assert faults == []


def test_masks_choose_the_captions(tmp_path):
    write_tables(tmp_path, ROWS)
    masked, unmasked = samples_of(tmp_path)[0]
    assert [(c.field, c.text) for c in masked.captions] == [
        ("truncated_caption", "A red patch. It is scaly."),
        ("ontology_caption", "This is psoriasis."),
        ("subcaption_1", "On the elbow."),
    ]
    assert [c.field for c in unmasked.captions][-2:] == ["subcaption_1", "subcaption_2"]
    assert {s.source for c in masked.captions for s in c.sentences} == {"author"}


def test_a_mask_that_is_none_is_told_and_nothing_masked_is_taken(tmp_path):
    write_tables(tmp_path, [row("IIYI/1_1.png", sub_caption_mask="[1, 0]", knowledge_masks="yes")])
    (sample,), faults = samples_of(tmp_path)
    assert [caption.field for caption in sample.captions] == ["truncated_caption"]
    assert [fault.kind for fault in faults] == ["broken row"] * 2


def test_shards_say_the_same_as_tables(tmp_path):
    write_tables(tmp_path, ROWS)
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards" / "train-00000.parquet", ROWS[:1])
    write_shard(tmp_path / "shards" / "valid-00000.parquet", [*ROWS[1:], ROWS[0]], plain=True)
    tables = samples_of(tmp_path)[0]
    shards, faults = samples_of(tmp_path / "shards")
    assert [(s.id, s.captions, s.groups, s.label) for s in shards] == [
        (s.id, s.captions, s.groups, s.label) for s in tables
    ]
    assert [s.official_split for s in shards] == ["train", "validation"]
    assert [(fault.kind, fault.place) for fault in faults] == [
        ("repeated id", "valid-00000.parquet, row 2"),
        ("missing photo", "*.parquet"),
    ]
    assert "dermaxai data unpack" in faults[1].message


def test_unpacked_photos_are_found_and_a_second_run_writes_nothing(tmp_path):
    write_shard(tmp_path / "train-0.parquet", ROWS)
    assert unpack(DatasetFolder(tmp_path), tmp_path) == 2
    first, second = (tmp_path / PREFIX / name for name in ("IIYI/1_1.png", "youtube/a_frame_2_0.jpg"))
    second.write_bytes(b"pho")
    kept = first.stat().st_mtime_ns
    assert unpack(DatasetFolder(tmp_path), tmp_path) == 1, "the one cut short is written again"
    assert second.read_bytes() == b"photo"
    assert first.stat().st_mtime_ns == kept
    assert list(tmp_path.rglob("*.part")) == []
    samples, faults = samples_of(tmp_path)
    assert [sample.path for sample in samples] == [first, second]
    assert faults == []


def test_unpack_leaves_its_folder_to_nobody(tmp_path):
    write_shard(
        tmp_path / "in" / "train-0.parquet",
        [{**ROWS[0], "filename": "../../out.png"}, {**ROWS[0], "filename": ""}],
    )
    folder = DatasetFolder(tmp_path / "in")
    assert unpack(folder, tmp_path / "out") == 0
    assert [fault.place for fault in folder.faults] == ["train-0.parquet, row 1", "train-0.parquet, row 2"]
    assert not list(tmp_path.rglob("*.png"))


def test_errors_say_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="none of MAGEN_train"):
        samples_of(tmp_path)
    with pytest.raises(DataError, match="no Parquet shard"):
        unpack(DatasetFolder(tmp_path), tmp_path)
    (tmp_path / "train-0.parquet").write_bytes(b"no shard")
    with pytest.raises(DataError, match="no Parquet file"):
        samples_of(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match="pyarrow"):
        samples_of(tmp_path)
