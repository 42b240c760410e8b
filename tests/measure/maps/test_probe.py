"""The probe beside one mask at a time, one patch at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from dermaxai.errors import NotSupported, ShapeError
from dermaxai.explain.base import Explained, text_directions
from dermaxai.measure.maps.base import REMOVALS, Protocol, Subject
from dermaxai.measure.maps.probe import Probe, Seen, distinct_rows, probe_of
from dermaxai.types import SkinImage, Target
from tests.explain.snapshot import snapshot
from tests.measure.maps.test_removing import changed_pixels, masks

NO_PHOTO = SkinImage(np.zeros((2, 2, 3), np.uint8), "")
"""Probes look at what was encoded."""
QUERIES = [
    Target("query", "a dark mole"),
    Target("query", "raised", against="skin"),
    Target("concept", "papule"),
    Target("diagnosis", "melanoma"),
]


def subject_of(encoder, encoded, **protocol):
    return Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(**protocol))


def one_by_one(encoder, encoded, kept, removal):
    """Features of one mask: (patches, embedding), by the tower's own blocks."""
    tower, first = encoder.tower, encoder.tower.first_patch
    if removal == "tokens":
        tokens = tower.embed(encoded.pixels[None])
        places = [*range(first), *(first + patch for patch in range(len(kept)) if kept[patch])]
        tokens = tokens[:, places]
    else:
        tokens = tower.embed(changed_pixels(encoder, encoded.pixels, kept, removal)[None])
    for block in tower.blocks:
        tokens = tower.run(block, tokens)
    result = tower.read_out(tokens)
    return result.patches[0], normalize(result.embedding[0], dim=0)


# ---- similarity ---------------------------------------------------------------------------------


@pytest.mark.parametrize("removal", REMOVALS)
def test_cosines_are_those_of_one_mask_at_a_time(tower, removal):
    encoder, encoded = tower
    kept = torch.cat([masks(encoder), masks(encoder, rows=3, kept=4), torch.ones(1, 16, dtype=torch.bool)])
    probe = probe_of(subject_of(encoder, encoded, removal=removal, seed=7))
    before = snapshot(encoder.module)
    scores = probe.scores(probe.see(kept), QUERIES)
    assert snapshot(encoder.module) == before
    assert scores.shape == (len(kept), len(QUERIES))
    directions = text_directions(encoder, QUERIES)
    for row, mask in zip(scores, kept, strict=True):
        _, embedding = one_by_one(encoder, encoded, mask, removal)
        assert torch.allclose(row, directions @ embedding, atol=2e-5)
    mixed = [QUERIES[row % len(QUERIES)] for row in range(len(kept))]
    chosen = probe.scores_of(probe.see(kept), mixed)
    expected = [scores[row, row % len(QUERIES)] for row in range(len(kept))]
    assert torch.allclose(chosen, torch.stack(expected), atol=1e-6)


@pytest.mark.parametrize("removal", REMOVALS)
def test_the_untouched_photo_is_the_photo(tower, removal):
    encoder, encoded = tower
    probe = probe_of(subject_of(encoder, encoded, removal=removal))
    expected = text_directions(encoder, QUERIES) @ encoded.pooled
    assert torch.allclose(probe.whole(QUERIES), expected, atol=1e-5)


def test_nothing_left(tower):
    """A class token alone where there is one, otherwise the photo in its one mean colour."""
    encoder, encoded = tower
    nothing = torch.zeros(16, dtype=torch.bool)
    directions = text_directions(encoder, QUERIES)
    for removal in REMOVALS:
        alone = removal == "tokens" and encoder.tower.pooling == "class"
        way = removal if alone or removal != "tokens" else "mean"
        _, expected = one_by_one(encoder, encoded, nothing, way)
        probe = probe_of(subject_of(encoder, encoded, removal=removal, seed=7))
        assert torch.isfinite(probe.empty(QUERIES)).all()
        assert torch.allclose(probe.empty(QUERIES), directions @ expected, atol=2e-5)
        both = probe.see(torch.stack([nothing, ~nothing, nothing]))
        assert (both.embeddings[0] == both.embeddings[2]).all()
        assert torch.allclose(probe.scores(both, QUERIES)[0], probe.empty(QUERIES))


def test_bfloat16_is_near(tower):
    encoder, encoded = tower
    kept = masks(encoder)
    exact = probe_of(subject_of(encoder, encoded))
    rough = probe_of(subject_of(encoder, encoded, passes="bfloat16"))
    assert exact is not rough
    found = [probe.scores(probe.see(kept), QUERIES) for probe in (exact, rough)]
    assert 0 < (found[0] - found[1]).abs().max() < 0.02
    assert found[1].dtype == torch.float32


def test_metrics_of_a_photo_share_one_probe(tower):
    encoder, encoded = tower
    subject = subject_of(encoder, encoded)
    assert probe_of(subject) is probe_of(replace(subject, protocol=Protocol(steps=7, subsets=3)))
    assert probe_of(subject) is not probe_of(subject, "blur")
    assert probe_of(subject) is not probe_of(replace(subject, protocol=Protocol(seed=1)))
    other = replace(subject, encoded=replace(encoded))
    assert probe_of(other) is not probe_of(subject)


@pytest.mark.parametrize("removal", ["tokens", "blur"])
def test_equal_masks_and_both_ends_are_seen_once(tower, removal, monkeypatch):
    encoder, encoded = tower
    rows, passing = [], Probe._pass
    monkeypatch.setattr(
        Probe, "_pass", lambda self, tokens, read: rows.append(len(tokens)) or passing(self, tokens, read)
    )
    probe = probe_of(subject_of(encoder, encoded, removal=removal))
    kept = masks(encoder, rows=4)
    ends = torch.stack([torch.ones(16, dtype=torch.bool), torch.zeros(16, dtype=torch.bool)])
    seen = probe.see(torch.cat([kept, kept, ends, ends]))
    assert sum(rows) == 6
    probe.see(ends)
    probe.see(ends[:1])
    assert sum(rows) == 6
    assert torch.equal(seen.embeddings[:4], seen.embeddings[4:8])
    assert torch.equal(seen.embeddings[8:10], seen.embeddings[10:])


def test_wrong_masks_and_no_masks(tower):
    encoder, encoded = tower
    probe = probe_of(subject_of(encoder, encoded))
    with pytest.raises(ShapeError, match="16"):
        probe.see(torch.ones(2, 15, dtype=torch.bool))
    nothing = probe.see(torch.ones(0, 16, dtype=torch.bool))
    assert len(nothing) == 0
    assert probe.scores(nothing, QUERIES).shape == (0, len(QUERIES))
    assert probe.scores_of(nothing, []).shape == (0,)
    with pytest.raises(NotSupported, match="no caption"):
        probe.see(masks(encoder), read=True)


def test_distinct_rows():
    kept = torch.rand(60, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    rows, back = distinct_rows(kept)
    assert torch.equal(rows[back], kept)
    assert len(rows) == len({tuple(row) for row in kept.tolist()})


def test_rows_are_picked():
    seen = Seen(torch.arange(3.0)[:, None], None)
    assert seen.pick(torch.tensor([2, 0])).embeddings.tolist() == [[2.0], [0.0]]


# ---- words --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken(model, photos):
    """(model with its caption, photo encoded, questions about words)."""
    encoded = model.encoder.encode([model.read(photos[0])])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    words = caption.words
    targets = [Target("word", word.text, index) for index, word in enumerate(words)]
    targets += [
        Target("phrase", caption.text[words[1].start : words[2].stop], 1),
        Target("caption", caption.text),
        Target("word", words[-1].text, len(words) - 1, "nodule"),
        Target("word", words[-1].text, len(words) - 1, "pink"),
    ]
    return Explained(model.encoder, model.captioner, caption), encoded, targets


def said(captioner, patches, text_or_ids, places):
    """The probability of some tokens of a text."""
    scored = captioner.score_patches(patches[None], text_or_ids)[0]
    return float(np.exp(np.sum([scored.token_logprobs[place] for place in places])))


def expected_probability(model, patches, target):
    """By the captioner's own scoring of whole texts."""
    from dermaxai.explain.articles import decided_tokens

    captioner, caption = model.captioner, model.caption
    if target.kind == "caption":
        return said(captioner, patches, caption.token_ids, range(len(caption.token_ids)))
    count = len(target.text.split())
    places = [
        place for word in range(target.word, target.word + count) for place in decided_tokens(caption, word)
    ]
    if not places:
        return np.nan
    found = said(captioner, patches, caption.token_ids, places)
    if target.against:
        text = caption.text[: caption.words[target.word].start] + target.against
        scored = captioner.score_patches(patches[None], text)[0]
        rival = [
            place
            for word in scored.words
            if word.start >= caption.words[target.word].start
            for place in word.tokens
        ]
        found -= said(captioner, patches, text, rival)
    return found


@pytest.mark.parametrize("removal", REMOVALS)
def test_probabilities_are_those_of_one_mask_at_a_time(spoken, removal):
    model, encoded, targets = spoken
    subject = Subject(replace(model), encoded, NO_PHOTO, Protocol(removal=removal, seed=7))
    kept = torch.cat([masks(model.encoder, rows=4), torch.ones(1, 16, dtype=torch.bool)])
    probe = probe_of(subject)
    before = snapshot(model.encoder.module, model.captioner)
    seen = probe.see(kept)
    scores = probe.scores(seen, targets)
    assert snapshot(model.encoder.module, model.captioner) == before
    for row, mask in zip(scores, kept, strict=True):
        patches, _ = one_by_one(model.encoder, encoded, mask, removal)
        expected = [expected_probability(model, patches, target) for target in targets]
        np.testing.assert_allclose(row, expected, atol=2e-5)
    mixed = [targets[row] for row in range(len(kept))]
    np.testing.assert_allclose(probe.scores_of(seen, mixed), scores.diagonal(), atol=1e-6)
    np.testing.assert_allclose(probe.whole(targets), scores[-1], atol=1e-6)


def test_an_article_has_no_score_of_its_own(spoken):
    model, encoded, targets = spoken
    scores = probe_of(Subject(model, encoded, NO_PHOTO)).whole(targets)
    assert targets[0].text == "a"
    assert scores.isnan().tolist() == [True] + [False] * (len(targets) - 1)


def test_the_caption_is_likely_and_its_word_beats_a_rival(spoken):
    model, encoded, targets = spoken
    scores = probe_of(Subject(model, encoded, NO_PHOTO)).whole(targets)
    # The tiny captioner says the same of every photo, and knows it to 0.01 nats per token.
    assert scores[1:-2].min() > 0.8
    assert scores[-2:].min() > 0.8


def test_where_nothing_is_left_the_mean_photo_is_read(spoken):
    model, encoded, targets = spoken
    patches = torch.zeros_like(encoded.patches)
    expected = [expected_probability(model, patches, target) for target in targets]
    found = probe_of(Subject(model, encoded, NO_PHOTO)).empty(targets)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    given = replace(model, mean_patches=encoded.patches.flip(0))
    expected = [expected_probability(model, encoded.patches.flip(0), target) for target in targets]
    found = probe_of(Subject(replace(given, shared=type(model.shared)()), encoded, NO_PHOTO)).empty(targets)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_without_a_mean_photo_the_photo_in_its_mean_colour_is_read(spoken, monkeypatch):
    model, encoded, targets = spoken
    monkeypatch.setattr("dermaxai.measure.maps.probe.known_mean", lambda captioner: None)
    fresh = replace(model, shared=type(model.shared)())
    patches, _ = one_by_one(model.encoder, encoded, torch.zeros(16, dtype=torch.bool), "mean")
    expected = [expected_probability(model, patches, target) for target in targets]
    np.testing.assert_allclose(
        probe_of(Subject(fresh, encoded, NO_PHOTO)).empty(targets), expected, atol=2e-5
    )


def test_both_kinds_of_question_together(spoken):
    model, encoded, targets = spoken
    probe = probe_of(Subject(model, encoded, NO_PHOTO))
    seen = probe.see(masks(model.encoder))
    mixed = [targets[1], QUERIES[0], targets[-1], QUERIES[1]]
    together = probe.scores(seen, mixed)
    for place, target in enumerate(mixed):
        np.testing.assert_allclose(together[:, place], probe.scores(seen, [target])[:, 0], atol=1e-6)
    with pytest.raises(NotSupported, match="did not read"):
        probe.scores(probe.see(masks(model.encoder), read=False), mixed)
