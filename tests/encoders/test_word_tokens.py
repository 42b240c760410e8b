"""Which tokens a word is made of, against what tokenizers spell and the offsets that they give."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.encoders.tokenizing import clip_tokenizer, file_tokenizer, folder_tokenizer
from dermaxai.encoders.word_tokens import tokens_of
from tests.encoders import tiny


def spans_of(text, *parts):
    """Characters of `parts`, which follow each other in `text`."""
    found, place = [], 0
    for part in parts:
        place = text.index(part, place)
        found.append((place, place + len(part)))
        place += len(part)
    return found


def spelled(text, part):
    """What CLIP's tokenizer spells with the tokens of one part of a text."""
    import open_clip

    tokenize = clip_tokenizer(32)
    ((first, behind),) = tokens_of(tokenize, text, spans_of(text, part))
    return open_clip.decode(tokenize([text])[0, first:behind])


@pytest.mark.parametrize(
    ("text", "part", "wanted"),
    [
        ("Asymmetric, dark-brown LESION!", "Asymmetric", "asymmetric "),
        ("Asymmetric, dark-brown LESION!", "dark-brown", "dark - brown "),
        ("Asymmetric, dark-brown LESION!", "LESION", "lesion "),
        ("a   dark \n mole", "mole", "mole "),
        ("a patient's 6.5 mm mole", "patient's", "patient 's "),
        ("a patient's 6.5 mm mole", "6.5", "6 . 5 "),
        ("(raised)", "raised", "raised "),
        ("size &lt; 6 mm", "6", "6 "),
        ("café\u0301 naïve ﬁbroma", "ﬁbroma", "fibroma "),
        ("тёмный невус", "невус", "невус "),
        ("тёмный невус", "тёмный", "тёмный "),
        ("dermatofibrosarcoma protuberans", "dermatofibrosarcoma", "dermatofibrosarcoma "),
    ],
)
def test_tokens_of_clip_s_byte_pairs(text, part, wanted):
    assert spelled(text, part) == wanted


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abcdeABCшщя", min_size=1, max_size=7), min_size=1, max_size=5),
    st.lists(st.sampled_from([" ", "  ", ", ", " - ", ". (", "\n"]), min_size=5, max_size=5),
)
def test_words_are_spelled_by_their_tokens(words, gaps):
    """Together with the gaps the tokens of all words are the tokens of the text, in order."""
    import open_clip

    text = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    tokenize = clip_tokenizer(77)
    ids = tokenize([text])[0]
    reached = 1
    for word, (first, behind) in zip(words, tokens_of(tokenize, text, spans_of(text, *words)), strict=True):
        assert open_clip.decode(ids[first:behind]).replace(" ", "") == word.lower()
        assert all(sign not in open_clip.decode(ids[reached:first]) for sign in "abcшщя")
        reached = behind


def word_pieces(folder):
    """A BERT tokenizer of a few pieces that lower-cases and strips accents."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "mel", "##ano", "##ma", "dark", "-", ",", "naevus", "a"]
    tokenizer = Tokenizer(
        models.WordPiece({one: place for place, one in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))


def byte_pairs(folder):
    """A byte-level tokenizer, Cyrillic letters of two tokens, no special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(tiny.TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def space_pieces(folder):
    """Like the demo's: lower case, spaces joined to the word behind, start and end tokens."""
    from dermaxai.embedded.tokenizer import train_text_tokenizer

    train_text_tokenizer(tiny.TEXTS * 3, folder, vocabulary=220, length=60)


@pytest.mark.parametrize("make", [word_pieces, byte_pairs, space_pieces])
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Melanoma, dark - Nævus", ["Melanoma", "dark", "Nævus"]),
        ("  a  DARK-dark   mélanoma", ["a", "DARK-dark", "mélanoma"]),
        ("тёмный очаг", ["тёмный", "очаг"]),
        ("melanomamelanoma", ["melanoma", "melanoma"]),
        ("dark", ["dark"]),
    ],
)
def test_tokens_are_those_of_the_tokenizer_s_offsets(tmp_path, make, text, parts):
    from tokenizers import Tokenizer

    make(tmp_path)
    spans = spans_of(text, *parts)
    encoding = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text)
    found = tokens_of(file_tokenizer(tmp_path / "tokenizer.json", pad_to=60), text, spans)
    taken = 0
    for (start, stop), (first, behind) in zip(spans, found, strict=True):
        wanted = [
            place
            for place, (begin, end) in enumerate(encoding.offsets)
            if begin < stop and start < end and text[begin:end].strip() and place >= taken
        ]
        inner = list(range(first, behind))
        # A space mark of its own belongs to the word behind it; offsets give it to the space.
        assert [place for place in inner if text[slice(*encoding.offsets[place])].strip()] == wanted
        taken = behind


def test_sentence_pieces_without_offsets(tmp_path):
    """SigLIP's tokenizer removes punctuation and lower-cases, and gives no offsets."""
    tiny.sentence_pieces(tmp_path)
    tokenize = folder_tokenizer(tmp_path, 40)
    text = "Benign Keratosis,  raised!"
    found = tokens_of(tokenize, text, spans_of(text, "Benign", "Keratosis", "raised"))
    ids = tokenize([text])[0].tolist()
    alone = [tokenize([word])[0].tolist() for word in ("benign", "keratosis", "raised")]
    for (first, behind), row in zip(found, alone, strict=True):
        assert behind > first
        assert ids[first:behind] == row[: behind - first]
        assert row[behind - first] == 2, "nothing of the word is left out: the end token follows"
    assert found[0][0] == 0
    assert [one[1] for one in found[:-1]] == [one[0] for one in found[1:]]


def test_padding_on_the_left(tmp_path):
    tiny.gemma_tokenizer(tmp_path)
    tokenize = folder_tokenizer(tmp_path, 20)
    text = "a dark mole"
    assert tokens_of(tokenize, text, spans_of(text, "a", "dark", "mole")) == [(9, 10), (10, 15), (15, 20)]


def test_what_the_context_cuts_off_has_no_tokens():
    text = "a dark mole benign raised"
    found = tokens_of(clip_tokenizer(5), text, spans_of(text, "a", "mole", "benign", "raised"))
    assert found == [(1, 2), (3, 4), (4, 4), (4, 4)]


def test_a_piece_that_runs_over_a_word_s_end():
    """'dark,' is one piece and counts with 'dark'; 'lem' joins two words, and the first has them all."""
    pieces = {"dark,": 3, "dark": 4, "mo": 5, "lem": 6, "ole": 7, "mole": 8, " ": 9, ",": 10}

    def tokenize(texts):
        rows = torch.ones(len(texts), 12, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            ids, rest = [2], text
            while rest:
                # 'molem' is cut otherwise than 'mole', as pieces of the likeliest cut are.
                piece = "mo" if rest.startswith("molem") else max(filter(rest.startswith, pieces), key=len)
                ids.append(pieces[piece])
                rest = rest[len(piece) :]
            row[: len(ids)] = torch.tensor(ids)
        return rows

    assert tokens_of(tokenize, "dark, mole", spans_of("dark, mole", "dark", "mole")) == [(1, 2), (2, 4)]
    assert tokens_of(tokenize, "molemole", spans_of("molemole", "mole", "mole")) == [(1, 4), (4, 4)]


def test_texts_without_anything_readable():
    assert tokens_of(clip_tokenizer(8), "skin", []) == []
    assert tokens_of(clip_tokenizer(8), "   ", [(0, 1)]) == [(8, 8)]
