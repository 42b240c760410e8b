"""The frame of every method: hooks that leave, modes that come back, grids, prompts, the table."""

import threading
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from dermaxai.errors import ShapeError
from dermaxai.explain import METHODS
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, to_grid, watching, without_dropout
from tests.explain.snapshot import snapshot


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_says_what_it_is(name):
    method = METHODS.load(name)
    assert issubclass(method, AbstractMethod)
    assert method.name == name
    assert method.title
    assert method.layer
    assert method.answers <= WORDS | SIMILARITY
    assert method.__doc__
    assert "Source:" in method.__doc__
    assert method.variants[next(iter(method.variants))] == {}
    named = [method.of_variant(variant).variant for variant in method.variants]
    assert len(set(named)) == len(named)


def test_watching_leaves_no_hook_also_after_an_error():
    module, seen = nn.Linear(2, 2), []
    before = snapshot(module)
    with watching(module, seen.append):
        module(torch.ones(1, 2))
    with pytest.raises(ZeroDivisionError), watching(module, seen.append):
        raise ZeroDivisionError
    module(torch.ones(1, 2))
    assert len(seen) == 1
    assert snapshot(module) == before


def test_watching_ignores_other_threads():
    module, seen = nn.Linear(2, 2), []
    with watching(module, seen.append):
        other = threading.Thread(target=module, args=(torch.ones(1, 2),))
        other.start()
        other.join()
    assert seen == []


def test_modes_come_back_part_by_part():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    module[1].eval()
    modes = [part.training for part in module.modules()]
    inside: list[bool] = []
    with suppress(ZeroDivisionError), without_dropout(module):
        inside += [part.training for part in module.modules()]
        raise ZeroDivisionError
    assert inside == [False] * 4
    assert [part.training for part in module.modules()] == modes


def test_grid_is_row_major():
    assert to_grid(torch.arange(6.0), (2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert to_grid(torch.arange(6), (2, 3)).dtype == np.float32
    with pytest.raises(ShapeError, match="5 values"):
        to_grid(torch.arange(5.0), (2, 3))


def test_reading_the_table_loads_nothing_heavy(heavy_after):
    assert heavy_after("from dermaxai.explain import METHODS; assert list(METHODS)") == []
    assert "torch" in heavy_after("from dermaxai.explain import METHODS; METHODS.load('evidence')")
