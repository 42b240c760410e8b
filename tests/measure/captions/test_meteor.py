import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaxai.errors import NotSupported
from dermaxai.measure.captions import meteor as room
from dermaxai.measure.captions.meteor import WEIGHTS, align, count_chunks, function_words, meteor, parted
from dermaxai.measure.captions.stemming import stem
from dermaxai.measure.captions.written import Tools, Written
from tests.measure.captions.drawing import captions, corpus, each

JAVA = [
    (
        "a large asymmetric lesion with an irregular border",
        ("a small lesion with irregular borders and a large border", "a large lesion"),
        0.3615198580088721,
    ),
    (
        "the lesions are pigmented, the border of the lesion is irregular",
        ("the border of the lesion is irregular and the lesion is pigmenting",),
        0.42562047670936676,
    ),
    ("brown and white and brown and black", ("white and brown and black and brown",), 0.493527472093534),
    (
        "erythematous scaly plaques on the elbows and the knees of the patient",
        ("scaling plaque on the elbow, erythema of the knee, scaly plaque",),
        0.238354278031261,
    ),
    ("with a with a with a nodule", ("a nodule with a nodule with",), 0.32567534049957114),
    ("small symmetric nevus", ("dark asymmetric melanoma",), 0.0),
]
JAVA_WHOLE = 0.32247074694325134
JAVA_RUSSIAN = [
    (
        "симметричное образование малого размера с ровной границей",
        ("симметричное образование с неровными границами малого размера", "очаг малых размеров"),
        0.47394385222798135,
    ),
    (
        "тёмно-коричневый очаг и светло-коричневые очаги",
        ("светло-коричневый очаг, темно-коричневые очаги",),
        0.5790732158130972,
    ),
    (
        "видны волосы, видна линейка, углы снимка тёмные",
        ("видна линейка и волосы видны",),
        0.38695771257012673,
    ),
    ("очаг", ("бляшка",), 0.0),
]
JAVA_RUSSIAN_WHOLE = 0.45968957600623067
"""By meteor-1.5.jar, `-norm -m "exact stem"`, weights "1.0 0.6" (en) and "1.0 0.5" (ru)."""


def rows_of(table, language):
    return [Written(str(row), text, references, language) for row, (text, references, _) in enumerate(table)]


@pytest.mark.parametrize(
    ("language", "table", "whole"), [("en", JAVA, JAVA_WHOLE), ("ru", JAVA_RUSSIAN, JAVA_RUSSIAN_WHOLE)]
)
def test_agrees_with_the_java_program_of_exact_words_and_stems(language, table, whole):
    written = rows_of(table, language)
    assert each(meteor(written, Tools())[0]) == pytest.approx([row[2] for row in table], abs=1e-12)
    assert corpus(meteor, written) == pytest.approx([whole], abs=1e-12)


@pytest.mark.shared
def test_is_near_the_java_program_with_synonyms(golden, golden_written):
    (scored,) = meteor(golden_written, Tools())
    apart = np.abs(np.array(each(scored)) - golden["meteor_java"]["per_caption"])
    assert (apart < 1e-9).sum() == 11
    assert apart.max() < 0.012
    assert corpus(meteor, golden_written) == pytest.approx([golden["meteor_java"]["corpus"]], abs=0.0015)


def slow_align(caption, reference, language):
    """Every way of matching, one after another."""
    best, found = None, []
    options = [
        [None, *(j for j, other in enumerate(reference) if stem(other, language) == stem(word, language))]
        for word in caption
    ]
    for choice in itertools.product(*options):
        pairs = [(i, j) for i, j in enumerate(choice) if j is not None]
        if len({j for _, j in pairs}) < len(pairs):
            continue
        inexact = sum(caption[i] != reference[j] for i, j in pairs)
        rank = (-len(pairs), inexact, slow_chunks(pairs), sum(abs(i - j) for i, j in pairs))
        if best is None or rank < best:
            best, found = rank, pairs
    return best, found


def slow_chunks(pairs):
    chunks, before = 0, None
    for i, j in pairs:
        if before is None or i - before[0] != 1 or j - before[1] != 1:
            chunks += 1
        before = (i, j)
    return chunks


def slow_meteor(caption, reference, language="en"):
    weights = WEIGHTS[language]
    _, pairs = slow_align(caption, reference, language)
    if not pairs:
        return 0.0

    def mass(word):
        return 1 - weights.delta if word in function_words(language) else weights.delta

    kinds = [1.0 if caption[i] == reference[j] else weights.stem for i, j in pairs]
    precision = sum(k * mass(caption[i]) for k, (i, _) in zip(kinds, pairs, strict=True))
    precision /= sum(map(mass, caption))
    recall = sum(k * mass(reference[j]) for k, (_, j) in zip(kinds, pairs, strict=True))
    recall /= sum(map(mass, reference))
    mean = precision * recall / (weights.alpha * precision + (1 - weights.alpha) * recall)
    chunks = slow_chunks(pairs)
    whole = chunks == 1 and len(pairs) == len(caption) == len(reference)
    penalty = 0 if whole else weights.gamma * (chunks / len(pairs)) ** weights.beta
    return mean * (1 - penalty)


short = st.lists(st.sampled_from(["a", "lesion", "lesions", "lesional", "dark", "border"]), max_size=6).map(
    tuple
)


@given(short, short.filter(bool))
def test_the_alignment_is_the_best_of_all(caption, reference):
    pairs = align(caption, reference, "en")
    inexact = sum(caption[i] != reference[j] for i, j in pairs)
    rank = (-len(pairs), inexact, slow_chunks(pairs), sum(abs(i - j) for i, j in pairs))
    if caption != reference:
        assert rank == slow_align(caption, reference, "en")[0]
    assert count_chunks(pairs) == slow_chunks(pairs)
    assert len({j for _, j in pairs}) == len(pairs)


@given(
    st.lists(st.tuples(short, st.lists(short.filter(bool), min_size=1, max_size=2)), min_size=1, max_size=3)
)
def test_is_the_definition(rows):
    written = [
        Written(str(row), " ".join(caption), tuple(" ".join(words) for words in references))
        for row, (caption, references) in enumerate(rows)
    ]
    expected = [max(slow_meteor(caption, words) for words in references) for caption, references in rows]
    assert each(meteor(written, Tools())[0]) == pytest.approx(expected, abs=1e-12)


def test_many_repeated_words_end_soon_and_match_all_they_can():
    caption, reference = ("a", "lesion") * 200, ("lesion", "a", "a") * 120
    assert len(align(caption, reference, "en")) == 120 + 200


def test_a_narrow_search_still_matches_as_many_words(monkeypatch):
    monkeypatch.setattr(room, "WIDTH", 1)
    assert len(align(("a", "b", "a", "c", "a"), ("a", "a", "b", "a"), "en")) == 4


@given(captions)
def test_the_reference_itself_scores_one(written):
    same = [Written(one.item, one.references[0], one.references) for one in written]
    assert corpus(meteor, same) == pytest.approx([1])


@given(captions)
def test_another_reference_never_lowers_a_caption(written):
    more = [Written(one.item, one.text, (*one.references, "nothing alike")) for one in written]
    before, after = each(meteor(written, Tools())[0]), each(meteor(more, Tools())[0])
    assert all(new >= old for old, new in zip(before, after, strict=True))


def test_words_are_cut_at_hyphens_and_brackets_dropped():
    assert parted(("light-brown", "-lrb-", "lesion/papule", "/", "3.5")) == (
        "light", "brown", "lesion", "papule", "3.5",
    )  # fmt: skip


def test_languages_are_not_mixed():
    with pytest.raises(NotSupported, match="en and ru"):
        meteor([Written("1", "a", ("a",)), Written("1", "и", ("и",), "ru")], Tools())


def test_without_a_reference_nothing_is_defined():
    assert np.isnan(corpus(meteor, [Written("1", "a mole", ("()",))])).all()
    assert np.isnan(corpus(meteor, [])).all()
