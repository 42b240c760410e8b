"""Baselines against loops: the most alike photo, the label alone, the majority."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.data.samples import Sample
from dermaxai.errors import UnknownName
from dermaxai.evaluate.caption_baselines import (
    check_baselines,
    label_captions,
    majority_text,
    nearest_captions,
    typical_facts,
)
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.evaluate.items import Item
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical
from tests.measure.clinical.facts import FEW


def item(name, cluster=""):
    return Item(name, Path(name), f"hash of {name}", Sample(name, "set", None, ""), cluster)


def embedded(rows):
    """Rows of (name, cluster, angle in degrees)."""
    angles = np.radians([angle for *_, angle in rows])
    values = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32).reshape(-1, 2)
    return Embedded(tuple(item(name, cluster) for name, cluster, _ in rows), values)


@st.composite
def photos(draw, prefix, count):
    clusters, angles = st.sampled_from(["", "a", "b"]), st.integers(0, 359)
    return [
        (f"{prefix}{place}", draw(clusters), draw(angles)) for place in range(draw(st.integers(1, count)))
    ]


@settings(max_examples=150)
@given(photos("photo ", 5), photos("train ", 8), st.sets(st.integers(0, 7)))
def test_the_nearest_photo_lends_its_caption(judged, train, without):
    texts = {name: f"caption of {name}" for place, (name, *_) in enumerate(train) if place not in without}
    found = nearest_captions(embedded(judged), embedded(train), texts)
    for name, cluster, angle in judged:
        rivals = [
            (other, place)
            for place, (other, group, _) in enumerate(train)
            if other in texts and not (cluster and cluster == group)
        ]
        assert (name in found) is bool(rivals)
        if rivals:
            cosines = {other: np.cos(np.radians(angle - train[place][2])) for other, place in rivals}
            (lender,) = [other for other in cosines if texts[other] == found[name]]
            assert cosines[lender] == pytest.approx(max(cosines.values()), abs=1e-6)


def test_of_equally_alike_photos_the_first_counts_and_never_the_photo_itself():
    train = embedded([("one", "", 10), ("two", "", 10), ("three", "", 10)])
    texts = {"one": "1", "two": "2", "three": "3"}
    assert nearest_captions(embedded([("new", "", 10)]), train, texts) == {"new": "1"}
    assert nearest_captions(embedded([("one", "", 10)]), train, texts) == {"one": "2"}


def test_without_texts_there_is_no_neighbour():
    assert nearest_captions(embedded([("new", "", 0)]), embedded([("one", "", 0)]), {}) == {}


@settings(max_examples=150)
@given(st.lists(FEW, min_size=1, max_size=6))
def test_typical_facts_are_the_most_frequent(told):
    found = typical_facts(told)
    for name in ("size", "symmetry", "border", "colours", "site", "modality", "diagnosis"):
        counts = Counter(getattr(one, name) for one in told)
        most = max(counts.values())
        assert counts[getattr(found, name)] == most
        assert str(getattr(found, name)) == min(
            str(value) for value, count in counts.items() if count == most
        )
    for name in {name for one in told for name in one.present}:
        share = sum(name in one.present for one in told) / len(told)
        assert (name in found.present) is (share > 0.5)
    assert (found.age, found.sex, found.absent) == (None, None, ())


@settings(max_examples=60)
@given(st.lists(FEW, max_size=6), st.sampled_from(("melanoma", "blue_nevus")), st.sampled_from(("en", "ru")))
def test_the_template_says_the_label_and_what_its_photos_look_like(told, label, language):
    found = label_captions({"photo": label, "other": label}, told, language)
    assert found["photo"] == found["other"]
    facts = read_clinical(found["photo"], language).facts
    assert facts == typical_facts([one for one in told if one.diagnosis == label], label)


def test_a_label_that_nobody_taught_is_said_alone():
    told = [ClinicalFacts(diagnosis="blue_nevus", size="large")]
    assert label_captions({"photo": "melanoma"}, told, "en") == {"photo": "Possible diagnosis: melanoma."}
    assert label_captions({}, told, "en") == {}


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1))
def test_the_majority_text(texts):
    found = majority_text(texts)
    assert texts.count(found) == max(texts.count(one) for one in texts)
    assert found == min(one for one in texts if texts.count(one) == texts.count(found))


def test_no_texts_no_majority():
    assert majority_text([]) == ""


def test_names_of_baselines():
    check_baselines(["nearest neighbour", "label template", "majority caption"])
    with pytest.raises(UnknownName, match="nearest neighbour"):
        check_baselines(["nearest neighbor"])
