"""The exact decomposition: everything adds up, and each term is what the weights say it is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dermaxai.encoders import load_encoder
from dermaxai.encoders.tail import open_blocks
from dermaxai.explain import blocks as blocks_module
from dermaxai.explain.base import Explained, text_directions, with_graph
from dermaxai.explain.decomposition import Decomposition, terms_of
from dermaxai.types import Target
from tests.encoders import tiny
from tests.explain.conftest import TOWERS
from tests.explain.snapshot import snapshot
from tests.explain.whole_tower import TARGETS, distance


@pytest.fixture(scope="module", params=TOWERS)
def exact(request, tmp_path_factory):
    """An encoder in float64 per kind of pooling."""
    made = TOWERS[request.param](tmp_path_factory.mktemp("models") / request.param)
    return load_encoder(made.name, made.source, offline=True, dtype=torch.float64)


def terms(encoder, encoded, directions):
    with with_graph():
        return terms_of(Explained(encoder), encoded, directions)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4))
def test_everything_adds_up_to_the_cosine(exact, seed, count):
    (encoded,) = exact.encode([tiny.photo(70, 90, seed)])
    generator = torch.Generator().manual_seed(seed)
    shape = (count, len(encoded.pooled))
    directions = functional.normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)
    found = terms(exact, encoded, directions)
    assert torch.allclose(found.total, directions @ encoded.pooled, rtol=0, atol=1e-10)
    # Linear in the direction, term by term.
    doubled = terms(exact, encoded, directions * -2)
    assert torch.allclose(doubled.attention, found.attention * -2, rtol=0, atol=1e-10)
    assert torch.allclose(doubled.rest, found.rest * -2, rtol=0, atol=1e-10)


def held(norm, tokens):
    """What a layer norm does to one part of a sum of tokens, its spread held: without the bias."""
    spread = (tokens.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    return lambda part: (part - part.mean(-1, keepdim=True)) / spread * norm.weight


def test_terms_of_a_class_token_are_those_of_the_weights(tmp_path):
    """open_clip written out: project, norm and output projection of each head's catch from each token."""
    made = tiny.open_clip_folder(tmp_path / "class")
    encoder = load_encoder(made.name, offline=True, dtype=torch.float64)
    (encoded,) = encoder.encode([tiny.photo(90, 120)])
    visual, directions = encoder.module.visual, text_directions(encoder, TARGETS)
    tokens = encoder.tower.embed(encoded.pixels[None].double())
    opened = open_blocks(encoder.tower, tokens)
    last = opened[-1].tokens[0, 0]
    norm = held(visual.ln_post, last)
    length = (visual.ln_post(last) @ visual.proj).norm()

    def cosines(part):
        return directions @ (norm(part) @ visual.proj).movedim(-1, 0) / length

    found = terms(encoder, encoded, directions)
    assert torch.allclose(found.start[:, 0], cosines(tokens[0, 0]), rtol=0, atol=1e-10)
    assert (found.start[:, 1:] == 0).all()
    biases = directions @ (visual.ln_post.bias @ visual.proj) / length
    for number, block in enumerate(opened):
        module = visual.transformer.resblocks[number]
        weight = module.attn.out_proj.weight.unflatten(1, (4, -1))
        for head in range(4):
            fetched = block.attention[0, head, 0, :, None] * block.values[0, head]
            wanted = cosines(fetched @ weight[:, head].T)
            assert torch.allclose(found.attention[:, number, head], wanted, rtol=0, atol=1e-10)
        entering = tokens if number == 0 else opened[number - 1].tokens
        between = entering[0, 0] + module.attn.out_proj(block.context[0, 0])
        added = module.mlp(module.ln_2(between))
        assert torch.allclose(found.feed_forward[:, number], cosines(added), rtol=0, atol=1e-10)
        biases = biases + cosines(module.attn.out_proj.bias)
    assert torch.allclose(found.rest, biases, rtol=0, atol=1e-10)


def test_terms_of_averaged_patches_are_those_of_the_weights(tmp_path):
    made = tiny.dermlip_panderm_folder(tmp_path / "mean")
    encoder = load_encoder(made.name, made.source, offline=True, dtype=torch.float64)
    (encoded,) = encoder.encode([tiny.photo(90, 120)])
    directions, tower = text_directions(encoder, TARGETS), encoder.tower
    visual = encoder.module.visual
    tokens = tower.embed(encoded.pixels[None].double())
    opened = open_blocks(tower, tokens)
    last = opened[-1].tokens[0, 1:]
    each = held(visual.norm, last)
    mean = visual.norm(last).mean(0)
    again = held(visual.norm, mean)
    length = visual.head(visual.norm(mean)).norm()
    found = terms(encoder, encoded, directions)
    # A patch's own start reaches the embedding through its own row alone.
    own = again(each(tokens[0, 1:]) / len(last)) @ visual.head.weight.T / length
    assert torch.allclose(found.start[:, 1:], directions @ own.T, rtol=0, atol=1e-10)
    assert (found.start[:, 0] == 0).all()
    block, module = opened[1], visual.blocks[1]
    weight = module.attn.proj.weight.unflatten(1, (4, -1))
    for head in range(4):
        by_source = block.attention[0, head, 1:].T[:, :, None] * block.values[0, head][:, None]
        rows = each(by_source @ weight[:, head].T * module.gamma_1).mean(1)
        wanted = directions @ (again(rows) @ visual.head.weight.T / length).T
        assert torch.allclose(found.attention[:, 1, head], wanted, rtol=0, atol=1e-10)


def test_terms_of_a_map_head_are_those_of_the_weights(tmp_path):
    made = tiny.siglip_folder(tmp_path / "map")
    encoder = load_encoder(made.name, offline=True, dtype=torch.float64)
    (encoded,) = encoder.encode([tiny.photo(90, 120)])
    directions, head = text_directions(encoder, TARGETS), encoder.module.vision_model.head
    tail = encoder.tail(encoded.tail_input[None])
    found = terms(encoder, encoded, directions)
    pooled = head.attention.out_proj(tail.pool_context)[0, 0]
    rest = head.mlp(head.layernorm(pooled))
    length = (pooled + rest).norm()
    weight = head.attention.out_proj.weight.unflatten(1, (4, -1))
    for number in range(4):
        fetched = tail.pool_attention[0, number, 0, :, None] * tail.pool_values[0, number]
        wanted = directions @ (fetched @ weight[:, number].T).T / length
        assert torch.allclose(found.attention[:, 0, number], wanted, rtol=0, atol=1e-10)
    assert torch.allclose(
        found.rest, directions @ (rest + head.attention.out_proj.bias) / length, rtol=0, atol=1e-10
    )
    assert found.feed_forward.shape == (3, 0)


@pytest.mark.parametrize("kind", ["panderm", "openclip-mean-ln-after", "biomedclip", "clip-hf"])
def test_adds_up_on_other_towers(kind, tmp_path):
    made = tiny.BUILDERS[kind](tmp_path / "model")
    encoder = load_encoder(made.name, made.source, offline=True, dtype=torch.float64)
    (encoded,) = encoder.encode([tiny.photo(90, 120)])
    directions = functional.normalize(torch.eye(len(encoded.pooled), dtype=torch.float64)[:5] + 0.1, dim=-1)
    found = terms(encoder, encoded, directions)
    assert torch.allclose(found.total, directions @ encoded.pooled, rtol=0, atol=1e-10)
    assert (found.feed_forward != 0).all()


def test_map_is_the_sum_over_blocks_and_heads(tower):
    encoder, encoded = tower
    found = Decomposition().explain(Explained(encoder), encoded, TARGETS)
    parts = terms(encoder, encoded, text_directions(encoder, TARGETS))
    patches = (parts.attention.sum((1, 2)) + parts.start)[:, encoder.tower.first_patch :]
    for heat, row in zip(found, patches, strict=True):
        assert distance(heat.values, row.reshape(encoded.grid)) < 1e-5
    assert [heat.scalar for heat in found] == ["cosine", "cosine", "cosine difference"]
    assert distance(found[0].values, found[1].values) > 1e-2
    assert found[0].variant == "all blocks"
    pooling = encoder.tower.pooling == "map"
    assert found[0].layer == ("attention of the pooling" if pooling else "attention of blocks 1 to 3 of 3")


def test_contrast_is_the_difference_of_cosines(tower):
    encoder, encoded = tower
    ask = [
        Target("query", "skin", against="mole"),
        Target("query", "mole", against="skin"),
        Target("query", "skin"),
        Target("query", "mole"),
    ]
    contrast, turned, one, other = Decomposition().explain(Explained(encoder), encoded, ask)
    assert distance(contrast.values, one.values - other.values) < 1e-4
    assert distance(-turned.values, contrast.values) < 1e-4


def test_one_by_one_is_the_same_as_together(tower, monkeypatch):
    encoder, encoded = tower
    together = Decomposition().explain(Explained(encoder), encoded, TARGETS)
    for heat, target in zip(together, TARGETS, strict=True):
        (alone,) = Decomposition().explain(Explained(encoder), encoded, [target])
        assert distance(heat.values, alone.values) < 1e-4
    monkeypatch.setattr(blocks_module, "AT_ONCE", 1)
    monkeypatch.setattr(blocks_module, "SHARED_BLOCKS", 1)
    for heat, turn in zip(
        together, Decomposition().explain(Explained(encoder), encoded, TARGETS), strict=True
    ):
        assert distance(heat.values, turn.values) < 1e-4


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, encoded = tower
    before = snapshot(encoder.module)
    with torch.inference_mode():
        Decomposition().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    plain = functional.layer_norm(torch.arange(4.0, requires_grad=True), [4])
    monkeypatch.setattr("dermaxai.explain.decomposition.gradients_at", fail)
    with pytest.raises(ZeroDivisionError):
        Decomposition().explain(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    assert type(functional.layer_norm(torch.arange(4.0, requires_grad=True), [4]).grad_fn) is type(
        plain.grad_fn
    )


def fail(*_, **__):
    raise ZeroDivisionError


def test_variants_are_named():
    assert [Decomposition.of_variant(name).variant for name in Decomposition.variants] == ["all blocks"]
