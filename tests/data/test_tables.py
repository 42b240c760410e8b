import pytest

from dermaxai.data.tables import read_table
from dermaxai.errors import DataError


def rows(path, **options):
    table = read_table(path, **options)
    return table.columns, [(dict(row.values), row.place) for row in table]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_marks_and_line_ends(tmp_path, delimiter, encoding, end):
    path = tmp_path / "metadata"
    lines = [["image", "site"], ["a", 'left "knee"'], ["b", "бедро"]]
    cells = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line] for line in lines]
    path.write_bytes(end.join(delimiter.join(line) for line in cells).encode(encoding))
    columns, found = rows(path)
    assert columns == ("image", "site")
    assert found == [
        ({"image": "a", "site": 'left "knee"'}, "metadata, line 2"),
        ({"image": "b", "site": "бедро"}, "metadata, line 3"),
    ]


def test_rows_can_be_gone_through_again(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    table = read_table(tmp_path / "t.csv")
    assert [row["a"] for row in table] == [row["a"] for row in table] == ["1", "2"]


def test_empty_header_cells_short_rows_and_empty_lines(tmp_path):
    (tmp_path / "t.csv").write_text(",image,x\n0,a\n\n1,b,2\n")
    columns, found = rows(tmp_path / "t.csv")
    assert columns == ("_unnamed_var", "image", "x")
    assert [place for _, place in found] == ["t.csv, line 2", "t.csv, line 4"]
    assert next(iter(read_table(tmp_path / "t.csv")))["x"] == ""


def test_old_windows_text_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes("owner\nHospital Clínic\n".encode("cp1252"))
    assert rows(tmp_path / "t.csv")[1][0][0] == {"owner": "Hospital Clínic"}


@pytest.mark.parametrize("title", [False, True])
def test_spreadsheets(tmp_path, title):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    page = book.active
    if title:
        page.append(["SkinCAP", None, None])
    page.append(["id", "age", None])
    page.append([1.0, 45.5, None])
    page.append([2, None, "x"])
    book.save(tmp_path / "t.xlsx")
    columns, found = rows(tmp_path / "t.xlsx", header_line=1 + title)
    assert columns == ("id", "age", "_unnamed_var")
    assert [values for values, _ in found] == [
        {"id": "1", "age": "45.5", "_unnamed_var": ""},
        {"id": "2", "age": "", "_unnamed_var": "x"},
    ]
    assert found[0][1] == f"t.xlsx, line {2 + title}"


def test_a_header_below_a_title_in_text(tmp_path):
    (tmp_path / "t.csv").write_text("a title\nid;age\n1;2\n")
    assert rows(tmp_path / "t.csv", header_line=2) == (
        ("id", "age"),
        [({"id": "1", "age": "2"}, "t.csv, line 3")],
    )


@pytest.mark.parametrize(
    ("name", "content"), [("t.csv", b""), ("t.csv", b"\x89PNG\0\0"), ("t.xlsx", b"nothing")]
)
def test_what_is_no_table_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_table(tmp_path / name)


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the columns c; it has a, b"):
        read_table(tmp_path / "t.csv").require("a", "c")
