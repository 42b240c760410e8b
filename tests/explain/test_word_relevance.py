"""The rules from patch to word: against a plain second writing of them, and on a planted answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.errors import SettingError
from dermaxai.explain.base import with_graph
from dermaxai.explain.bridge_attention import places
from dermaxai.explain.evidence import WordEvidence
from dermaxai.explain.word_gradients import ask
from dermaxai.explain.word_relevance import word_relevance
from dermaxai.types import Target
from tests.captioner import tiny
from tests.explain.eager import FORMS, eager_pass
from tests.explain.planted import patches_before
from tests.explain.snapshot import snapshot
from tests.explain.test_evidence import scene

METHOD = WordEvidence(product="relevance")


@pytest.fixture(scope="module", params=FORMS)
def made(request):
    return FORMS[request.param]()


def scaled(own):
    """Equations 8 and 9 of the paper, row by row."""
    found = torch.eye(len(own))
    for row, values in enumerate(own - torch.eye(len(own))):
        if values.sum() > 0:
            found[row] += values / values.sum()
    return found


def by_hand(made, photo, caption, tokens):
    """One word, one loop over the library's attentions and autograd's gradients."""
    ids = torch.tensor(caption.token_ids)
    weights, logprobs = eager_pass(made, photo.patches, ids, caption.language)
    gradients = torch.autograd.grad(logprobs[list(tokens)].sum(), weights)
    queries, rows, prefix = (
        made.config.bridge.queries,
        weights[-2].shape[-1],
        weights[-2].shape[-1] - len(ids),
    )
    own, seen = torch.eye(queries), torch.zeros(queries, len(photo.patches))
    words, wordings = torch.zeros(rows, len(photo.patches)), torch.eye(rows)
    for place, one, gradient in zip(places(made), weights, gradients, strict=True):
        c = (one[0] * gradient[0]).clamp(min=0).mean(0)
        if place.kind == "bridge self":
            own, seen = own + c @ own, seen + c @ seen
        elif place.kind == "bridge cross":
            seen = seen + scaled(own).T @ c
        elif place.kind == "encoder self":
            seen = torch.cat([torch.zeros(len(c) - len(seen), seen.shape[1]), seen])
            seen = seen + c @ seen
        elif place.kind == "decoder self":
            wordings, words = wordings + c @ wordings, words + c @ words
        else:
            memory = torch.cat([torch.zeros(c.shape[1] - len(seen), seen.shape[1]), seen])
            words = words + scaled(wordings).T @ c @ memory
    return words[[prefix + token for token in tokens]].sum(0)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_equals_the_rules_written_a_second_time(made, language):
    model, photo, targets = scene(made, language)
    found = METHOD.explain(model, photo, targets)
    tokens = ask(made, model.caption, targets).weights[:, 0]
    for heat, row in zip(found, tokens, strict=True):
        chosen = row.nonzero()[:, 0].tolist()
        wanted = by_hand(made, photo, model.caption, chosen) if chosen else torch.zeros(tiny.PATCHES)
        assert np.allclose(heat.values.ravel(), wanted.detach(), rtol=1e-3, atol=1e-7)
        assert (heat.values >= 0).all()
    assert max(heat.values.max() for heat in found) > 1e-5
    assert {(heat.variant, heat.layer) for heat in found} == {("relevance", "attention of Q-Former and T5")}


def test_together_in_turns_and_alone(made, monkeypatch):
    model, photo, targets = scene(made)
    targets += [
        Target("caption", ""),
        Target("phrase", "large asymmetric"),
        Target("word", "large", 1, "small"),
    ]
    together = METHOD.explain(model, photo, targets)
    monkeypatch.setattr("dermaxai.explain.word_relevance.AT_ONCE", 1)
    for heat, target in zip(METHOD.explain(model, photo, targets), targets, strict=True):
        (alone,) = METHOD.explain(model, photo, [target])
        wanted = next(one for one in together if one.target == target)
        assert np.allclose(heat.values, wanted.values, rtol=1e-4, atol=1e-8)
        assert np.allclose(alone.values, wanted.values, rtol=1e-4, atol=1e-8)


def test_contrast_is_the_difference_of_two_relevances(made):
    model, photo, _ = scene(made)
    own, contrast, same = METHOD.explain(
        model,
        photo,
        [
            Target("word", "large", 1),
            Target("word", "large", 1, "small"),
            Target("word", "large", 1, "large"),
        ],
    )
    caption = made.score(photo, "A small")
    (rival,) = METHOD.explain(replace(model, caption=caption), photo, [Target("word", "small", 1)])
    assert np.allclose(contrast.values, own.values - rival.values, rtol=1e-3, atol=1e-7)
    assert np.abs(same.values).max() < 1e-6 * own.values.max()
    assert contrast.scalar == "word log-probability difference"


def test_an_article_alone_asks_nothing(made):
    model, photo, _ = scene(made)
    (heat,) = METHOD.explain(model, photo, [Target("word", "A", 0)])
    assert (heat.values == 0).all()


def test_lower_layers_may_be_left_out():
    made = FORMS["umt5"]()
    model, photo, targets = scene(made)
    asked = made, ask(made, model.caption, targets), "en", photo.patches
    with with_graph():
        whole, upper = (word_relevance(*asked, first_layer=first) for first in (0, 1))
        assert 0 < upper.sum() < whole.sum()
        with pytest.raises(SettingError, match="up to layer 1; not from 2 on"):
            word_relevance(*asked, first_layer=2)


def test_model_stays_as_it_was_also_after_an_error(monkeypatch):
    made = tiny.captioner(bridge=tiny.bridge_config(dropout=0.5))
    model, photo, targets = scene(made)
    wanted = METHOD.explain(model, photo, targets)
    made.set_mode("bridge+lora")
    made.train()
    before = snapshot(made)
    with torch.inference_mode():
        found = METHOD.explain(model, photo, targets)
    assert snapshot(made) == before
    assert all(np.allclose(one.values, other.values) for one, other in zip(found, wanted, strict=True))
    monkeypatch.setattr("dermaxai.captioner.model.head", fail)
    with pytest.raises(ZeroDivisionError):
        METHOD.explain(model, photo, targets)
    assert snapshot(made) == before


def fail(*_):
    raise ZeroDivisionError


def test_finds_the_patch_that_decides_the_word():
    assert patches_before(METHOD.explain) < 1.0
