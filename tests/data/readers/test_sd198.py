"""SD-198 with its three lists, with some of them, and as folders alone."""

import pytest

from dermaxai.data.readers.sd198 import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError
from dermaxai.vocabulary import labels

PHOTOS = {
    "1": "Actinic_solar_Damage(Actinic_Cheilitis)/044728HB.jpg",
    "2": "Beau's_Lines/012 copy of 3.jpg",
    "3": "Beau's_Lines/044728VB.jpg",
    "4": "Erythema_Annulare_Centrifigum/7VB_2.JPG",
}


@pytest.fixture
def root(tmp_path):
    for photo in list(PHOTOS.values())[:3]:
        path = tmp_path / "sd-198" / "images" / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    return tmp_path / "sd-198"


def write_lists(root, photos=PHOTOS):
    classes = sorted({photo.split("/")[0] for photo in photos.values()})
    numbers = {name: number for number, name in enumerate(classes, 1)}
    lists = {
        "classes.txt": [f"{number} {name}" for name, number in numbers.items()],
        "images.txt": [f"{number} {photo}" for number, photo in photos.items()],
        "image_class_labels.txt": [f"{n} {numbers[photo.split('/')[0]]}" for n, photo in photos.items()],
    }
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def samples_of(root, **options):
    folder = DatasetFolder(root, **options)
    return list(read(folder)), folder.faults


def test_lists(root):
    write_lists(root)
    samples, faults = samples_of(root)
    assert [sample.id for sample in samples] == [f"sd198/{photo}" for photo in PHOTOS.values()]
    assert [sample.diagnosis for sample in samples] == [
        "actinic_cheilitis", "beau_lines", "beau_lines", "erythema_annulare_centrifugum",
    ]  # fmt: skip
    assert [sample.path is None for sample in samples] == [False, False, False, True]
    assert [sample.groups for sample in samples] == [
        ("sd198/stem/044728",), ("sd198/stem/012 copy of 3",), ("sd198/stem/044728",), ("sd198/stem/7",),
    ]  # fmt: skip
    assert (samples[1].label, samples[1].place, samples[1].captions) == (
        "Beau's_Lines",
        "images.txt, line 2",
        (),
    )
    assert faults == []


def test_the_folder_above_will_do(root):
    write_lists(root)
    assert samples_of(root.parent) == samples_of(root)


def test_folders_alone_give_the_same_samples(root):
    folders = samples_of(root)[0]
    write_lists(root)
    lists = samples_of(root)[0]
    assert {(s.id, s.path, s.diagnosis, s.groups) for s in folders} == {
        (s.id, s.path, s.diagnosis, s.groups) for s in lists if s.path
    }


def test_lines_that_contradict_each_other_or_say_nothing_are_left_out(root):
    write_lists(root)
    (root / "images.txt").write_text(
        "1 Callus/044728HB.jpg\nnothing\n\n2 Beau's_Lines/012 copy of 3.jpg\n9 x.jpg\n"
    )
    samples, faults = samples_of(root)
    assert [sample.id for sample in samples] == [f"sd198/{PHOTOS['2']}"]
    assert [(fault.kind, fault.place) for fault in faults] == [
        ("broken row", f"images.txt, line {line}") for line in (1, 2, 5)
    ]


def test_a_class_that_nothing_maps(root):
    (root / "images" / "Sparkle").mkdir()
    (root / "images" / "Sparkle" / "1HB.jpg").write_bytes(b"photo")
    samples, (fault,) = samples_of(root)
    assert (len(samples), fault.kind, fault.place) == (3, "unknown label", "images/Sparkle/1HB.jpg")
    kept = samples_of(root, keep_unknown=True)[0]
    assert [(s.label, s.diagnosis) for s in kept if s.diagnosis is None] == [("Sparkle", None)]


@pytest.mark.parametrize("name", labels("sd198")["folder"])
def test_every_class_is_a_folder_that_is_read(tmp_path, name):
    (tmp_path / "images" / name).mkdir(parents=True)
    (tmp_path / "images" / name / "1HB.jpg").write_bytes(b"photo")
    (sample,), faults = samples_of(tmp_path)
    assert (sample.diagnosis, faults) == (labels("sd198")["folder"][name].diagnosis, [])


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"neither .* nor a photo"):
        samples_of(tmp_path)
