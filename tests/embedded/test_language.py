"""The text model: facts in as keywords, captions out; trained once, then loaded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.data.weak_captions import caption
from dermaxai.embedded.language import (
    LANGUAGES,
    PROMPTS,
    LanguageRecipe,
    draw_facts,
    keywords,
    train_language,
)
from dermaxai.errors import SettingError
from dermaxai.statements import SLOTS, TERMS, Facts, is_whole

RECIPE = LanguageRecipe(
    width=32, inner=32, encoder_layers=1, decoder_layers=1, heads=2, vocabulary=300, steps=2, batch=4
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("text") / "t5"
    train_language(RECIPE, place)
    return place


def test_trained_once_then_loaded(folder, monkeypatch):
    monkeypatch.setattr("dermaxai.embedded.language._loss", None)
    one, other = train_language(RECIPE, folder), train_language(RECIPE, folder)
    assert one.width == 32
    assert all(
        torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True)
    )


def test_another_recipe_does_not_take_it_for_its_own(folder):
    with pytest.raises(SettingError, match="another recipe"):
        train_language(replace(RECIPE, steps=3), folder)


def test_the_same_seed_gives_the_same_model(folder, tmp_path):
    again = train_language(RECIPE, tmp_path / "t5").model.state_dict()
    first = train_language(RECIPE, folder).model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    other = train_language(replace(RECIPE, seed=1), tmp_path / "other").model.state_dict()
    assert not torch.equal(other["shared.weight"], first["shared.weight"])


def test_the_tokenizer_spells_every_caption(folder):
    tokenizer = train_language(RECIPE, folder).tokenizer
    facts = [draw_facts(np.random.default_rng(seed)) for seed in range(20)]
    for text in [caption(fact, language) for fact in facts for language in LANGUAGES]:
        ids = tokenizer(text).input_ids
        assert ids[-1] == tokenizer.eos_token_id == 1
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    for prompt in PROMPTS.values():
        assert len(tokenizer(prompt.decoder_prefix, add_special_tokens=False).input_ids) == 1


def test_drawn_facts_cover_all_that_can_be_stated():
    drawn = [draw_facts(np.random.default_rng(seed)) for seed in range(400)]
    for slot in SLOTS:
        assert {fact.value(slot) for fact in drawn} - {None} == set(TERMS[slot])
    assert 0 < sum(fact.size is None for fact in drawn) < 50
    assert all(len(set(fact.colours)) == len(fact.colours) for fact in drawn)
    assert all(is_whole(caption(fact, "ru"), "ru") for fact in drawn[:20])


def test_keywords_name_every_fact_in_any_order():
    facts = Facts("small", "symmetric", "regular", ("red", "white"), "bcc")
    parts = {"size: small", "symmetry: symmetric", "border: regular", "diagnosis: bcc"}
    parts |= {"colour 1: red", "colour 2: white"}
    seen = {keywords(facts, np.random.default_rng(seed)) for seed in range(10)}
    assert len(seen) > 5
    assert all(set(text.split("; ")) == parts for text in seen)
    assert keywords(Facts(diagnosis="nv"), np.random.default_rng(0)) == "diagnosis: nv"
