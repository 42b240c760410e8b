import pytest

from dermaxai.errors import NotFound, StoreError
from dermaxai.store.names import CASE_ID, check_case_id, check_folder_name, new_case_id


def test_ids_are_drawn():
    drawn = {new_case_id() for _ in range(100)}
    assert len(drawn) == 100
    assert all(CASE_ID.fullmatch(name) and len(name) == 12 for name in drawn)


@pytest.mark.parametrize("name", ["7f3a91c2", "a", "A_b-9", "x" * 64])
def test_names_that_are_ids(name):
    assert check_case_id(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 65, ".", "..", "../x", "a/b", "a\\b", "a b", "ж", "a\n", "a\0", ".waiting", "٣", "a.b"]
)
def test_names_that_lead_elsewhere_are_no_ids(name):
    with pytest.raises(NotFound):
        check_case_id(name)


@pytest.mark.parametrize("name", ["7f3a91c2", "родинка 3", "a.b"])
def test_names_of_folders(name):
    assert check_folder_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".trash", "../x", "/etc", "a/b", "a\\b", "C:", "a\0"])
def test_names_that_are_no_folders_here(name):
    with pytest.raises(StoreError):
        check_folder_name(name)
