"""Describing and scoring: the same numbers both ways, deterministic, constrained, lazily imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import dermaxai.captioner
from dermaxai.captioner import Captioner, load_t5
from dermaxai.captioner.config import LanguagePrompt
from dermaxai.errors import NotSupported, SettingError, ShapeError, UsageError, WeightsMismatch
from tests.captioner import tiny

PROMPTS = {"en": LanguagePrompt(encoder_prompt="large lesion"), "ru": LanguagePrompt(encoder_prompt="очаг")}


@pytest.fixture(params=["prefix", "prefix, encoder", "prompt", "gated"])
def made(request):
    if request.param == "prompt":
        return tiny.captioner(languages=PROMPTS, skip_encoder=False)
    if request.param == "gated":
        return tiny.captioner(base=tiny.demo_base(gated=True))
    return tiny.captioner(skip_encoder=request.param == "prefix")


PHOTOS = [tiny.encoded(seed) for seed in range(2)]


@pytest.mark.parametrize("beams", [1, 3])
def test_describe_and_score_agree(made, beams):
    for language in ("en", "ru"):
        for photo, caption in zip(PHOTOS, made.describe(PHOTOS, language, beams=beams), strict=True):
            again = made.score(photo, caption.token_ids, language)
            assert again.token_logprobs == pytest.approx(caption.token_logprobs, abs=1e-4)
            assert (again.text, again.token_ids) == (caption.text, caption.token_ids)
            assert caption.token_ids[-1] == made.prompts.end
            assert len(caption.token_ids) <= made.config.max_tokens
            assert caption.language == language
            for word in caption.words:
                assert caption.text[word.start : word.stop] == word.text


def test_languages_differ(made):
    english, russian = made.score(PHOTOS[0], "lesion", "en"), made.score(PHOTOS[0], "lesion", "ru")
    assert english.logprob != pytest.approx(russian.logprob, abs=1e-3)


def test_batch_is_the_same_as_single(made):
    for beams in (1, 3):
        together = made.describe(PHOTOS, beams=beams)
        for photo, caption in zip(PHOTOS, together, strict=True):
            (alone,) = made.describe(photo, beams=beams)
            assert alone.token_ids == caption.token_ids
            assert alone.token_logprobs == pytest.approx(caption.token_logprobs, abs=1e-4)


def test_beam_is_never_less_probable_than_greedy(made):
    for one, wide in zip(made.describe(PHOTOS), made.describe(PHOTOS, beams=4), strict=True):
        assert wide.logprob >= one.logprob - 1e-4


def test_beam_finds_the_most_probable_text_of_a_small_space():
    """All texts of up to two pieces, counted out, against a beam as wide as the vocabulary."""
    made = tiny.captioner(max_tokens=2)
    end, forbidden = made.prompts.end, set(made.prompts.forbidden().tolist())
    inner = [piece for piece in range(len(made.tokenizer)) if piece not in {end, *forbidden}]
    rows = torch.tensor([[piece, end] for piece in inner])
    with torch.inference_mode():
        logits = made.logits(PHOTOS[0].patches[None], rows)
        logprobs = logits.log_softmax(-1).gather(2, rows[:, :, None]).sum((1, 2))
    best = max(float(logprobs.max()), made.score(PHOTOS[0], (end,)).logprob)
    assert made.describe(PHOTOS[0], beams=len(inner))[0].logprob == pytest.approx(best, abs=1e-4)


def test_deterministic_also_in_training_mode(made):
    first = made.describe(PHOTOS)
    assert made.describe(PHOTOS) == first
    made.train()
    assert made.describe(PHOTOS) == first
    assert made.training
    assert torch.is_grad_enabled()


def test_greedy_equals_transformers_generate(made):
    memory, mask = _memory(made)
    prefix = torch.tensor([made.prompts.prefix("en")] * len(PHOTOS))
    wanted = made.t5.generate(
        encoder_outputs=_outputs(memory),
        attention_mask=mask,
        decoder_input_ids=prefix,
        max_new_tokens=made.config.max_tokens - 1,
        suppress_tokens=made.prompts.forbidden().tolist(),
        do_sample=False,
    )
    for row, caption in zip(wanted.tolist(), made.describe(PHOTOS), strict=True):
        ids = row[prefix.shape[1] :]
        length = ids.index(1) if 1 in ids else len(ids)
        assert tuple(ids[:length]) == caption.token_ids[:-1]


def _memory(made):
    with torch.inference_mode():
        queries = made.read(torch.stack([photo.patches for photo in PHOTOS]))
        memory, mask = made.memory(queries, ["en"] * len(PHOTOS))
    return memory, torch.ones(memory.shape[:2], dtype=torch.long) if mask is None else mask


def _outputs(memory):
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(memory)


def test_logits_read_an_image_once_for_many_texts(made, monkeypatch):
    rows = torch.tensor([[5, 9, 11, 1], [7, 7, 8, 1], [20, 31, 6, 1]])
    image = PHOTOS[0].patches[None]
    calls = []
    made.bridge.register_forward_hook(lambda *_: calls.append(1))
    together = made.logits(image, rows)
    assert len(calls) == 1
    assert together.shape == (3, 4, made.t5.lm_head.weight.shape[0])
    for row in range(3):
        assert torch.allclose(together[row], made.logits(image, rows[row : row + 1])[0], atol=1e-4)
    pairs = made.logits(image.repeat(3, 1, 1), rows)
    assert torch.allclose(pairs, together, atol=1e-4)
    with pytest.raises(ShapeError, match="3 texts"):
        made.logits(image.repeat(2, 1, 1), rows)


def test_logits_are_differentiable_in_the_patches(made):
    image = PHOTOS[0].patches[None].clone().requires_grad_()
    made.logits(image, torch.tensor([[5, 9, 1]]))[0, 1, 9].backward()
    assert image.grad.shape == image.shape
    assert float(image.grad.abs().max()) > 0
    queries = made.read(image.detach()).detach().requires_grad_()
    made.logits_of(queries, torch.tensor([[5, 9, 1]]))[0, 1, 9].backward()
    assert float(queries.grad.abs().max()) > 0


def test_bfloat16(made):
    made.bfloat16()
    caption = made.describe(PHOTOS[0])[0]
    again = made.score(PHOTOS[0], caption.token_ids)
    assert made.dtype == torch.bfloat16
    assert again.token_logprobs == pytest.approx(caption.token_logprobs, abs=0.3)


def test_banned_forms_do_not_appear():
    made = tiny.captioner()
    plain = made.describe(PHOTOS)
    word = plain[0].words[0].text
    for beams in (1, 3):
        for caption in made.describe(PHOTOS, beams=beams, banned=[word.upper()]):
            assert not any(own.text.casefold().startswith(word.casefold()) for own in caption.words)
            again = made.score(PHOTOS[0], caption.token_ids)
            assert again.token_ids == caption.token_ids
    assert made.describe(PHOTOS, banned=["zzz"]) == plain


def test_special_pieces_are_never_written(made):
    special = set(made.prompts.forbidden().tolist())
    for caption in made.describe(PHOTOS):
        assert not special.intersection(caption.token_ids)


def test_score_of_a_text_uses_its_own_characters(made):
    caption = made.score(PHOTOS[0], "A small round nodule.")
    assert caption.text == "A small round nodule."
    assert [word.text for word in caption.words] == ["A", "small", "round", "nodule"]
    assert caption.logprob == pytest.approx(sum(caption.token_logprobs))
    assert caption.find("round") == 2


def test_requests_that_cannot_be_met(made):
    with pytest.raises(NotSupported, match="stranger"):
        made.describe(tiny.encoded(encoder="stranger"))
    with pytest.raises(NotSupported, match="'de'"):
        made.describe(PHOTOS[0], "de")
    with pytest.raises(NotSupported, match="'de'"):
        made.loss(tiny.patches(1), ["a"], ["de"])
    with pytest.raises(NotSupported, match="中"):
        made.score(PHOTOS[0], "中文")
    with pytest.raises(NotSupported, match="spell"):
        made.score(PHOTOS[0], "a lesion <ru>")
    with pytest.raises(UsageError, match="no text"):
        made.score(PHOTOS[0], "")
    with pytest.raises(SettingError, match="beams"):
        made.describe(PHOTOS[0], beams=0)
    with pytest.raises(ShapeError, match="no photo"):
        made.describe([])
    with pytest.raises(ShapeError, match="24"):
        made.describe_patches(torch.zeros(1, 4, 7))


def test_parts_must_fit():
    with pytest.raises(WeightsMismatch, match="wide"):
        tiny.captioner(bridge=dermaxai.captioner.BridgeConfig(24, 40, hidden=16, heads=2))
    with pytest.raises(SettingError, match="<de>"):
        tiny.captioner(languages={"en": LanguagePrompt("<de>")})


def test_a_seed_gives_the_same_start():
    one, other, third = tiny.captioner(seed=1), tiny.captioner(seed=1), tiny.captioner(seed=2)
    assert torch.equal(one.bridge.queries, other.bridge.queries)
    assert not torch.equal(one.bridge.queries, third.bridge.queries)


@pytest.mark.parametrize("kind", tiny.FORMATS)
def test_every_t5_writes_and_scores(tmp_path, kind):
    tiny.write_t5(tmp_path, kind)
    made = tiny.captioner(base=load_t5(tmp_path), languages=PROMPTS, skip_encoder=False, max_tokens=8)
    assert isinstance(made, Captioner)
    for language, text in (("en", "A small lesion."), ("ru", "Крупный узел.")):
        caption = made.describe(PHOTOS[0], language, beams=2)[0]
        again = made.score(PHOTOS[0], caption.token_ids, language)
        assert again.token_logprobs == pytest.approx(caption.token_logprobs, abs=1e-4)
        assert made.score(PHOTOS[0], text, language).text == text


def test_importing_the_package_imports_no_torch():
    program = (
        "import sys, dermaxai.captioner; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_public_name_is_there():
    for name in dermaxai.captioner.__all__:
        assert getattr(dermaxai.captioner, name) is not None
    with pytest.raises(AttributeError):
        _ = dermaxai.captioner.nothing
