import pytest

from dermaxai.collection.entries import read_folder
from dermaxai.collection.groups import Groups, read_groups
from dermaxai.errors import DataError
from tests.collection.cases import write_cases


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    home = tmp_path_factory.mktemp("cases")
    write_cases(home, 3)
    return read_folder(home).entries


def table(folder, *lines):
    place = folder / "groups.csv"
    place.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return place


def test_groups_by_the_name_of_a_case(entries, tmp_path):
    place = table(
        tmp_path, "case,skin_type,margin,cluster", "case0,V,1,a", "case1,II,2,a", "case2,,3,", "gone,II,4,b"
    )
    groups = read_groups(place, entries, own=("margin",))
    assert groups.of("skin_type") == {"II": ["case1"], "V": ["case0"]}
    assert list(groups.columns) == ["skin_type"]
    assert groups.clusters == {"case0": "a", "case1": "a"}
    assert groups.unmatched == 1


def test_groups_by_the_hash_of_a_photo(entries, tmp_path):
    place = table(tmp_path, "sha256,site", f"{entries[1].sha256.upper()},спина", "00000002,back", "0000,back")
    groups = read_groups(place, entries)
    assert groups.of("site") == {"back": ["case2"], "спина": ["case1"]}
    assert groups.unmatched == 1


def test_tables_that_are_none(entries, tmp_path):
    with pytest.raises(DataError, match="which case"):
        read_groups(table(tmp_path, "photo,site", "a.jpg,back"), entries)
    with pytest.raises(DataError, match="cannot be read"):
        read_groups(tmp_path / "missing.csv", entries)
    (tmp_path / "wrong.csv").write_bytes(b"case,site\n\xff\xfe\n")
    with pytest.raises(DataError, match="cannot be read"):
        read_groups(tmp_path / "wrong.csv", entries)


def test_a_column_of_many_values_is_no_group(entries, tmp_path, monkeypatch):
    monkeypatch.setattr("dermaxai.collection.groups.MOST", 2)
    with pytest.raises(DataError, match="3 different values"):
        read_groups(table(tmp_path, "case,age", "case0,31", "case1,32", "case2,33"), entries)


def test_no_groups():
    assert Groups().columns == {}
