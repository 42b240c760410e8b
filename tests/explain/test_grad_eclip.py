"""Grad-ECLIP against the published code's numbers, its exact sum, and every kind of pooling."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.errors import NotSupported, SettingError, UnknownName
from dermaxai.explain import METHODS
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.grad_eclip import GradEclip, similarity_weights
from dermaxai.explain.pooling import Pooled, cosine_gradients, open_pooling
from dermaxai.types import Target
from tests.explain.conftest import GOLDEN, encoded_golden
from tests.explain.snapshot import snapshot

PHOTOS = ["ISIC_0024525", "ISIC_0024306", "ISIC_0026154"]
TEXTS = ["dermoscopy of melanoma", "a large asymmetric dark brown lesion with irregular border"]
QUERIES = [Target("query", text) for text in TEXTS]
TARGETS = [Target("query", "a dark mole"), Target("concept", "raised"), Target("diagnosis", "skin")]


def golden(photo, text):
    path = GOLDEN / f"{photo}__t{text}__gradeclip.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return np.load(path)


def distance(found, wanted):
    return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(("prefix", "heads"), [("mh", "model"), ("ref", "single")])
def test_equals_the_published_code(clip, photo, prefix, heads):
    encoded = encoded_golden(photo)
    found = GradEclip(heads=heads).explain(Explained(clip), encoded, QUERIES)
    plain = GradEclip(heads=heads, weighting="none").explain(Explained(clip), encoded, QUERIES)
    pooled = open_pooling(clip, encoded.tail_input, heads=heads)
    gradients = cosine_gradients(pooled, text_directions(clip, QUERIES))
    for text in range(2):
        wanted = golden(photo, text)
        assert distance(found[text].values, wanted[f"{prefix}_img_map_signed"]) < 1e-4
        assert distance(np.maximum(plain[text].values, 0), wanted[f"{prefix}_img_map_wo_ksim"]) < 1e-4
        assert distance(gradients[text, 0], wanted[f"{prefix}_img_grad_attn_out"][0]) < 1e-4
        assert distance(pooled.attention.mean(0)[0], wanted[f"{prefix}_img_attn_cls"]) < 1e-4
        assert distance(pooled.keys, wanted[f"{prefix}_img_k_outproj"]) < 1e-4
    assert {heat.scalar for heat in found} == {"cosine"}
    assert found[0].variant == ("reference" if heads == "single" else "model heads")


def test_attention_weighted_shares_sum_to_the_direct_effect(tower):
    encoder, encoded = tower
    pooled = open_pooling(encoder, encoded.tail_input)
    directions = text_directions(encoder, TARGETS)
    shares = GradEclip(weighting="attention").contributions(pooled, directions)
    effect = torch.einsum("trd,rd->t", cosine_gradients(pooled, directions), pooled.context[0].detach())
    assert torch.allclose(shares.sum(1), effect, rtol=1e-4, atol=1e-6)
    assert shares.abs().max() > 0


def test_the_reopened_pooling_is_the_models_own(tower):
    encoder, encoded = tower
    pooled = open_pooling(encoder, encoded.tail_input)
    assert torch.allclose(pooled.embedding, encoded.pooled, atol=1e-5)
    assert torch.allclose(pooled.attention.sum(-1), torch.ones(()), atol=1e-5)
    rows = encoded.grid[0] * encoded.grid[1] if encoder.tower.pooling == "mean" else 1
    assert pooled.context.shape == (1, rows, encoder.width)


def test_gradient_is_that_of_the_whole_last_block(tower):
    """The shortcut through the read rows against autograd through everything."""
    encoder, encoded = tower
    directions = text_directions(encoder, TARGETS)
    found = cosine_gradients(open_pooling(encoder, encoded.tail_input), directions)
    tail = encoder.tail(encoded.tail_input.clone()[None].requires_grad_())
    context = tail.context if tail.pool_context is None else tail.pool_context
    for row, direction in zip(found, directions, strict=True):
        (wanted,) = torch.autograd.grad(tail.pooled[0] @ direction, context, retain_graph=True)
        start = tail.first_patch if tail.pooling == "mean" else 0
        assert torch.allclose(row, wanted[0, start : start + len(row)], rtol=1e-3, atol=1e-6)


def test_one_by_one_is_the_same_as_together(tower):
    encoder, encoded = tower
    model, method = Explained(encoder), GradEclip()
    together = method.explain(model, encoded, TARGETS)
    for heat, target in zip(together, TARGETS, strict=True):
        (alone,) = method.explain(model, encoded, [target])
        assert np.allclose(heat.values, alone.values, rtol=1e-4, atol=1e-7)
        assert heat.target is target
        assert heat.placement == encoded.placement
        assert heat.values.dtype == np.float32
        assert heat.values.shape == encoded.grid
        assert np.isfinite(heat.values).all()
    assert not np.allclose(together[0].values, together[1].values)
    again = method.explain(model, encoded, TARGETS)
    assert all((one.values == other.values).all() for one, other in zip(together, again, strict=True))


def test_contrast_is_the_difference_of_cosines(tower):
    encoder, encoded = tower
    ask = [
        Target("query", "skin", against="mole"),
        Target("query", "skin"),
        Target("query", "mole"),
    ]
    method = GradEclip(weighting="none")
    contrast, one, other = method.explain(Explained(encoder), encoded, ask)
    assert contrast.scalar == "cosine difference"
    assert np.allclose(contrast.values, one.values - other.values, atol=1e-5)


def test_diagnoses_go_through_the_prompt_templates(tower):
    encoder, _ = tower
    row = text_directions(encoder, [Target("diagnosis", "mole")])[0]
    texts = [template.format("mole") for template in encoder.card.templates] or ["mole"]
    mean = encoder.encode_text(texts).mean(0)
    assert torch.allclose(row, torch.nn.functional.normalize(mean, dim=0), atol=1e-5)


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    GradEclip().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.grad_eclip.similarity_weights", fail)
    with pytest.raises(ZeroDivisionError):
        GradEclip().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before


def fail(*_):
    raise ZeroDivisionError


def test_works_where_the_caller_switched_autograd_off(tower):
    encoder, encoded = tower
    wanted = GradEclip().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    with torch.inference_mode():
        found = GradEclip().explain(Explained(encoder), encoded, TARGETS[:1])[0].values
    assert (found == wanted).all()


def test_what_it_cannot_answer(tower):
    encoder, encoded = tower
    with pytest.raises(NotSupported, match="Describe the photo first"):
        GradEclip().explain(Explained(encoder), encoded, [Target("word", "skin", word=0)])
    assert GradEclip().explain(Explained(encoder), encoded, []) == []
    with pytest.raises(NotSupported, match="Encode it again"):
        GradEclip().explain(Explained(encoder), replace(encoded, encoder="other"), TARGETS)


def test_words_and_texts_in_one_list(model, photos):
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    explained = Explained(model.encoder, model.captioner, caption)
    word, text = Target("word", caption.words[0].text, 0), Target("query", "a dark mole")
    mixed = GradEclip().explain(explained, encoded, [text, word, text])
    assert [heat.scalar for heat in mixed] == ["cosine", "word log-probability", "cosine"]
    assert mixed[1].layer == "Q-Former cross-attention"
    assert np.allclose(mixed[0].values, mixed[2].values)
    (alone,) = GradEclip().explain(explained, encoded, [word])
    assert np.allclose(mixed[1].values, alone.values)
    with pytest.raises(NotSupported, match="no words of a caption"):
        GradEclip(heads="single").explain(explained, encoded, [word])


def test_single_head_is_another_network(tower):
    encoder, encoded = tower
    if encoder.tower.pooling == "map":
        with pytest.raises(NotSupported, match="pools by attention"):
            GradEclip(heads="single").explain(Explained(encoder), encoded, TARGETS)
        return
    single = open_pooling(encoder, encoded.tail_input, heads="single")
    assert single.attention.shape[0] == 1
    assert not torch.allclose(single.embedding, encoded.pooled, atol=1e-4)


def test_equal_closeness_weighs_every_patch_fully():
    pooled = Pooled(
        context=torch.zeros(1, 2, 4),
        embedding=torch.zeros(3),
        queries=torch.ones(2, 4),
        keys=torch.cat([-torch.ones(1, 4), torch.ones(5, 4)]),
        values=torch.zeros(2, 6, 2),
        attention=torch.zeros(2, 2, 6),
        first_patch=1,
    )
    assert (similarity_weights(pooled)[:, 1:] == 1).all()


def test_variants_are_named():
    for name in GradEclip.variants:
        assert GradEclip.of_variant(name).variant == name
    assert GradEclip(heads="single", weighting="none").variant == "single head, none"
    with pytest.raises(SettingError, match="heads model, single"):
        GradEclip(heads="many")
    with pytest.raises(UnknownName, match="reference"):
        GradEclip.of_variant("referense")
    assert METHODS.load("grad_eclip") is GradEclip
