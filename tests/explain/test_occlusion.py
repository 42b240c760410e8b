"""Occlusion against forward passes without the patches, for words and for every kind of pooling."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.encoders.tail import open_block, unit_length
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.evidence import WordEvidence
from dermaxai.explain.occlusion import Occlusion, embeddings_without
from dermaxai.explain.word_gradients import ask
from dermaxai.explain.word_occlusion import (
    PASSES,
    agreement_with_occlusion,
    group_patches,
    spread_evenly,
    word_occlusion,
)
from dermaxai.types import Target
from tests.captioner import tiny
from tests.explain.eager import FORMS
from tests.explain.planted import patches_before
from tests.explain.snapshot import snapshot
from tests.explain.test_evidence import scene

QUERIES = [
    Target("query", "a dark mole"),
    Target("concept", "raised"),
    Target("query", "skin", against="mole"),
]
SIDES = st.integers(1, 40)


@pytest.fixture(scope="module", params=FORMS)
def made(request):
    return FORMS[request.param]()


# ---- groups ---------------------------------------------------------------------------------


@given(SIDES, SIDES, st.none() | st.integers(2, 50))
def test_groups_are_rectangles_that_fill_the_grid(rows, columns, cells):
    if (rows, columns) == (1, 1):
        return
    groups = group_patches((rows, columns), cells)
    table = groups.reshape(rows, columns).numpy()
    assert sorted(set(groups.tolist())) == list(range(int(groups.max()) + 1))
    for number in range(int(groups.max()) + 1):
        where = np.argwhere(table == number)
        height, width = where.max(0) - where.min(0) + 1
        assert len(where) == height * width
    if cells is None:
        assert groups.max() < PASSES
        assert rows * columns > PASSES or groups.tolist() == list(range(rows * columns))
    else:
        assert len(set(table[:, 0])) == min(rows, cells)
        assert len(set(table[0])) == min(columns, cells)


@given(SIDES.filter(lambda side: side > 1), st.integers(2, 50), st.integers(0, 100))
def test_sharing_out_keeps_the_sum_and_is_equal_inside_a_group(side, cells, seed):
    groups = group_patches((side, side), cells)
    count = int(groups.max()) + 1
    changes = torch.randn(2, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = spread_evenly(changes, groups)
    assert torch.allclose(torch.zeros(2, count).double().index_add(1, groups, found), changes)
    for number in range(count):
        assert (found[:, groups == number] == found[:, groups == number][:, :1]).all()


def test_groups_that_cannot_be():
    for grid, cells in [((14, 14), 1), ((1, 1), None)]:
        with pytest.raises(SettingError, match="leaves nothing"):
            group_patches(grid, cells)
    assert int(group_patches((24, 24)).max()) + 1 == 144


# ---- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [None, 2])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_words_lose_what_they_lose_without_the_patches(made, language, cells):
    model, photo, targets = scene(made, language)
    targets.append(Target("caption", ""))
    groups = group_patches(photo.grid, cells)
    questions = ask(made, model.caption, targets)
    found = word_occlusion(made, questions, language, photo.patches, groups)
    tokens = questions.weights[:, 0]
    whole = torch.tensor(model.caption.token_logprobs)
    assert found.abs().max() > 1e-4
    for number in range(int(groups.max()) + 1):
        rest = photo.patches[groups != number]
        (without,) = made.score_patches(rest[None], model.caption.token_ids, language)
        wanted = tokens @ (whole - torch.tensor(without.token_logprobs))
        assert torch.allclose(found[:, groups == number].sum(1), wanted, atol=2e-5)


def test_words_together_in_turns_and_alone(made, monkeypatch):
    model, photo, targets = scene(made)
    targets += [Target("phrase", "large asymmetric"), Target("word", "large", 1, "small")]
    method = Occlusion()
    together = method.explain(model, photo, targets)
    monkeypatch.setattr("dermaxai.explain.word_occlusion.AT_ONCE", 1)
    turns = method.explain(model, photo, targets)
    for heat, turn, target in zip(together, turns, targets, strict=True):
        (alone,) = method.explain(model, photo, [target])
        assert np.allclose(heat.values, turn.values, atol=2e-5)
        assert np.allclose(heat.values, alone.values, atol=2e-5)
    assert {heat.scalar for heat in together} == {
        "word log-probability",
        "phrase log-probability",
        "word log-probability difference",
    }


def test_contrast_of_words_is_the_difference(made):
    model, photo, _ = scene(made)
    own, contrast = Occlusion().explain(
        model, photo, [Target("word", "large", 1), Target("word", "large", 1, "small")]
    )
    other = replace(model, caption=made.score(photo, "A small"))
    (rival,) = Occlusion().explain(other, photo, [Target("word", "small", 1)])
    assert np.allclose(contrast.values, own.values - rival.values, atol=2e-5)


def test_it_is_the_variant_of_evidence(made):
    model, photo, targets = scene(made)
    found = WordEvidence.of_variant("occlusion").explain(model, photo, targets)
    wanted = Occlusion().explain(model, photo, targets)
    assert all(np.array_equal(one.values, other.values) for one, other in zip(found, wanted, strict=True))
    logits = WordEvidence(product="occlusion", scalar="logit").explain(model, photo, targets[1:2])
    assert logits[0].scalar == "word logit"
    assert not np.allclose(logits[0].values, found[1].values, atol=1e-4)


def test_finds_the_patch_that_decides_the_word():
    assert patches_before(Occlusion().explain) < 1.0


def test_agreement_is_that_of_ranks(made):
    model, photo, targets = scene(made)
    same = Occlusion().explain(model, photo, targets[1:3])
    turned = [replace(heat, values=-heat.values) for heat in same]
    flat = [replace(heat, values=np.zeros_like(heat.values)) for heat in same]
    assert agreement_with_occlusion(model, photo, same) == pytest.approx([1, 1])
    assert agreement_with_occlusion(model, photo, turned) == pytest.approx([-1, -1])
    assert np.isnan(agreement_with_occlusion(model, photo, flat)).all()
    coarse = Occlusion(cells=2).explain(model, photo, targets[1:3])
    assert agreement_with_occlusion(model, photo, coarse, cells=2) == pytest.approx([1, 1])


# ---- similarities ---------------------------------------------------------------------------


def brute(encoder, encoded, gone, where):
    """The embedding without some patches, by the library's own passes over the tokens that stay."""
    tower = encoder.tower
    stay = torch.cat([torch.ones(tower.first_patch, dtype=torch.bool), ~gone])
    with torch.no_grad():
        if where == "input":
            tokens = tower.embed(encoded.pixels[None])[:, stay]
            for block in tower.blocks:
                tokens = tower.run(block, tokens)
            return unit_length(tower.read_out(tokens).embedding)[0]
        if tower.pooling == "map":
            tokens = tower.run(tower.blocks[-1], encoded.tail_input[None])
            return unit_length(tower.read_out(tokens[:, stay]).embedding)[0]
        return encoder.tail(encoded.tail_input[None][:, stay]).pooled[0]


@pytest.mark.parametrize("options", [{}, {"cells": 3}, {"where": "input"}, {"where": "input", "cells": 3}])
def test_similarities_lose_what_they_lose_without_the_patches(tower, options):
    encoder, encoded = tower
    method = Occlusion(**options)
    found = method.explain(Explained(encoder), encoded, QUERIES)
    values = torch.stack([torch.from_numpy(heat.values).flatten() for heat in found])
    directions = text_directions(encoder, QUERIES)
    groups = group_patches(encoded.grid, method.cells)
    assert values.abs().max() > 1e-5
    for number in range(int(groups.max()) + 1):
        without = brute(encoder, encoded, groups == number, method.where)
        wanted = directions @ (encoded.pooled - without)
        assert torch.allclose(values[:, groups == number].sum(1), wanted, atol=3e-6)
    assert [heat.scalar for heat in found] == ["cosine", "cosine", "cosine difference"]


def test_removing_from_a_softmax_is_algebra(tower):
    """o' = (o - a_j v_j) / (1 - a_j) in every head of the class token's row."""
    encoder, encoded = tower
    if encoder.tower.pooling != "class":
        pytest.skip("a class token reads alone")
    parts = encoder.tower.open(encoder.tower.blocks[-1])
    with torch.no_grad():
        block = open_block(parts, encoded.tail_input[None])
        found = embeddings_without(encoder, encoded.tail_input, group_patches(encoded.grid))
        for patch in range(len(found) - 1):
            weight, value = block.attention[0, :, 0, patch + 1, None], block.values[0, :, patch + 1]
            context = block.context[0, 0].reshape(value.shape)
            rest = ((context - weight * value) / (1 - weight)).reshape(1, 1, -1)
            tokens = encoded.tail_input[None, :1] + parts.merge(rest)
            wanted = encoder.tower.read_out(tokens + parts.feed_forward(tokens)).embedding
            assert torch.allclose(found[patch + 1], unit_length(wanted)[0], atol=1e-5)


def test_similarities_together_in_turns_and_alone(tower, monkeypatch):
    encoder, encoded = tower
    for method in (Occlusion(), Occlusion(where="input")):
        together = method.explain(Explained(encoder), encoded, QUERIES)
        with monkeypatch.context() as patch:
            patch.setattr("dermaxai.explain.occlusion.AT_ONCE", 1)
            turns = method.explain(Explained(encoder), encoded, QUERIES)
        for heat, turn, target in zip(together, turns, QUERIES, strict=True):
            (alone,) = method.explain(Explained(encoder), encoded, [target])
            assert np.allclose(heat.values, turn.values, atol=1e-6)
            assert np.allclose(heat.values, alone.values, atol=1e-6)
            assert np.isfinite(heat.values).all()


def test_passes_are_made_once_per_photo(tower, monkeypatch):
    encoder, encoded = tower
    model = Explained(encoder)
    first = Occlusion().explain(model, encoded, QUERIES[:1])
    monkeypatch.setattr("dermaxai.explain.occlusion.embeddings_without", fail)
    again = Occlusion().explain(model, encoded, QUERIES)
    assert np.allclose(first[0].values, again[0].values, atol=1e-7)
    with pytest.raises(ZeroDivisionError):
        Occlusion(cells=3).explain(model, encoded, QUERIES)


def fail(*_):
    raise ZeroDivisionError


# ---- both -----------------------------------------------------------------------------------


@pytest.fixture
def whole(tower):
    """(model, photo) of an encoder and a captioner that reads it."""
    encoder, encoded = tower
    bridge = replace(tiny.bridge_config(), encoder_width=encoder.width)
    made = tiny.captioner(encoder=encoder.card.name, bridge=bridge)
    return Explained(encoder, made, made.score(encoded, tiny.ENGLISH[0])), encoded


@pytest.mark.parametrize("where", ["last block", "input"])
def test_mixed_questions_are_answered_each_by_its_kind(whole, where):
    model, encoded = whole
    words = [Target("word", "large", 1), Target("caption", "")]
    mixed = [QUERIES[0], words[0], QUERIES[2], words[1], QUERIES[0]]
    method = Occlusion(where=where)
    found = method.explain(model, encoded, mixed)
    apart = dict(zip(words, method.explain(model, encoded, words), strict=True))
    apart |= zip(QUERIES, method.explain(model, encoded, QUERIES), strict=True)
    for heat, target in zip(found, mixed, strict=True):
        assert heat.target == target
        assert heat.scalar == apart[target].scalar
        assert np.allclose(heat.values, apart[target].values, atol=2e-5)
    assert found[1].scalar == "word log-probability"


def test_words_of_a_photo_without_a_token_at_the_input(whole):
    model, encoded = whole
    (heat,) = Occlusion(where="input").explain(model, encoded, [Target("caption", "")])
    tower, captioner, caption = model.encoder.tower, model.captioner, model.caption
    for patch, value in enumerate(heat.values.ravel().tolist()):
        stay = torch.arange(encoded.tail_input.shape[0]) != patch + tower.first_patch
        with torch.no_grad():
            tokens = tower.embed(encoded.pixels[None])[:, stay]
            for block in tower.blocks:
                tokens = tower.run(block, tokens)
            rest = tower.read_out(tokens).patches
        (without,) = captioner.score_patches(rest, caption.token_ids)
        assert value == pytest.approx(caption.logprob - without.logprob, abs=1e-4)
    assert heat.layer == "tokens entering the first block"


@pytest.mark.parametrize("where", ["last block", "input"])
def test_models_stay_as_they_were_also_after_an_error(whole, where, monkeypatch):
    model, encoded = whole
    targets = [QUERIES[0], Target("word", "large", 1)]
    wanted = Occlusion(where=where).explain(model, encoded, targets)
    model.captioner.set_mode("bridge+lora")
    model.captioner.train()
    before = snapshot(model.encoder.module, model.captioner)
    with torch.inference_mode():
        found = Occlusion(where=where).explain(
            replace(model, shared=Explained(None).shared), encoded, targets
        )
    assert snapshot(model.encoder.module, model.captioner) == before
    assert all(
        np.allclose(one.values, other.values, atol=1e-5) for one, other in zip(wanted, found, strict=True)
    )
    monkeypatch.setattr("dermaxai.captioner.model.head", fail)
    with pytest.raises(ZeroDivisionError):
        Occlusion(where=where).explain(model, encoded, targets)
    assert snapshot(model.encoder.module, model.captioner) == before


def test_what_cannot_be_asked(tower):
    encoder, encoded = tower
    with pytest.raises(NotSupported, match="not kept"):
        Occlusion(where="input").explain(Explained(encoder), replace(encoded, pixels=None), QUERIES)
    for options in ({"where": "middle"}, {"cells": 1}):
        with pytest.raises(SettingError, match="'last block', 'input'"):
            Occlusion(**options)
    silent = SimpleNamespace(card=encoder.card, has_text=False, tower=encoder.tower)
    with pytest.raises(NotSupported, match="no text tower"):
        Occlusion().explain(Explained(silent), encoded, QUERIES)


def test_variants_are_named():
    for name in Occlusion.variants:
        assert Occlusion.of_variant(name).variant == name
    assert Occlusion(cells=5).variant == "last block, 5 x 5"
