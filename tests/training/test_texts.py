import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from dermaxai.data.appearance import Appearance
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.training.sections import DataSection
from dermaxai.training.texts import Texts
from tests.training.small import APPEARANCE

ALL = ("label", "measurement", "metadata", "findings", "author")


def caption(language, *sentences):
    return SampleCaption(language, tuple(Sentence(text, "author") for text in sentences), "caption")


@dataclass(frozen=True)
class Photo:
    sample: Sample
    appearance: Appearance | None = None


def photo(*captions, appearance=APPEARANCE):
    sample = Sample("ham10000/1", "ham10000", None, "line 2", captions=captions, diagnosis="melanoma",
                    label="mel", modality="dermoscopic", site="back")  # fmt: skip
    return Photo(sample, appearance)


def texts(policy, **changes):
    return replace(Texts(policy, ("en", "ru"), ALL), **changes)


def test_real_captions_stay_as_they_were_written():
    told = photo(caption("en", "One."), caption("en", "Two.", "Three."))
    assert texts("real").of(told) == {"en": "One."}
    drawn = {texts("real").of(told, np.random.default_rng(seed))["en"] for seed in range(20)}
    assert drawn == {"One.", "Two. Three."}


def test_composed_captions_say_the_facts_in_drawn_words():
    plain = texts("composed").of(photo())
    assert "Possible diagnosis: melanoma." in plain["en"]
    assert "меланома" in plain["ru"]
    drawn = {texts("composed").of(photo(), np.random.default_rng(seed))["en"] for seed in range(30)}
    assert len(drawn) > 5
    assert all("melanoma" in text for text in drawn)


def test_both_prefers_what_somebody_wrote():
    told = texts("both").of(photo(caption("en", "One.")))
    assert told["en"] == "One."
    assert "меланома" in told["ru"]


def test_the_same_generator_gives_the_same_words():
    first, second = (texts("composed").of(photo(), np.random.default_rng((1, 2))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("policy", ["composed", "demo"])
def test_a_diagnosis_is_dropped_on_request(policy):
    told = texts(policy, drop_diagnosis=True).of(photo())
    assert "melanoma" not in told["en"]
    assert "dark brown" in told["en"]


def test_real_sentences_that_state_a_diagnosis_are_dropped_on_request():
    told = photo(
        caption("en", "A brown papule.", "This is consistent with melanoma."), caption("en", "Melanoma.")
    )
    assert texts("real", drop_diagnosis=True).of(told) == {"en": "A brown papule."}


def test_only_wanted_sources_speak():
    assert texts("composed", sources=("label",)).of(photo())["en"] == "Possible diagnosis: melanoma."
    assert texts("demo", sources=("label",)).of(photo())["en"] == "Possible diagnosis: melanoma."


def test_nothing_to_say_is_no_text():
    assert texts("real").of(photo()) == {}
    assert texts("demo").of(photo(appearance=None)) == {}


def test_the_embedded_model_s_captions_and_the_size_of_an_augmented_view():
    told = texts("demo").of(photo())
    assert told["en"].startswith(
        "A medium-sized asymmetric lesion with an irregular border. The colour is dark"
    )
    assert texts("demo").of(photo(), coverage=0.5)["en"].startswith("A large asymmetric")
    assert texts("demo").of(photo(), coverage=math.nan) == told


def test_a_recipe_names_languages_among_those_of_the_captioner():
    section = DataSection(manifest="m", languages={"ru": 1})
    assert Texts.of_recipe(section, ("en", "ru")).languages == ("ru",)
    assert Texts.of_recipe(DataSection(manifest="m"), ("en", "ru")).languages == ("en", "ru")
