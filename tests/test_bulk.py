import csv
import json
import os
import shutil
from types import SimpleNamespace

import pytest

from dermaxai.bulk import COLUMNS, RowFile, describe_photos, format_row, header_of
from dermaxai.errors import DataError, NotSupported, ShapeError, UsageError
from dermaxai.types import Outside
from tests.tiny_model import CAPTIONS

pytestmark = pytest.mark.usefixtures("plain_environment")


def rows_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_row_per_photo_in_order_and_a_bad_one_between_them(model, photos, broken):
    paths = [photos[0], broken, photos[1], broken.with_name("missing.jpg"), photos[2]]
    rows = list(describe_photos(model, paths, lang="ru"))
    assert [row["file"] for row in rows] == [str(path) for path in paths]
    assert [row.get("kind") for row in rows] == [None, "ImageUnreadable", None, "ImageUnreadable", None]
    for row in rows[1::2]:
        assert row.keys() == {*rows[0], "error", "kind"}
        assert (row["caption"], row["words"], row["outside"]) == (None, [], None)
    for row in rows[::2]:
        assert (row["encoder_sha256"], row["captioner_sha256"]) == (
            model.encoder.sha256,
            model.captioner.sha256,
        )
        assert row["lang"] == "ru"
        assert row["caption"] == CAPTIONS["ru"]
        assert row["outside"] is None
        assert len(row["sha256"]) == 64
        assert [row["caption"][word["start"] : word["stop"]] for word in row["words"]] == [
            word["text"] for word in row["words"]
        ]
        assert row["logprob"] <= sum(word["logprob"] for word in row["words"]) + 1e-3
    assert broken.name in rows[1]["error"]


@pytest.mark.parametrize("flag", [True, False])
def test_json_and_csv_agree_about_photos_outside(model, photos, monkeypatch, flag):
    rule = SimpleNamespace(check=lambda encoded, image: Outside(flag, 4.25, 3.0, "far, in words"))
    monkeypatch.setattr(type(model.captioner), "outside", property(lambda _: rule), raising=False)
    (row,) = describe_photos(model, [photos[0]])
    found = {name: value for name, value in row.items() if name.startswith("outside")}
    assert found == {
        "outside": flag,
        "outside_score": 4.25,
        "outside_threshold": 3.0,
        "outside_rule": "far, in words",
    }
    (line,) = csv.DictReader([header_of("csv"), format_row(row, "csv")])
    assert list(line) == list(COLUMNS)
    assert set(COLUMNS) - set(row) == {"error", "kind"}
    assert {name: json.loads(line[name]) for name in ("outside", "outside_score", "outside_threshold")} == {
        name: found[name] for name in ("outside", "outside_score", "outside_threshold")
    }
    assert line["outside_rule"] == "far, in words"
    assert (float(line["blur"]), float(line["blur_threshold"])) == (row["blur"], row["blur_threshold"])


def test_rows_do_not_depend_on_the_batch(model, photos):
    together = list(describe_photos(model, photos))
    apart = [row for photo in photos for row in describe_photos(model, [photo])]
    for one, other in zip(together, apart, strict=True):
        assert one["caption"] == other["caption"]
        assert one["logprob"] == pytest.approx(other["logprob"], abs=1e-3)


def test_photos_are_read_only_when_their_batch_comes(model, photos):
    asked = []

    def paths():
        for photo in photos * 2:
            asked.append(photo)
            yield photo

    rows = describe_photos(model, paths())
    next(rows)
    assert len(asked) == model.settings.batch == 2


def test_the_photo_at_fault_is_found_in_a_batch(model, photos, monkeypatch):
    honest = type(model)._describe

    def refuse(self, batch, lang):
        if any(image.pixels.shape[0] == 140 for image in batch):
            raise ShapeError("too odd")
        return honest(self, batch, lang)

    monkeypatch.setattr(type(model), "_describe", refuse)
    rows = list(describe_photos(model, photos))
    assert [row.get("error") for row in rows] == [None, "too odd", None]
    assert [row["file"] for row in rows] == [str(photo) for photo in photos]


def test_a_language_that_is_not_spoken_is_no_row(model, photos):
    with pytest.raises(NotSupported, match="writes en, ru, not 'de'"):
        list(describe_photos(model, photos, lang="de"))


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_interrupted_file_is_continued(model, photos, broken, tmp_path, kind):
    place = tmp_path / "deep" / f"captions.{kind}"
    paths = [*photos, broken]
    with_all = list(describe_photos(model, paths))
    file = RowFile(place, kind, resume=True)
    for row in (with_all[0], with_all[3], with_all[1]):
        file.write(row)
    file.close()
    whole = place.read_text("utf-8")
    place.write_text(whole + format_row(with_all[2], kind)[:20], "utf-8")

    file = RowFile(place, kind, resume=True)
    assert [file.has(path, "en") for path in paths] == [True, True, False, False]
    assert not file.has(photos[0], "ru")
    assert place.read_text("utf-8").startswith(whole)
    file.check_weights(model)
    file.write(with_all[2])
    file.write(with_all[3])
    file.close()
    lines = place.read_text("utf-8").splitlines()
    expected = [format_row(with_all[index], kind) for index in (0, 1, 2, 3)]
    assert lines == [line for line in [header_of(kind)] if line] + expected


def test_an_existing_file_is_not_overwritten(tmp_path):
    place = tmp_path / "captions.jsonl"
    place.write_text("precious\n")
    with pytest.raises(UsageError, match="--resume"):
        RowFile(place, "json", resume=False)
    for kind in ("json", "csv"):
        with pytest.raises(DataError):
            RowFile(place, kind, resume=True)
    assert place.read_text() == "precious\n"


def test_a_folder_and_a_binary_file_are_refused(tmp_path):
    for resume in (True, False):
        with pytest.raises(UsageError, match="is a folder"):
            RowFile(tmp_path, "json", resume=resume)
    place = tmp_path / "bin.jsonl"
    place.write_bytes(b"\xff\xfe\n")
    with pytest.raises(DataError, match="no text"):
        RowFile(place, "json", resume=True)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_photos_are_known_by_their_resolved_path(model, photos, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(photos[0].parent)
    place = tmp_path / "captions"
    file = RowFile(place, kind, resume=False)
    for row in describe_photos(model, [photos[0].relative_to(photos[0].parent)]):
        file.write(row)
    file.close()
    file = RowFile(place, kind, resume=True)
    assert file.has(photos[0], "en")
    assert file.has(photos[0].parent / "снимки" / ".." / photos[0].name, "en")
    assert file.has(photos[0].parent / os.curdir / photos[0].name, "en")
    assert not file.has(photos[1], "en")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_rows_of_other_weights_are_refused(model, photos, tmp_path, kind):
    place = tmp_path / "captions"
    file = RowFile(place, kind, resume=False)
    for row in describe_photos(model, photos[:1]):
        file.write(row)
    file.close()
    file = RowFile(place, kind, resume=True)
    file.check_weights(model)
    for encoder, captioner in (("0" * 64, model.captioner.sha256), (model.encoder.sha256, "0" * 64)):
        other = SimpleNamespace(
            encoder=SimpleNamespace(sha256=encoder), captioner=SimpleNamespace(sha256=captioner)
        )
        with pytest.raises(UsageError, match="other weights"):
            file.check_weights(other)


def test_names_that_are_no_unicode_survive(model, photos, tmp_path):
    odd = tmp_path / "odd\udcff.jpg"
    try:
        shutil.copy(photos[0], odd)
    except (OSError, UnicodeError):
        pytest.skip("this file system wants Unicode names")
    place = tmp_path / "captions.jsonl"
    file = RowFile(place, "json", resume=False)
    for row in describe_photos(model, [odd]):
        file.write(row)
    file.close()
    assert rows_of(place)[0]["file"] == str(odd)
    file = RowFile(place, "json", resume=True)
    assert file.has(odd, "en")
    file.close()


def test_an_error_of_several_lines_is_one_line_of_csv():
    row = {"file": "a,b.jpg", "lang": "en", "error": "first\nsecond"}
    assert format_row(row, "csv") == '"a,b.jpg",,en,,,,,,,,,,,first second,'
    assert format_row(row, "text") == "a,b.jpg\t! first second"
