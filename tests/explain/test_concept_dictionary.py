"""Concepts as directions: centred as published, alike ones merged, spelled ones left out, made once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.concepts.tree import ATOM_KINDS, read_tree
from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported
from dermaxai.explain import concept_dictionary as module
from dermaxai.explain.concept_dictionary import (
    MERGED,
    SKIN_TEMPLATES,
    centred,
    concept_dictionary,
    embed_names,
    merge_alike,
    pieces_per_word,
    read_as_words,
    templates_of,
)
from dermaxai.loading import demo_folder
from tests.encoders import tiny
from tests.explain.conftest import GOLDEN


@pytest.fixture(scope="module")
def demo():
    return load_encoder("demo", demo_folder() / "encoder", offline=True)


@pytest.fixture(scope="module")
def clip_words(tmp_path_factory):
    """A tower with CLIP's own tokenizer."""
    made = tiny.open_clip_folder(tmp_path_factory.mktemp("models") / "clip")
    return load_encoder(made.name, made.source, offline=True)


def cosines(directions):
    alike = centred(directions) @ centred(directions).T
    return alike - 2 * torch.eye(len(alike), dtype=alike.dtype)


@pytest.mark.shared
def test_centred_as_published():
    path = GOLDEN / "splice.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    golden = np.load(path)
    found = centred(torch.from_numpy(golden["dictionary_raw"]).double())
    assert np.abs(found.numpy() - golden["dictionary"]).max() < 1e-6
    assert torch.allclose(centred(3 * torch.from_numpy(golden["dictionary_raw"]).double()), found)


@given(rows=st.integers(2, 40), seed=st.integers(0, 1000), limit=st.sampled_from([0.2, 0.6, 0.9, 0.99, 1.0]))
def test_no_two_leaders_are_alike_and_no_row_is_lost(rows, seed, limit):
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(rows, 4, generator=generator, dtype=torch.float64) + 2.0
    groups = merge_alike(directions, limit)
    assert sorted(index for group in groups for index in group) == list(range(rows))
    leaders = [group[0] for group in groups]
    assert len(leaders) == 1 or cosines(directions[leaders]).max() <= limit + 1e-12
    assert merge_alike(directions[leaders], limit) == [[index] for index in range(len(leaders))]
    if limit == 1:
        assert len(groups) == rows


def test_a_row_joins_its_nearest_leader():
    directions = torch.tensor(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.05, 1, 0], [1, 0, 0.02]], dtype=torch.float64
    )
    assert merge_alike(directions, 0.9) == [[0, 4], [1, 3], [2]]


def test_names_stand_in_the_mean_of_all_prompts(clip_words):
    names, templates = ["papule", "scale"], ("a {}", "the {} here")
    found = embed_names(clip_words, names, templates)
    for row, name in zip(found, names, strict=True):
        mean = clip_words.encode_text([one.format(name) for one in templates]).double().mean(0)
        assert torch.allclose(row, mean / mean.norm(), atol=1e-6)


def test_prompts_are_the_cards_or_those_of_skin(clip_words, demo):
    assert templates_of(demo, "card") == demo.card.templates == ("dermoscopy of {}",)
    assert templates_of(clip_words, "card") == SKIN_TEMPLATES
    assert templates_of(demo, "plain") == ("{}",)


def test_a_tower_with_a_large_vocabulary_reads_every_name(clip_words):
    names = [node.names["en"] for node in read_tree().atoms()]
    assert all(read_as_words(clip_words, names))
    assert float(pieces_per_word(clip_words, names).median()) <= 2


def test_the_embedded_tower_reads_what_captions_say(demo):
    names = [node.names["en"] for node in read_tree().atoms()]
    found = dict(zip(names, read_as_words(demo, names), strict=True))
    assert all(found[name] for name in ("dark brown", "melanocytic nevus", "irregular", "small"))
    assert not any(found[name] for name in ("poikiloderma", "oral mucosa", "papule"))
    pieces = pieces_per_word(demo, ["dark brown", "blue", "poikiloderma"])
    assert pieces[:2].tolist() == [1, 1]
    assert pieces[2] > 4


def test_a_tower_that_cannot_be_looked_into_keeps_every_name(demo, monkeypatch):
    def closed(_):
        raise NotSupported("closed")

    monkeypatch.setattr(type(demo), "text_tower", property(closed))
    assert pieces_per_word(demo, ["poikiloderma"]) is None
    assert read_as_words(demo, ["poikiloderma"]) == [True]


def test_dictionary_of_the_embedded_encoder(demo):
    read, every = concept_dictionary(demo), concept_dictionary(demo, names="all")
    nodes = {node.id for node in read_tree().atoms()}
    assert {node.id for atom in every.atoms for node in atom.nodes} == nodes
    assert every.considered == read.considered == len(nodes)
    assert 300 <= len(every.atoms) <= 800
    assert sum(len(atom.nodes) for atom in read.atoms) == read.read < len(nodes) / 4
    for found in (read, every):
        assert found.directions.dtype == torch.float64
        assert torch.allclose(found.directions.norm(dim=1), torch.ones((), dtype=torch.float64))
        assert (found.directions @ found.directions.T).fill_diagonal_(0).max() <= MERGED + 1e-9
        assert all(atom.kind in ATOM_KINDS for atom in found.atoms)
        assert len({atom.name for atom in found.atoms}) == len(found.atoms)


def test_atoms_are_found_by_every_name_of_theirs(demo):
    found = concept_dictionary(demo)
    for index, atom in enumerate(found.atoms):
        assert {found.find(name) for name in atom.names} == {index}
        assert found.find(atom.nodes[0].names["ru"]) is not None
    merged = [atom for atom in found.atoms if len(atom.nodes) > 1]
    assert {"white", "white(hypopigmentation)"} in [set(atom.names) for atom in merged]
    assert found.find("меланоцитарный невус") == found.find("melanocytic nevus") == found.find("mole")
    assert found.find("poikiloderma") is None
    assert found.find("no such concept") is None


def test_made_once_per_encoder_and_options(demo, monkeypatch):
    assert concept_dictionary(demo) is concept_dictionary(demo)
    assert concept_dictionary(demo) is not concept_dictionary(demo, merge=0.8)
    assert len(concept_dictionary(demo, merge=0.5).atoms) < len(concept_dictionary(demo).atoms)
    monkeypatch.setattr(module, "REMEMBERED", 2)
    first = concept_dictionary(demo, merge=0.31)
    concept_dictionary(demo, merge=0.32)
    assert concept_dictionary(demo, merge=0.31) is first
    concept_dictionary(demo, merge=0.33)
    concept_dictionary(demo, merge=0.34)
    assert concept_dictionary(demo, merge=0.31) is not first


def test_without_words_there_are_no_directions(demo, monkeypatch):
    monkeypatch.setattr(demo, "has_text", False)
    monkeypatch.setattr(demo, "sha256", "other")
    with pytest.raises(NotSupported, match="no text tower"):
        concept_dictionary(demo)
    monkeypatch.setattr(demo, "has_text", True)
    monkeypatch.setattr(demo, "card", replace(demo.card, name="speller"))
    monkeypatch.setattr(module, "READ", 0.5)
    with pytest.raises(NotSupported, match=r"letter by letter.*all names"):
        concept_dictionary(demo)
