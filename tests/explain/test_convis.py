"""ConVis: ranks by hand, windows counted pixel by pixel, and every kind of pooling."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaxai.concepts.tree import ConceptNode, ConceptTree, read_tree
from dermaxai.errors import NotSupported, SettingError, UnknownName, UsageError
from dermaxai.explain import convis_ranks
from dermaxai.explain.base import Explained
from dermaxai.explain.convis import LOOKS, ConVis, agreement_with_windows
from dermaxai.explain.convis_random import random_windows
from dermaxai.explain.convis_ranks import RankTable, definition_embeddings, rank_table
from dermaxai.explain.convis_windows import (
    WindowGrid,
    cell_means,
    cut_windows,
    plan_windows,
    see_windows,
    with_margin,
)
from dermaxai.explain.shared import input_pixels
from dermaxai.types import Target
from tests.explain.snapshot import snapshot

CONCEPTS = [
    ("thing", (), "a benign skin", "вещь"),
    ("mark", ("thing",), "raised, a dark mole", "пятно"),
    ("dark_mark", ("mark",), "a dark mole", "тёмное пятно"),
    ("pale_mark", ("mark",), "benign keratosis", "бледное пятно"),
    ("ground", ("thing",), "skin", "кожа"),
    ("rough_ground", ("ground",), "raised skin", "шероховатая кожа"),
    ("animal", ("thing",), "mole", "животное"),
    ("dog", ("animal",), "a mole, dark, raised", "собака"),
    ("cat", ("animal",), "dark keratosis, a benign skin", "кошка"),
    ("stone", ("thing",), "dark dark dark", "камень"),
]
TARGETS = [
    Target("concept", "mark"),
    Target("diagnosis", "pale mark"),
    Target("query", "skin keratosis"),
    Target("query", "mark", against="ground"),
]


def small_tree():
    return ConceptTree(
        ConceptNode(
            name,
            "everyday",
            parents,
            {"en": name.replace("_", " "), "ru": russian},
            {"en": definition, "ru": russian},
            {"en": (), "ru": ()},
        )
        for name, parents, definition, russian in CONCEPTS
    )


TREE = small_tree()


def explain(tower, targets, **options):
    encoder, encoded = tower
    return ConVis(**{"tree": TREE} | options).explain(Explained(encoder), encoded, targets)


def values_of(tower, targets, **options):
    return [heat.values for heat in explain(tower, targets, **options)]


def table_by_hand():
    """Four definitions along the axes, and a text of its own; the second text is a node with two below."""
    embeddings = torch.cat([torch.eye(4), torch.full((1, 4), 0.5)])
    return RankTable(embeddings, 4, [torch.tensor([2]), torch.tensor([1, 2, 3]), torch.tensor([4])])


def test_ranks_by_hand():
    table = table_by_hand()
    images = torch.tensor([[0.9, 0.3, 0.2, 0.1], [0.0, 0.1, 0.8, 0.2], [0.1, 0.1, 0.1, 0.1]])
    assert table.ranks(images).tolist() == [[2, 0, 0], [1, 0, 0], [1, 1, 0]]
    wanted = [[1 / 3, 1, 1], [2 / 3, 1, 1], [3 / 4, 3 / 4, 1]]
    assert torch.allclose(table.shares(images), torch.tensor(wanted))
    assert [table.counted(text) for text in range(3)] == [4, 4, 5]


def test_ranks_are_the_same_in_parts(monkeypatch):
    images = torch.randn(11, 4, generator=torch.Generator().manual_seed(1))
    whole = table_by_hand().ranks(images)
    monkeypatch.setattr(convis_ranks, "LIKENESSES_AT_ONCE", 1)
    assert (table_by_hand().ranks(images) == whole).all()


def directions(count, width):
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(count))
    return torch.nn.functional.normalize(drawn, dim=1)


def test_ranks_sort_all_definitions(tower):
    encoder, _ = tower
    names = [name for name, *_ in CONCEPTS]
    table = rank_table(encoder, TREE, names)
    images = directions(6, encoder.card.embed)
    likeness = (images.to(table.embeddings) @ table.embeddings.T).tolist()
    for text, name in enumerate(names):
        below = {node.id for node in TREE.descendants(name)}
        for image, row in enumerate(likeness):
            ordered = sorted(row, reverse=True)
            best = min(ordered.index(row[names.index(other)]) for other in below)
            assert int(table.ranks(images)[text, image]) == best


def test_parent_is_never_behind_its_children(tower):
    encoder, _ = tower
    names = [name for name, *_ in CONCEPTS]
    images = directions(20, encoder.card.embed)
    ranks = dict(zip(names, rank_table(encoder, TREE, names).ranks(images), strict=True))
    for name in names:
        for child in TREE.children(name):
            assert (ranks[name] <= ranks[child.id]).all()
    assert (ranks["thing"] == 0).all()


def test_texts_lead_to_concepts_in_both_languages(tower):
    encoder, _ = tower
    table = rank_table(encoder, TREE, ["mark", "пятно", "кожа", "a mole on skin"])
    assert [own.tolist() for own in table.rows] == [[1, 2, 3], [1, 2, 3], [4, 5], [10]]
    assert torch.allclose(table.embeddings[10], encoder.encode_text(["a mole on skin"])[0], atol=1e-5)
    assert torch.allclose(table.embeddings[4], encoder.encode_text(["skin"])[0], atol=1e-5)


def test_definitions_are_embedded_once_and_forgotten_with_their_tree(tower, monkeypatch):
    encoder, _ = tower
    monkeypatch.setattr(convis_ranks, "TEXTS_AT_ONCE", 3)
    tree = small_tree()
    found = definition_embeddings(encoder, tree)
    whole = encoder.encode_text([definition for _, _, definition, _ in CONCEPTS])
    assert torch.allclose(found, whole, atol=1e-5)
    assert definition_embeddings(encoder, tree) is found
    held = len(convis_ranks._embedded[encoder])
    del tree
    gc.collect()
    assert len(convis_ranks._embedded[encoder]) == held - 1


def test_empty_texts_and_trees_are_refused(tower):
    with pytest.raises(UsageError, match="no text"):
        explain(tower, [Target("query", " ")])
    with pytest.raises(UsageError, match="no text"):
        explain(tower, [Target("query", "mark", against="")])
    with pytest.raises(UsageError, match="tree is empty"):
        explain(tower, TARGETS, tree=ConceptTree([]))


@given(
    side=st.integers(8, 40),
    shares=st.sampled_from([(4 / 7, 2 / 7), (1 / 2, 1 / 4), (0.9, 0.1), (0.3,)]),
    step=st.sampled_from([1 / 14, 1 / 7, 0.2]),
)
@settings(max_examples=25, deadline=None)
def test_means_over_windows_pixel_by_pixel(side, shares, step):
    grid = plan_windows(side, shares, step)
    by_size = zip(grid.sizes, grid.corners(), strict=True)
    corners = [(size, *corner) for size, some in by_size for corner in some.tolist()]
    scores = torch.rand(2, len(corners), generator=torch.Generator().manual_seed(side), dtype=torch.float64)
    found = grid.pixel_means(scores)
    canvas = side + 2 * grid.margin
    total, count = torch.zeros(2, canvas, canvas, dtype=torch.float64), torch.zeros(canvas, canvas)
    seen = set()
    for number, (size, top, left) in enumerate(corners):
        assert top + size <= canvas
        assert left + size <= canvas
        seen.add((size, top, left))
        total[:, top : top + size, left : left + size] += scores[:, number, None, None]
        count[top : top + size, left : left + size] += 1
    photo = slice(grid.margin, grid.margin + side)
    assert (count[photo, photo] > 0).all()
    assert torch.allclose(found, total[:, photo, photo] / count[photo, photo])
    every = range(0, canvas, grid.stride)
    touching = {
        (size, top, left)
        for size in grid.sizes
        for top in every
        for left in every
        if all(at < grid.margin + side and at + size > grid.margin for at in (top, left))
    }
    assert seen == touching


def test_published_windows_at_224_pixels():
    grid = plan_windows(224, (128 / 224, 64 / 224), 16 / 224)
    assert (grid.sizes, grid.stride, grid.margin) == ((128, 64), 16, 128)
    assert [len(some) for some in grid.corners()] == [21 * 21, 17 * 17]


def test_equal_coverage_makes_the_published_sum():
    """At 224 pixels each pixel lies in 64 large and 16 small windows, so sum and mean differ by a factor."""
    grid = plan_windows(224, (128 / 224, 64 / 224), 16 / 224)
    large, small = (len(some) for some in grid.corners())
    only_large = torch.cat([torch.ones(1, large), torch.zeros(1, small)], 1)
    assert torch.allclose(grid.pixel_means(only_large), torch.tensor(64 / 80))


def test_margin_is_noise_in_pixel_space_and_seeded(tower):
    encoder, encoded = tower
    pixels = input_pixels(encoder, encoded)
    canvas = with_margin(encoder, pixels, 5, seed=3)
    assert torch.equal(canvas[:, 5:-5, 5:-5], pixels[0])
    assert torch.equal(canvas, with_margin(encoder, pixels, 5, seed=3))
    assert not torch.equal(canvas, with_margin(encoder, pixels, 5, seed=4))
    mean, std = (torch.tensor(part)[:, None] for part in (encoder.card.mean, encoder.card.std))
    noise = torch.cat([canvas[:, :5].flatten(1), canvas[:, -5:].flatten(1)], 1) * std + mean
    assert noise.min() > -1e-5
    assert noise.max() < 1 + 1e-5
    assert noise.std() > 0.2


def test_windows_are_enlarged_crops(tower):
    encoder, encoded = tower
    canvas = with_margin(encoder, input_pixels(encoder, encoded), 8, seed=0)
    corners = torch.tensor([[0, 0], [3, 40], [60, 7]])
    found = see_windows(encoder, cut_windows(canvas, corners, 17, batch=2), "model")
    side = encoder.card.image_size
    for row, (top, left) in zip(found, corners.tolist(), strict=True):
        crop = canvas[None, :, top : top + 17, left : left + 17]
        large = torch.nn.functional.interpolate(crop, (side, side), mode="bilinear")
        assert torch.allclose(row, encoder.forward(large).pooled[0], atol=1e-5)


def test_cells_are_exact_means_of_what_the_grid_covers():
    pixels = torch.arange(2 * 7 * 7, dtype=torch.float64).reshape(2, 7, 7)
    found = cell_means(pixels, (2, 3), 2)
    wanted = [
        [float(one[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean()) for r in range(2) for c in range(3)]
        for one in pixels
    ]
    assert found.tolist() == wanted


@pytest.mark.parametrize("look", LOOKS)
def test_maps_of_every_pooling(tower, look):
    _, encoded = tower
    maps = explain(tower, TARGETS, look=look)
    for heat, target in zip(maps, TARGETS, strict=True):
        assert heat.values.shape == encoded.grid
        assert np.isfinite(heat.values).all()
        assert heat.values.max() <= 1 + 1e-6
        assert heat.values.min() >= (-1e-6 if target.against is None else -1 - 1e-6)
        assert heat.variant == look
    kind = "weight by rank" if look == "reference" else "rank"
    assert [heat.scalar for heat in maps] == [
        f"{kind} among 10 definitions",
        f"{kind} among 10 definitions",
        f"{kind} among 11 definitions",
        f"{kind} difference among 10 definitions",
    ]
    assert any(np.ptp(heat.values) > 0 for heat in maps)


def distance(found, wanted):
    """Mean difference, since two definitions that are equally near may change places by rounding."""
    return float(np.abs(np.array(found) - np.array(wanted)).mean())


@pytest.mark.parametrize("look", ["windows", "quick", "cells", "dense", "patches"])
def test_one_by_one_is_the_same_as_together(tower, look):
    together = values_of(tower, TARGETS, look=look)
    for target, wanted in zip(TARGETS, together, strict=True):
        (alone,) = values_of(tower, [target], look=look)
        assert distance(alone, wanted) < 0.01


def test_batches_do_not_matter(tower):
    one, many = (values_of(tower, TARGETS, look="quick", batch=batch) for batch in (5, 64))
    assert distance(one, many) < 0.01


def test_windows_serve_later_questions(tower, monkeypatch):
    encoder, encoded = tower
    model, method = Explained(encoder), ConVis(tree=TREE, look="quick")
    method.explain(model, encoded, TARGETS[:1])
    monkeypatch.setattr("dermaxai.explain.convis.see_windows", fail)
    (later,) = method.explain(model, encoded, TARGETS[1:2])
    assert later.layer.endswith("windows")
    with pytest.raises(ZeroDivisionError):
        method.explain(model, replace(encoded), TARGETS[:1])


def fail(*_):
    raise ZeroDivisionError


def test_same_seed_same_map(tower):
    one, again, other = (values_of(tower, TARGETS[1:3], look="quick", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("look", ["quick", "dense"])
def test_contrast_is_antisymmetric(tower, look):
    ask = [
        Target("query", "mark", against="skin keratosis"),
        Target("query", "skin keratosis", against="mark"),
        Target("query", "mark"),
        Target("query", "skin keratosis"),
    ]
    forth, back, one, other = values_of(tower, ask, look=look)
    assert np.allclose(forth, -back, atol=1e-6)
    assert np.allclose(forth, one - other, atol=1e-6)
    assert np.ptp(forth) > 0


def test_bfloat16_is_close(tower):
    exact = values_of(tower, TARGETS, look="quick")
    coarse = explain(tower, TARGETS, look="quick", dtype="bfloat16")
    assert distance(exact, [heat.values for heat in coarse]) < 0.1
    assert coarse[0].variant == "quick, bfloat16"


def test_model_stays_as_it_was_also_after_an_error(tower, monkeypatch):
    encoder, _ = tower
    before = snapshot(encoder.module)
    for look in LOOKS[1:]:
        explain(tower, TARGETS[:1], look=look)
    explain(tower, TARGETS, look="quick", dtype="bfloat16")
    assert snapshot(encoder.module) == before
    monkeypatch.setattr("dermaxai.explain.shared.unit_length", fail)
    with pytest.raises(ZeroDivisionError):
        explain(tower, TARGETS, look="quick", dtype="bfloat16")
    assert snapshot(encoder.module) == before
    assert not torch.is_autocast_enabled(encoder.device.type)


def test_agreement_with_itself_and_with_others(tower):
    encoder, encoded = tower
    model = Explained(encoder)
    same = agreement_with_windows(model, encoded, TARGETS[1:], method=ConVis(tree=TREE))
    assert np.allclose(same, 1)
    other = agreement_with_windows(model, encoded, TARGETS[1:], method=ConVis(tree=TREE, look="dense"))
    assert np.nanmax(np.abs(other)) < 1


def test_photo_without_pixels_can_still_be_ranked_by_patches(tower):
    encoder, encoded = tower
    bare = replace(encoded, pixels=None)
    with pytest.raises(NotSupported, match="pixels"):
        ConVis(tree=TREE).explain(Explained(encoder), bare, TARGETS)
    assert len(ConVis(tree=TREE, look="patches").explain(Explained(encoder), bare, TARGETS)) == len(TARGETS)


def random_by_hand(ranks_of, side, sizes, seed):
    """The published default for one text, window after window, with the numbers that the method draws."""
    margin = sizes[0]
    draws = torch.rand(100, 6, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    total = np.zeros((side, side))
    for part in range(6):
        weights, size = np.ones((side + 2 * margin,) * 2), sizes[part // 3]
        for step in range(100):
            heap = weights[: side + margin, : side + margin].ravel().cumsum()
            place = int(np.searchsorted(heap, heap[-1] * float(draws[step, part, 0]), side="right"))
            top, left = divmod(place, side + margin)
            rank = ranks_of(top, left)
            score = 2 * ((np.exp(-5 * rank / 91) if rank < 91 else 0) - 0.5)
            weights[top : top + size, left : left + size] *= 1 + 0.002 * score
        total += weights[margin:-margin, margin:-margin]
    return (total - total.min()) / np.ptp(total)


def test_random_windows_one_after_the_other():
    def near(top, left):
        return 4 * (abs(top - 9) + abs(left - 14))

    def far(top, left):
        return 7 * top

    asked = [near, far]

    def look(corners, _size):
        return torch.tensor([[one(top, left) for top, left in corners.tolist()] for one in asked])

    found = random_windows(look, 2, 14, (8, 4), seed=5)
    for one, text in zip(found, asked, strict=True):
        assert np.allclose(one, random_by_hand(text, 14, (8, 4), seed=5))
    assert torch.equal(found, random_windows(look, 2, 14, (8, 4), seed=5))
    assert not torch.equal(found, random_windows(look, 2, 14, (8, 4), seed=6))


def test_random_windows_that_change_nothing_are_zero():
    middle = 91 * np.log(2) / 5

    def look(corners, _size):
        return torch.full((1, len(corners)), float(middle), dtype=torch.float64)

    found = random_windows(look, 1, 6, (4, 2), seed=0)
    assert (found == 0).all()


def test_variants_are_named():
    for name in ConVis.variants:
        assert ConVis.of_variant(name).variant == name
    assert tuple(ConVis.variants) == LOOKS
    assert ConVis(seed=3, dtype="bfloat16").variant == "windows, bfloat16, seed 3"
    assert ConVis().tree is read_tree()
    for wrong in ({"look": "far"}, {"dtype": "float16"}, {"batch": 0}):
        with pytest.raises(SettingError, match="windows, quick"):
            ConVis(**wrong)
    with pytest.raises(UnknownName, match="dense"):
        ConVis.of_variant("dens")


def test_window_grid_never_steps_over_pixels():
    assert plan_windows(10, (0.2,), 0.5) == WindowGrid(10, (2,), 2)
