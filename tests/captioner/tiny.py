"""Tiny random models in each genuine format, and the data the captioner's tests share."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from dermaxai.captioner.config import BridgeConfig, CaptionerConfig, LanguagePrompt, LoraSettings
from dermaxai.captioner.decoder import T5Base, build_t5
from dermaxai.captioner.model import Captioner
from dermaxai.geometry import Placement
from dermaxai.types import Encoded

WIDTH, PATCHES, D_MODEL = 24, 9, 32
ENGLISH = (
    "A large asymmetric dark-brown lesion with an irregular border, 6.5 mm.",
    "A small round pink nodule; the border is regular.",
    "Possibly a melanocytic nevus of the patient's back.",
)
RUSSIAN = (
    "Крупный асимметричный тёмно-коричневый очаг с неровной границей, 6,5 мм.",
    "Небольшой округлый розовый узел; граница ровная.",
    "Вероятно, меланоцитарный невус на спине.",
)
TEXTS = (*ENGLISH, *RUSSIAN)


@lru_cache
def fast_tokenizer():
    """Byte-pair pieces with language tokens, as the demo has them."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.normalizer = normalizers.NFC()
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    inner.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<en>", "<ru>"]
    trainer = trainers.BpeTrainer(vocab_size=220, special_tokens=special, show_progress=False)
    inner.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<en>", "<ru>"],
    )


@lru_cache
def byte_tokenizer():
    """Byte-level pieces: a Cyrillic letter may be two tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=270, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(ENGLISH, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>")


@lru_cache
def sentencepiece_model() -> bytes:
    """A SentencePiece unigram model with T5's special pieces."""
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4),
        model_writer=out,
        vocab_size=150,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        character_coverage=1.0,
        minloglevel=2,
    )
    return out.getvalue()


def write_sentencepiece(folder: Path) -> None:
    (folder / "spiece.model").write_bytes(sentencepiece_model())
    table = {"tokenizer_class": "T5Tokenizer", "extra_ids": 4, "model_max_length": 512}
    table |= {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(table))


def t5_table(kind: str = "t5", *, gated: bool = False, vocabulary: int = 256, **changes) -> dict:
    """A config.json as the hub has it for t5-small, flan-t5-small, mt5-small."""
    table = {
        "model_type": kind,
        "architectures": ["MT5ForConditionalGeneration" if kind == "mt5" else "T5ForConditionalGeneration"],
        "d_model": D_MODEL,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": vocabulary,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "relative_attention_num_buckets": 8,
        "dropout_rate": 0.1,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "is_encoder_decoder": True,
    }
    if gated:
        table["tie_word_embeddings"] = False
    return {**table, **changes}


def t5_state(table: dict, *, untied: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the keys of the hub's files."""
    import transformers

    config = transformers.AutoConfig.for_model(**table)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, table["architectures"][0])(config)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if untied:
            state["lm_head.weight"] = torch.randn_like(state["shared.weight"]) * 0.3
    drop = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    drop |= set() if untied else {"lm_head.weight"}
    return {name: value for name, value in state.items() if name not in drop}


FORMATS = ("t5", "flan", "mt5", "rut5")


def write_t5(folder: Path, kind: str) -> dict[str, Tensor]:
    """A hub folder of one family member; returns what its weights are."""
    folder.mkdir(parents=True, exist_ok=True)
    table = t5_table("mt5" if kind == "mt5" else "t5", gated=kind in ("flan", "mt5"))
    state = t5_state(table, untied=kind != "t5")
    (folder / "config.json").write_text(json.dumps(table))
    if kind == "rut5":
        copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
        torch.save({**state, **dict.fromkeys(copies, state["shared.weight"])}, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    if kind == "mt5":
        fast_tokenizer().save_pretrained(str(folder))
    else:
        write_sentencepiece(folder)
    return state


def demo_base(seed: int = 0, *, gated: bool = False) -> T5Base:
    """A tied T5 with the fast tokenizer, in memory."""
    import transformers

    table = t5_table(vocabulary=len(fast_tokenizer()), gated=gated)
    state = t5_state(table, untied=gated, seed=seed)
    model = build_t5(transformers.AutoConfig.for_model(**table), state)
    return T5Base(model, fast_tokenizer(), "tiny")


def bridge_config(**changes) -> BridgeConfig:
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "queries": 4, "dropout": 0.0}
    return BridgeConfig(WIDTH, D_MODEL, **{**sizes, **changes})


def captioner(*, base: T5Base | None = None, seed: int = 0, **changes) -> Captioner:
    """A random captioner in the demo's form, with a LoRA adapter that has an effect."""
    options = {
        "encoder": "planted",
        "encoder_sha256": "ab" * 32,
        "bridge": bridge_config(),
        "t5": "tiny",
        "languages": {"en": LanguagePrompt("<en>"), "ru": LanguagePrompt("<ru>")},
        "adapters": {"default": LoraSettings(rank=4, alpha=8, dropout=0.0)},
        "max_tokens": 10,
    }
    made = Captioner(CaptionerConfig(**{**options, **changes}), base or demo_base(), seed=seed)
    shake(made)
    return made


def shake(made: Captioner, seed: int = 1) -> None:
    """Fresh LoRA has no effect (B is zero); give it one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in made.t5.named_parameters():
            if "lora_B" in name:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.2)


def patches(batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(batch, PATCHES, WIDTH, generator=torch.Generator().manual_seed(seed))


def encoded(seed: int = 0, encoder: str = "planted") -> Encoded:
    return Encoded(
        patches=patches(1, seed)[0],
        pooled=torch.nn.functional.normalize(torch.ones(8), dim=0),
        tail_input=torch.zeros(PATCHES + 1, WIDTH),
        grid=(3, 3),
        placement=Placement(height=48, width=48, top=0.0, left=0.0, covered_height=48.0, covered_width=48.0),
        encoder=encoder,
    )


PROMPTED = LanguagePrompt(encoder_prompt="large lesion")
