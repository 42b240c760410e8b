"""A build leaves nothing on two sides, nothing out without a word, and the same bytes each time."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermaxai.data import building
from dermaxai.data.building import BuildOptions, build
from dermaxai.data.duplicates import NEAR
from dermaxai.data.hashing import count_flips, sign, to_words
from dermaxai.data.manifest import Manifest
from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Sample
from dermaxai.data.splitting import Overlap, SplitOptions
from dermaxai.errors import DataError, UnknownName, UsageError
from tests.data.copies import open_pixels
from tests.data.manifests import caption
from tests.data.mixture import Mixture, Readers, few

QUICK = BuildOptions(measured=False, composed=False, workers=1)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    return Mixture(tmp_path_factory.mktemp("mixture"))


@pytest.fixture
def readers(monkeypatch):
    """Sets what stands for the table of readers."""
    return lambda found: monkeypatch.setattr(building, "READERS", found)


def built(mixture, path, options=QUICK, **given):
    report = build(mixture.sources, path, options, **given)
    return Manifest.open(path), report


def leaks(manifest):
    """Pairs of rows in different parts that share a key or a file, or look alike: every pair is looked at."""
    rows = manifest.samples(manifest.rows(unique=False))
    hashes = to_words([sign(open_pixels(row.sample.path.read_bytes())).phash for row in rows])
    found = []
    for place, one in enumerate(rows):
        flips = count_flips(hashes[place : place + 1], hashes)
        for index, other in enumerate(rows[:place]):
            if one.split != other.split and (
                set(one.sample.groups) & set(other.sample.groups)
                or one.sample.sha256 == other.sample.sha256
                or flips[index] <= NEAR
            ):
                found.append((one.sample.id, other.sample.id))
    return found


def apart(manifest, pairs):
    part = {row.sample.id: row.split for row in manifest.samples(manifest.rows(unique=False))}
    return [pair for pair in pairs if part[pair[0]] != part[pair[1]]]


def test_nothing_is_on_two_sides(mixture, readers, tmp_path):
    readers(mixture.readers)
    manifest, report = built(mixture, tmp_path / "m.parquet")
    assert len(manifest) == sum(map(len, mixture.samples.values())) == 148
    assert leaks(manifest) == []
    assert apart(manifest, mixture.planted) == []
    assert {row.split for row in manifest.samples(range(len(manifest)))} == {"train", "validation", "test"}
    assert report.joined.by_near == 16
    assert report.joined.largest < 12


def test_without_pictures_the_same_mixture_leaks(mixture, readers, tmp_path, monkeypatch):
    """So that the test above is known to see a leak."""
    readers(mixture.readers)
    monkeypatch.setattr(building, "find_near", lambda *_: np.zeros((0, 2), np.int64))
    manifest, _ = built(mixture, tmp_path / "m.parquet")
    assert leaks(manifest)
    assert apart(manifest, mixture.planted)


def test_without_keys_pictures_still_join(mixture, readers, tmp_path):
    stripped = {
        name: [replace(sample, groups=()) for sample in samples] for name, samples in mixture.samples.items()
    }
    readers(Readers(rows=stripped))
    manifest, _ = built(mixture, tmp_path / "m.parquet")
    assert leaks(manifest) == []
    assert apart(manifest, mixture.planted) == []


def test_the_report_tells_what_was_joined(mixture, readers, tmp_path):
    readers(mixture.readers)
    _, report = built(mixture, tmp_path / "m.parquet")
    overlaps = {(one.dataset, one.other): one for one in report.joined.overlaps}
    assert overlaps["ham10000", "isic2019"] == Overlap("ham10000", "isic2019", 24, 24)
    assert overlaps["skincap", "fitzpatrick17k"] == Overlap("skincap", "fitzpatrick17k", 12, 12)
    assert overlaps["derm1m", "ham10000"].joined == 8
    assert overlaps["derm1m", "ham10000"].same == 0
    assert ("bcn20000", "ham10000") not in overlaps
    assert report.joined.repeated == 48
    told = {(one.dataset, one.official, one.given) for one in report.joined.overruled}
    assert ("isic2019", "train", "test") in told
    assert [(one.dataset, one.rows, one.kept) for one in report.datasets] == [
        (name, len(samples), len(samples)) for name, samples in mixture.samples.items()
    ]


def test_repeats_name_the_first_photo(mixture, readers, tmp_path):
    readers(mixture.readers)
    manifest, _ = built(mixture, tmp_path / "m.parquet")
    rows = {row.sample.id: row for row in manifest.samples(range(len(manifest)))}
    assert rows["isic2019/ISIC_0000003"].duplicate_of == "ham10000/ISIC_0000003"
    assert rows["isic2019/ISIC_0000030"].duplicate_of == "bcn20000/ISIC_0000030"
    assert rows["ham10000/ISIC_0000003"].duplicate_of == ""
    assert rows["derm1m/web0"].duplicate_of == ""
    assert rows["ham10000/ISIC_0000002"].cluster == rows["ham10000/ISIC_0000003"].cluster


def test_the_same_input_gives_the_same_bytes(mixture, readers, tmp_path):
    readers(mixture.readers)
    _, first = built(mixture, tmp_path / "a.parquet")
    _, second = built(mixture, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert first.sha256 == second.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.parquet{end}" for name in "ab" for end in ("", ".faults.csv", ".photos")
    ]


def test_the_order_of_datasets_moves_no_photo(mixture, readers, tmp_path):
    readers(mixture.readers)
    parts = []
    for name, sources in (("a", mixture.sources), ("b", mixture.sources[::-1])):
        build(sources, tmp_path / name, QUICK)
        manifest = Manifest.open(tmp_path / name)
        rows = manifest.samples(range(len(manifest)))
        parts.append({row.sample.id: (row.split, row.cluster) for row in rows})
    assert parts[0] == parts[1]


def test_pinned_keys_place_whole_clusters(mixture, readers, tmp_path):
    readers(mixture.readers)
    key = mixture.samples["skincap"][0].groups[0]
    pinned = SplitOptions(pinned={key: "test"}, honour_official=False)
    manifest, report = built(mixture, tmp_path / "m.parquet", replace(QUICK, split=pinned))
    rows = manifest.samples(range(len(manifest)))
    assert {row.split for row in rows if key in row.sample.groups} == {"test"}
    assert report.joined.pinned == 2


def faults_of(path):
    with Path(f"{path}.faults.csv").open(encoding="utf-8") as lines:
        return [(row["dataset"], row["kind"], row["place"]) for row in csv.DictReader(lines)]


def test_rows_without_photo_are_left_out_and_told(readers, tmp_path):
    mixture = few(tmp_path, {}, {"path": None}, {})
    mixture.samples["skincap"][2].path.write_bytes(b"\xff\xd8 cut off")
    readers(mixture.readers)
    manifest, report = built(mixture, tmp_path / "m")
    assert [row.sample.id for row in manifest.samples(manifest.rows())] == ["skincap/0"]
    (count,) = report.datasets
    assert (count.rows, count.kept, count.missing, count.unreadable, count.faults) == (3, 1, 1, 1, 2)
    assert faults_of(tmp_path / "m") == [
        ("skincap", "missing photo", "skincap.csv, line 3"),
        ("skincap", "unreadable photo", "skincap.csv, line 4"),
    ]


def test_rows_without_photo_may_be_kept(readers, tmp_path):
    mixture = few(tmp_path, {"sha256": "ab" * 32}, {"path": None, "sha256": "cd" * 32})
    readers(mixture.readers)
    manifest, report = built(mixture, tmp_path / "m", replace(QUICK, keep_missing=True))
    first, second = manifest.samples([0, 1])
    assert second.sample == mixture.samples["skincap"][1]
    assert (second.width, second.appearance) == (0, None)
    assert first.sample.sha256 != "ab" * 32
    assert report.datasets[0].missing == 1


def test_a_repeated_id_is_left_out_and_told(readers, tmp_path):
    mixture = few(tmp_path, {}, {"id": "skincap/0"})
    readers(mixture.readers)
    manifest, _ = built(mixture, tmp_path / "m")
    assert len(manifest) == 1
    assert faults_of(tmp_path / "m") == [("skincap", "repeated id", "skincap.csv, line 3")]


def test_a_file_name_that_is_no_text_is_left_out_and_told(readers, tmp_path):
    mixture = few(tmp_path, {}, {"path": tmp_path / "skincap" / "\udcff.jpg"})
    readers(mixture.readers)
    manifest, _ = built(mixture, tmp_path / "m")
    assert len(manifest) == 1
    assert faults_of(tmp_path / "m") == [("skincap", "broken row", "skincap.csv, line 3")]


class Unknowing(Readers):
    """Its reader meets labels that nothing maps."""

    def load(self, name):
        def read(folder):
            for line in range(7):
                folder.report("unknown label", f"a.csv, line {line}", f"dx='x{line}' is no label of skincap.")
            yield from self.rows[name]

        return read


def test_unknown_labels_stop_the_build(readers, tmp_path):
    mixture = few(tmp_path, {})
    readers(Unknowing(rows=mixture.samples))
    with pytest.raises(DataError) as caught:
        built(mixture, tmp_path / "m")
    message = str(caught.value)
    assert "7 row(s)" in message
    assert "a.csv, line 0: dx='x0'" in message
    assert "line 5" not in message
    assert len(faults_of(tmp_path / "m")) == 7
    assert not (tmp_path / "m").exists()


def test_unknown_labels_are_kept_if_asked_for(readers, tmp_path):
    mixture = few(tmp_path, {})
    readers(Unknowing(rows=mixture.samples))
    sources = [("skincap", DatasetFolder(tmp_path / "skincap", keep_unknown=True))]
    assert build(sources, tmp_path / "m", QUICK).datasets[0].faults == 7


def test_captions_are_added_to_real_ones(readers, tmp_path):
    mixture = few(tmp_path, {"captions": (caption("A plaque."),)}, {})
    readers(mixture.readers)
    asked = []

    def compose(sample, appearance):
        asked.append((sample.id, appearance))
        return (caption("A lesion.", "label", field="composed"),)

    options = replace(QUICK, composed=True)
    manifest, _ = built(mixture, tmp_path / "m", options, compose=compose)
    first, second = manifest.samples([0, 1])
    assert [one.field for one in first.sample.captions] == ["caption", "composed"]
    assert [one.field for one in second.sample.captions] == ["composed"]
    assert asked == [("skincap/0", None), ("skincap/1", None)]


def test_dermoscopic_photos_are_measured_and_described(readers, tmp_path):
    facts = {"diagnosis": "melanoma"}
    mixture = few(tmp_path, {**facts, "modality": "dermoscopic"}, {**facts, "modality": "clinical"})
    readers(mixture.readers)
    manifest, _ = built(mixture, tmp_path / "m", BuildOptions(workers=1))
    measured, plain = manifest.samples([0, 1])
    assert measured.appearance is not None
    assert plain.appearance is None
    assert {one.language for one in plain.sample.captions} == {"en", "ru"}
    assert all(one.is_weak for one in measured.sample.captions)


def test_progress_names_each_step(readers, tmp_path):
    mixture, told = few(tmp_path, {}, {}), []
    readers(mixture.readers)
    built(mixture, tmp_path / "m", on_progress=lambda *step: told.append(step))
    assert ("skincap", 2, 0) in told
    assert ("photos", 2, 2) in told
    assert ("rows", 2, 2) in told
    assert told[-1] == ("write", 2, 2)


def test_requests_that_cannot_be_fulfilled(readers, tmp_path):
    mixture = few(tmp_path, {"path": None})
    readers(mixture.readers)
    with pytest.raises(UsageError, match="given twice"):
        build(mixture.sources * 2, tmp_path / "m", QUICK)
    with pytest.raises(UsageError, match="No row has a usable photo"):
        built(mixture, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_name_that_no_reader_has(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'ham10000'"):
        build([("ham1000", DatasetFolder(tmp_path))], tmp_path / "m", QUICK)


def test_a_sample_of_elsewhere_is_told(readers, tmp_path):
    mixture = few(tmp_path, {})
    path = mixture.samples["skincap"][0].path
    for sample in (Sample("ddi/1", "ddi", path, "a, line 1"), Sample("a", "skincap", Path("/b.jpg"), "a")):
        mixture.samples["skincap"] = [sample]
        readers(mixture.readers)
        with pytest.raises(DataError, match="reader of skincap gave a sample of another"):
            built(mixture, tmp_path / "m")
