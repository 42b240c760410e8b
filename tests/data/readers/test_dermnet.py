"""DermNet: folders are labels, names are series, and the same name may be on both sides."""

import pytest

from dermaxai.data.readers.dermnet import read, series
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from dermaxai.vocabulary import labels

ACNE, TINEA = "Acne and Rosacea Photos", "Tinea Ringworm Candidiasis and other Fungal Infections"
PHOTOS = [
    f"test/{ACNE}/acne-cystic-1.jpg",
    f"train/{ACNE}/07PerioralDermEye.jpg",
    f"train/{ACNE}/acne-cystic-1.jpg",
    f"train/{TINEA}/tinea-hand-dorsum-20.jpg",
]


def write(root, photos=PHOTOS):
    for photo in photos:
        (root / photo).parent.mkdir(parents=True, exist_ok=True)
        (root / photo).write_bytes(b"photo")


def samples_of(root, **options):
    folder = DatasetFolder(root, **options)
    return list(read(folder)), folder.faults


def test_folders(tmp_path):
    write(tmp_path)
    samples, faults = samples_of(tmp_path)
    assert [sample.id for sample in samples] == [f"dermnet/{photo}" for photo in PHOTOS]
    assert [sample.official_split for sample in samples] == ["test", "train", "train", "train"]
    assert samples[0].groups == samples[2].groups == ("dermnet/series/acne-cystic",)
    assert (samples[3].label, samples[3].diagnosis) == (
        TINEA,
        "tinea_candidiasis_and_other_fungal_infections",
    )
    assert all(sample.captions == () and sample.path for sample in samples)
    assert faults == []


def test_a_folder_around_changes_no_id(tmp_path):
    write(tmp_path / "archive")
    assert [sample.id for sample in samples_of(tmp_path)[0]] == [f"dermnet/{photo}" for photo in PHOTOS]


def test_a_name_that_is_a_diagnosis_is_a_further_one(tmp_path):
    write(
        tmp_path,
        [f"train/{ACNE}/{name}.jpg" for name in ("perioral-dermatitis-3", "acne-open-comedo-1", "unknown-2")],
    )
    samples, _ = samples_of(tmp_path)
    assert {sample.path.stem: sample.other_diagnoses for sample in samples} == {
        "perioral-dermatitis-3": ("perioral_dermatitis",),
        "acne-open-comedo-1": (),
        "unknown-2": (),
    }


@pytest.mark.parametrize("name", labels("dermnet")["folder"])
@pytest.mark.parametrize("ending", ["", " ", " Photos", " pictures"])
def test_every_class_in_every_spelling(tmp_path, name, ending):
    folder = name.removesuffix(" Photos") + ending
    write(tmp_path, [f"train/{folder}/a-1.jpg"])
    (sample,), faults = samples_of(tmp_path)
    assert (sample.diagnosis, sample.label) == (labels("dermnet")["folder"][name].diagnosis, folder)
    assert faults == []


def test_unknown_classes_and_stray_photos_are_told(tmp_path):
    write(tmp_path, ["train/Sparkle/a-1.jpg", "stray.jpg", f"{ACNE}/a-1.jpg"])
    samples, faults = samples_of(tmp_path)
    assert [(s.id, s.official_split) for s in samples] == [(f"dermnet/{ACNE}/a-1.jpg", None)]
    assert [(fault.kind, fault.place) for fault in faults] == [
        ("broken row", "stray.jpg"),
        ("unknown label", "train/Sparkle/a-1.jpg"),
    ]
    assert [s.label for s in samples_of(tmp_path, keep_unknown=True)[0] if s.diagnosis is None] == ["Sparkle"]


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="holds no photo"):
        samples_of(tmp_path)


@pytest.mark.parametrize(
    ("stem", "key"),
    [("Acne-Cystic-1", "acne-cystic"), ("a_1_", "a"), ("12", "12"), ("t-1-20", "t-1"), ("x", "x")],
)
def test_series(stem, key):
    assert series(stem) == key
