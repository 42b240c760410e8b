"""Opened text towers against the libraries' own forward pass."""

import json
from dataclasses import replace

import pytest
import torch

from dermaxai.encoders import load_encoder
from dermaxai.encoders.tail import unit_length
from dermaxai.encoders.text_blocks import (
    bert_text_tower,
    open_clip_text_tower,
    open_text_blocks,
    used_positions,
    without_unused,
)
from dermaxai.encoders.tokenizing import clip_tokenizer
from dermaxai.errors import NotSupported
from tests.encoders import tiny

TEXTS = [*tiny.TEXTS, "A  dark,   mole (raised)"]


with_text = pytest.mark.parametrize(
    "pair", [name for name in tiny.BUILDERS if name != "panderm"], indirect=True
)


@pytest.fixture
def opened(pair):
    encoder, _ = pair
    return encoder, encoder.text_tower


@with_text
def test_opened_tower_is_encode_text(opened):
    encoder, tower = opened
    wanted = encoder.encode_text(TEXTS)
    whole = tower.tokenize(TEXTS)
    for ids in (whole, without_unused(tower, whole)):
        blocks = open_text_blocks(tower, ids, len(tower.blocks))
        assert len(blocks) == len(tower.blocks)
        found = unit_length(tower.read_out(blocks[-1].tokens, ids))
        assert torch.allclose(found, wanted, atol=1e-5)


@with_text
def test_only_the_last_blocks_are_opened(opened):
    _, tower = opened
    ids = tower.tokenize(TEXTS)
    one, every = open_text_blocks(tower, ids, 1), open_text_blocks(tower, ids, 99)
    assert (len(one), len(every)) == (1, len(tower.blocks))
    assert torch.allclose(one[0].tokens, every[-1].tokens, atol=1e-5)


@with_text
def test_attention_is_a_mean_over_what_is_seen(opened):
    _, tower = opened
    ids = tower.tokenize(TEXTS)
    sees = tower.sees(ids)[:, None].expand(len(ids), 1, ids.shape[1], ids.shape[1])
    for block in open_text_blocks(tower, ids, 99):
        attention = block.attention.detach()
        assert torch.allclose(attention.sum(-1), torch.ones(()), atol=1e-5)
        assert attention.masked_select(~sees.expand_as(attention)).abs().sum() == 0
        merged = (attention @ block.values).transpose(1, 2).flatten(2)
        assert torch.allclose(merged, block.context, atol=1e-6)


@with_text
def test_every_stage_has_a_gradient_and_no_parameter_has(opened):
    encoder, tower = opened
    ids = tower.tokenize(TEXTS)
    blocks = open_text_blocks(tower, ids, 2)
    nodes = [node for block in blocks for node in (block.context, block.attention, block.values)]
    embedded = unit_length(tower.read_out(blocks[-1].tokens, ids))
    for gradient in torch.autograd.grad(embedded[:, 0].sum(), nodes):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0
    assert all(one.grad is None and not one.requires_grad for one in encoder.module.parameters())


@with_text
def test_the_embedding_is_read_where_the_tower_says(opened):
    """The gradient at the last block's output is not zero exactly at the tokens that are read."""
    _, tower = opened
    ids = tower.tokenize(TEXTS)
    reads = tower.reads(ids)
    assert torch.allclose(reads.sum(-1), torch.ones(len(TEXTS)))
    last = open_text_blocks(tower, ids, 1)[-1].tokens
    (gradient,) = torch.autograd.grad(unit_length(tower.read_out(last, ids))[:, 0].sum(), last)
    assert torch.equal(gradient.abs().amax(-1) > 0, reads > 0)


@with_text
def test_padding_that_nobody_sees_is_cut(opened):
    _, tower = opened
    ids = tower.tokenize(TEXTS[2:3])
    shorter = without_unused(tower, ids)
    assert torch.equal(used_positions(tower, ids).sum(-1), used_positions(tower, shorter).sum(-1))
    if tower.read_at == "last token":
        assert shorter.shape == ids.shape
    else:
        assert shorter.shape[1] < ids.shape[1]
        assert used_positions(tower, shorter).all()


@with_text
def test_one_head_is_another_network(opened):
    _, tower = opened
    ids = tower.tokenize(TEXTS)
    single, real = open_text_blocks(tower, ids, 1, single_head=True), open_text_blocks(tower, ids, 1)
    assert single[0].attention.shape[1] == 1
    assert not torch.allclose(single[0].context, real[0].context, atol=1e-3)


def test_vision_only_encoders_have_no_text_to_open(tmp_path):
    made = tiny.panderm_file(tmp_path / "panderm")
    with pytest.raises(NotSupported, match="vision-only"):
        _ = load_encoder(made.name, made.source, offline=True).text_tower


@pytest.mark.parametrize(
    ("options", "read_at", "custom"),
    [
        ({"no_causal_mask": True, "pool_type": "last", "proj_bias": True}, "last token", False),
        ({"pool_type": "eos", "eos_id": 49407, "ls_init_value": 0.3}, "end token", False),
        ({"pool_type": "first", "no_causal_mask": True, "proj_type": "none"}, "first token", False),
        ({}, "end token", True),
    ],
)
def test_other_forms_of_open_clip_s_text_tower(options, read_at, custom):
    import open_clip

    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    config = {**tiny.CLIP_TEXT, **options}
    model = tiny.stir(lambda: kind(24, dict(tiny.VISION), config)).requires_grad_(False)
    tower = open_clip_text_tower(model, clip_tokenizer(16))
    ids = tower.tokenize(TEXTS)
    assert tower.read_at == read_at
    found = tower.read_out(open_text_blocks(tower, ids, 9)[-1].tokens, ids)
    assert torch.allclose(found, model.encode_text(ids), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"embed_cls": True}, {"pool_type": "none"}, {"scale_attn": True, "qk_norm": True}]
)
def test_exotic_open_clip_text_towers_are_refused(options):
    import open_clip

    model = open_clip.CustomTextCLIP(24, dict(tiny.VISION), {**tiny.CLIP_TEXT, **options})
    with pytest.raises(NotSupported, match="explained"):
        open_clip_text_tower(model, clip_tokenizer(16))


def language_model(config, pooler):
    from open_clip.hf_model import HFTextEncoder

    return tiny.stir(lambda: HFTextEncoder("x", 24, config, pooler, "mlp", pretrained=False))


@pytest.mark.parametrize("pooler", ["cls_pooler", "cls_last_hidden_state_pooler", "mean_pooler"])
def test_every_pooling_of_bert(pooler):
    from transformers import BertConfig

    config = BertConfig(**{key: value for key, value in tiny.BERT.items() if key != "model_type"})
    model = language_model(config, pooler).requires_grad_(False)
    tower = bert_text_tower(model, tiny.bert_ids)
    for ids in (tiny.bert_ids(tiny.TEXTS), without_unused(tower, tiny.bert_ids(tiny.TEXTS))):
        found = tower.read_out(open_text_blocks(tower, ids, 9)[-1].tokens, ids)
        assert torch.allclose(found, model(ids), atol=1e-5)


def test_other_language_models_and_poolings_are_refused():
    from transformers import BertConfig, RobertaConfig

    values = {key: value for key, value in tiny.BERT.items() if key != "model_type"}
    with pytest.raises(NotSupported, match="RobertaModel"):
        bert_text_tower(language_model(RobertaConfig(**values), "mean_pooler"), tiny.bert_ids)
    with pytest.raises(NotSupported, match="MaxPooler"):
        bert_text_tower(language_model(BertConfig(**values), "max_pooler"), tiny.bert_ids)


def test_a_null_model_name_is_no_language_model(tmp_path):
    made = tiny.open_clip_folder(tmp_path / "model")
    path = tmp_path / "model" / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"]["hf_model_name"] = None
    path.write_text(json.dumps(config))
    encoder = load_encoder(replace(load_encoder(made.name, offline=True).card), made.name, offline=True)
    assert encoder.text_tower.read_at == "end token"
    assert torch.isfinite(encoder.encode_text(["skin"])).all()
