"""Score-CAM: the reference's numbers, one pass for all questions, and what its forms leave out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported, SettingError, UnknownName
from dermaxai.explain import score_cam
from dermaxai.explain.base import Explained, with_graph
from dermaxai.explain.pooling import target_layer
from dermaxai.explain.score_cam import (
    ScoreCam,
    channel_masks,
    channel_weights,
    gradients_there,
    masking_layer,
    most_important,
    read_pixels,
)
from dermaxai.explain.support import DoubtfulMap
from dermaxai.types import Target
from tests.captioner import tiny
from tests.encoders import tiny as encoders
from tests.explain.conftest import GOLDEN, encoded_golden
from tests.explain.snapshot import snapshot
from tests.explain.test_cam import (
    PHOTOS,
    QUERIES,
    QUESTIONS,
    distance,
    fail,
    golden,
    published_map,
    speaking,
)

FORMS = {"cosine": "scorecam", "logit": "scorecam_logit"}


@pytest.fixture
def scene(tower):
    encoder, encoded = tower
    return speaking(encoder, encoded), encoded


def with_pixels(photo):
    encoded = encoded_golden(photo)
    return replace(encoded, pixels=torch.from_numpy(np.load(GOLDEN / f"{photo}__inputs.npz")["image"]))


def alike(found, wanted):
    return np.abs(found.values - wanted.values).max() <= 1e-4 * np.abs(wanted.values).max()


# ---- the reference's numbers ----------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("scalar", FORMS)
@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
def test_equals_the_published_code(clip, photo, scalar):
    maps = ScoreCam(scalar=scalar).explain(Explained(clip), with_pixels(photo), QUERIES)
    for text, heat in enumerate(maps):
        wanted = golden(photo, text)
        assert distance(heat.values, wanted[f"{FORMS[scalar]}_raw"]) < 1e-4
        assert distance(published_map(heat.values), wanted[f"{FORMS[scalar]}_final"]) < 1e-4


@pytest.mark.shared
@pytest.mark.parametrize("scalar", FORMS)
def test_weights_of_some_channels_are_those_of_the_published_code(clip, scalar):
    """A softmax over fewer channels keeps the ratios of their weights."""
    encoded, some = with_pixels(PHOTOS[0]), torch.arange(0, 192, 12)
    activations, _ = masking_layer(clip, encoded)
    chosen = torch.zeros(2, 192, dtype=torch.bool)
    chosen[:, some] = True
    scores = ScoreCam(scalar=scalar)._scores(Explained(clip), encoded, QUERIES, activations, chosen)
    weights = channel_weights(scores)
    assert (weights[~chosen] == 0).all()
    for text, row in enumerate(weights):
        wanted = golden(PHOTOS[0], text)[f"{FORMS[scalar]}_weights"][some]
        assert distance(row[some], wanted / wanted.sum()) < 1e-4


@pytest.mark.shared
def test_with_the_cosine_all_channels_weigh_nearly_the_same(clip):
    encoded = with_pixels(PHOTOS[0])
    activations, _ = masking_layer(clip, encoded)
    chosen = torch.zeros(1, 192, dtype=torch.bool)
    chosen[:, ::12] = True
    flat, steep = (
        channel_weights(
            ScoreCam(scalar=scalar)._scores(Explained(clip), encoded, QUERIES[:1], activations, chosen)
        )[chosen]
        for scalar in FORMS
    )
    assert flat.max() / flat.min() < 1.2
    assert steep.max() / steep.min() > 2


@pytest.mark.shared
def test_bfloat16_gives_nearly_the_same_map(clip):
    """Over some channels: without hardware for it, bfloat16 is slow."""
    encoded = with_pixels(PHOTOS[0])
    activations, _ = masking_layer(clip, encoded)
    chosen = torch.zeros(2, 192, dtype=torch.bool)
    chosen[:, ::12] = True
    found, wanted = (
        channel_weights(ScoreCam(dtype=dtype)._scores(Explained(clip), encoded, QUERIES, activations, chosen))
        @ activations.T
        for dtype in ("bfloat16", "model")
    )
    alike = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(found, wanted, strict=True)])
    print(f"correlation of the maps: {alike.tolist()}")
    assert (alike > 0.99).all()


# ---- masks and weights ----------------------------------------------------------------------


def test_masks_are_aligned_at_the_corners_and_span_zero_to_one():
    activations = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    activations[:, 3] = 2.5
    masks = channel_masks(activations, (2, 3), (32, 48))
    large = torch.nn.UpsamplingBilinear2d((32, 48))(activations.T.reshape(1, 4, 2, 3))[0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    assert masks.shape == (4, 32, 48)
    assert torch.allclose(masks[:3], ((large - low) / (high - low))[:3], atol=1e-6)
    assert (masks.amin((1, 2)) == 0).all()
    assert torch.allclose(masks.amax((1, 2))[:3], torch.ones(3), atol=1e-6)
    assert not masks[3].any()


def test_a_question_that_no_mask_changes_weighs_nothing():
    never = -torch.inf
    scores = torch.tensor([[0.3, 0.3, 0.3], [0.1, 0.2, 0.3], [never, 5.0, never], [1.0, 1.0, never]])
    weights = channel_weights(scores)
    assert not weights[0].any()
    assert torch.allclose(weights[1], scores[1].softmax(0))
    assert weights[2].tolist() == [0, 1, 0]
    assert not weights[3].any()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 12), st.floats(-50, 50))
def test_weights_are_a_distribution_that_no_constant_changes(seed, width, constant):
    scores = torch.randn(2, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = channel_weights(scores)
    assert torch.allclose(weights.sum(1), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(channel_weights(scores + constant), weights, rtol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_more_channels_hold_more_of_the_gradient(seed, width):
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(5, width, generator=generator)
    gradients = torch.randn(3, 5, width, generator=generator)
    shares = []
    for top_k in range(1, width + 1):
        chosen, share = most_important(activations, gradients, top_k)
        sizes = (gradients * activations).abs().mean(1)
        assert (chosen.sum(1) == top_k).all()
        assert (sizes.where(chosen, torch.inf).amin(1) >= sizes.where(~chosen, -1).amax(1)).all()
        held = (sizes * chosen).sum(1) / sizes.sum(1)
        assert 0 <= float(held.min()) - share < 0.01 + 1e-5 or share == pytest.approx(1)
        shares.append(share)
    assert shares == sorted(shares)
    assert shares[-1] >= 0.99


# ---- questions to models --------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"top_k": 7}], ids=["all", "top 7"])
def test_one_by_one_is_the_same_as_together(scene, options):
    """Words and similarities in one list; in the `top_k` form each question has its own channels."""
    model, encoded = scene
    method = ScoreCam(**options)
    together = method.explain(model, encoded, QUESTIONS)
    for heat, target in zip(together, QUESTIONS, strict=True):
        (alone,) = method.explain(model, encoded, [target])
        assert alike(heat, alone)
        assert heat.target is target
        assert heat.scalar == alone.scalar
        assert heat.values.shape == encoded.grid
        assert np.isfinite(heat.values).all()
    for place, one in enumerate(together):
        assert not any(alike(one, other) for other in together[:place])


def test_the_number_of_photos_per_pass_does_not_matter(scene):
    model, encoded = scene
    wanted = ScoreCam().explain(model, encoded, QUESTIONS)
    for batch in (1, 7, 1000):
        found = ScoreCam(batch=batch).explain(model, encoded, QUESTIONS)
        assert all(alike(*pair) for pair in zip(found, wanted, strict=True))


def test_all_questions_share_one_pass_per_channel(scene, monkeypatch):
    model, encoded = scene
    seen = []

    def counted(encoder, pixels, dtype):
        seen.append(len(pixels))
        return read_pixels(encoder, pixels, dtype)

    monkeypatch.setattr(score_cam, "read_pixels", counted)
    ScoreCam(batch=10).explain(model, encoded, QUESTIONS)
    assert sum(seen) == model.encoder.width
    assert max(seen) == 10
    seen.clear()
    ScoreCam(top_k=3).explain(model, encoded, QUESTIONS)
    assert 3 <= sum(seen) <= 3 * len(QUESTIONS)


def test_scores_are_those_of_the_masked_photo(scene):
    """Each kind of question against the plain way: mask, encode, ask the encoder or the captioner."""
    model, encoded = scene
    captioner, encoder = model.captioner, model.encoder
    activations, _ = masking_layer(encoder, encoded)
    targets = [Target("query", "skin"), Target("word", "asymmetric", word=2), Target("caption", "")]
    masked = (
        encoded.pixels * channel_masks(activations[:, :2], encoded.grid, encoded.pixels.shape[1:])[:, None]
    )
    features = encoder.forward(masked)
    cosines = features.pooled @ encoder.encode_text(["skin"])[0]
    captions = captioner.score_patches(features.patches, model.caption.token_ids)
    found = ScoreCam()._scores(model, encoded, targets, activations, None)[:, :2]
    assert torch.allclose(found[0], encoder.logit_scale * cosines, rtol=1e-4, atol=1e-4)
    words = [sum(one.token_logprobs[place] for place in model.caption.words[2].tokens) for one in captions]
    assert found[1].tolist() == pytest.approx(words, rel=1e-3, abs=1e-4)
    assert found[2].tolist() == pytest.approx([one.logprob for one in captions], rel=1e-3, abs=1e-4)


def test_all_channels_by_number_are_all_channels(scene):
    model, encoded = scene
    wanted = ScoreCam().explain(model, encoded, QUESTIONS)
    width = model.encoder.width
    for count in (width, 10 * width):
        found = ScoreCam(top_k=count).explain(model, encoded, QUESTIONS)
        assert all(alike(*pair) for pair in zip(found, wanted, strict=True))
        assert found[0].layer.startswith(f"{wanted[0].layer}; top {width} of {width} channels, at least ")


def test_a_single_channel_is_the_map(scene):
    model, encoded = scene
    activations, _ = masking_layer(model.encoder, encoded)
    (heat,) = ScoreCam(top_k=1).explain(model, encoded, QUESTIONS[:1])
    same = [bool(np.allclose(heat.values.ravel(), row, atol=1e-6)) for row in activations.T]
    assert sum(same) == 1
    assert f"top 1 of {len(same)} channels" in heat.layer
    assert heat.variant == "top 1"


def test_gradients_of_all_questions_at_the_layer_of_the_masks(scene):
    """Words come back through the bridge and the last block: against one graph from there to the decoder."""
    model, encoded = scene
    captioner, caption = model.captioner, model.caption
    targets = [Target("word", "asymmetric", word=2), QUESTIONS[0], Target("caption", "")]
    activations, layer = masking_layer(model.encoder, encoded)
    with with_graph():
        found = gradients_there(model, encoded, targets)
        similar = target_layer(model, encoded, [QUESTIONS[0]])
        tail = model.encoder.tail(encoded.tail_input.clone()[None].requires_grad_())
        ids = torch.tensor([caption.token_ids])
        logits = captioner.logits_of(captioner.read(tail.patches), ids, caption.language)
        said = logits.log_softmax(-1).gather(2, ids[:, :, None])[0, :, 0]
        place = tail.patches if tail.pooling == "map" else tail.normed
        scores = (said[list(caption.words[2].tokens)].sum(), said.sum())
        wanted = [torch.autograd.grad(score, place, retain_graph=True)[0][0] for score in scores]
    first = 0 if tail.pooling == "map" else tail.first_patch
    for one, other in ((found[0], wanted[0][first:]), (found[2], wanted[1][first:])):
        assert other.abs().max() > 0
        assert (one - other).abs().max() < 1e-3 * other.abs().max()
    assert torch.equal(found[1], similar.gradients[0])
    assert torch.allclose(activations, similar.activations, atol=1e-6)
    assert layer == similar.layer


def test_half_the_bits_change_little_and_no_weight(scene):
    model, encoded = scene
    encoder, photos = model.encoder, encoded.pixels[None]
    before = snapshot(encoder.module)
    (patches, pooled), (rough, coarse) = (
        read_pixels(encoder, photos, dtype) for dtype in ("model", "bfloat16")
    )
    assert torch.allclose(pooled[0], encoded.pooled, atol=1e-5)
    assert torch.allclose(patches[0], encoded.patches, atol=1e-4)
    assert rough.dtype == patches.dtype
    assert not torch.equal(pooled, coarse)
    assert float((pooled * coarse).sum()) > 0.99
    found = ScoreCam(dtype="bfloat16").explain(model, encoded, QUESTIONS)
    assert {heat.variant for heat in found} == {"bfloat16"}
    assert all(np.isfinite(heat.values).all() for heat in found)
    assert snapshot(encoder.module) == before


def test_a_question_without_tokens_gives_zeros(scene):
    """An English article is chosen with the next word."""
    model, encoded = scene
    article = Target("word", model.caption.words[0].text, word=0)
    for method in (ScoreCam(), ScoreCam(top_k=5)):
        nothing, something = method.explain(model, encoded, [article, QUESTIONS[1]])
        assert article.text.casefold() == "a"
        assert not nothing.values.any()
        assert something.values.any()
        assert "at least 0.00" not in something.layer


@pytest.mark.filterwarnings("error")
def test_the_cosine_is_doubtful_for_similarity_only(scene):
    model, encoded = scene
    method = ScoreCam.of_variant("reference")
    with pytest.warns(DoubtfulMap, match="mean activation, whatever the text"):
        (heat,) = method.explain(model, encoded, QUESTIONS[:1])
    assert heat.scalar == "cosine"
    method.explain(model, encoded, QUESTIONS[1:2])
    (heat,) = ScoreCam().explain(model, encoded, QUESTIONS[:1])
    assert heat.scalar == f"logit({model.encoder.logit_scale:.4g})"


def test_a_photo_without_its_pixels_cannot_be_masked(scene):
    model, encoded = scene
    with pytest.raises(NotSupported, match="Encode the photo"):
        ScoreCam().explain(model, replace(encoded, pixels=None), QUESTIONS)


def test_a_tower_without_text_is_asked_about_words_only(tmp_path):
    made = encoders.panderm_file(tmp_path / "panderm")
    encoder = load_encoder(made.name, made.source, offline=True)
    encoded = encoder.encode([encoders.photo(80, 80)])[0]
    model = speaking(encoder, encoded)
    for method in (ScoreCam(), ScoreCam(top_k=9)):
        (heat,) = method.explain(model, encoded, QUESTIONS[1:2])
        assert heat.values.any()
    with pytest.raises(NotSupported, match="no text tower"):
        ScoreCam().explain(model, encoded, QUESTIONS[:1])


def test_models_stay_as_they_were_also_after_an_error(scene, monkeypatch):
    model, encoded = scene
    model.captioner.set_mode("bridge+lora")
    model.captioner.train()
    before = snapshot(model.encoder.module, model.captioner)
    for method in (ScoreCam(), ScoreCam(top_k=5), ScoreCam(dtype="bfloat16")):
        method.explain(model, encoded, QUESTIONS)
        assert snapshot(model.encoder.module, model.captioner) == before
        for place in ("captioner.model.head", "explain.shared.unit_length"):
            with monkeypatch.context() as broken:
                broken.setattr(f"dermaxai.{place}", fail)
                with pytest.raises(ZeroDivisionError):
                    method.explain(model, encoded, QUESTIONS)
            assert snapshot(model.encoder.module, model.captioner) == before


def test_dropout_does_not_reach_the_maps(tower):
    encoder, encoded = tower
    model = speaking(encoder, encoded)
    wanted = ScoreCam().explain(model, encoded, QUESTIONS)
    bridge = replace(model.captioner.config.bridge, dropout=0.5)
    made = tiny.captioner(encoder=encoder.card.name, bridge=bridge)
    made.train()
    found = ScoreCam().explain(replace(model, captioner=made), encoded, QUESTIONS)
    assert all(alike(*pair) for pair in zip(found, wanted, strict=True))


def test_works_where_the_caller_switched_autograd_off(scene):
    model, encoded = scene
    wanted = ScoreCam(top_k=5).explain(model, encoded, QUESTIONS)
    with torch.inference_mode():
        found = ScoreCam(top_k=5).explain(replace(model), encoded, QUESTIONS)
    assert all(alike(*pair) for pair in zip(found, wanted, strict=True))


def test_variants_are_named_and_options_checked():
    for name in ScoreCam.variants:
        assert ScoreCam.of_variant(name).variant == name
    assert ScoreCam.variants[next(iter(ScoreCam.variants))] == {}
    assert ScoreCam(scalar="cosine", top_k=9, dtype="bfloat16").variant == "top 9, bfloat16, cosine"
    with pytest.raises(UnknownName, match="reference"):
        ScoreCam.of_variant("referense")
    with pytest.raises(SettingError, match="scalar logit, cosine"):
        ScoreCam(scalar="loss")
    with pytest.raises(SettingError, match="dtype model, bfloat16"):
        ScoreCam(dtype="float16")
    for options in ({"top_k": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="from 1"):
            ScoreCam(**options)
