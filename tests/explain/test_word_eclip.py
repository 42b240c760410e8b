"""Grad-ECLIP for words: the exact sum, a plain second writing, and a planted answer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dermaxai.explain.base import with_graph
from dermaxai.explain.bridge_attention import Attention, trace
from dermaxai.explain.word_eclip import closeness, eclip_shares, word_eclip
from dermaxai.explain.word_gradients import ask
from dermaxai.types import Target
from tests.captioner import tiny
from tests.explain.eager import FORMS
from tests.explain.planted import patches_before
from tests.explain.snapshot import snapshot
from tests.explain.test_evidence import scene

WEIGHTINGS = ["similarity", "attention", "none"]


@pytest.fixture(scope="module", params=FORMS)
def made(request):
    return FORMS[request.param]()


def ask_eclip(model, photo, targets, weighting="similarity"):
    with with_graph():
        return word_eclip(model, photo, targets, weighting)


def opened(made, model, photo, targets):
    """(the cross-attentions, the gradients of each question at their contexts)."""
    questions = ask(made, model.caption, targets)
    with with_graph():
        traced = trace(made, questions, model.caption.language, photo.patches)
        layers = traced.of_kind("bridge cross")
        return layers, traced.gradients(questions.weights, layers)


def test_real_attention_shares_out_the_direct_effect_of_every_layer(made):
    model, photo, targets = scene(made)
    layers, gradients = opened(made, model, photo, targets)
    for layer, gradient in zip(layers, gradients, strict=True):
        effect = torch.einsum("qbrc,brc->q", gradient, layer.context)
        shares = eclip_shares(layer, gradient[:, 0], "attention")
        assert torch.allclose(shares.sum(1), effect, rtol=1e-4, atol=1e-6)
        assert shares.abs().max() > 0


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_equals_the_sum_written_out(made, weighting):
    model, photo, targets = scene(made, "ru")
    found = ask_eclip(model, photo, targets, weighting)
    wanted = torch.zeros_like(found)
    for layer, gradient in zip(*opened(made, model, photo, targets), strict=True):
        heads, size = layer.values.shape[1], layer.values.shape[3]
        for head in range(heads):
            part = gradient[:, 0, :, head * size : (head + 1) * size] @ layer.values[0, head].T
            weights = {"similarity": closeness(layer), "attention": layer.weights[0, head], "none": 1.0}
            wanted += (part * weights[weighting]).sum(1)
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-6)
    assert torch.isfinite(found).all()
    assert found.abs().max() > 1e-5


def test_together_in_turns_and_alone(made, monkeypatch):
    model, photo, targets = scene(made)
    targets += [Target("caption", ""), Target("phrase", "large asymmetric")]
    together = ask_eclip(model, photo, targets)
    monkeypatch.setattr("dermaxai.explain.word_eclip.AT_ONCE", 1)
    assert torch.allclose(ask_eclip(model, photo, targets), together, rtol=1e-3, atol=1e-6)
    for row, target in zip(together, targets, strict=True):
        assert torch.allclose(ask_eclip(model, photo, [target])[0], row, rtol=1e-3, atol=1e-6)


def test_sums_of_words_and_contrasts_are_linear(made):
    model, photo, _ = scene(made)
    asked = [
        Target("word", "large", 1),
        Target("word", "asymmetric", 2),
        Target("phrase", "large asymmetric", 1),
        Target("word", "large", 1, "large"),
        Target("word", "A", 0),
    ]
    large, asymmetric, both, same, article = ask_eclip(model, photo, asked)
    assert torch.allclose(large + asymmetric, both, rtol=1e-3, atol=1e-6)
    assert same.abs().max() < 1e-5
    assert (article == 0).all()


def test_closeness_spans_each_row_and_knows_equal_keys():
    keys = torch.randn(1, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    queries = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    parts = {"queries": queries, "values": keys, "weights": keys, "context": keys}
    found = closeness(Attention("bridge cross", 0, keys=keys, **parts))
    merged = [part[0].transpose(0, 1).flatten(1) for part in (queries, keys)]
    cosines = torch.cosine_similarity(merged[0][:, None], merged[1][None], dim=-1)
    assert (found.amin(1) == 0).all()
    assert (found.amax(1) == 1).all()
    assert torch.equal(found.argsort(1), cosines.argsort(1))
    same = closeness(Attention("bridge cross", 0, keys=keys[:, :, :1].expand(-1, -1, 5, -1), **parts))
    assert torch.equal(same, torch.ones(3, 5))


def test_model_stays_as_it_was_also_after_an_error(monkeypatch):
    made = tiny.captioner(bridge=tiny.bridge_config(dropout=0.5))
    model, photo, targets = scene(made)
    wanted = ask_eclip(model, photo, targets)
    made.set_mode("bridge+lora")
    made.train()
    before = snapshot(made)
    assert torch.allclose(ask_eclip(model, photo, targets), wanted, rtol=1e-3, atol=1e-6)
    assert snapshot(made) == before
    monkeypatch.setattr("dermaxai.captioner.model.head", fail)
    with pytest.raises(ZeroDivisionError):
        ask_eclip(model, photo, targets)
    assert snapshot(made) == before


def fail(*_):
    raise ZeroDivisionError


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_finds_the_patch_that_decides_the_word(weighting):
    def explain(model, photo, targets):
        found = ask_eclip(model, photo, targets, weighting).numpy()
        return [SimpleNamespace(values=row) for row in np.reshape(found, (-1, *photo.grid))]

    assert patches_before(explain, strength=0.5) < 1.0
