"""LoRA, modes and training steps: what moves, what stays bit for bit, and that it learns."""

from __future__ import annotations

import warnings

import pytest
import torch

from dermaxai.captioner import FrozenWatch, LoraSettings
from dermaxai.captioner.adapters import Adapters, read_adapter, write_adapter
from dermaxai.captioner.config import LanguagePrompt
from dermaxai.captioner.decoder import base_state
from dermaxai.errors import NotSupported, SettingError, UnknownName, WeightsMismatch, WeightsMissing
from tests.captioner import tiny

MODES = ("lora", "bridge", "bridge+lora")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gated", [False, True])
def test_training_moves_only_what_the_mode_names(mode, gated):
    made = tiny.captioner(base=tiny.demo_base(gated=gated), skip_encoder=not gated)
    encoder = torch.nn.Linear(tiny.WIDTH, tiny.WIDTH).requires_grad_(False)
    parts = made.set_mode(mode)
    before = {name: value.detach().clone() for name, value in made.named_parameters()}
    base = {name: value.clone() for name, value in base_state(made.t5).items()}
    watch = FrozenWatch(t5=made.t5, encoder=encoder, bridge=made.bridge)
    optimiser = torch.optim.AdamW(parts.all, lr=1e-2, weight_decay=0.1)
    made.train()
    for _ in range(3):
        loss = made.loss(encoder(tiny.patches(2)), tiny.TEXTS[:2], ["en", "en"])
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    watch.check()
    after = dict(made.named_parameters())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    trained = {name for name, value in after.items() if value.requires_grad}
    assert moved == trained
    assert all(torch.equal(value, base[name]) for name, value in base_state(made.t5).items())
    assert any(name.startswith("bridge.") for name in moved) == ("bridge" in mode)
    assert any("lora_" in name for name in moved) == ("lora" in mode)
    assert not any(name.startswith("t5.") and "lora_" not in name for name in moved)


def test_counts_are_printed():
    made = tiny.captioner()
    total = sum(value.numel() for value in made.parameters())
    for mode in MODES:
        parts = made.set_mode(mode)
        assert parts.trainable + parts.frozen == total
        assert str(parts).startswith(f"mode {mode}: {parts.trainable:,} trainable")
        assert f"{parts.frozen:,} frozen" in str(parts)
    assert made.set_mode("bridge").lora == ()
    assert made.set_mode("lora").qformer == made.set_mode("lora").projection == ()
    with pytest.raises(UnknownName, match="bridge"):
        made.set_mode("brigde")


def test_lora_mode_needs_an_adapter():
    made = tiny.captioner(adapters={})
    with pytest.raises(SettingError, match="adapter"):
        made.set_mode("bridge+lora")
    made.add_adapter("default", LoraSettings(rank=2))
    assert len(made.set_mode("bridge+lora").lora) > 0


def test_watch_notices_a_frozen_tensor_that_moves():
    made = tiny.captioner()
    made.set_mode("bridge")
    watch = FrozenWatch(t5=made.t5)
    with torch.no_grad():
        made.t5.shared.weight[0, 0] += 1e-3
    with pytest.raises(WeightsMismatch, match=r"t5\.shared\.weight"):
        watch.check()


@pytest.mark.parametrize(
    ("encoder", "count"), [(False, 2 * (4 + 4 + 2)), (True, 2 * (4 + 4 + 2) + 2 * (4 + 2))]
)
def test_targets_are_the_linear_layers_of_the_decoder(encoder, count):
    made = tiny.captioner(adapters={"default": LoraSettings(rank=2, encoder=encoder)})
    names = [name for name, _ in made.t5.named_parameters() if "lora_A" in name]
    assert len(names) == count
    assert any(name.startswith("encoder.") for name in names) == encoder
    assert not any("lm_head" in name or "shared" in name for name in names)


def test_fresh_adapter_changes_nothing_and_none_is_the_base():
    plain, made = tiny.captioner(adapters={}), tiny.captioner(adapters={})
    made.add_adapter("default", LoraSettings(rank=2, dropout=0.0))
    photo = tiny.encoded()
    wanted = plain.score(photo, tiny.TEXTS[0])
    assert made.score(photo, tiny.TEXTS[0]).token_logprobs == pytest.approx(wanted.token_logprobs, abs=1e-5)
    tiny.shake(made)
    assert made.score(photo, tiny.TEXTS[0]).logprob != pytest.approx(wanted.logprob, abs=1e-3)
    made.adapters.use(None)
    assert made.score(photo, tiny.TEXTS[0]).token_logprobs == pytest.approx(wanted.token_logprobs, abs=1e-5)


def test_named_adapters_switch():
    made, photo = tiny.captioner(), tiny.encoded()
    first = made.score(photo, tiny.TEXTS[0]).logprob
    made.add_adapter("second", LoraSettings(rank=2, dropout=0.0))
    second = made.score(photo, tiny.TEXTS[0]).logprob
    assert second != pytest.approx(first, abs=1e-3)
    made.adapters.use("default")
    assert made.score(photo, tiny.TEXTS[0]).logprob == first
    assert all(".default." in name for name, value in made.named_parameters() if _trains(made, value))
    with pytest.raises(UnknownName, match="second"):
        made.adapters.use("secnd")
    with pytest.raises(SettingError, match="second"):
        made.add_adapter("second", LoraSettings())


def _trains(made, value):
    return any(value is other for other in made.set_mode("lora").all)


def test_merge_gives_the_same_and_unmerge_restores_bits():
    made, photo = tiny.captioner(), tiny.encoded()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    wanted = made.score(photo, tiny.TEXTS[0])
    made.adapters.merge()
    assert not any("lora_" in name for name, _ in made.named_parameters())
    got = made.score(photo, tiny.TEXTS[0])
    assert got.token_logprobs == pytest.approx(wanted.token_logprobs, abs=1e-4)
    made.adapters.merge()
    made.adapters.unmerge()
    after = made.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert made.score(photo, tiny.TEXTS[0]) == wanted


def test_training_a_merged_captioner_unmerges_it():
    made = tiny.captioner()
    made.adapters.merge()
    assert made.set_mode("lora").trainable > 0
    assert not made.adapters.merged


def test_adapter_folder_round_trip_is_bit_equal_and_peft_reads_it(tmp_path):
    from peft import PeftModel

    made = tiny.captioner()
    write_adapter(made.adapters, "default", tmp_path, base="google-t5/t5-small", revision="abc")
    state = made.adapters.state("default")
    fresh = Adapters(tiny.demo_base().model)
    read_adapter(fresh, "default", tmp_path)
    again = fresh.state("default")
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = PeftModel.from_pretrained(tiny.demo_base().model, str(tmp_path))
    own = dict(made.t5.named_parameters())
    for name, value in theirs.base_model.model.named_parameters():
        assert torch.equal(value, own[name])
    assert theirs.peft_config["default"].revision == "abc"


def test_adapters_of_other_shapes_are_refused(tmp_path):
    made = tiny.captioner()
    write_adapter(made.adapters, "default", tmp_path, base="tiny")
    wider = tiny.demo_base(gated=True).model
    with pytest.raises(WeightsMismatch, match="default"):
        read_adapter(Adapters(wider), "default", tmp_path)
    config = tmp_path / "adapter_config.json"
    config.write_text(config.read_text().replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(NotSupported, match="plain LoRA"):
        read_adapter(Adapters(tiny.demo_base().model), "default", tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(WeightsMissing):
        read_adapter(Adapters(tiny.demo_base().model), "default", tmp_path)


def test_loss_is_the_mean_over_tokens_and_matches_score():
    made = tiny.captioner()
    images = tiny.patches(2)
    texts, languages = [tiny.ENGLISH[1], tiny.RUSSIAN[1]], ["en", "ru"]
    texts = [made.score_patches(images[:1], text[:20]).pop().text for text in texts]
    scores = [
        made.score_patches(images[row : row + 1], texts[row], languages[row])[0].token_logprobs
        for row in (0, 1)
    ]
    flat = [value for row in scores for value in row]
    loss = made.loss(images, texts, languages)
    assert float(loss.detach()) == pytest.approx(-sum(flat) / len(flat), abs=1e-4)


def test_one_image_serves_several_captions():
    made = tiny.captioner()
    images = tiny.patches(2)
    texts = [text[:12] for text in (tiny.ENGLISH[0], tiny.RUSSIAN[0], tiny.ENGLISH[1], tiny.RUSSIAN[1])]
    languages = ["en", "ru", "en", "ru"]
    wanted = made.loss(images.repeat_interleave(2, 0), texts, languages)
    assert torch.allclose(made.loss(images, texts, languages), wanted, atol=1e-5)
    prepared = made.prepare(texts, languages)
    assert torch.allclose(
        made(images[:1], prepared.pick([0, 1])), made.loss(images[:1], texts[:2], ["en", "ru"])
    )
    assert prepared.pick([0]).labels.shape[1] <= prepared.labels.shape[1]
    assert prepared.to("cpu").languages == tuple(languages)


def test_long_captions_are_cut_without_an_end():
    made = tiny.captioner(max_tokens=5)
    labels = made.prepare([tiny.TEXTS[0]], ["en"]).labels
    assert int((labels != -100).sum()) == 5
    assert made.prompts.end not in labels
    with pytest.raises(SettingError):
        made.prepare(["a"], [])


@pytest.mark.parametrize("skip_encoder", [True, False])
def test_learns_captions_of_two_images_by_heart(skip_encoder):
    """Two images, two languages, a random frozen base: bridge and LoRA learn the four texts in seconds."""
    made = tiny.captioner(
        skip_encoder=skip_encoder,
        bridge=tiny.bridge_config(hidden=32),
        adapters={"default": LoraSettings(rank=16, alpha=32, dropout=0.0)},
    )
    images = torch.stack([tiny.patches(1, 1)[0], tiny.patches(1, 2)[0]])
    texts = ["A small pink nodule.", "Небольшой узел.", "A large brown lesion.", "Крупный очаг."]
    batch = made.prepare(texts, ["en", "ru", "en", "ru"])
    parts = made.set_mode("bridge+lora").all
    optimiser = torch.optim.AdamW(parts, lr=1e-2)
    for step in range(1, 1001):
        made(images, batch).backward()
        torch.nn.utils.clip_grad_norm_(parts, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 50 == 0 and said(made, images) == texts:
            break
    english = made.describe_patches(images, "en")
    assert said(made, images) == texts
    given = made.score_patches(images[:1], texts[0], "en")[0]
    assert given.token_ids == english[0].token_ids
    assert given.token_logprobs == pytest.approx(english[0].token_logprobs, abs=1e-4)
    instead = made.describe_patches(images[:1], "en", banned=["NODULE"])[0]
    assert instead.text.startswith("A small pink")
    assert "nodule" not in instead.text


def said(made, images):
    """Both languages of each image in turn."""
    both = zip(*(made.describe_patches(images, name) for name in ("en", "ru")), strict=True)
    return [caption.text for pair in both for caption in pair]


def test_prompt_languages_train_too():
    languages = {
        "en": LanguagePrompt(encoder_prompt="lesion"),
        "ru": LanguagePrompt(encoder_prompt="очаг невус"),
    }
    made = tiny.captioner(languages=languages, skip_encoder=False)
    made.set_mode("bridge")
    texts = [tiny.ENGLISH[1], tiny.RUSSIAN[1]]
    loss = made.loss(tiny.patches(1), texts, ["en", "ru"])
    alone = [
        made.loss(tiny.patches(1), [text], [name]) for text, name in zip(texts, ("en", "ru"), strict=True)
    ]
    sizes = [int((made.prepare([text], ["en"]).labels != -100).sum()) for text in texts]
    mean = sum(float(one.detach()) * size for one, size in zip(alone, sizes, strict=True)) / sum(sizes)
    assert float(loss.detach()) == pytest.approx(mean, abs=1e-4)
