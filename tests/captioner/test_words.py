"""Words and their characters and tokens, for three kinds of tokenizer and two languages."""

from __future__ import annotations

import pytest

from dermaxai.captioner.words import decode, find_phrase, token_spans, word_spans, words_of
from dermaxai.errors import UsageError
from dermaxai.types import Caption, Word
from tests.captioner import tiny


@pytest.fixture(params=["sentencepiece", "fast", "bytes"])
def tokenizer(request, tmp_path):
    if request.param == "sentencepiece":
        from transformers import AutoTokenizer

        tiny.write_sentencepiece(tmp_path)
        return AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    return tiny.fast_tokenizer() if request.param == "fast" else tiny.byte_tokenizer()


@pytest.mark.parametrize("text", tiny.TEXTS)
def test_spans_are_the_words_and_tokens_are_shared_out(tokenizer, text):
    ids = (*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id)
    assert decode(ids, tokenizer) == text
    logprobs = [-0.5 - place for place in range(len(ids))]
    words = words_of(text, ids, tokenizer, logprobs)
    assert [(word.start, word.stop) for word in words] == word_spans(text)
    used = [place for word in words for place in word.tokens]
    assert len(used) == len(set(used))
    assert len(ids) - 1 not in used, "the end token belongs to no word"
    for word in words:
        assert text[word.start : word.stop] == word.text
        assert word.tokens == tuple(range(word.tokens[0], word.tokens[-1] + 1))
        assert word.logprob == pytest.approx(sum(logprobs[place] for place in word.tokens))
        spelled = decode([ids[place] for place in word.tokens], tokenizer)
        assert word.text in spelled


def test_a_period_alone_belongs_to_no_word(tokenizer):
    text = "A small lesion."
    ids = tokenizer(text, add_special_tokens=False).input_ids
    words = words_of(text, ids, tokenizer)
    last = len(ids) - 1
    if decode([ids[last]], tokenizer) == ".":
        assert all(last not in word.tokens for word in words)


def test_hyphens_apostrophes_decimals_and_marks():
    text = "Blue-white, patient's 6.5 mm; сине‑белая 2,0 «очаг» — он/она й\u0306 A."
    found = [text[start:stop] for start, stop in word_spans(text)]
    assert found == [
        *("Blue-white", "patient's", "6.5", "mm", "сине‑белая", "2,0", "очаг", "он", "она", "й\u0306", "A"),
    ]


def test_half_letters_count_with_their_letter():
    """Byte-level pieces cut Cyrillic letters in two; both halves belong to the word."""
    tokenizer = tiny.byte_tokenizer()
    ids = tokenizer("очаг", add_special_tokens=False).input_ids
    assert len(ids) > 4
    (word,) = words_of("очаг", ids, tokenizer)
    assert word.tokens == tuple(range(len(ids)))


def test_spans_cover_the_text_in_order(tokenizer):
    text = tiny.RUSSIAN[0]
    ids = tokenizer(text, add_special_tokens=False).input_ids
    spans = token_spans(text, ids, tokenizer)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert max(stop for _, stop in spans) == len(text)


def test_no_words_in_no_text():
    assert words_of("", (), tiny.fast_tokenizer()) == ()
    assert words_of("", (1,), tiny.fast_tokenizer()) == ()


def test_words_in_a_row_are_found():
    text = "A dark brown lesion. Brown border, dark brown."
    spans = word_spans(text)
    words = tuple(Word(text[start:stop], start, stop, (), 0.0) for start, stop in spans)
    caption = Caption(text, "en", words, (), ())
    assert find_phrase(caption, "DARK brown") == range(1, 3)
    assert find_phrase(caption, " lesion ") == range(3, 4)
    for missing in ("lesion brown", "brown dark", "brown lesion border"):
        with pytest.raises(UsageError, match="in a row"):
            find_phrase(caption, missing)
    with pytest.raises(UsageError, match="no word"):
        find_phrase(caption, "nevus")
