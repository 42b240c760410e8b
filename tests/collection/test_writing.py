import csv
import html
import json
import re

import pytest

from dermaxai.collection.tables import CASE_COLUMNS, RESULT_COLUMNS
from dermaxai.collection.writing import write_collection
from dermaxai.errors import DataError, NotSupported
from tests.collection.cases import write_cases


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("мои случаи")
    write_cases(home, 4)
    (home / "groups.csv").write_text("case,skin_type\ncase0,<V>\ncase1,<V>\ncase2,II\n", "utf-8")
    return home


@pytest.fixture(scope="module")
def written(home):
    return write_collection(home, groups=home / "groups.csv")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_asks_for_nothing(written):
    page = written.report.read_text("utf-8")
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in html.unescape(page)
    assert re.findall(r'\b(?:src|href)="(?!data:|case3/report\.html)', page) == []
    assert not re.search(r"https?://|\bstyle=|\bon\w+=", page)
    assert page.count("<script") == 1


def test_both_languages_and_the_notice(written):
    page = written.report.read_text("utf-8")
    assert '<html lang="en">' in page
    for text in ("Research tool, not a medical device", "не медицинское изделие", "Results by method",
                 "Результаты по методам", "For a methods section", "Для раздела «Методы»"):  # fmt: skip
        assert text in page
    shown = re.findall(r'<span class="say" lang="(\w+)">', page)
    assert shown.count("en") == shown.count("ru") > 50


def test_text_is_text(written):
    page = written.report.read_text("utf-8")
    assert "&lt;V&gt;" in page
    assert "<V>" not in page


def test_the_same_cases_give_the_same_files(home, written, tmp_path):
    before = [path.read_bytes() for path in (written.report, written.results, written.cases)]
    again = write_collection(home, groups=home / "groups.csv")
    assert [path.read_bytes() for path in (again.report, again.results, again.cases)] == before
    elsewhere = write_collection(str(home), str(tmp_path / "all.html"), language="ru")
    assert '<html lang="ru">' in elsewhere.report.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "all.html",
        "all_cases.csv",
        "all_results.csv",
    ]


def test_links_lead_to_the_reports_from_wherever_the_page_is(home, tmp_path):
    from urllib.parse import unquote

    page = write_collection(home, tmp_path / "all.html").report.read_text("utf-8")
    (link,) = set(re.findall(r'<a href="([^"]+)">', page))
    assert (tmp_path / unquote(link)).resolve() == (home / "case3" / "report.html").resolve()


def test_the_tables_beside_it(written):
    results, cases = rows_of(written.results), rows_of(written.cases)
    assert tuple(results[0]) == RESULT_COLUMNS
    assert {row["group"] for row in results} == {"", "skin_type=<V>", "skin_type=II"}
    assert all(
        float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in results if row["low"]
    )
    assert tuple(cases[0]) == CASE_COLUMNS
    assert [row["case"] for row in cases] == ["case0", "case1", "case2", "case3"]
    assert [row["outside"] for row in cases] == ["1", "0", "0", "0"]
    assert cases[3]["report"] == "case3/report.html"


def test_the_table_of_cases_can_be_filled_in_and_given_back(home, written, tmp_path):
    rows = rows_of(written.cases)
    with (tmp_path / "filled.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "device"])
        writer.writeheader()
        writer.writerows({**row, "device": "A" if row["case"] < "case2" else "B"} for row in rows)
    again = write_collection(home, tmp_path / "r.html", groups=tmp_path / "filled.csv")
    assert {row["group"] for row in rows_of(again.results)} == {"", "device=A", "device=B"}


def test_cases_without_maps_have_a_report_too(tmp_path):
    import dataclasses

    from dermaxai.cases import load_case, save_case

    (place,) = write_cases(tmp_path, 1)
    bare = dataclasses.replace(load_case(place), maps=(), scores=(), agreements=(), evidence=())
    save_case(bare, place)
    page = write_collection(tmp_path).report.read_text("utf-8")
    assert "No case was measured" in page
    assert "No case was checked" in page
    assert '<svg class="histogram"' not in page


def test_what_cannot_be_read_is_named(tmp_path):
    places = write_cases(tmp_path, 2)
    document = json.loads((places[0] / "case.json").read_text("utf-8"))
    (places[0] / "case.json").write_text(json.dumps({**document, "format": 99}), "utf-8")
    done = write_collection(tmp_path)
    assert [name for name, _ in done.skipped] == ["case0"]
    page = done.report.read_text("utf-8")
    assert "case format 99" in page
    assert re.search(r'<span class="say" lang="ru">Формат случая [^<]*case0[^<]*99; эта версия читает', page)


def test_errors(tmp_path, home):
    with pytest.raises(DataError, match="no case below"):
        write_collection(tmp_path)
    with pytest.raises(NotSupported):
        write_collection(home, tmp_path / "x.html", language="fr")
    assert list(tmp_path.iterdir()) == []
