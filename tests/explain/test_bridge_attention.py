"""The overheard attentions are the library's own, and so are their gradients."""

import threading

import pytest
import torch

from dermaxai.errors import ShapeError
from dermaxai.explain.base import with_graph
from dermaxai.explain.bridge_attention import places, trace, watching_attention
from dermaxai.explain.word_gradients import Questions
from tests.captioner import tiny
from tests.explain.eager import FORMS, eager_pass
from tests.explain.snapshot import snapshot

KINDS = {
    "plain": ["bridge self", "bridge cross", "bridge self", *["decoder self", "decoder cross"] * 2],
    "umt5": [*["bridge self", "bridge cross"] * 2, *["decoder self", "decoder cross"] * 2],
}
KINDS["prompts"] = [*KINDS["plain"][:3], "encoder self", "encoder self", *KINDS["plain"][3:]]
KINDS["encoder, gated"] = KINDS["prompts"]


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """(name, captioner, token ids, their trace)."""
    made = FORMS[request.param]()
    ids = torch.tensor(made.prompts.pieces(tiny.ENGLISH[0]))
    questions = Questions(ids[None], torch.eye(len(ids))[:, None])
    with with_graph():
        return request.param, made, ids, trace(made, questions, "en", tiny.patches()[0])


def test_every_attention_is_watched_in_order(form):
    name, made, _, traced = form
    assert [place.kind for place in places(made)] == KINDS[name]
    assert [one.kind for one in traced.attentions] == KINDS[name]


def test_weights_are_the_librarys(form):
    _, made, ids, traced = form
    wanted, _ = eager_pass(made, tiny.patches()[0], ids)
    for one, other in zip(traced.attentions, wanted, strict=True):
        assert one.weights.shape == other.shape
        assert torch.allclose(one.weights, other, atol=1e-5)
        context = (one.weights @ one.values).transpose(1, 2).flatten(2)
        assert torch.allclose(one.context, context, atol=1e-5)


def test_gradients_at_the_weights_are_autograds(form):
    _, made, ids, traced = form
    weights, logprobs = eager_pass(made, tiny.patches()[0], ids)
    found = traced.gradients(torch.eye(len(ids))[:, None], traced.attentions)
    at_weights = [one.at_weights(part) for one, part in zip(traced.attentions, found, strict=True)]
    for token, logprob in enumerate(logprobs):
        wanted = torch.autograd.grad(logprob, weights, retain_graph=True)
        for one, other in zip(at_weights, wanted, strict=True):
            assert torch.allclose(one[token], other, rtol=1e-3, atol=1e-5 * float(other.abs().max()) + 1e-7)


def test_another_thread_is_not_overheard():
    made = tiny.captioner()
    ids = torch.tensor([made.prompts.pieces(tiny.ENGLISH[1])])
    with with_graph(), watching_attention(made) as watch:
        made.logits(tiny.patches(seed=1), ids)
        other = threading.Thread(target=made.logits, args=(tiny.patches(seed=2), ids))
        other.start()
        other.join()
    with with_graph(), watching_attention(made) as alone:
        made.logits(tiny.patches(seed=1), ids)
    for one, wanted in zip(watch.attentions(), alone.attentions(), strict=True):
        assert torch.equal(one.weights, wanted.weights)
        assert torch.equal(one.context, wanted.context)


def test_hooks_go_also_after_an_error():
    made = tiny.captioner()
    before = snapshot(made)
    with watching_attention(made):
        assert snapshot(made) != before
    assert snapshot(made) == before
    with pytest.raises(ShapeError), watching_attention(made):
        made.read(torch.zeros(1, 3, tiny.WIDTH + 1))
    assert snapshot(made) == before
