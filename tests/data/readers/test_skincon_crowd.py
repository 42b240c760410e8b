"""SkinCON (Ren): a table of votes with classes of unknown spelling, and photos in folders per class."""

import pytest

from dermaxai.data.readers.skincon_crowd import read
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

SPELLINGS = {
    "codes": ("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC"),
    "names": (
        "Actinic keratosis",
        "Basal cell carcinoma",
        "Benign keratosis",
        "Dermatofibroma",
        "Melanoma",
        "Melanocytic nevus",
        "Squamous cell carcinoma",
        "Vascular lesion",
    ),
    "plurals": (
        "actinic_keratoses",
        "basal-cell-carcinoma",
        "benign_keratosis_like_lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic_naevi",
        "squamous_cell_carcinoma",
        "vascular_lesions",
    ),
}
VOTES = (
    ("actinic_keratosis", 1),
    ("basal_cell_carcinoma", 2),
    ("benign_keratosis", 3),
    ("dermatofibroma", 4),
    ("melanoma", 20),
    ("melanocytic_nevus", 5),
    ("squamous_cell_carcinoma", 0),
    ("vascular_lesion", 6),
)


def write_table(root, classes, *rows):
    header = ("file", "Correct_Label", "Qualified_Reads", *classes)
    (root / "SkinCON.csv").write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n")


def row(file, label, votes=None):
    counts = [count for _, count in VOTES] if votes is None else votes
    return (file, label, 41, *counts)


def add_photo(root, part, class_name, name):
    place = root / part / class_name / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    return place


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_votes_and_parts(tmp_path, spelling):
    classes = SPELLINGS[spelling]
    melanoma, nevus = classes[4], classes[5]
    first = add_photo(tmp_path, "train", melanoma, "ISIC_0000002.jpg")
    add_photo(tmp_path, "val", nevus, "ISIC_0012653_downsampled.jpg")
    rows = [
        row("ISIC_0000002.jpg", melanoma),
        row("ISIC_0012653_downsampled.jpg", nevus),
        row("ISIC_0000009", nevus),
    ]
    write_table(tmp_path, classes, *rows)
    folder = DatasetFolder(tmp_path)
    one, two, three = read(folder)
    assert folder.faults == []
    assert (one.id, one.groups) == ("skincon_crowd/ISIC_0000002", ("isic/ISIC_0000002",))
    assert (one.path, one.official_split, one.place) == (first, "train", "SkinCON.csv, line 2")
    assert (one.diagnosis, one.label, one.modality) == ("melanoma", melanoma, "dermoscopic")
    assert one.votes == VOTES
    assert (two.official_split, two.groups) == ("validation", ("isic/ISIC_0012653",))
    assert (two.id, two.diagnosis) == ("skincon_crowd/ISIC_0012653_downsampled", "melanocytic_nevus")
    assert (three.path, three.official_split) == (None, None)


def test_folders_alone(tmp_path):
    for part, label in (("train", "MEL"), ("val", "NV"), ("train", "Odd")):
        add_photo(tmp_path, part, label, f"ISIC_000000{len(label)}.jpg")
    add_photo(tmp_path, "train", "MEL", "holiday.jpg")
    add_photo(tmp_path, "other", "MEL", "ISIC_0000008.jpg")
    folder = DatasetFolder(tmp_path)
    samples = [(sample.id[-1], sample.diagnosis, sample.official_split) for sample in read(folder)]
    assert samples == [("3", "melanoma", "train"), ("2", "melanocytic_nevus", "validation")]
    assert {sample.votes for sample in read(DatasetFolder(tmp_path))} == {()}
    assert [fault.kind for fault in folder.faults] == ["broken row", "unknown label"]


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match=r"holds none of SkinCON\.csv"):
        next(read(DatasetFolder(tmp_path)))


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (row("ISIC_0000001.jpg", "MEL", [-1, *[0] * 7]), "broken row", "AK='-1' is no count"),
        (row("ISIC_0000001.jpg", "MEL", [0.5, *[0] * 7]), "broken row", "AK='0.5' is no count"),
        (row("ISIC_0000001.jpg", "MEL", ["", *[0] * 7]), "broken row", "AK='' is no count"),
        (row("holiday.jpg", "MEL"), "broken row", "'holiday.jpg' is no photo of ISIC 2019"),
        (row("ISIC_0000001.jpg", "UNK"), "unknown label", "'UNK' is no class of ISIC 2019"),
    ],
)
def test_a_row_with_a_fault_is_told_and_skipped(tmp_path, given, kind, message):
    write_table(tmp_path, SPELLINGS["codes"], given, row("ISIC_0000002.jpg", "NV"))
    folder = DatasetFolder(tmp_path)
    assert [sample.id for sample in read(folder)] == ["skincon_crowd/ISIC_0000002"]
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == (kind, "SkinCON.csv, line 2")
    assert message in fault.message


@pytest.mark.parametrize("classes", [SPELLINGS["codes"][1:], (*SPELLINGS["codes"], "melanoma")])
def test_a_class_lost_or_told_twice_is_refused(tmp_path, classes):
    write_table(tmp_path, classes)
    with pytest.raises(DataError, match="should count votes for eight classes"):
        next(read(DatasetFolder(tmp_path)))
