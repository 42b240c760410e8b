import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaxai.data.readers import READERS
from dermaxai.data.samples import Sample
from dermaxai.errors import DataError, SettingError, UnknownName, UsageError
from dermaxai.evaluate.gathering import gather, gather_noted
from tests.data import manifests

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))
LESIONS = ("A", "A", "B", "C", "D", "E")
KINDS = ("mel", "mel", "nv", "nv", "nv", "bkl")


def photo(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), shade, np.uint8)).save(path)
    return path


@pytest.fixture
def ham10000(tmp_path):
    """Six rows in the publisher's form, two of one lesion, the last without its photo."""
    root = tmp_path / "HAM10000"
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for number, (lesion, kind) in enumerate(zip(LESIONS, KINDS, strict=True)):
        lines.append(f"HAM_{lesion},ISIC_{number},{kind},histo,60,male,back")
        if number < 5:
            photo(root / "HAM10000_images_part_1" / f"ISIC_{number}.jpg", 20 + number)
    (root / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def manifest(tmp_path):
    """Four photos, two in the test part, these in one cluster; the last repeats the first."""
    root = tmp_path / "data"
    samples = []
    for number in range(4):
        path = photo(root / "photos" / f"{number}.jpg", 40 + number % 3)
        told = hashlib.sha256(path.read_bytes()).hexdigest()
        samples.append(manifests.sample(number, root, sha256=told, diagnosis="melanoma"))
    manifests.write(
        tmp_path / "all.parquet",
        samples,
        {"ham10000": root},
        splits=["test", "test", "train", "test"],
        clusters=["a" * 16, "a" * 16, "b" * 16, "a" * 16],
        repeats=["", "", "", "ham10000/0"],
    )
    return tmp_path / "all.parquet"


def names(items):
    return [item.id.partition("/")[2] for item in items]


class TestDataset:
    def test_photos_on_disk_in_the_order_of_the_table(self, ham10000):
        found = gather_noted([f"ham10000={ham10000}"])
        assert names(found.items) == [f"ISIC_{number}" for number in range(5)]
        first = found.items[0]
        assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
        assert (first.sample.diagnosis, first.sample.site, first.mask) == ("melanoma", "back", None)
        assert any("no official split: all its photos" in note for note in found.notes)
        assert any("1 of 6 photos of ham10000 are not on disk" in note for note in found.notes)

    def test_photos_of_one_lesion_share_a_cluster(self, ham10000):
        clusters = [item.cluster for item in gather([f"ham10000={ham10000}"])]
        assert clusters[0] == clusters[1] != ""
        assert len(set(clusters)) == 4

    def test_without_a_split_nothing_is_said_of_one(self, ham10000):
        assert not any("split" in note for note in gather_noted([f"ham10000={ham10000}"], split=None).notes)

    def test_names_in_a_file(self, ham10000, tmp_path):
        ids = tmp_path / "ids.txt"
        ids.write_text("# a comment\nISIC_3\nham10000/ISIC_1\nISIC_0.jpg\n\nISIC_99\n")
        found = gather_noted([f"ham10000={ham10000}"], ids=ids)
        assert names(found.items) == ["ISIC_0", "ISIC_1", "ISIC_3"]
        assert "1 of 4 names in 'ids.txt' are not among the photos." in found.notes
        assert not any("official" in note for note in found.notes)

    def test_names_that_are_no_photos(self, ham10000, tmp_path):
        (tmp_path / "ids.txt").write_text("nobody\n")
        with pytest.raises(UsageError, match="None of the 1 names"):
            gather([f"ham10000={ham10000}"], ids=tmp_path / "ids.txt")
        with pytest.raises(UsageError, match="cannot be read"):
            gather([f"ham10000={ham10000}"], ids=tmp_path / "none.txt")

    def test_outlines_where_the_publisher_keeps_them(self, ham10000):
        mask = photo(ham10000 / "HAM10000_segmentations_lesion_tschandl" / "ISIC_2_segmentation.png", 255)
        found = gather_noted([f"ham10000={ham10000}"])
        assert [item.mask for item in found.items] == [None, None, mask, None, None]
        assert "1 of 5 photos have an outline." in found.notes

    def test_outlines_in_a_folder_that_is_named(self, ham10000, tmp_path):
        mask = photo(tmp_path / "mine" / "ISIC_4.png", 255)
        found = gather([f"ham10000={ham10000}"], masks=tmp_path / "mine")
        assert [item.mask for item in found] == [None] * 4 + [mask]
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="no outline of any of the 5 photos"):
            gather([f"ham10000={ham10000}"], masks=tmp_path / "empty")
        with pytest.raises(UsageError, match="no folder"):
            gather([f"ham10000={ham10000}"], masks=tmp_path / "nowhere")

    def test_some_photos(self, ham10000):
        found = gather_noted([f"ham10000={ham10000}"], limit=3, seed=1)
        assert names(found.items) == names(gather([f"ham10000={ham10000}"], limit=3, seed=1))
        assert len(found.items) == 3
        assert "3 of 5 photos were drawn with seed 1." in found.notes
        assert ("ISIC_0" in names(found.items)) == ("ISIC_1" in names(found.items))
        with pytest.raises(SettingError):
            gather([f"ham10000={ham10000}"], limit=0)

    def test_no_photo_at_all(self, ham10000):
        for path in ham10000.rglob("*.jpg"):
            path.unlink()
        with pytest.raises(DataError, match="none of the 6 photos of ham10000"):
            gather([f"ham10000={ham10000}"])

    def test_no_table(self, tmp_path):
        with pytest.raises(DataError, match="HAM10000_metadata"):
            gather([f"ham10000={tmp_path}"])

    def test_a_label_that_no_table_maps_is_told(self, ham10000):
        table = ham10000 / "HAM10000_metadata.csv"
        table.write_text(table.read_text().replace("HAM_C,ISIC_3,nv", "HAM_C,ISIC_3,xx"))
        found = gather_noted([f"ham10000={ham10000}"])
        assert names(found.items) == ["ISIC_0", "ISIC_1", "ISIC_2", "ISIC_4"]
        assert "1 rows of ham10000 have a label that no table maps and are left out." in found.notes


class TestOfficialSplit:
    @pytest.fixture
    def parted(self, tmp_path, monkeypatch):
        parts = ("train", "test", "test", None)
        samples = [
            Sample(f"derm7pt/{n}", "derm7pt", photo(tmp_path / f"{n}.jpg", n), "", official_split=part)
            for n, part in enumerate(parts)
        ]
        monkeypatch.setattr(type(READERS), "load", lambda table, name: lambda folder: iter(samples))
        return f"derm7pt={tmp_path}"

    def test_is_kept(self, parted):
        assert names(gather([parted])) == ["1", "2"]
        assert names(gather([parted], split="train")) == ["0"]
        assert names(gather([parted], split=None)) == ["0", "1", "2", "3"]

    def test_a_part_that_is_empty(self, parted):
        with pytest.raises(UsageError, match=r"no photo in 'validation'\. It has train \(1\), test \(2\)"):
            gather([parted], split="validation")

    def test_names_replace_it(self, parted, tmp_path):
        (tmp_path / "ids.txt").write_text("0\n3\n")
        assert names(gather([parted], ids=tmp_path / "ids.txt")) == ["0", "3"]


class TestManifest:
    def test_rows_of_the_split_each_photo_once(self, manifest):
        items = gather([str(manifest)])
        assert [item.id for item in items] == ["ham10000/0", "ham10000/1"]
        assert items[0].cluster == items[1].cluster != ""
        assert items[0].sha256 == hashlib.sha256(items[0].path.read_bytes()).hexdigest()
        assert [item.id for item in gather([str(manifest)], split="train")] == ["ham10000/2"]
        assert len(gather([str(manifest)], split=None)) == 3

    def test_an_empty_split(self, manifest):
        with pytest.raises(UsageError, match=r"no photo in 'validation'. It has train \(1\), test \(3\)"):
            gather([str(manifest)], split="validation")

    def test_photos_that_were_moved(self, manifest):
        (manifest.parent / "data" / "photos").rename(manifest.parent / "elsewhere")
        with pytest.raises(DataError, match="None of the 2 photos"):
            gather([str(manifest)])

    def test_outlines_below_the_root_of_the_dataset(self, manifest):
        mask = photo(manifest.parent / "data" / "masks" / "1.png", 255)
        assert [item.mask for item in gather([str(manifest)])] == [None, mask]

    def test_no_manifest(self, tmp_path):
        with pytest.raises(DataError, match="no manifest"):
            gather([str(tmp_path / "none.parquet")])


class TestFolder:
    def test_photos_and_their_outlines(self, tmp_path):
        for number in range(3):
            photo(tmp_path / "isic" / "images" / f"I_{number}.jpg", number)
        mask = photo(tmp_path / "isic" / "masks" / "I_1_segmentation.png", 255)
        for place in (tmp_path / "isic", tmp_path / "isic" / "images"):
            items = gather([str(place)])
            assert [item.id for item in items] == ["isic/I_0", "isic/I_1", "isic/I_2"]
            assert [item.mask and item.mask.resolve() for item in items] == [None, mask, None]
            assert [item.cluster for item in items] == [""] * 3

    def test_outlines_beside_the_photos(self, tmp_path):
        photo(tmp_path / "set" / "a.jpg", 5)
        mask = photo(tmp_path / "set" / "a_mask.png", 255)
        (item,) = gather([str(tmp_path / "set")])
        assert (item.id, item.mask) == ("set/a", mask)

    def test_one_name_in_two_folders(self, tmp_path):
        photo(tmp_path / "set" / "one" / "a.jpg", 1)
        photo(tmp_path / "set" / "two" / "a.jpg", 2)
        assert [item.id for item in gather([str(tmp_path / "set")])] == ["set/one/a.jpg", "set/two/a.jpg"]

    def test_the_same_file_twice_is_one_photo(self, tmp_path):
        photo(tmp_path / "set" / "a.jpg", 1)
        photo(tmp_path / "set" / "b.jpg", 1)
        found = gather_noted([str(tmp_path / "set"), str(tmp_path / "set")])
        assert [item.id for item in found.items] == ["set/a"]
        assert found.notes == (
            "2 photos came twice and are used once.",
            "1 photos are copies of others and are left out.",
        )

    def test_two_folders_of_one_name(self, tmp_path):
        photo(tmp_path / "x" / "set" / "a.jpg", 1)
        photo(tmp_path / "y" / "set" / "a.jpg", 2)
        with pytest.raises(UsageError, match="'set/a' is two photos"):
            gather([str(tmp_path / "x" / "set"), str(tmp_path / "y" / "set")])

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(UsageError, match="holds no photos"):
            gather([str(tmp_path)])


def test_several_places_share_clusters_by_key(ham10000, manifest):
    items = gather([f"ham10000={ham10000}", str(manifest)], split="test")
    assert len(items) == 7
    assert len({item.id for item in items}) == 7


def test_a_photo_of_two_datasets_is_used_once(tmp_path, monkeypatch):
    def read(name):
        def samples(folder):
            path = photo(tmp_path / name / "1.jpg", 3 if name == "ham10000" else 4)
            yield Sample(f"{name}/1", name, path, "", groups=("isic/ISIC_1",))
            more = photo(tmp_path / name / "2.jpg", 5 if name == "ham10000" else 6)
            yield Sample(f"{name}/2", name, more, "", groups=("lesion/of/L7",))

        return samples

    monkeypatch.setattr(type(READERS), "load", lambda table, name: read(name))
    found = gather_noted([f"ham10000={tmp_path}", f"isic2019={tmp_path}"], split=None)
    assert [item.id for item in found.items] == ["ham10000/1", "ham10000/2", "isic2019/2"]
    assert found.items[1].cluster == found.items[2].cluster != found.items[0].cluster
    assert "1 photos came twice and are used once." in found.notes


def test_what_was_named_wrongly(tmp_path):
    with pytest.raises(UsageError, match="No photos were named"):
        gather([])
    with pytest.raises(UsageError, match="is no folder"):
        gather([str(tmp_path / "nowhere")])
    with pytest.raises(UnknownName, match="Did you mean 'ham10000'"):
        gather([f"ham1000={tmp_path}"])
    with pytest.raises(UsageError, match="No split is called 'tset'"):
        gather([str(tmp_path)], split="tset")
    with pytest.raises(DataError, match="no folder"):
        gather([f"ham10000={tmp_path / 'nowhere'}"])


def test_importing_it_is_light(heavy_after):
    assert not {"torch", "matplotlib"} & set(heavy_after("import dermaxai.evaluate.gathering"))


@pytest.mark.shared
def test_the_real_test_photos_of_ham10000():
    if not (DATA / "ham10000").is_dir():
        pytest.skip("needs HAM10000 in DERMAXAI_DATA or ../shared/data")
    ids = Path(__file__).parents[2] / "recipes" / "ham10000_test_ids.txt"
    found = gather_noted([f"ham10000={DATA / 'ham10000'}"], ids=ids, limit=40)
    wanted = set(ids.read_text().split())
    assert len(found.items) == 40
    assert {item.path.stem for item in found.items} <= wanted
    assert len({item.sample.diagnosis for item in found.items}) >= 5
