"""Words of a question's text: the published numbers, the exact sum, and every kind of text tower."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaxai.captioner.words import word_spans
from dermaxai.encoders import load_encoder
from dermaxai.encoders.text_blocks import open_text_blocks, used_positions, without_unused
from dermaxai.errors import NotSupported, SettingError, UsageError
from dermaxai.explain import text_side
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.grad_eclip import GradEclip
from dermaxai.explain.text_side import (
    TextForm,
    contributions,
    read_prompts,
    text_cosines,
    text_grad_eclip,
    text_relevance,
    text_rollout,
)
from dermaxai.types import Target
from tests.encoders import tiny
from tests.explain.conftest import GOLDEN, encoded_golden
from tests.explain.snapshot import snapshot

PHOTOS = ["ISIC_0024525", "ISIC_0024306", "ISIC_0026154"]
TEXTS = ["dermoscopy of melanoma", "a large asymmetric dark brown lesion with irregular border"]
QUERIES = [Target("query", text) for text in TEXTS]
TARGETS = [
    Target("query", "a dark mole"),
    Target("concept", "raised"),
    Target("query", "Benign  Keratosis, raised", against="skin"),
    Target("diagnosis", "dark skin"),
]
KINDS = ["openclip", "biomedclip", "dermlip-panderm", "siglip", "siglip2", "clip-hf"]


@pytest.fixture(scope="module", params=KINDS)
def speaking(request, tmp_path_factory):
    """(encoder, one photo encoded) per kind of text tower."""
    made = tiny.BUILDERS[request.param](tmp_path_factory.mktemp("models") / request.param)
    encoder = load_encoder(made.name, made.source, offline=True)
    return encoder, encoder.encode([tiny.photo(90, 120)])[0]


@pytest.fixture
def several_templates(speaking, monkeypatch):
    encoder, encoded = speaking
    templates = ("a {} mole", "{}, raised skin", "skin of {}")
    monkeypatch.setattr(encoder, "card", replace(encoder.card, templates=templates))
    return encoder, encoded


def values_of(shares):
    return np.array([share.value for share in shares])


def golden(photo, text, method):
    path = GOLDEN / f"{photo}__t{text}__{method}.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return np.load(path)


def of_words(text, per_token):
    """The reference's numbers of tokens 1 to end - 1, summed over the tokens that spell each word."""
    import open_clip

    ids = open_clip.tokenize([text])[0, 1 : 1 + len(per_token)].tolist()
    sums, spelled = [0.0], ""
    for word, value in zip(map(open_clip.tokenizer._tokenizer.decoder.get, ids), per_token, strict=True):
        sums[-1] += float(value)
        spelled += word
        if word.endswith("</w>"):
            sums.append(0.0)
    assert spelled.replace("</w>", " ").strip() == text
    return np.array(sums[:-1])


def distance(found, wanted):
    return float(np.abs(np.asarray(found) - wanted).max() / np.abs(wanted).max())


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("blocks", [1, 4])
@pytest.mark.parametrize(("prefix", "heads"), [("mh", "model"), ("ref", "single")])
def test_equals_the_published_importances(clip, photo, blocks, prefix, heads):
    encoded, tower = encoded_golden(photo), clip.text_tower
    method = GradEclip(heads=heads, text_blocks=blocks, padding=True)
    maps = method.explain_text(Explained(clip), encoded, QUERIES)
    prompts = read_prompts(clip, QUERIES)
    opened = open_text_blocks(tower, prompts.ids, blocks, single_head=heads == "single")
    cosines = text_cosines(tower, prompts, prompts.ids, opened[-1], encoded)
    gradients = torch.autograd.grad(cosines.sum(), [block.context for block in opened], retain_graph=True)
    tokens = contributions(tower, prompts.ids, opened, gradients, padding=True).sum(0)
    for text, found in enumerate(maps):
        wanted = golden(photo, text, "gradeclip")
        name, end = f"{prefix}_txt_n{blocks}", int(wanted["eos"])
        signed, importance = wanted[f"{name}_importance_signed"], wanted[f"{name}_importance"]
        assert (prompts.ids[text].numpy() == wanted["token_ids"]).all()
        assert float(cosines[text].detach()) == pytest.approx(float(wanted[f"{name}_cosine"]), abs=1e-5)
        assert distance(tokens[text, 1:end].numpy(force=True), signed) < 1e-4
        assert distance(values_of(found.shares), of_words(TEXTS[text], signed)) < 1e-4
        positive = np.maximum(tokens[text, 1:end].numpy(force=True), 0)
        if np.isfinite(importance).all():
            assert distance(positive / positive.sum(), importance) < 1e-4
        else:
            assert positive.sum() == 0


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
def test_reference_is_the_published_code_with_all_four_blocks(clip, photo):
    found = GradEclip.of_variant("reference").explain_text(Explained(clip), encoded_golden(photo), QUERIES)
    for text, one in enumerate(found):
        signed = golden(photo, text, "gradeclip")["ref_txt_n4_importance_signed"]
        assert distance(values_of(one.shares), of_words(TEXTS[text], signed)) < 1e-4
        assert one.variant == "reference"
        assert one.layer == "text blocks 1 to 4 of 4, attention read at the end token"
        assert [share.text for share in one.shares] == TEXTS[text].split()


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(("start", "name"), [(-1, "last"), (0, "all"), (-4, "all"), (3, "last")])
def test_equals_the_published_relevance(clip, photo, start, name):
    found = text_relevance(Explained(clip), encoded_golden(photo), QUERIES, start=start)
    for text, shares in enumerate(found.shares):
        wanted = golden(photo, text, "chefer")
        tokens = of_words(TEXTS[text], wanted[f"{name}_text_tokens_raw"])
        assert distance(values_of(shares), tokens) < 1e-4
        assert found.scalars[text] == f"logit({float(wanted['logit_scale']):.4g})"


@pytest.mark.shared
@pytest.mark.parametrize("photo", PHOTOS)
def test_equals_the_published_rollout(clip, photo):
    found = text_rollout(Explained(clip), QUERIES)
    for text, shares in enumerate(found.shares):
        wanted = golden(photo, text, "rollout")["abnar_text_tokens"]
        assert distance(values_of(shares), of_words(TEXTS[text], wanted)) < 1e-5


def test_attention_weighted_shares_sum_to_the_direct_effect(several_templates):
    """In every block: sum over all tokens = dS/do . o, summed over the tokens that are read."""
    encoder, encoded = several_templates
    tower, prompts = encoder.text_tower, read_prompts(encoder, TARGETS)
    opened = open_text_blocks(tower, prompts.ids, 8)
    cosines = text_cosines(tower, prompts, prompts.ids, opened[-1], encoded)
    gradients = torch.autograd.grad(cosines.sum(), [block.context for block in opened])
    shares = contributions(tower, prompts.ids, opened, gradients, "attention").sum(-1)
    reads = tower.reads(prompts.ids) > 0
    assert shares.shape == (len(tower.blocks), len(prompts.ids))
    for block, gradient, found in zip(opened, gradients, shares, strict=True):
        effect = ((gradient * block.context.detach()).sum(-1) * reads).sum(-1)
        assert torch.allclose(found, effect, rtol=1e-4, atol=1e-6)
        assert effect.abs().max() > 1e-4


def test_the_scalar_is_the_cosine_of_the_image_side(several_templates):
    encoder, encoded = several_templates
    targets = [replace(target, against=None) for target in TARGETS]
    prompts = read_prompts(encoder, targets)
    assert prompts.owners.tolist() == [0, 1, 1, 1, 2, 3, 3, 3]
    last = open_text_blocks(encoder.text_tower, prompts.ids, 1)[-1]
    found = text_cosines(encoder.text_tower, prompts, prompts.ids, last, encoded)
    wanted = text_directions(encoder, targets) @ encoded.pooled
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", GradEclip.variants)
def test_shares_are_the_words_as_typed(speaking, name):
    encoder, encoded = speaking
    found = GradEclip.of_variant(name).explain_text(Explained(encoder), encoded, TARGETS)
    for one, target in zip(found, TARGETS, strict=True):
        assert [(share.start, share.stop) for share in one.shares] == word_spans(target.text)
        assert [share.text for share in one.shares] == [target.text[a:b] for a, b in word_spans(target.text)]
        assert np.isfinite(values_of(one.shares)).all()
        assert one.scalar == ("cosine difference" if target.against else "cosine")
        assert (one.method, one.variant, one.target) == ("grad_eclip", name, target)
        assert one.layer.startswith("text blocks 1 to ")
    assert np.abs(values_of(found[0].shares)).max() > 1e-5


def test_shares_are_signed_and_depend_on_the_photo(speaking):
    encoder, encoded = speaking
    one, other = encoder.encode([tiny.photo(90, 120, seed=seed) for seed in (0, 9)])
    model, method = Explained(encoder), GradEclip()
    first, second = (method.explain_text(model, photo, TARGETS) for photo in (one, other))
    assert not np.allclose(values_of(first[0].shares), values_of(second[0].shares), rtol=1e-2)
    turned = replace(encoded, pooled=-encoded.pooled)
    opposite = method.explain_text(model, turned, TARGETS)
    assert np.allclose(values_of(opposite[0].shares), -values_of(first[0].shares), rtol=1e-3, atol=1e-7)


def every_answer(model, encoded, targets):
    eclip = [
        text_grad_eclip(model, encoded, targets, TextForm(padding=padding)).shares
        for padding in (False, True)
    ]
    relevance, rollout = text_relevance(model, encoded, targets).shares, text_rollout(model, targets).shares
    return [[values_of(one) for one in shares] for shares in (*eclip, relevance, rollout)]


def test_one_by_one_is_the_same_as_together(several_templates):
    encoder, encoded = several_templates
    model = Explained(encoder)
    together = every_answer(model, encoded, TARGETS)
    for index, target in enumerate(TARGETS):
        for found, alone in zip(together, every_answer(model, encoded, [target]), strict=True):
            assert np.allclose(found[index], alone[0], rtol=1e-3, atol=1e-6)


def test_more_prompts_than_fit_are_opened_in_turns(several_templates, monkeypatch):
    encoder, encoded = several_templates
    together = every_answer(Explained(encoder), encoded, TARGETS)
    monkeypatch.setattr(text_side, "AT_ONCE", 4)
    for found, wanted in zip(every_answer(Explained(encoder), encoded, TARGETS), together, strict=True):
        assert len(found) == len(TARGETS)
        for one, other in zip(found, wanted, strict=True):
            assert np.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_equal_templates_count_as_one(speaking, monkeypatch):
    encoder, encoded = speaking
    ask = [Target("diagnosis", "dark mole")]
    found = []
    for count in (1, 3):
        card = replace(encoder.card, templates=("a {} raised",) * count)
        monkeypatch.setattr(encoder, "card", card)
        found.append(every_answer(Explained(encoder), encoded, ask))
    for one, other in zip(*found, strict=True):
        assert np.allclose(one[0], other[0], rtol=1e-3, atol=1e-6)


def test_a_template_s_own_words_have_no_share(speaking, monkeypatch):
    """'dark mole' in 'a {} raised' counts what its words count in the query 'a dark mole raised'."""
    encoder, encoded = speaking
    monkeypatch.setattr(encoder, "card", replace(encoder.card, templates=("a {} raised",)))
    model = Explained(encoder)
    inside = every_answer(model, encoded, [Target("diagnosis", "dark mole")])
    typed = every_answer(model, encoded, [Target("query", "a dark mole raised")])
    for one, whole in zip(inside, typed, strict=True):
        assert np.allclose(one[0], whole[0][1:3], rtol=1e-3, atol=1e-6)


def test_the_rival_of_a_contrast_changes_no_share(speaking):
    encoder, encoded = speaking
    model = Explained(encoder)
    plain, contrast = (
        GradEclip().explain_text(model, encoded, [Target("query", "a dark mole", against=rival)])[0]
        for rival in (None, "skin")
    )
    assert contrast.scalar == "cosine difference"
    assert plain.shares == contrast.shares


def test_by_default_padding_has_no_say(speaking):
    """Published scaling takes padding in, which only SigLIP's tower reads."""
    encoder, encoded = speaking
    tower, model = encoder.text_tower, Explained(encoder)
    prompts = read_prompts(encoder, TARGETS[:1])
    seen = bool(used_positions(tower, prompts.ids).all())
    assert seen == (tower.read_at == "last token")
    without, published = (
        values_of(text_grad_eclip(model, encoded, TARGETS[:1], TextForm(padding=padding)).shares[0])
        for padding in (False, True)
    )
    assert np.allclose(without, published, rtol=1e-3, atol=1e-7) == seen


def test_a_text_of_one_word_and_texts_without_words(speaking):
    encoder, encoded = speaking
    model = Explained(encoder)
    (one,) = GradEclip(weighting="attention").explain_text(model, encoded, [Target("query", " skin ")])
    assert [(share.text, share.start, share.stop) for share in one.shares] == [("skin", 1, 5)]
    (none,) = GradEclip().explain_text(model, encoded, [Target("query", "!?")])
    assert none.shares == ()
    for target in (Target("query", "  "), Target("query", "skin", against=" ")):
        with pytest.raises(UsageError, match="no text"):
            GradEclip().explain_text(model, encoded, [target])
    assert GradEclip().explain_text(model, encoded, []) == []


def test_words_that_the_context_cuts_off_count_nothing(speaking):
    encoder, encoded = speaking
    text = "a dark mole " + "raised " * 40
    for values in every_answer(Explained(encoder), encoded, [Target("query", text)]):
        assert len(values[0]) == 43
        assert np.isfinite(values[0]).all()
        assert (values[0][-3:] == 0).all()


def test_relevance_is_positive_and_one_block_follows_the_attention(speaking):
    encoder, encoded = speaking
    model, tower = Explained(encoder), encoder.text_tower
    query = [Target("query", "a dark mole raised")]
    prompts = read_prompts(encoder, query)
    last = open_text_blocks(tower, prompts.ids, 1)[0]
    logit = encoder.logit_scale * text_cosines(tower, prompts, prompts.ids, last, encoded)
    (gradient,) = torch.autograd.grad(logit.sum(), last.attention)
    positive = (gradient * last.attention.detach())[0].relu().mean(0)
    row = tower.reads(prompts.ids)[0] @ positive
    wanted = [float(row[begin:end].sum()) for begin, end in prompts.words[0]]
    found = text_relevance(model, encoded, query, start=-1)
    assert np.allclose(values_of(found.shares[0]), wanted, rtol=1e-4, atol=1e-7)
    assert max(wanted) > 0
    assert found.layer.startswith(f"text block {len(tower.blocks)} of")
    several = text_relevance(model, encoded, TARGETS)
    assert all((values_of(shares) >= 0).all() for shares in several.shares)
    assert [scalar.endswith(" difference") for scalar in several.scalars] == [False, False, True, False]


def test_rollout_of_all_words_is_a_part_of_one(speaking):
    """Special tokens and padding have the rest; a full context without them has none."""
    encoder, _ = speaking
    model = Explained(encoder)
    found = text_rollout(model, TARGETS)
    for shares in found.shares:
        assert 0 < values_of(shares).sum() < 1 + 1e-6
    assert set(found.scalars) == {"attention"}
    prompts, tower = read_prompts(encoder, TARGETS[:1]), encoder.text_tower
    last = open_text_blocks(tower, prompts.ids, 1)[0].attention[0].detach().mean(0)
    row = tower.reads(prompts.ids)[0] @ last
    wanted = [float(row[begin:end].sum()) for begin, end in prompts.words[0]]
    plain = text_rollout(model, TARGETS[:1], start=-1, residual=False)
    assert np.allclose(values_of(plain.shares[0]), wanted, atol=1e-6)


def test_model_stays_as_it_was_also_after_an_error(speaking, monkeypatch):
    encoder, encoded = speaking
    before = snapshot(encoder.module)
    every_answer(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.text_side._weights", fail)
    with pytest.raises(ZeroDivisionError):
        GradEclip().explain_text(Explained(encoder), encoded, TARGETS)
    assert snapshot(encoder.module) == before


def fail(*_):
    raise ZeroDivisionError


def test_works_where_the_caller_switched_autograd_off(speaking):
    encoder, encoded = speaking
    wanted = GradEclip().explain_text(Explained(encoder), encoded, TARGETS[:1])[0].shares
    with torch.inference_mode():
        inside = encoder.encode([tiny.photo(90, 120)])[0]
        found = GradEclip().explain_text(Explained(encoder), inside, TARGETS[:1])[0].shares
    assert np.allclose(values_of(found), values_of(wanted), rtol=1e-4, atol=1e-8)


def test_half_precision_is_close(tmp_path):
    made = tiny.open_clip_folder(tmp_path / "model")
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        encoder = load_encoder(made.name, offline=True, dtype=dtype)
        encoded = encoder.encode([tiny.photo(90, 120)])[0]
        method = GradEclip(weighting="attention")
        found.append(values_of(method.explain_text(Explained(encoder), encoded, TARGETS[2:3])[0].shares))
    assert np.abs(found[0] - found[1]).max() < 0.1 * np.abs(found[0]).max()


def test_cyrillic_words_of_a_byte_vocabulary(tmp_path):
    encoder = load_encoder(tiny.open_clip_folder(tmp_path / "model").name, offline=True)
    encoded = encoder.encode([tiny.photo(90, 120)])[0]
    text = "Тёмный  невус"
    (found,) = GradEclip().explain_text(Explained(encoder), encoded, [Target("query", text)])
    assert [share.text for share in found.shares] == ["Тёмный", "невус"]
    ids = without_unused(encoder.text_tower, encoder.text_tower.tokenize([text]))
    assert ids.shape[1] > 4, "each word is made of several tokens"


def test_questions_it_cannot_answer(tmp_path):
    made = tiny.open_clip_folder(tmp_path / "model")
    encoder = load_encoder(made.name, offline=True)
    encoded = encoder.encode([tiny.photo(90, 120)])[0]
    with pytest.raises(NotSupported, match="question to the decoder"):
        text_relevance(Explained(encoder), encoded, [Target("word", "skin", word=0)])
    for ask in (text_relevance, lambda *given, start: text_rollout(given[0], given[2], start=start)):
        with pytest.raises(SettingError, match="numbered 0 to 1"):
            ask(Explained(encoder), encoded, TARGETS, start=2)
    blind = tiny.panderm_file(tmp_path / "panderm")
    encoder = load_encoder(blind.name, blind.source, offline=True)
    with pytest.raises(NotSupported, match="vision-only"):
        text_rollout(Explained(encoder), TARGETS)


def test_forms_are_named():
    assert GradEclip(text_blocks=1).variant == "model heads, 1 text blocks"
    assert GradEclip(padding=True).variant == "model heads, padding counts"
    assert GradEclip(heads="single", padding=False).variant == "reference, no padding"
    assert GradEclip(heads="single", padding=True).variant == "reference"
    with pytest.raises(SettingError, match="at least 1 block"):
        GradEclip(text_blocks=0)
