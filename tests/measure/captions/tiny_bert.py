"""Language models of a dozen words, random weights, saved in their genuine format."""

from pathlib import Path

from tests.encoders.tiny import BERT, WORDS, stir, word_tokenizer


def write_bert(folder: Path) -> Path:
    from transformers import BertConfig, BertModel

    stir(lambda: BertModel(BertConfig(**_values()))).save_pretrained(folder)
    return _with_tokenizer(folder)


def write_roberta(folder: Path) -> Path:
    from transformers import RobertaConfig, RobertaModel

    values = {**_values(), "pad_token_id": 1}
    stir(lambda: RobertaModel(RobertaConfig(**values))).save_pretrained(folder)
    return _with_tokenizer(folder)


def _values() -> dict:
    return {key: value for key, value in BERT.items() if key != "model_type"}


def _with_tokenizer(folder: Path) -> Path:
    from transformers import PreTrainedTokenizerFast

    word_tokenizer(folder)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), WORDS, strict=False))
    path = folder / "tokenizer.json"
    PreTrainedTokenizerFast(tokenizer_file=str(path), **names).save_pretrained(folder)
    return folder
