import csv
import io
import json

import pytest

from dermaxai.reading.blind import OwnReading, give_reading
from dermaxai.reading.export import BOM, COLUMNS, export, safe_cell
from dermaxai.store.cases import find_case

BOX = {"kind": "box", "points": [[0, 0], [200, 300]]}
POINT = {"kind": "point", "points": [[5, 5]]}


def text_of(study, what, form="csv", **options):
    with study.store.read() as session:
        return "".join(export(session, study.shelf, what, form, **options))


def rows_of(study, what):
    return list(csv.DictReader(io.StringIO(text_of(study, what))))


@pytest.fixture
def answered(study):
    with study.store.write() as session:
        find_case(session, "one").name = "Иванов И. И.jpg"
        give_reading(
            session, study.readers["r1"], "one", OwnReading("=1+1", confidence=3, seconds=4.5), blind=True
        )
    study.answer("r1", "agree")
    study.answer("r1", "wrong_place", regions=[BOX, POINT], comment='=HYPERLINK("http://x")\n"да"')
    study.answer("r2", "wrong_word", word=None, method="", regions=[POINT])
    return study


def test_one_row_per_answer_with_everything_that_made_it(answered):
    rows = rows_of(answered, "feedback")
    assert tuple(rows[0]) == COLUMNS["feedback"]
    assert [row["answer"] for row in rows] == ["agree", "wrong_place", "wrong_word"]
    assert [row["counts"] for row in rows] == ["false", "true", "true"]
    row = rows[1]
    assert (row["case"], row["photo_sha256"], row["word"], row["text"]) == (
        "one",
        "7f3a" * 16,
        "2",
        "asymmetric",
    )
    assert row["encoder_sha256"]
    assert row["captioner"]
    assert json.loads(row["regions"])[0]["points"] == [[0.0, 0.0], [200.0, 300.0]]
    assert float(row["area_share"]) == 0.5
    assert (row["pseudonym"], row["method"], row["revision"]) == ("r1", "grad_eclip", "1")
    assert row["time"].endswith("Z")
    assert rows[2]["word"] == rows[2]["area_share"] == ""


def test_no_cell_is_a_formula_and_every_comment_survives(answered):
    rows = rows_of(answered, "feedback")
    assert rows[1]["comment"] == '\'=HYPERLINK("http://x")\n"да"'
    assert rows_of(answered, "readings")[0]["findings"] == "'=1+1"
    assert json.loads(text_of(answered, "feedback", "json"))[1]["comment"] == '=HYPERLINK("http://x")\n"да"'


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", "－1"])
def test_what_a_spreadsheet_would_calculate(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"), [(-0.5, -0.5), (3, 3), ("a=b", "a=b"), ("", ""), (True, "true"), ({"a": 1}, '{"a":1}')]
)
def test_what_is_left_as_it_is(value, cell):
    assert safe_cell(value) == cell


@pytest.mark.parametrize("what", COLUMNS)
def test_the_same_content_gives_the_same_bytes_and_no_file_name(answered, what):
    for form in ("csv", "json"):
        text = text_of(answered, what, form)
        assert text == text_of(answered, what, form)
        assert "Иванов" not in text
        assert str(answered.store.folder) not in text
    rows = json.loads(text_of(answered, what, "json"))
    assert rows
    assert all(tuple(row) == COLUMNS[what] for row in rows)
    assert len(rows) == len(rows_of(answered, what))


def test_a_mark_for_spreadsheets_only_where_asked(answered):
    assert text_of(answered, "feedback", bom=True).startswith(BOM + "case,")
    assert text_of(answered, "feedback").startswith("case,")


def test_nothing_to_export_is_still_a_table(study):
    assert text_of(study, "feedback").strip() == ",".join(COLUMNS["feedback"])
    assert json.loads(text_of(study, "feedback", "json")) == []


def test_answers_to_an_earlier_caption_do_not_claim_the_present_model(answered):
    with answered.store.write() as session:
        find_case(session, "one").caption = "another"
    rows = rows_of(answered, "feedback")
    assert {row["counts"] for row in rows} == {"false"}
    assert {row["encoder_sha256"] for row in rows} == {""}


def test_a_reading_given_after_answers_says_so(study):
    study.answer("r1")
    with study.store.write() as session:
        for name in ("r1", "r2"):
            give_reading(session, study.readers[name], "one", OwnReading("x"), blind=True)
    assert [(row["pseudonym"], row["answers_before"]) for row in rows_of(study, "readings")] == [
        ("r1", "1"),
        ("r2", "0"),
    ]


def test_it_comes_in_pieces(study):
    for _ in range(3):
        study.answer("r1")
    with study.store.read() as session:
        assert len(list(export(session, study.shelf, "feedback", "json"))) == 4


@pytest.mark.parametrize("what", COLUMNS)
def test_every_database_gives_every_table(any_study, what):
    any_study.answer("r1", regions=[BOX])
    with any_study.store.write() as session:
        give_reading(session, any_study.readers["r2"], "one", OwnReading("x"), blind=True)
    assert rows_of(any_study, what)
