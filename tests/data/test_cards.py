import ast
import csv
import inspect
import itertools
import os
import re
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest

from dermaxai.data import cards
from dermaxai.data.cards import (
    DatasetCard,
    PublishedFile,
    card_names,
    label_counts,
    overlap_list,
    read_card,
    table,
)
from dermaxai.data.readers import READERS
from dermaxai.errors import SettingError, UnknownName

FACTS = Path(os.environ.get("DERMAXAI_FACTS", Path(__file__).parents[3] / "shared" / "facts"))
FOLDER = Path(str(files("dermaxai"))) / "cards" / "datasets"
PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


@pytest.fixture(params=card_names())
def card(request) -> DatasetCard:
    return read_card(request.param)


@pytest.fixture
def broken(tmp_path):
    """Writes the card of HAM10000 with lines replaced (None: removed) and returns its path."""

    def write(changes: dict[str, str | None], more: str = "") -> Path:
        lines = []
        for line in (FOLDER / "ham10000.toml").read_text(encoding="utf-8").splitlines():
            name = line.partition(" = ")[0]
            if name not in changes:
                lines.append(line)
            elif changes[name] is not None:
                lines.append(f"{name} = {changes[name]}")
        path = tmp_path / "broken.toml"
        path.write_text("\n".join([more, *lines]), encoding="utf-8")
        return path

    return write


def test_every_reader_has_a_card_and_every_card_a_reader():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(READERS) == set(card_names())
    assert all(read_card(name).name == name for name in card_names())


def test_a_card_says_what_must_be_known(card):
    assert card.terms
    assert card.redistribution
    assert card.modalities
    assert card.faults
    assert card.verification
    assert card.photos or card.name == "isic_archive"
    assert card.steps[0].startswith("$ ") or "https://" in card.steps[0] or card.access == "form"
    assert card.fetchable <= (card.access == "open")


def test_only_collections_of_the_archive_are_fetched():
    allowed = {"ham10000": 212, "pad_ufes_20": 406, "bcn20000": 249, "isic2019": 65}
    found = {name: card.collections for name in card_names() if (card := read_card(name)).fetchable}
    assert found == {name: (number,) for name, number in allowed.items()} | {"isic_archive": ()}


def test_the_official_split_that_leaks_is_marked(card):
    assert card.split_leaks == (card.name == "dermnet")


def test_overlaps_are_told_on_both_cards(card):
    assert card.name not in card.overlaps
    for name in card.overlaps:
        assert card.name in read_card(name).overlaps, name


def test_gated_cards_say_so_and_name_no_key(card):
    steps = " ".join(card.steps)
    if card.access == "gated":
        assert "accept" in card.steps[0]
        assert "hf auth login" in steps
    assert not re.search(r"hf_[A-Za-z0-9]{8}", steps)


def test_counts_are_those_of_the_vocabulary(card):
    counts = label_counts(card)
    assert bool(counts) == bool(card.counted)
    if counts and not card.counted_of:
        controls = {"mra_midas": 497}.get(card.name, 0)
        assert sum(counts.values()) == card.rows - controls


@pytest.mark.shared
def test_numbers_and_licences_agree_with_the_table_of_facts(card):
    path = FACTS / "tables" / "dataset_summary.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = {row["dataset"]: row for row in csv.DictReader(lines)}
    if card.name == "isic_archive":
        assert card.name not in rows
        return
    row = rows[card.name]
    told = [int(number) for number in re.findall(r"\b\d{3,}\b", f"{row['n_images']} {row['n_units']}")]
    sums = {one + other for one, other in itertools.combinations([0, *told], 2)}
    assert {card.photos, card.rows} <= sums
    if "CC BY" in row["licence"] and card.name != "skincon_crowd":
        assert re.search(r"CC BY[-A-Z]*", row["licence"])[0] in card.licence
    assert not (row["redistribution"] == "no" and re.search("[Aa]llowed|yes", card.redistribution))


def test_hashes_are_where_the_publisher_tells_them():
    by_name = {entry.name: entry for entry in read_card("ham10000").files}
    assert by_name["HAM10000_images_part_1.zip"].md5 == "4639bfa73ab251610530a97c898e6e46"
    assert by_name["HAM10000_metadata"].sha256.startswith("de17ec44")
    assert read_card("dermnet").files[0].bytes == 1_847_748_564


@pytest.mark.shared
def test_the_hash_of_a_real_table_is_the_card_s():
    import hashlib

    data = Path(os.environ.get("DERMAXAI_DATA", FACTS.parent / "data"))
    path = data / "pad_ufes_20" / "metadata.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    (told,) = [entry.sha256 for entry in read_card("pad_ufes_20").files if entry.name == "metadata.csv"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == told


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'bcn20000'"):
        read_card("bcn2000")


def test_all_faults_of_types_are_reported_together(broken):
    path = broken(
        {
            "access": '"free"',
            "photos": "-1",
            "licence": None,
            "collections": '["212"]',
            "caption_fields": '"x"',
        },
        more="surprise = 1",
    )
    with pytest.raises(SettingError) as caught:
        read_card(path)
    message = str(caught.value)
    assert "6 fault(s)" in message
    for part in ("open, account, form, gated", "'photos' is -1", "'licence' is missing", "'collections'"):
        assert part in message
    assert "'surprise' is no field" in message


def test_faults_of_files_are_reported(broken):
    path = broken({"md5": '"abc"', "bytes": '"many"'})
    with pytest.raises(SettingError, match="32 hex digits") as caught:
        read_card(path)
    assert "'bytes' is 'many'" in str(caught.value)


def test_all_faults_between_fields_are_reported_together(broken):
    path = broken(
        {
            **{"page": '"http://x"', "doi": '"DBW86T"', "caption_fields": '["text"]', "about": '""'},
            **{"fetched_as": '"isic"', "split_leaks": "true", "official_split": '""', "access": '"form"'},
        }
    )
    with pytest.raises(SettingError) as caught:
        read_card(path)
    for part in (
        "'page'",
        "'doi'",
        "'caption_fields'",
        "'about' is empty",
        "'split_leaks'",
        "'isic'",
        "'open'",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(("content", "told"), [(b"name = ", "is not TOML"), (b"\xff\xfe", "is not TOML")])
def test_a_file_that_is_no_card_is_said_to_be_none(tmp_path, content, told):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=told):
        read_card(path)
    with pytest.raises(SettingError, match="cannot be read"):
        read_card(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("kind", [DatasetCard, PublishedFile])
def test_every_field_explains_itself(kind):
    tree = ast.parse(inspect.getsource(cards))
    body = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ).body
    explained = {
        node.target.id
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr)
    }
    assert explained >= {field.name for field in fields(kind)} - {"name"}


def test_the_page_of_datasets_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert table() in text
    assert overlap_list() in text
