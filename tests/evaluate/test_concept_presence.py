import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dermaxai import vocabulary
from dermaxai.data.samples import Sample
from dermaxai.encoders.cards import read_card
from dermaxai.errors import SettingError
from dermaxai.evaluate.concept_presence import (
    DERM1M_PROMPTS,
    MONET_PROMPTS,
    annotated_concepts,
    concept_prompts,
    presence,
    terms_of,
    truth_of,
)
from dermaxai.evaluate.items import Item


class Named:
    """An encoder of which only the card matters."""

    def __init__(self, name):
        self.card = read_card(name)


def item(number, present=(), absent=()):
    sample = Sample(f"set/{number}", "set", None, "", present=present, absent=absent)
    return Item(sample.id, Path("none"), f"{number:064d}", sample)


def slow_presence(encoder, image, terms, pairs):
    """Term by term and prompt by prompt."""
    shares = []
    for template, reference in pairs:
        cosines = [float(encoder.encode_text([template.format(term)])[0] @ image) for term in terms]
        target = sum(cosines) / len(cosines) * math.exp(4.5944)
        plain = float(encoder.encode_text([reference])[0] @ image) * math.exp(4.5944)
        shares.append(math.exp(target) / (math.exp(target) + math.exp(plain)))
    return sum(shares) / len(shares)


def test_presence_is_monets(model):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, model.encoder.encode_text(["skin"]).shape[1], generator=generator)
    images = (images / images.norm(dim=1, keepdim=True)).double()
    prompts = concept_prompts(model.encoder, "derm1m")
    terms = ["crust", "scab", "dried crust"]
    found = presence(model.encoder, images.numpy(), terms, prompts)
    expected = [slow_presence(model.encoder, one.float(), terms, DERM1M_PROMPTS) for one in images]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert ((found > 0) & (found < 1)).all()


def test_a_photo_that_is_its_text_shows_it(model):
    text = model.encoder.encode_text(["This is skin image of crust"]).numpy()
    other = model.encoder.encode_text(["This is skin image"]).numpy()
    prompts = concept_prompts(model.encoder, "monet")
    shown, plain = (presence(model.encoder, one, ["crust"], prompts)[0] for one in (text, other))
    assert shown > plain


def test_authors_decide_how_concepts_are_asked_for():
    assert concept_prompts(Named("monet")).pairs == MONET_PROMPTS
    assert concept_prompts(Named("make")).pairs == DERM1M_PROMPTS
    assert concept_prompts(Named("demo")).pairs == (("dermoscopy of {}", "dermoscopy"),)
    assert concept_prompts(Named("demo"), "monet").source == "MONET"
    with pytest.raises(SettingError, match="no prompt that says anything without"):
        concept_prompts(Named("whylesionclip"), "card")
    with pytest.raises(SettingError, match="asked for as"):
        concept_prompts(Named("demo"), "mine")


def test_every_finding_has_terms():
    for name in vocabulary.findings():
        terms = terms_of(name)
        assert terms
        assert len(set(terms)) == len(terms)
        assert all(term.strip() and "(" not in term for term in terms)


def test_only_annotations_count():
    items = [item(0, ("crust",)), item(1, (), ("crust",)), item(2), item(3, ("ulcer",)), item(4, ("crust",))]
    np.testing.assert_array_equal(truth_of(items, "crust"), [1, 0, np.nan, np.nan, 1])
    assert annotated_concepts(items, 1) == ["crust"]
    assert annotated_concepts(items, 2) == []
