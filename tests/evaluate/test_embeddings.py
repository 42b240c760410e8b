import dataclasses
import json

import numpy as np
import pytest
import torch

from dermaxai.errors import DataError
from dermaxai.evaluate import embeddings
from dermaxai.evaluate.embeddings import embed_items, folder_name
from dermaxai.images import read_image
from tests.evaluate.small_set import draw_items


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return draw_items(tmp_path_factory.mktemp("set"), 5)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(embeddings, "CHUNK", 2)


def test_embeddings_are_those_of_the_encoder(model, items):
    found = embed_items(model.encoder, items)
    alone = [model.encoder.encode([read_image(item.path)])[0].pooled for item in items]
    assert found.items == tuple(items)
    np.testing.assert_allclose(found.values, torch.stack(alone).numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1, atol=1e-5)


def test_what_is_kept_is_not_computed_again(model, items, tmp_path, monkeypatch):
    first = embed_items(model.encoder, items, tmp_path)
    monkeypatch.setattr(type(model.encoder), "forward", lambda *_: pytest.fail("encoded again"))
    again = embed_items(model.encoder, items[::-1], tmp_path)
    np.testing.assert_array_equal(again.values, first.values[::-1])


def test_an_interrupted_run_ends_with_the_same_bits(model, items, tmp_path):
    whole = embed_items(model.encoder, items, tmp_path / "whole")

    def stop(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_items(model.encoder, items, tmp_path / "broken", stop)
    told = []
    after = embed_items(model.encoder, items, tmp_path / "broken", lambda *one: told.append(one))
    assert [done for _, done, _ in told] == [4, 5]
    np.testing.assert_array_equal(after.values, whole.values)


def test_another_precision_is_kept_apart(model):
    other = dataclasses.replace(model.encoder.card, resize_to=model.encoder.card.resize_to + 8)

    class Other:
        card, sha256, dtype = other, model.encoder.sha256, model.encoder.dtype

    class Coarse:
        card, sha256, dtype = model.encoder.card, model.encoder.sha256, torch.bfloat16

    assert len({folder_name(one) for one in (model.encoder, Other, Coarse)}) == 3


def test_a_photo_that_cannot_be_read_is_named(model, items, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    bad = dataclasses.replace(items[1], path=broken)
    found = embed_items(model.encoder, [items[0], bad, items[2]])
    assert found.items == (items[0], items[2])
    assert found.failed[0][0] == items[1].id


def test_a_photo_that_was_changed_is_named(model, items):
    other = dataclasses.replace(items[1], path=items[2].path)
    assert "has changed" in embed_items(model.encoder, [items[0], other]).failed[0][1]


def test_one_file_under_two_names_is_encoded_once(model, items):
    twin = dataclasses.replace(items[0], id="other/photo")
    told = []
    found = embed_items(model.encoder, [items[0], twin], None, lambda *one: told.append(one))
    assert told[-1][1:] == (1, 1)
    np.testing.assert_array_equal(found.values[0], found.values[1])


def test_some_of_them_in_another_order(model, items):
    found = embed_items(model.encoder, items[:4])
    some = found.pick([items[3], items[4], items[0]])
    assert some.items == (items[3], items[0])
    np.testing.assert_array_equal(some.values, found.values[[3, 0]])


def test_a_damaged_chunk_is_told(model, items, tmp_path):
    embed_items(model.encoder, items[:2], tmp_path)
    (names,) = (tmp_path / folder_name(model.encoder)).glob("*.json")
    names.write_text(json.dumps(["one too few"]), encoding="utf-8")
    with pytest.raises(DataError, match="no chunk of embeddings"):
        embed_items(model.encoder, items, tmp_path)


def test_no_item_is_no_fault(model):
    assert embed_items(model.encoder, []).values.shape == (0, 0)
