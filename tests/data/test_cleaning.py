"""Cleaning repairs and parts; it adds no word and loses none unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dermaxai.data.cleaning import SENTINELS, clean, drop_diagnosis, sentences_of, states_diagnosis

SKINCAP = (
    "The image shows red plaques with silvery scales on the elbow. The borders are clear. "
    "The possible diagnosis is psoriasis. It is not contagious. Further biopsy is recommended to confirm."
)


def shown(byte, codec):
    """What a reader with the wrong codec shows; five bytes are none of Windows-1252 and come as they are."""
    try:
        return bytes([byte]).decode(codec)
    except UnicodeDecodeError:
        return chr(byte)


@pytest.mark.parametrize("text", ["Behçet’s", "“5 × 4 mm” – µm", "Ménétrier", "меланома", "银屑病", "≥ 6 mm"])
@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
def test_mojibake_is_undone(text, codec):
    damaged = "".join(shown(byte, codec) for byte in text.encode())
    assert clean(damaged) == text
    assert clean(clean(damaged)) == text


def test_damage_done_twice():
    assert clean("the patientÃ¢â‚¬â„¢s skin") == "the patient’s skin"


def test_damage_inside_other_scripts():
    assert clean("皮肤 çš®è‚¤ 6Ã—4") == "皮肤 皮肤 6×4"


@pytest.mark.parametrize(
    "text", ["CAFÉ” sign", "Â", "naïve façade", "Ð", "R&D at AT&T", "“curly” ‘quotes’", "5 < 6"]
)
def test_what_is_no_damage_stays(text):
    assert clean(text) == text


def test_entities_markup_and_invisible_characters():
    assert clean("a&nbsp;b&amp;lt;c<br/>d\u200b\ufeff\x00\u00ade\n\t f") == "a b<c de f"
    assert clean("&#956;m &#x3bc;m &notanentity; fish & chips;") == "μm μm &notanentity; fish & chips;"


@pytest.mark.parametrize("sentinel", SENTINELS)
def test_sentinels_never_stay(sentinel):
    assert clean(sentinel) == clean(f"{sentinel.lower()}.") == ""
    assert clean(f"A patch. {sentinel}. It is red.") == "A patch. It is red."
    assert clean(f"A patch. {sentinel}") == "A patch."


def test_words_like_a_sentinel_within_a_sentence_stay():
    assert clean("There is no definitive diagnosis yet.") == "There is no definitive diagnosis yet."


@given(some.text())
def test_clean_is_stable(text):
    assert clean(clean(clean(text))) == clean(clean(text))


@given(some.text(alphabet="ab CD.!?。1 ”(", max_size=60))
def test_no_character_is_lost_between_sentences(text):
    assert "".join("".join(sentences_of(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A plaque of 1.5 cm, e.g. on the elbow. Dr. Li saw it.", 2),
        ("A nodule of 3 mm. in size, see Fig. 2 (U.S. data).", 1),
        ("T. rubrum grew. J. Smith said so in 2010. The end.", 3),
        ("1. Red scales. 2. A crust.", 2),
        ("a red patch. it is scaly.", 2),
        ("Is it red? Yes! It is “brown.” And more... It ends", 5),
        ("The border is clear.The colour is brown.", 2),
        ("皮肤见红斑。可见鳞屑！“考虑银屑病。”建议活检", 4),
        ("Пятно 1,5 см на коже, т.е. очаг. Виден рис. 3. Корка.", 3),
        ("", 0),
    ],
)
def test_sentences(text, parts):
    found = sentences_of(text)
    assert len(found) == parts, found


def test_the_end_of_a_caption_with_its_diagnosis_is_dropped():
    sentences = sentences_of(SKINCAP)
    kept, dropped = drop_diagnosis(sentences)
    assert kept == sentences[:2]
    assert dropped == sentences[2:], "the remark between goes with it"


def test_only_the_end_unless_asked():
    sentences = ("Plaques of psoriasis cover the elbow.", "The scales are white.")
    assert drop_diagnosis(sentences) == (sentences, ())
    assert drop_diagnosis(sentences, trailing_only=False) == (sentences[1:], sentences[:1])


def test_everything_may_be_dropped_and_nothing_needs_to():
    assert drop_diagnosis(["Consider melanoma."]) == ((), ("Consider melanoma.",))
    assert drop_diagnosis(["A red patch."]) == (("A red patch.",), ())
    assert drop_diagnosis([]) == ((), ())


@given(some.lists(some.sampled_from([*sentences_of(SKINCAP), "A scar.", "Treat it."])), some.booleans())
def test_nothing_is_lost(sentences, trailing):
    kept, dropped = drop_diagnosis(sentences, trailing_only=trailing)
    assert sorted(kept + dropped) == sorted(sentences)
    if trailing:
        assert list(kept + dropped) == sentences


@pytest.mark.parametrize(
    "sentence",
    [
        "This is consistent with eczema.",
        "Basal cell carcinomas are seen.",
        "Several melanocytic nevi.",
        "Bowen’s disease.",
        "Topical steroids may help.",
        "Surgical excision is advised.",
        "Findings suggest a fungal infection.",
        "Следует исключить меланому, рекомендована биопсия.",
        "考虑银屑病。",
    ],
)
def test_statements_of_a_diagnosis_or_of_management(sentence):
    assert states_diagnosis(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "An atrophic scar with telangiectasia and hyperpigmentation.",
        "The lesion is considerably larger than a cyst.",
        "Ulcers with crust and erythema on the left hand.",
        "На коже видно красное пятно.",
        "皮肤见红斑及鳞屑,病变边界清楚。",
    ],
)
def test_descriptions_are_no_diagnosis(sentence):
    assert not states_diagnosis(sentence)
