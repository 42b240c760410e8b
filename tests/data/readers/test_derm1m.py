"""Derm1M as its publisher ships it: two tables, rows that repeat photos, names with everything in them."""

import csv

import pytest

from dermaxai.data.readers.derm1m import COLUMNS as READ
from dermaxai.data.readers.derm1m import find_tables, is_inside, read, source_keys
from dermaxai.data.reading import DatasetFolder
from dermaxai.errors import DataError

COLUMNS = (
    "filename", "caption", "truncated_caption", "source", "source_type", "disease_label",
    "hierarchical_disease_label", "skin_concept", "body_location", "symptoms", "age", "gender",
)  # fmt: skip
NOTHING = {
    "disease_label": "no definitive diagnosis",
    "hierarchical_disease_label": "no definitive diagnosis",
    "skin_concept": "No visual concepts",
    "body_location": "No body location information",
    "symptoms": "No symptom information",
    "age": "No age information",
    "gender": "No gender information",
}
ZOSTER = {
    "disease_label": "herpes zoster",
    "hierarchical_disease_label": "inflammatory, infectious, viral, herpes zoster",
    "skin_concept": "vesicle, patch, erythema",
    "body_location": "chest, back",
    "symptoms": "tender",
    "age": "59",
    "gender": "male",
}
STRANGE = "edu/Bolognia, Dermatology & “Skin” 皮肤学_page_12_1.jpg"


def row(filename, caption="A red patch.", **cells):
    return {"filename": filename, "caption": caption, "truncated_caption": caption, **NOTHING, **cells}


def write_tables(root, train, validation=()):
    for name, rows in (("pretrain", train), ("validation", validation)):
        with (root / f"Derm1M_v2_{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)


def samples_of(root, **options):
    folder = DatasetFolder(root, **options)
    return list(read(folder)), folder.faults


def test_every_cell_of_a_row(tmp_path):
    write_tables(tmp_path, [row("IIYI/15972_1.png", "Vesicles on a patch. They are tender.", **ZOSTER)])
    (sample,), faults = samples_of(tmp_path)
    assert (sample.id, sample.dataset, sample.path) == ("derm1m/IIYI/15972_1.png", "derm1m", None)
    assert (sample.diagnosis, sample.label) == ("herpes_zoster", "herpes zoster")
    assert sample.present == ("vesicle", "patch", "erythema")
    assert sample.absent == ()
    assert (sample.site, sample.site_text) == (None, "chest, back")
    assert (sample.age, sample.sex) == (59, "male")
    assert (sample.official_split, sample.groups) == ("train", ("derm1m/IIYI/15972",))
    (caption,) = sample.captions
    assert [(each.text, each.source) for each in caption.sentences] == [
        ("Vesicles on a patch.", "author"),
        ("They are tender.", "author"),
    ]
    assert (caption.field, caption.language, caption.is_weak) == ("caption", "en", False)
    assert faults == []


def test_sentinels_are_nothing(tmp_path):
    write_tables(tmp_path, [row("youtube/a_frame_1_0.jpg")])
    (sample,), faults = samples_of(tmp_path)
    assert (sample.diagnosis, sample.label, sample.present, sample.site_text) == (None, "", (), "")
    assert (sample.age, sample.sex, sample.site) == (None, None, None)
    assert faults == []


def test_rows_of_one_photo_become_one_sample_with_its_captions_once(tmp_path):
    rows = [
        row("IIYI/1_1.png", "One."),
        row("IIYI/2_1.png", "Another photo."),
        row("IIYI/1_1.png", "Two.", **ZOSTER),
        row("IIYI/1_1.png", " One. "),
        row("IIYI/1_1.png", "", truncated_caption="Cut off"),
        row("IIYI/1_1.png", "No visual concepts", truncated_caption=""),
    ]
    write_tables(tmp_path, rows, [row("IIYI/3_1.png"), row("IIYI/1_1.png", "Two.")])
    samples, _ = samples_of(tmp_path)
    assert [sample.id for sample in samples] == [f"derm1m/IIYI/{n}_1.png" for n in (1, 2, 3)]
    assert [(c.text, c.field) for c in samples[0].captions] == [
        ("One.", "caption"),
        ("Two.", "caption"),
        ("Cut off", "truncated_caption"),
    ]
    assert (samples[0].diagnosis, samples[0].age, samples[0].place) == (
        "herpes_zoster", 59, "Derm1M_v2_pretrain.csv, line 2",
    )  # fmt: skip
    assert [sample.official_split for sample in samples] == ["train", "train", "validation"]


def test_photos_are_found_whatever_their_names(tmp_path):
    names = [STRANGE, "public/ISIC_0022074.JPG", "youtube/a_frame_1_0.jpg"]
    for name in (*names[:2], f"validation_data/{names[2]}"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"photo")
    write_tables(tmp_path, [row(name) for name in [*names, "note/absent.png"]])
    samples, _ = samples_of(tmp_path)
    assert [sample.path and sample.path.relative_to(tmp_path).as_posix() for sample in samples] == [
        STRANGE, names[1], f"validation_data/{names[2]}", None,
    ]  # fmt: skip


def test_several_labels_and_captions_in_need_of_repair(tmp_path):
    cells = {**NOTHING, "disease_label": "lichen planus, psoriasis", "body_location": "the face"}
    write_tables(tmp_path, [row("note/1.png", "The patientâ€™s face. No age information.", **cells)])
    (sample,), _ = samples_of(tmp_path)
    assert (sample.diagnosis, sample.other_diagnoses) == ("lichen_planus", ("psoriasis",))
    assert sample.captions[0].text == "The patient’s face."
    assert (sample.site, sample.site_text) == ("face", "")


def test_unknown_words_are_told_once_and_photos_kept_only_when_asked(tmp_path):
    rows = [
        row(f"IIYI/{n}_1.png", disease_label="sparkle, psoriasis", skin_concept="glitter") for n in (1, 2)
    ]
    write_tables(tmp_path, [*rows, row("IIYI/3_1.png", disease_label="psoriasis, sparkle")])
    samples, faults = samples_of(tmp_path)
    assert [(s.id[-8:], s.diagnosis, s.other_diagnoses) for s in samples] == [("/3_1.png", "psoriasis", ())]
    assert {(fault.kind, fault.place) for fault in faults} == {
        ("unknown label", "Derm1M_v2_pretrain.csv, line 2")
    }
    assert len(faults) == 1, "signs of photos left out are not looked at"
    assert "(3 in all)" in faults[0].message
    kept, faults = samples_of(tmp_path, keep_unknown=True)
    assert ["sparkle" in faults[0].message, "glitter" in faults[1].message] == [True, True]
    assert [fault.kind for fault in faults] == ["unknown label", "left out"]
    assert [(s.diagnosis, s.label, s.other_diagnoses) for s in kept[:2]] == 2 * [
        (None, "sparkle, psoriasis", ("psoriasis",))
    ]


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("59 years old", 59),
        ("2.5", 2.5),
        ("45-year-old", 45),
        ("45 y/o", 45),
        ("middle-aged", None),
        ("6 months", None),
    ],
)
def test_ages(tmp_path, text, age):
    write_tables(tmp_path, [row("IIYI/1_1.png", age=text, gender="male, female")])
    (sample,), faults = samples_of(tmp_path)
    assert (sample.age, sample.sex, faults) == (age, None, [])


def test_an_impossible_age_is_told(tmp_path):
    write_tables(tmp_path, [row("IIYI/1_1.png", age="590")])
    (sample,), (fault,) = samples_of(tmp_path)
    assert sample.age is None
    assert "590 is outside 0 to 120" in fault.message


def test_chinese_captions_are_not_called_english(tmp_path):
    write_tables(
        tmp_path,
        [row("IIYI/1_1.png", "皮肤见红斑。"), row("IIYI/1_1.png", "Patch (红斑) on the left cheek.")],
    )
    (sample,), (fault,) = samples_of(tmp_path)
    assert [caption.text for caption in sample.captions] == ["Patch (红斑) on the left cheek."]
    assert fault.kind == "left out", "free text stops no build"
    assert "not taken (1 in all)" in fault.message


def test_names_that_lead_out_of_the_folder_are_left_out(tmp_path):
    write_tables(tmp_path, [row("../secret.png"), row("/etc/secret.png"), row("IIYI/1_1.png")])
    samples, faults = samples_of(tmp_path)
    assert len(samples) == 1
    assert [fault.kind for fault in faults] == ["broken row"] * 2
    assert not is_inside("a\\..\\b")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("youtube/ot_sE5-6M15M_frame_40650_0.jpg", ("derm1m/youtube/ot_sE5-6M15M",)),
        ("pubmed/13075_PMC8123456_Fig2_HTML.jpg", ("derm1m/pubmed/PMC8123456",)),
        ("IIYI/15972_1.png", ("derm1m/IIYI/15972",)),
        ("twitter/88_2.jpg", ("derm1m/twitter/88",)),
        ("reddit/9_1.jpg", ("derm1m/reddit/9",)),
        (STRANGE, ("derm1m/edu/Bolognia, Dermatology & “Skin” 皮肤学/12",)),
        ("note/Clinical Dermatology 5th ed_123_2.png", ("derm1m/note/Clinical Dermatology 5th ed/123",)),
        ("note/Top10 notes.png", ("derm1m/note/Top10 notes",)),
        ("public/ISIC_0022074_downsampled.JPG", ("derm1m/public/ISIC_0022074", "isic/ISIC_0022074")),
        ("public/acne-cystic-1.jpg", ("derm1m/public/acne-cystic", "dermnet/series/acne-cystic")),
        ("public/-4762289084741430925.png", ("derm1m/public/-4762289084741430925",)),
    ],
)
def test_group_keys(name, keys):
    assert source_keys(name) == keys


def test_pages_of_one_book_are_told_apart():
    assert source_keys("edu/Book_page_1_1.jpg") == source_keys("edu/Book_page_1_2.jpg")
    assert source_keys("edu/Book_page_1_1.jpg") != source_keys("edu/Book_page_2_1.jpg")


def test_a_missing_table_is_told_and_both_missing_is_an_error(tmp_path):
    with pytest.raises(DataError, match="none of Derm1M_v2_pretrain"):
        samples_of(tmp_path)
    write_tables(tmp_path, [row("IIYI/1_1.png")])
    (tmp_path / "Derm1M_v2_validation.csv").unlink()
    samples, (fault,) = samples_of(tmp_path)
    assert (len(samples), fault.place) == (1, "Derm1M_v2_validation.csv")
    assert find_tables(DatasetFolder(tmp_path), ["Derm1M_v2_pretrain.csv"])


def test_a_column_that_lacks(tmp_path):
    (tmp_path / "Derm1M_v2_pretrain.csv").write_text(",".join(READ[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="lacks the columns gender"):
        samples_of(tmp_path)
