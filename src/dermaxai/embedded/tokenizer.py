"""Small byte-pair vocabularies for the demo's two text models."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
LATIN = string.ascii_letters + string.digits + string.punctuation
ALPHABET = list(LATIN + CYRILLIC + CYRILLIC.upper() + "—–°×▁")
"""Every character that a question in English or Russian may hold, so that none becomes unknown."""


def train_text_tokenizer(texts: Iterable[str], folder: Path, *, vocabulary: int, length: int) -> int:
    """The CLIP text tower's vocabulary: lower case, `<s> text </s>`, written to `folder`; gives its size.

    `</s>` has the largest id: that is where open_clip pools.
    """
    tokenizer = _train(texts, ("<pad>", "<unk>", "<s>"), vocabulary - 1, lower=True)
    tokenizer.add_special_tokens(["</s>"])
    last = tokenizer.get_vocab_size() - 1
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", last)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        model_max_length=length,
    )  # fmt: skip
    fast.save_pretrained(folder)
    return tokenizer.get_vocab_size()


def train_decoder_tokenizer(
    texts: Iterable[str], folder: Path, *, vocabulary: int, specials: Sequence[str]
) -> PreTrainedTokenizerFast:
    """T5's vocabulary: case kept, `text </s>`, with one token per language and per keyword in `specials`."""
    tokenizer = _train(texts, ("<pad>", "</s>", "<unk>", *specials), vocabulary, lower=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="</s>",
        model_max_length=128,
    )
    fast.save_pretrained(folder)
    return fast


def _train(texts: Iterable[str], specials: Sequence[str], vocabulary: int, *, lower: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    steps = [normalizers.NFC()] + ([normalizers.Lowercase()] if lower else [])
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(behavior="isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(specials), initial_alphabet=ALPHABET, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
