"""Every finding, site and diagnosis has words in both languages, and no two share them."""

import re

import pytest

from dermaxai import vocabulary
from dermaxai.statements.words import (
    FINDINGS,
    PARTS,
    SILENT,
    SITES,
    is_group,
    join_and,
    spoken_diagnoses,
    years,
)

LANGUAGES = ("en", "ru")


def test_every_finding_and_site_has_words():
    assert set(FINDINGS) == set(vocabulary.findings())
    assert set(SITES) == set(vocabulary.sites())
    assert {words.part for words in FINDINGS.values()} == set(PARTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_names_are_alike(language):
    for names in (
        [words.name[language] for words in FINDINGS.values()],
        [words.genitive for words in FINDINGS.values() if words.genitive],
        [phrases[language] for phrases in SITES.values()],
        list(spoken_diagnoses(language, groups=False).values()),
        list(spoken_diagnoses(language, groups=True).values()),
    ):
        assert len({name.casefold() for name in names}) == len(names)


def test_every_diagnosis_is_spoken_once_or_silent():
    one, many = (set(spoken_diagnoses("en", groups=groups)) for groups in (False, True))
    assert not one & many
    assert one | many | SILENT == set(vocabulary.diagnoses())


def test_english_names_are_the_vocabulary_s():
    for name, words in FINDINGS.items():
        known = vocabulary.findings()[name].name["en"]
        assert known == words.name["en"] or known.startswith(f"{words.name['en']}("), name
    for name, phrases in SITES.items():
        known = vocabulary.sites()[name].name["en"]
        assert known.removesuffix(" area") in phrases["en"], name


def test_glosses_are_left_out_where_the_name_is_unique():
    spoken = spoken_diagnoses("ru", groups=False)
    assert spoken["actinic_keratosis"] == "актинический кератоз"
    assert spoken["eczema"] == "экзема"
    assert spoken["eczema_spongiotic_dermatitis"] == "экзема (спонгиотический дерматит)"
    assert spoken_diagnoses("en", groups=True)["vasculitis_photos"] == "vasculitis"


def test_russian_words_agree_with_their_nouns():
    """'образование' and 'расположение' are neuter, 'цвет' is masculine, 'нет' asks for the genitive."""
    for name, words in FINDINGS.items():
        russian = words.name["ru"]
        assert not re.search("[a-z()]", russian + words.genitive), name
        if words.part in ("look", "distribution"):
            assert not words.genitive
            assert re.match(r"(на|с|неправильной) |скоплением$", russian) or re.search(
                "(ое|ее|ееся)(/|$| коркой)", russian
            ), name
        else:
            assert words.genitive, name
        if words.part == "hue":
            assert re.search("[ыио]й$", russian), name
            assert re.search("[ое]го$", words.genitive), name
    for phrases in SITES.values():
        assert re.match("(на|в) ", phrases["ru"])
        assert re.match("(on|in) ", phrases["en"])


def test_collective_labels_are_groups():
    for name in ("melanoma_nevi_and_moles", "other_benign", "nail_diseases", "other_malignant"):
        assert is_group(vocabulary.diagnosis(name)), name
    for name in ("melanoma", "benign_keratosis", "vascular_lesion", "keratoacanthoma"):
        assert not is_group(vocabulary.diagnosis(name)), name


def test_lists_and_years():
    assert join_and(["a"], "and") == "a"
    assert join_and(["a", "b"], "и") == "a и b"
    assert [years(age) for age in (0, 1, 4, 11, 21, 101, 113)] == [
        "0 лет", "1 год", "4 года", "11 лет", "21 год", "101 год", "113 лет",
    ]  # fmt: skip
