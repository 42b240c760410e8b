"""Counts against rows counted by hand."""

from pathlib import Path

import pytest

from dermaxai.data.manifest import Manifest
from dermaxai.data.samples import SampleCaption, Sentence
from dermaxai.data.statistics import Count, Lengths, count_manifest
from tests.data.manifests import caption, sample, write

ROOT = Path("/photos")


@pytest.fixture
def manifest(tmp_path):
    weak = SampleCaption(
        "ru", (Sentence("Образование на лице.", "metadata"), Sentence("Невус.", "label")), "composed"
    )
    rows = [
        sample(0, ROOT, diagnosis="melanoma", sex="male", age=0.0, skin_type="2", captions=(weak,)),
        sample(1, ROOT, diagnosis="melanoma", sex="female", age=39.0, captions=(weak, caption("A nevus."))),
        sample(2, ROOT, diagnosis="dermatofibroma", age=95.0, site="face", modality="dermoscopic"),
        sample(3, ROOT, "skincap", captions=(caption("A dry, scaly plaque  on the arm."), caption("Red."))),
        sample(4, ROOT, "skincap", diagnosis="melanoma", age=40.0, captions=(weak,)),
    ]
    splits = ["train", "test", "train", "validation", "train"]
    repeats = ["", "", "", "", "ham10000/0"]
    roots = {"ham10000": ROOT, "skincap": ROOT}
    write(tmp_path / "m", rows, roots, splits=splits, repeats=repeats, size=2)
    return Manifest.open(tmp_path / "m")


def count(dataset, value, train=0, validation=0, test=0):
    return Count(dataset, value, {"train": train, "validation": validation, "test": test})


def test_each_photo_counts_once(manifest):
    found = count_manifest(manifest)
    assert (found.photos, found.repeated) == (4, 1)
    assert found.splits == (
        count("ham10000", "ham10000", train=2, test=1),
        count("skincap", "skincap", validation=1),
    )
    assert found.splits[0].total == 3


def test_or_every_row_does(manifest):
    found = count_manifest(manifest, unique=False)
    assert (found.photos, found.repeated) == (5, 0)
    assert found.splits[1] == count("skincap", "skincap", train=1, validation=1)


def test_values_the_commonest_first(manifest):
    found = count_manifest(manifest)
    assert found.diagnoses == (
        count("ham10000", "melanoma", train=1, test=1),
        count("ham10000", "dermatofibroma", train=1),
        count("skincap", "", validation=1),
    )
    assert found.malignancies[0] == count("ham10000", "malignant", train=1, test=1)
    assert found.malignancies[1] == count("ham10000", "benign", train=1)
    assert found.sexes[:2] == (count("ham10000", "", train=1), count("ham10000", "female", test=1))
    assert count("ham10000", "2", train=1) in found.skin_types
    assert count("ham10000", "face", train=1) in found.sites
    assert count("ham10000", "dermoscopic", train=1) in found.modalities


def test_bands_of_ages(manifest):
    bands = [(one.dataset, one.value, one.total) for one in count_manifest(manifest, unique=False).ages]
    assert bands == [
        ("ham10000", "0-9", 1), ("ham10000", "30-39", 1), ("ham10000", "90+", 1),
        ("skincap", "", 1), ("skincap", "40-49", 1),
    ]  # fmt: skip


def test_sources_of_what_is_said_also_in_rows_that_repeat_a_photo(manifest):
    found = count_manifest(manifest)
    assert found.sources == (
        count("ham10000", "label", train=1, test=1),
        count("ham10000", "metadata", train=1, test=1),
        count("ham10000", "author", test=1),
        count("skincap", "author", validation=1),
        count("skincap", "label", train=1),
        count("skincap", "metadata", train=1),
    )


def test_lengths_in_words(manifest):
    assert count_manifest(manifest).lengths == (
        Lengths("ham10000", "en", "real", 1, 1, 2, 2.0, 2.0, 2, ((2, 1),)),
        Lengths("ham10000", "ru", "weak", 2, 2, 4, 4.0, 4.0, 4, ((4, 2),)),
        Lengths("skincap", "en", "real", 2, 1, 1, 4.0, 4.0, 7, ((1, 1), (7, 1))),
        Lengths("skincap", "ru", "weak", 1, 1, 4, 4.0, 4.0, 4, ((4, 1),)),
    )


def test_nothing_at_all(tmp_path):
    write(tmp_path / "m", [], {"ham10000": ROOT})
    found = count_manifest(Manifest.open(tmp_path / "m"))
    assert (found.photos, found.splits, found.lengths, found.sources) == (0, (), (), ())
