import os

import pytest
import torch
from torch import nn

from dermaxai.errors import SettingError, WeightsCorrupt
from dermaxai.training import checkpoints
from dermaxai.training.checkpoints import Checkpoints, Standing

MADE_FROM = {"training.batch": "8", "manifest": "abc"}


def standing(step, **changes):
    return Standing(step=step, made_from=MADE_FROM, **changes)


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def weights(value):
    return {"bridge.queries": torch.full((3, 2), float(value))}


def test_what_was_saved_comes_back(store):
    store.save(
        standing(7, best=-1.5, best_step=4, idle=2), weights(3), {"bridge.queries/step": torch.tensor(7.0)}
    )
    found, values, moments = store.load(MADE_FROM)
    assert found == standing(7, best=-1.5, best_step=4, idle=2)
    assert torch.equal(values["bridge.queries"], weights(3)["bridge.queries"])
    assert moments["bridge.queries/step"] == 7


def test_the_last_two_stay_and_the_best_states_they_name(store):
    assert not store.exist()
    for step in range(1, 6):
        name = store.save_best(step, weights(step)) if step in (1, 2, 5) else "" if step == 1 else best
        best = name
        store.save(standing(step, best_file=best), weights(step), {})
    names = sorted(path.name[:13] for path in store.folder.iterdir())
    assert names == ["best-00000002", "best-00000005", "step-00000004", "step-00000005"]
    found, _, _ = store.load(MADE_FROM)
    assert torch.equal(store.load_best(found)["bridge.queries"], weights(5)["bridge.queries"])


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_newest_one_falls_back_to_the_one_before(store, damage):
    store.save(standing(1), weights(1), {})
    path = store.save(standing(2), weights(2), {})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes({"cut": bytes(data[:-9]), "flipped": bytes(data), "emptied": b""}[damage])
    with pytest.warns(UserWarning, match="is damaged. The checkpoint before it is tried"):
        found, values, _ = store.load(MADE_FROM)
    assert found.step == 1
    assert torch.equal(values["bridge.queries"], weights(1)["bridge.queries"])


def test_a_missing_best_state_falls_back_too(store):
    store.save(standing(1), weights(1), {})
    store.save(standing(2, best_file="best-00000002-0.safetensors"), weights(2), {})
    with pytest.warns(UserWarning, match="missing"):
        assert store.load(MADE_FROM)[0].step == 1


def test_all_damaged_is_an_error(store):
    store.save(standing(1), weights(1), {}).write_bytes(b"x")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(WeightsCorrupt, match="All 1 checkpoints"):
        store.load(MADE_FROM)


def test_a_half_written_file_is_no_checkpoint(store):
    store.save(standing(1), weights(1), {})
    (store.folder / ".step-999.part").write_bytes(b"half")
    assert store.load(MADE_FROM)[0].step == 1
    store.save(standing(2), weights(2), {})
    assert not list(store.folder.glob(".*.part"))


def test_a_file_has_its_name_only_when_it_is_on_the_disk(store, monkeypatch):
    """Killed before the rename: the folder is as it was."""

    def die(path):
        raise KeyboardInterrupt

    store.save(standing(1), weights(1), {})
    monkeypatch.setattr(checkpoints, "sync", die)
    with pytest.raises(KeyboardInterrupt):
        store.save(standing(2), weights(2), {})
    monkeypatch.undo()
    assert store.load(MADE_FROM)[0].step == 1


def test_the_order_is_file_rename_folder(store, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    store.save(standing(1), weights(1), {})
    assert synced[0].endswith(".part")
    assert synced[1] == str(store.folder)


def test_another_training_is_refused_by_name(store):
    store.save(standing(1), weights(1), {})
    with pytest.raises(SettingError) as told:
        store.load({"training.batch": "16", "manifest": "abc", "new": "1"})
    assert "training.batch was 8, is 16" in str(told.value)
    assert "new was not set, is 1" in str(told.value)
    assert "manifest" not in str(told.value).replace("recipe and data", "")


def test_nothing_there(store):
    assert store.load(MADE_FROM) is None


def test_moments_go_round():
    def step(module, optimizer):
        optimizer.zero_grad()
        module(torch.ones(1, 3)).sum().backward()
        optimizer.step()

    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizers = [torch.optim.AdamW(module.parameters(), lr=0.1) for module in (first, second)]
    step(first, optimizers[0])
    checkpoints.put_weights(second, checkpoints.weights_of(first))
    checkpoints.put_moments(optimizers[1], second, checkpoints.moments_of(optimizers[0], first))
    for module, optimizer in zip((first, second), optimizers, strict=True):
        step(module, optimizer)
    assert torch.equal(first.weight, second.weight)
    with pytest.raises(WeightsCorrupt, match="other weights"):
        checkpoints.put_weights(second, {"weight": torch.ones(2, 3)})
