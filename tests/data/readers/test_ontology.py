"""Derm1M's words: every published node is known, commas are read by the longest name, nothing is guessed."""

import pytest

from dermaxai.data.readers.ontology import (
    Unmatched,
    match_diagnoses,
    match_findings,
    match_site,
    told,
)
from dermaxai.data.reading import DatasetFolder
from dermaxai.vocabulary import findings, labels, sites

NODES = labels("derm1m")["ontology node"]


@pytest.mark.parametrize("node", NODES)
def test_every_published_node_is_found_in_lower_case(node):
    ids = [diagnosis for _, diagnosis in match_diagnoses(node.lower().strip(", "))]
    assert ids == [NODES[node].diagnosis]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("herpes zoster", ["herpes_zoster"]),
        ("lichen planus, psoriasis", ["lichen_planus", "psoriasis"]),
        ("angioma, hemangioma, lichen planus", ["hemangioma", "lichen_planus"]),
        ("sweet’s syndrome", ["sweet_syndrome"]),
        ("no definitive diagnosis", []),
        ("", []),
        ("psoriasis, sparkle of the moon", ["psoriasis", None]),
    ],
)
def test_labels(text, ids):
    assert [diagnosis for _, diagnosis in match_diagnoses(text)] == ids


def test_the_path_stands_in_for_a_label_nobody_knows():
    path = "inflammatory, non-infectious, drug eruption, drug eruptions & reactions, stevens-johnson syndrome"
    assert match_diagnoses("sjs, severe", path) == (("sjs, severe", "stevens_johnson_syndrome"),)
    assert match_diagnoses("sparkle", "inflammatory, infectious, viral") == (("sparkle", None),)
    assert match_diagnoses("psoriasis, sparkle", path)[0] == ("psoriasis", "psoriasis")


@pytest.mark.parametrize("sign", findings().values(), ids=lambda sign: sign.id)
def test_every_sign_is_found_by_its_name(sign):
    assert match_findings(sign.name["en"])[0] == (sign.id,)


def test_signs_are_read_once_and_never_from_a_diagnosis():
    assert match_findings("vesicles, patch, erythema, redness") == (("vesicle", "patch", "erythema"), ())
    assert match_findings("No visual concepts") == ((), ())
    assert match_findings("psoriasis, irregular, regular, hyperpigmented") == (
        ("irregular",),
        ("psoriasis", "regular", "hyperpigmented"),
    ), "a diagnosis, half a term and a term of two signs state none of them"


@pytest.mark.parametrize("site", sites().values(), ids=lambda site: site.id)
def test_sites_by_name(site):
    assert match_site(f"The {site.name['en']}".title()) == site.id


@pytest.mark.parametrize(
    ("text", "site"), [("arms", "arm"), ("feet", "foot"), ("chest, back", None), ("", None)]
)
def test_sites_in_plain_forms_only(text, site):
    assert match_site(text) == site


def test_told():
    assert told(" no gender information ") is told("nan") is told("") is None
    assert told("59") == "59"


def test_unmatched_words_are_reported_once_with_their_number(tmp_path):
    folder, unmatched = DatasetFolder(tmp_path), Unmatched()
    for place in ("t, line 2", "t, line 9"):
        unmatched.note("skin_concept", "sparkle", place)
    unmatched.report(folder, {"skin_concept": ("left out", "no sign taken")})
    (fault,) = folder.faults
    assert (fault.kind, fault.place) == ("left out", "t, line 2")
    assert "'sparkle'" in fault.message
    assert "no sign taken (2 in all)" in fault.message
