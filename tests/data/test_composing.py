"""Composed captions say what is known of a photo and nothing else, and know where it is from."""

from dataclasses import replace

import numpy as np
import pytest

from dermaxai import vocabulary
from dermaxai.data.appearance import Appearance
from dermaxai.data.composing import (
    ALL_SOURCES,
    FIELDS,
    PERSON_FIELDS,
    UNSEEN,
    compose_clinical,
    facts_of,
    weak_captions,
)
from dermaxai.data.readers import READERS
from dermaxai.data.samples import Sample
from dermaxai.data.weak_captions import caption, gather
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical

MOLE = Sample(
    id="isic2019/ISIC_0000001",
    dataset="isic2019",
    path=None,
    place="table.csv, line 2",
    diagnosis="melanoma",
    label="MEL",
    source_malignancy="malignant",
    site="forearm",
    age=55.0,
    sex="female",
    skin_type="3",
    modality="dermoscopic",
)
RASH = replace(
    MOLE,
    id="skincon/a.jpg",
    dataset="skincon",
    modality="clinical",
    present=("scale", "papule"),
    absent=("ulcer", "crust", "atrophy", "nodule"),
)
CLEAR = Appearance(0.2, 0.05, 1.3, (("dark brown", 0.5), ("black", 0.3), ("white", 0.2)), 20.0, 0.0)
FAINT = replace(CLEAR, contrast=1.0)


def texts(sample, appearance=None, **options):
    return [one.text for one in weak_captions(sample, appearance, **options)]


def test_both_languages_with_all_that_is_known():
    english, russian = weak_captions(MOLE, CLEAR)
    assert (english.language, russian.language) == ("en", "ru")
    assert english.is_weak
    assert english.text == (
        "Dermoscopic photo. A medium-sized symmetric lesion with an irregular border. "
        "The colour is dark brown and black. Located on the forearm. Possible diagnosis: melanoma."
    )
    assert russian.text == (
        "Дерматоскопический снимок. Среднее симметричное образование с неровной границей. "
        "Цвет тёмно-коричневый и чёрный. Расположено на предплечье. Возможный диагноз: меланома."
    )
    sources = [sentence.source for sentence in english.sentences]
    assert sources == ["metadata", "measurement", "measurement", "metadata", "label"]


def test_only_dermoscopic_photos_are_measured_and_only_clear_ones_described():
    assert facts_of(replace(MOLE, modality="clinical"), CLEAR).size is None
    assert facts_of(replace(MOLE, modality=None), CLEAR).size is None
    unclear = facts_of(MOLE, FAINT)
    assert (unclear.unclear, unclear.size, unclear.colours) == (True, None, ())
    assert not facts_of(MOLE).unclear


@pytest.mark.parametrize("appearance", [CLEAR, FAINT])
def test_measurement_and_label_are_the_embedded_model_s_sentences(appearance):
    for language in ("en", "ru"):
        facts = facts_of(MOLE, appearance)
        own = compose_clinical(facts, language, sources=("measurement", "label"))
        assert " ".join(one.text for one in own) == caption(gather(appearance, "mel"), language)


def test_age_and_sex_only_where_asked_for_and_fit():
    assert not any("55" in text or "female" in text for text in texts(MOLE))
    assert "The patient is female, 55 years old." in texts(MOLE, with_person=True)[0]
    told = {
        name: facts_of(replace(MOLE, dataset=name), with_person=True)
        for name in (*PERSON_FIELDS, "mra_midas")
    }
    assert (told["pad_ufes_20"].age, told["pad_ufes_20"].sex) == (55, None)
    assert (told["derm7pt"].age, told["derm7pt"].sex) == (None, "female")
    assert (told["mra_midas"].age, told["mra_midas"].sex) == (None, None)


def test_fields_that_a_dataset_must_not_speak():
    assert set(FIELDS) | set(PERSON_FIELDS) <= set(READERS)
    assert texts(replace(MOLE, dataset="dermnet"))[0] == "Possible diagnosis: melanoma."
    assert texts(RASH)[0] == "Findings: papule and scale."
    assert "Findings" not in texts(replace(RASH, dataset="mra_midas"))[0]


def test_malignancy_skin_type_and_labels_are_never_spoken():
    sample = replace(MOLE, label="leaky label", votes=(("scar", 3),), site_text="left forearm, dorsal")
    for text in texts(sample, CLEAR, with_person=True):
        assert not any(word in text for word in ("malign", "злокач", "leaky", "рубец", "scar", "dorsal"))


def test_what_only_a_microscope_shows_is_not_spoken():
    thick = replace(MOLE, dataset="derm7pt", diagnosis="melanoma_breslow_gt_1_5_mm")
    assert texts(thick, CLEAR) == texts(replace(thick, diagnosis="melanoma"), CLEAR)
    assert not facts_of(replace(thick, other_diagnoses=("melanoma_breslow_lt_0_76_mm",))).other_diagnoses
    assert set(UNSEEN) == {name for name in vocabulary.diagnoses() if "breslow" in name}


def test_absent_findings_are_an_option_and_few():
    assert not facts_of(RASH).absent
    two = facts_of(RASH, absent=2)
    assert len(two.absent) == 2
    assert two == facts_of(RASH, absent=2)
    assert set(facts_of(RASH, absent=9).absent) == set(RASH.absent)
    drawn = {facts_of(replace(RASH, id=f"skincon/{number}.jpg"), absent=2).absent for number in range(40)}
    assert len(drawn) == 4
    assert "No nodule" in " ".join(texts(RASH, absent=4)).replace("No nodule, ", "No nodule ")


def test_nothing_to_say():
    bare = Sample(id="a/b", dataset="derm1m", path=None, place="")
    for sample in (bare, replace(bare, modality="clinical"), replace(bare, diagnosis="unknown")):
        assert weak_captions(sample) == ()


def test_several_diagnoses_once_each():
    sample = replace(MOLE, other_diagnoses=("scar", "melanoma", "unknown", "scar", "nail_diseases"))
    assert facts_of(sample).other_diagnoses == ("scar", "nail_diseases")


def test_sources_can_be_chosen():
    facts = facts_of(replace(RASH, dataset="fitzpatrick17k"), CLEAR)
    assert [one.source for one in compose_clinical(facts, "en", sources={"findings"})] == ["findings"]
    assert {one.source for one in compose_clinical(facts, "en")} <= ALL_SOURCES
    assert compose_clinical(facts, "en", sources=()) == []


@pytest.mark.parametrize("language", ["en", "ru"])
def test_wordings_vary_with_a_generator_and_say_the_same(language):
    facts = facts_of(MOLE, CLEAR)
    drawn = [compose_clinical(facts, language, np.random.default_rng(seed)) for seed in range(40)]
    said = {" ".join(one.text for one in sentences) for sentences in drawn}
    assert len(said) > 10
    assert {read_clinical(text, language).facts for text in said} == {facts}
    assert drawn[3] == compose_clinical(facts, language, np.random.default_rng(3))


def test_every_label_of_every_dataset_can_be_said():
    for dataset in READERS:
        for labels in vocabulary.labels(dataset).values():
            for label in labels.values():
                facts = ClinicalFacts(diagnosis=label.diagnosis)
                for language in ("en", "ru"):
                    assert all(one.text for one in compose_clinical(facts, language))
