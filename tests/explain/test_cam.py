"""The gradient CAMs against the reference's numbers, their invariants, and both kinds of question."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported, SettingError, UnknownName
from dermaxai.explain.base import Explained, with_graph
from dermaxai.explain.cam import weighted_sum, widened
from dermaxai.explain.evidence import WordEvidence
from dermaxai.explain.grad_cam import GradCam
from dermaxai.explain.grad_cam_plusplus import GradCamPlusPlus
from dermaxai.explain.pooling import TargetLayer, target_layer
from dermaxai.explain.shared import Shared
from dermaxai.explain.word_gradients import word_layer
from dermaxai.explain.xgrad_cam import GUARD, XGradCam
from dermaxai.types import Target
from tests.captioner import tiny
from tests.encoders import tiny as encoders
from tests.explain.conftest import GOLDEN, encoded_golden
from tests.explain.snapshot import snapshot

PHOTOS = ["ISIC_0024525", "ISIC_0024306", "ISIC_0026154"]
QUERIES = [
    Target("query", "dermoscopy of melanoma"),
    Target("query", "a large asymmetric dark brown lesion with irregular border"),
]
REFERENCE = {
    "gradcam": (GradCam(), 1e-4),
    "gradcampp": (GradCamPlusPlus(form="reference"), 1e-2),
    "gradcampp_logit": (GradCamPlusPlus(form="reference", scalar="logit"), 1e-2),
    "xgradcam": (XGradCam(form="reference"), 1e-3),
}
METHODS = [GradCam(), GradCamPlusPlus(), XGradCam(), XGradCam(form="conserving")]
"""What holds for these does not hold for all published forms."""
EVERY = [*METHODS, *(method for method, _ in REFERENCE.values())]
QUESTIONS = [
    Target("query", "a dark mole"),
    Target("word", "asymmetric", word=2),
    Target("concept", "raised"),
    Target("caption", tiny.ENGLISH[0]),
    Target("query", "skin", against="mole"),
    Target("word", "large", against="small"),
]


def called(method):
    return f"{method.name}, {method.variant}"


def golden(photo, text):
    path = GOLDEN / f"{photo}__t{text}__cams.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return np.load(path)


def distance(found, wanted):
    return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())


def patch_rows(channels):
    """(channels, rows, columns) of the reference -> (n, channels)."""
    return torch.from_numpy(channels).flatten(1).T


def published_map(raw):
    """The reference's last steps: positive part, 0 to 1, half-pixel bilinear to the input, 0 to 1."""
    small = _rescaled(torch.from_numpy(raw).relu())
    large = functional.interpolate(small[None, None], (224, 224), mode="bilinear", align_corners=False)[0, 0]
    return _rescaled(large.relu()).numpy()


def _rescaled(values):
    return (values - values.min()) / (1e-7 + (values - values.min()).max())


def speaking(encoder, encoded):
    """The encoder with a tiny captioner for its patches, which was given a caption."""
    made = tiny.captioner(
        encoder=encoder.card.name,
        bridge=replace(tiny.bridge_config(), encoder_width=encoder.width),
    )
    return Explained(encoder, made, made.score(encoded, tiny.ENGLISH[0]))


@pytest.fixture
def scene(tower):
    encoder, encoded = tower
    return speaking(encoder, encoded), encoded


# ---- the reference's numbers ----------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("name", REFERENCE)
def test_equals_the_published_code(clip, photo, name):
    method, tolerance = REFERENCE[name]
    maps = method.explain(Explained(clip), encoded_golden(photo), QUERIES)
    for text, heat in enumerate(maps):
        wanted = golden(photo, text)
        stored = TargetLayer(patch_rows(wanted["activations"]), patch_rows(wanted["gradients"])[None], "")
        layer = widened(stored, clip.logit_scale if name.endswith("logit") else 1.0)
        weights = method.weights(layer)
        raw = weighted_sum(layer.activations, weights)[0].reshape(14, 14)
        assert distance(weights[0], wanted[f"{name}_weights"]) < 1e-5
        assert distance(raw, wanted[f"{name}_raw"]) < 1e-5
        assert distance(published_map(raw.numpy()), wanted[f"{name}_final"]) < 1e-4
        assert distance(heat.values, wanted[f"{name}_raw"]) < tolerance
        assert heat.variant == ("reference logit" if name.endswith("logit") else "reference")
        assert heat.scalar == (f"logit({clip.logit_scale:.4g})" if name.endswith("logit") else "cosine")


@pytest.mark.shared
@pytest.mark.parametrize("form", ["reference", "scale-free"])
def test_only_the_published_grad_cam_plusplus_depends_on_the_unit_of_the_score(clip, form):
    encoded = encoded_golden(PHOTOS[0])
    by_cosine, by_logit = (
        GradCamPlusPlus(form=form, scalar=scalar).explain(Explained(clip), encoded, QUERIES[:1])[0].values
        for scalar in ("cosine", "logit")
    )
    changed = distance(by_logit / np.abs(by_logit).max(), by_cosine / np.abs(by_cosine).max())
    assert changed > 0.1 if form == "reference" else changed < 1e-5


# ---- invariants of the rules ----------------------------------------------------------------


def drawn_layer(seed, *, patches=6, width=5, questions=3):
    """Signed activations as a norm gives them, and gradients of any size."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(patches, width, generator=generator, dtype=torch.float64)
    gradients = torch.randn(questions, patches, width, generator=generator, dtype=torch.float64)
    return TargetLayer(activations, gradients, "drawn")


layers = st.builds(
    drawn_layer,
    st.integers(0, 2**31),
    patches=st.integers(2, 20),
    width=st.integers(1, 12),
    questions=st.integers(1, 3),
)
common = settings(max_examples=60, deadline=None, derandomize=True)


def raw(method, layer):
    return weighted_sum(layer.activations, method.weights(layer))


@common
@given(layers)
def test_xgrad_cam_is_conserved(layer):
    found = raw(XGradCam(form="conserving"), layer)
    wanted = (layer.gradients * layer.activations).sum((1, 2))
    assert torch.allclose(found.sum(1), wanted, rtol=1e-9, atol=1e-9)


@common
@given(layers, st.floats(0, 1))
def test_the_guard_takes_only_the_covariance_of_cancelled_channels(layer, left):
    """The first channel is made to cancel, down to a share `left` of the limit."""
    activations = layer.activations.clone()
    activations[:, 0] -= activations[:, 0].mean()
    size = activations[:, 0].abs().sum()
    activations[:, 0] += 0.9 * left * GUARD * size / len(activations)
    layer = replace(layer, activations=activations)
    sums, lengths = activations.sum(0), activations.abs().sum(0)
    guarded = sums.abs() <= GUARD * lengths
    assert guarded[0]
    found = raw(XGradCam(), layer).sum(1)
    products = layer.gradients * activations
    covariances = products.mean(1) - layer.gradients.mean(1) * activations.mean(0)
    lost = len(activations) * (covariances * guarded).sum(1)
    assert torch.allclose(found + lost, products.sum((1, 2)), rtol=1e-9, atol=1e-9)


@common
@given(layers)
def test_the_guard_keeps_a_cancelled_channel_from_taking_over(layer):
    activations = layer.activations.clone()
    activations[:, 0] -= activations[:, 0].mean() - 1e-9
    layer = replace(layer, activations=activations)
    weights = XGradCam().weights(layer)[:, 0]
    assert torch.allclose(weights, layer.gradients[:, :, 0].mean(1))


@common
@given(layers, st.integers(-40, 40))
@pytest.mark.parametrize("method", METHODS, ids=called)
def test_a_score_times_a_constant_gives_the_map_times_it(method, layer, power):
    """A power of two is exact in floating point, so the order of patches is the same too."""
    scaled = replace(layer, gradients=layer.gradients * 2.0**power)
    assert torch.equal(raw(method, scaled), raw(method, layer) * 2.0**power)


@common
@given(layers, st.floats(1e-6, 1e6))
@pytest.mark.parametrize("method", METHODS, ids=called)
def test_units_of_the_score_do_not_matter(method, layer, factor):
    once = raw(method, layer)
    found = raw(method, replace(layer, gradients=layer.gradients * factor)) / factor
    assert torch.allclose(found, once, rtol=1e-9, atol=1e-9 * float(once.abs().max()))


@common
@given(layers)
def test_grad_cam_plusplus_is_the_published_formula_where_that_is_sound(layer):
    """Sums not negative, no constant, gradients relative to their size: alpha as in the paper's equation."""
    patches = len(layer.activations)
    sound = replace(layer, activations=layer.activations.abs())
    gradients = layer.gradients / layer.gradients.square().mean((1, 2), keepdim=True).sqrt()
    bent = 2 * gradients**2 + sound.activations.sum(0) / patches * gradients**3
    wanted = (gradients**2 / bent * layer.gradients.relu()).sum(1)
    assert torch.allclose(GradCamPlusPlus().weights(sound), wanted, rtol=1e-9)


@common
@given(layers)
def test_grad_cam_plusplus_weights_have_no_pole(layer):
    weights = GradCamPlusPlus().weights(layer)
    assert (weights >= 0).all()
    assert (weights <= 0.5 * layer.gradients.relu().sum(1) + 1e-12).all()


@pytest.mark.parametrize("method", EVERY, ids=called)
def test_nothing_to_weigh_gives_zeros(method):
    layer = drawn_layer(0)
    assert not raw(method, replace(layer, gradients=torch.zeros_like(layer.gradients))).any()
    assert not raw(method, replace(layer, activations=torch.zeros_like(layer.activations))).any()
    assert torch.isfinite(raw(method, layer)).all()


def test_half_precision_is_widened_before_it_is_squared():
    layer = drawn_layer(1)
    half = TargetLayer(layer.activations.half(), (layer.gradients * 1e-5).half(), "half")
    assert not half.gradients.square().any()
    weights = GradCamPlusPlus().weights(widened(half))
    assert weights.dtype == torch.float32
    assert torch.allclose(weights.double(), GradCamPlusPlus().weights(layer) * 1e-5, rtol=0.05, atol=1e-7)


# ---- questions to models --------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY, ids=called)
def test_one_by_one_is_the_same_as_together(scene, method):
    """A list that mixes questions to the decoder with questions about similarity, in any order."""
    model, encoded = scene
    together = method.explain(model, encoded, QUESTIONS)
    for heat, target in zip(together, QUESTIONS, strict=True):
        (alone,) = method.explain(model, encoded, [target])
        # Where the published denominator is close to its pole, batching changes its last digits.
        loose = 1e-2 if "reference" in method.variant else 1e-3
        assert np.abs(heat.values - alone.values).max() <= loose * np.abs(alone.values).max()
        assert heat.target is target
        assert heat.scalar == alone.scalar
        assert alone.layer in heat.layer
        assert heat.values.shape == encoded.grid
        assert np.isfinite(heat.values).all()
        assert heat.values.any()


@pytest.mark.parametrize("method", EVERY, ids=called)
def test_other_questions_other_maps(scene, method):
    model, encoded = scene
    maps = [heat.values / np.abs(heat.values).max() for heat in method.explain(model, encoded, QUESTIONS)]
    for place, one in enumerate(maps):
        assert all(np.abs(one - other).max() > 1e-3 for other in maps[:place])


def test_maps_say_what_was_differentiated_and_where(scene):
    model, encoded = scene
    scale = f"logit({model.encoder.logit_scale:.4g})"
    maps = GradCamPlusPlus(scalar="logit").explain(model, encoded, QUESTIONS)
    assert [heat.scalar for heat in maps] == [
        scale,
        "word log-probability",
        scale,
        "caption log-probability",
        f"{scale} difference",
        "word log-probability difference",
    ]
    (query,) = GradCam().explain(model, encoded, QUESTIONS[:1])
    (word,) = GradCam().explain(model, encoded, QUESTIONS[1:2])
    assert query.layer.startswith(
        "normed patches" if model.encoder.tower.pooling == "map" else "last block, ln_1"
    )
    assert word.layer == "Q-Former keys and values"
    assert (query.scalar, word.scalar) == ("cosine", "word log-probability")


def test_three_methods_cost_one_backward_pass_per_kind_of_question(scene, monkeypatch):
    model, encoded = scene
    calls = []
    for name in ("pooling.layer_of_directions", "word_gradients.word_gradients"):
        monkeypatch.setattr(f"dermaxai.explain.{name}", counting(name, calls))
    for method in (GradCam(), GradCamPlusPlus(), XGradCam()):
        method.explain(model, encoded, QUESTIONS)
    assert sorted(calls) == ["pooling.layer_of_directions", "word_gradients.word_gradients"]


def counting(name, calls):
    import importlib

    module, _, function = name.partition(".")
    genuine = getattr(importlib.import_module(f"dermaxai.explain.{module}"), function)

    def counted(*args, **options):
        calls.append(name)
        return genuine(*args, **options)

    return counted


def test_word_maps_of_xgrad_cam_add_up_to_input_times_gradient(scene):
    model, encoded = scene
    words = [target for target in QUESTIONS if target.kind == "word"]
    found = XGradCam(form="conserving").explain(model, encoded, words)
    wanted = WordEvidence(product="input_x_gradient").explain(model, encoded, words)
    for one, other in zip(found, wanted, strict=True):
        assert one.values.sum() == pytest.approx(other.values.sum(), rel=1e-2, abs=1e-4)
        assert abs(other.values.sum()) > 1e-4


def test_grad_cam_is_the_mean_gradient_at_the_layer(scene):
    model, encoded = scene
    word, query = GradCam().explain(model, encoded, [QUESTIONS[1], QUESTIONS[0]])
    with with_graph():
        at_words = word_layer(model, encoded, [QUESTIONS[1]])
        at_patches = target_layer(model, encoded, [QUESTIONS[0]])
    for heat, layer in ((word, at_words), (query, at_patches)):
        wanted = (layer.activations * layer.gradients[0].mean(0)).sum(1)
        assert np.allclose(heat.values.ravel(), wanted, rtol=1e-4, atol=1e-7)


def test_contrast_is_the_difference_of_maps(scene):
    model, encoded = scene
    pair = [Target("query", "skin"), Target("query", "mole")]
    contrast, one, other = GradCam().explain(model, encoded, [replace(pair[0], against="mole"), *pair])
    assert contrast.scalar == "cosine difference"
    assert np.allclose(contrast.values, one.values - other.values, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", METHODS[:3], ids=called)
def test_models_stay_as_they_were_also_after_an_error(scene, method, monkeypatch):
    model, encoded = scene
    before = snapshot(model.encoder.module, model.captioner)
    method.explain(model, encoded, QUESTIONS)
    assert snapshot(model.encoder.module, model.captioner) == before
    for place in ("captioner.model.head", "explain.pooling.batched_gradients"):
        with monkeypatch.context() as broken:
            broken.setattr(f"dermaxai.{place}", fail)
            fresh = replace(model, shared=Shared())
            asked = QUESTIONS[1:2] if "captioner" in place else QUESTIONS[4:5]
            if "pooling" in place and model.encoder.tower.pooling == "class":
                broken.setattr("dermaxai.explain.pooling.open_pooling", fail)
            with pytest.raises(ZeroDivisionError):
                method.explain(fresh, encoded, asked)
        assert snapshot(model.encoder.module, model.captioner) == before


def fail(*_, **__):
    raise ZeroDivisionError


def test_works_where_the_caller_switched_autograd_off(scene):
    model, encoded = scene
    wanted = XGradCam().explain(model, encoded, QUESTIONS)
    fresh = replace(model, shared=Shared())
    with torch.inference_mode():
        found = XGradCam().explain(fresh, encoded, QUESTIONS)
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one.values, other.values, rtol=1e-3, atol=1e-6)


def test_a_tower_without_text_is_asked_about_words_only(tmp_path):
    made = encoders.panderm_file(tmp_path / "panderm")
    encoder = load_encoder(made.name, made.source, offline=True)
    encoded = encoder.encode([encoders.photo(80, 80)])[0]
    model = speaking(encoder, encoded)
    for method in METHODS:
        (heat,) = method.explain(model, encoded, QUESTIONS[1:2])
        assert heat.values.any()
        with pytest.raises(NotSupported, match="no text tower"):
            method.explain(model, encoded, QUESTIONS[:1])


@pytest.mark.parametrize("kind", [GradCam, GradCamPlusPlus, XGradCam])
def test_variants_are_named(kind):
    assert GradCamPlusPlus(scalar="logit").variant == "scale-free logit"
    for name in kind.variants:
        assert kind.of_variant(name).variant == name
    assert kind.variants[next(iter(kind.variants))] == {}
    with pytest.raises(UnknownName, match="reference"):
        kind.of_variant("referense")


def test_options_are_checked():
    with pytest.raises(SettingError, match="guarded, conserving"):
        XGradCam(form="loose")
    with pytest.raises(SettingError, match="form scale-free"):
        GradCamPlusPlus(form="loose")
    with pytest.raises(SettingError, match="scalar cosine, logit"):
        GradCamPlusPlus(scalar="loss")
