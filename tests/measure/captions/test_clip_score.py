from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported, ShapeError
from dermaxai.measure.captions.clip_score import STRETCH, clip_score, find_cut
from dermaxai.measure.captions.written import Tools, Written
from tests.encoders import tiny
from tests.measure.captions.drawing import corpus, each

NAMES = ["clip_score", "ref_clip_score", "clip_score_sentences", "clip_score_weakest"]
CUT = ["clip_captions_cut", "clip_references_cut"]


@dataclass(eq=False)
class Words:
    """Embeds a text as the sum of vectors of its words; reads every sign, has no tower to open."""

    has_text: bool = True
    card: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="words"))

    def encode_text(self, texts):
        rows = [sum((self.vector(word) for word in text.split()), torch.full((8,), 1e-3)) for text in texts]
        return torch.nn.functional.normalize(torch.stack(rows).float(), dim=-1)

    @staticmethod
    def vector(word):
        return torch.randn(8, generator=torch.Generator().manual_seed(sum(map(ord, word))))

    @property
    def text_tower(self):
        raise NotSupported("No tower.")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "encoder"
    tiny.open_clip_folder(folder)
    return load_encoder(folder, offline=True)


def unit(rows, seed=0):
    images = torch.randn(*rows, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(images, dim=-1)


def cosine(first, second):
    return sum(float(a) * float(b) for a, b in zip(first, second, strict=True))


def slow_score(encoder, one, image):
    """The definitions, one text at a time; sentences end at a full stop and a space."""

    def embed(text):
        return encoder.encode_text([text])[0]

    if not one.text:
        return [0.0] * 4
    whole = STRETCH * max(cosine(embed(one.text), image), 0)
    alike = max(max(cosine(embed(one.text), embed(text)), 0) for text in one.references)
    parts = [f"{part}." for part in one.text.removesuffix(".").split(". ")]
    sentences = [STRETCH * max(cosine(embed(part), image), 0) for part in parts]
    harmonic = 2 / (1 / whole + 1 / alike) if whole > 0 and alike > 0 else 0.0
    return [whole, harmonic, float(np.mean(sentences)), min(sentences)]


sentence = st.lists(st.sampled_from(["dark", "mole", "skin", "raised"]), min_size=1, max_size=3).map(
    lambda words: " ".join(words) + "."
)
texts = st.lists(sentence, max_size=3).map(" ".join)
rows = st.lists(st.tuples(texts, st.lists(sentence, min_size=1, max_size=2)), min_size=1, max_size=4)


@settings(max_examples=40)
@given(rows, st.integers(0, 99))
def test_is_the_definition(rows, seed):
    encoder = Words()
    written = [Written(str(row), text, tuple(some)) for row, (text, some) in enumerate(rows)]
    images = unit((len(written), 8), seed)
    scored = clip_score(written, Tools(encoder=encoder, images=images))
    assert [one.scale.name for one in scored] == NAMES
    expected = [slow_score(encoder, one, image) for one, image in zip(written, images, strict=True)]
    found = np.array([each(one) for one in scored]).T
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_a_real_tower_gives_the_same(encoder):
    written = [Written("1", "a dark mole. skin.", ("skin", "a mole")), Written("2", "skin", ("a dark mole",))]
    images = unit((2, 24))
    scored = clip_score(written, Tools(encoder=encoder, images=images))
    assert [one.scale.name for one in scored] == NAMES + CUT
    whole = encoder.encode_text([one.text for one in written])
    assert each(scored[0]) == pytest.approx(
        (STRETCH * (whole * images).sum(1).clamp(min=0)).tolist(), abs=1e-5
    )


def test_length_of_the_images_makes_no_difference():
    written, images = [Written("1", "dark mole", ("skin",))], unit((1, 8))
    once, thrice = (corpus(clip_score, written, Tools(Words(), images * k)) for k in (1, 3))
    assert once == pytest.approx(thrice)


def test_texts_that_just_fit_are_not_cut(encoder):
    """This tower reads 16 tokens, first and last of them special; 'mole' is one token, 'keratosis' four."""
    texts = ["mole " * 13, "mole " * 14, "mole " * 15, "mole " * 13 + "keratosis", "", "mole"]
    lengths = [len(ids) for ids in _pieces(texts)]
    assert lengths == [13, 14, 15, 13 + lengths[3] - 13, 0, 1]
    assert lengths[3] > 14
    assert find_cut(encoder, texts).tolist() == [False, False, True, True, False, False]


def _pieces(texts):
    import open_clip

    ids = open_clip.tokenize(texts, 64)
    return [[one for one in row.tolist() if one and one < 49406] for row in ids]


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["mole", "keratosis", "dark,", "skin."]), max_size=16).map(" ".join))
def test_cut_is_having_more_tokens_than_the_tower(encoder, text):
    assert find_cut(encoder, [text]).tolist() == [len(_pieces([text])[0]) > 14]


@pytest.mark.parametrize("kind", ["biomedclip", "siglip", "clip-hf", "openclip"])
def test_cut_is_seen_in_towers_of_every_kind(kind, tmp_path):
    made = tiny.BUILDERS[kind](tmp_path / kind)
    encoder = load_encoder(made.name, source=made.source, offline=True)
    assert find_cut(encoder, ["skin", "a dark mole " * 40]).tolist() == [False, True]


def test_shares_of_cut_texts_are_counted(encoder):
    long = "mole " * 30
    written = [Written("1", long, ("mole", long)), Written("2", "mole", (long,))]
    found = corpus(clip_score, written, Tools(encoder, unit((2, 24))))
    assert found[4:] == pytest.approx([1 / 2, 2 / 3])


def test_signs_that_the_tower_cannot_tell_apart_are_not_judged(tmp_path):
    made = tiny.BUILDERS["biomedclip"](tmp_path)
    encoder = load_encoder(made.name, source=made.source, offline=True)
    found = corpus(clip_score, [Written("1", "очаг", ("родинка",), "ru")], Tools(encoder, unit((1, 24))))
    assert len(found) == 6
    assert np.isnan(found).all()


def test_without_encoder_or_images_there_is_nothing():
    written = [Written("1", "mole", ("mole",))]
    assert clip_score(written, Tools()) == []
    assert clip_score(written, Tools(encoder=Words())) == []


def test_images_and_captions_are_as_many():
    with pytest.raises(ShapeError, match="2 for 1"):
        clip_score([Written("1", "mole", ("mole",))], Tools(Words(), unit((2, 8))))


def test_an_encoder_without_text_is_refused():
    with pytest.raises(NotSupported, match="reads no text"):
        clip_score([Written("1", "mole", ("mole",))], Tools(Words(has_text=False), unit((1, 8))))


def test_scores_of_the_best_there_can_be_are_within_the_scale():
    encoder = Words()
    written = [Written("1", "dark mole", ("dark mole",))]
    scored = clip_score(written, Tools(encoder, encoder.encode_text(["dark mole"])))
    for one in scored:
        assert each(one) == pytest.approx([one.scale.high])
        assert each(one)[0] <= one.scale.high
