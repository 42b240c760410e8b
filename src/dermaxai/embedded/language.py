"""Make a small T5 a language model of this domain: facts as keywords in, a caption out. It sees text only.

A decoder must already write the language before a bridge can steer it (docs/decisions.md, "Frozen parts"):
this stage is what a published T5 would have done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from dermaxai.captioner.config import LanguagePrompt
from dermaxai.captioner.decoder import T5Base, load_t5, save_t5
from dermaxai.captioner.prompts import IGNORED, Prompts
from dermaxai.data.weak_captions import caption
from dermaxai.embedded.recipes import check_same, fingerprint
from dermaxai.embedded.tokenizer import train_decoder_tokenizer
from dermaxai.statements import TERMS, Facts, Slot
from dermaxai.types import Language

LOG = logging.getLogger(__name__)
LANGUAGES: tuple[Language, ...] = ("en", "ru")
PROMPTS: dict[str, LanguagePrompt] = {
    language: LanguagePrompt(decoder_prefix=f"<{language}>") for language in LANGUAGES
}
NAME = "dermaxai-demo-t5"
MADE_FROM = "made-from.txt"
"""File in the folder of a text model that names the recipe it came from."""
START, END = 0, 1
"""Token ids as T5 has them: padding starts a text, `</s>` ends it."""
LONGEST = 96
"""Tokens of a training caption."""


@dataclass(frozen=True, slots=True)
class LanguageRecipe:
    """Everything that decides the text model."""

    width: int = 128
    inner: int = 512
    encoder_layers: int = 3
    decoder_layers: int = 3
    heads: int = 4
    vocabulary: int = 700
    steps: int = 900
    batch: int = 32
    learning_rate: float = 3e-3
    dropout: float = 0.1
    seed: int = 0


def draw_facts(generator: np.random.Generator) -> Facts:
    """Facts drawn at random from all that can be stated, so that no combination is unheard of."""

    def one(slot: Slot) -> str:
        return str(generator.choice(list(TERMS[slot])))

    diagnosis = one("diagnosis")
    if generator.random() < 0.04:
        return Facts(diagnosis=diagnosis)
    count = int(generator.integers(1, 3))
    colours = tuple(str(name) for name in generator.choice(list(TERMS["colour"]), count, replace=False))
    return Facts(one("size"), one("symmetry"), one("border"), colours, diagnosis)


def keywords(facts: Facts, generator: np.random.Generator) -> str:
    """The facts as a list of English keywords in random order."""
    plain: tuple[Slot, ...] = ("size", "symmetry", "border", "diagnosis")
    parts = [f"{slot}: {value}" for slot in plain if (value := facts.value(slot))]
    parts += [f"colour {number}: {name}" for number, name in enumerate(facts.colours, start=1)]
    generator.shuffle(parts)
    return "; ".join(parts)


def train_language(recipe: LanguageRecipe, folder: Path) -> T5Base:
    """Train the text model and save it to `folder`, or load it when it is there.

    Raises: SettingError for a folder that holds another recipe's text model.
    """
    made_from, record = fingerprint(asdict(recipe)), folder / MADE_FROM
    if (folder / "model.safetensors").is_file():
        check_same(record.read_text().strip() if record.is_file() else None, made_from, folder)
        return load_t5(folder)
    torch.manual_seed(recipe.seed)
    generator = np.random.default_rng(recipe.seed)
    tokenizer = _tokenizer(recipe, generator, folder)
    model = T5ForConditionalGeneration(_config(recipe, len(tokenizer)))
    prompts = Prompts(tokenizer, PROMPTS, start=START, end=END, pieces=len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, recipe.steps, pct_start=0.1
    )
    model.train()
    for step in range(recipe.steps):
        loss = _loss(
            model, prompts, tokenizer, [draw_facts(generator) for _ in range(recipe.batch)], generator
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            LOG.info("text model: step %d loss %.4f", step + 1, loss.item())
    save_t5(model.eval(), folder, dtype=torch.float16)
    record.write_text(made_from + "\n")
    return load_t5(folder)


def _tokenizer(
    recipe: LanguageRecipe, generator: np.random.Generator, folder: Path
) -> PreTrainedTokenizerBase:
    drawn = [draw_facts(generator) for _ in range(2000)]
    texts = [caption(facts, language, generator) for facts in drawn for language in LANGUAGES]
    texts += [keywords(facts, generator) for facts in drawn]
    return train_decoder_tokenizer(
        texts, folder, vocabulary=recipe.vocabulary, specials=[f"<{language}>" for language in LANGUAGES]
    )


def _config(recipe: LanguageRecipe, vocabulary: int) -> T5Config:
    return T5Config(
        vocab_size=vocabulary, d_model=recipe.width, d_kv=recipe.width // recipe.heads, d_ff=recipe.inner,
        num_layers=recipe.encoder_layers, num_decoder_layers=recipe.decoder_layers, num_heads=recipe.heads,
        dropout_rate=recipe.dropout, decoder_start_token_id=START, pad_token_id=START, eos_token_id=END,
    )  # fmt: skip


def _loss(
    model: T5ForConditionalGeneration,
    prompts: Prompts,
    tokenizer: PreTrainedTokenizerBase,
    facts: Sequence[Facts],
    generator: np.random.Generator,
) -> torch.Tensor:
    languages = [LANGUAGES[LANGUAGES.index(generator.choice(LANGUAGES))] for _ in facts]
    texts = [caption(fact, language, generator) for fact, language in zip(facts, languages, strict=True)]
    batch = prompts.batch(texts, languages, LONGEST)
    given = tokenizer([keywords(fact, generator) for fact in facts], padding=True, return_tensors="pt")
    logits = model(
        input_ids=given.input_ids, attention_mask=given.attention_mask, decoder_input_ids=batch.inputs
    ).logits
    counted = batch.labels != IGNORED
    return torch.nn.functional.cross_entropy(logits[counted], batch.labels[counted])
