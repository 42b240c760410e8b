"""What a name stands for: a card by name or hub id, a folder, a repository without a card; and its commit."""

import json
import shutil
from pathlib import Path

import pytest

from dermaxai.encoders import load_encoder
from dermaxai.encoders.cards import card_names, read_card, short_name
from dermaxai.encoders.naming import find_card
from dermaxai.encoders.weights import RECORD, hash_file
from dermaxai.errors import SettingError, UnknownName, WeightsMismatch, WeightsOffline
from dermaxai.loading import carried_folder
from dermaxai.provenance import record_maker
from dermaxai.settings import read_settings
from tests.encoders import tiny

COMMIT, OTHER = "c" * 40, "a" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache with one repository that no card knows, as the hub library leaves it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / "models--someone--clip"
    tiny.open_clip_folder(home / "snapshots" / COMMIT)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    return home


@pytest.mark.parametrize("name", [name for name in card_names() if read_card(name).repo_id])
def test_a_hub_id_is_another_name_of_its_card(name):
    card = read_card(name)
    assert short_name(card.repo_id) == name
    assert read_card(card.repo_id.upper()) == card
    assert find_card(card.repo_id) == (card, None)
    other = read_card(f"{card.repo_id}@{OTHER}")
    assert (other.name, other.revision, other.sha256) == (name, OTHER, "")


def test_loading_by_the_hub_id_of_a_card_uses_the_card(tmp_path):
    tiny.open_clip_folder(tmp_path / "small")
    with pytest.raises(WeightsMismatch, match="for 'dermlip-vit-b16' have width 64; its card says 768"):
        load_encoder("redlessone/DermLIP_ViT-B-16", tmp_path / "small")


def test_a_revision_of_what_is_not_at_the_hub_is_refused():
    with pytest.raises(SettingError, match="no revision 'main'"):
        read_card("demo@main")
    with pytest.raises(UnknownName, match="Did you mean 'make'"):
        read_card("maek@main")


def test_an_unknown_hub_id_with_weights_of_its_own_says_what_is_known(tmp_path):
    with pytest.raises(UnknownName, match=r"'someone/else'.*Known: demo"):
        load_encoder("someone/else", tmp_path)


def test_a_repository_without_a_card_is_read_from_the_cache(cache):
    encoder = load_encoder("someone/clip", offline=True)
    card = encoder.card
    assert (card.name, card.repo_id, card.revision) == ("someone/clip", "someone/clip", COMMIT)
    assert encoder.revision == COMMIT
    assert load_encoder(f"someone/clip@{COMMIT}", offline=True).sha256 == encoder.sha256
    with pytest.raises(WeightsOffline, match=f"its configuration of someone/clip, revision {OTHER}"):
        load_encoder(f"someone/clip@{OTHER}", offline=True)


def test_a_folder_goes_before_a_hub_id_of_the_same_form(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.open_clip_folder(Path("someone") / "clip", quick_gelu=True)
    assert load_encoder("someone/clip").card.name == "clip"


# ---- the commit ------------------------------------------------------------------------------------


def recorded(encoder):
    made = record_maker(encoder, None, read_settings(), asked={}, command="")
    return made.settings.get("encoder revision")


def test_the_commit_reaches_the_record_of_a_case(cache):
    assert recorded(load_encoder("someone/clip", offline=True)) == COMMIT


def test_a_carried_folder_keeps_its_commit_for_the_very_file_it_names(cache, tmp_path):
    folder = shutil.copytree(cache / "snapshots" / COMMIT, tmp_path / "carried")
    assert recorded(load_encoder(folder)) is None
    record = {"revision": COMMIT, "sha256": hash_file(folder / "open_clip_model.safetensors")}
    (folder / RECORD).write_text(json.dumps(record))
    assert load_encoder(folder).revision == recorded(load_encoder(folder)) == COMMIT
    for change in ({"sha256": "0" * 64}, {"revision": "newest"}):
        (folder / RECORD).write_text(json.dumps({**record, **change}))
        assert load_encoder(folder).revision == ""


def test_what_a_card_asks_for_is_not_claimed_of_a_file_that_was_given(tmp_path):
    """A pinned card says where to fetch, not where a given file is from."""
    made = tiny.biomed_folder(tmp_path / "bio")
    assert made.name.revision
    assert recorded(load_encoder(made.name, made.source, offline=True)) is None


def test_carried_folders_are_found_by_name_and_by_hub_id(tmp_path):
    (tmp_path / "make").mkdir()
    settings = read_settings(weights=tmp_path)
    assert carried_folder("make", settings) == carried_folder("xieji-x/MAKE", settings) == tmp_path / "make"
    assert carried_folder("o-make", settings) is None
    assert carried_folder(tmp_path / "make", settings) is None
    assert carried_folder("make", read_settings()) is None
