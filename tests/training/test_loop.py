import json
from dataclasses import replace

import pytest
import torch

from dermaxai.captioner import load_captioner
from dermaxai.encoders.weights import hash_file
from dermaxai.errors import SettingError, UsageError, WeightsMismatch
from dermaxai.training.journal import read_journal
from dermaxai.training.loop import Ahead, Rhythm, Training
from dermaxai.training.team import AcceleratedTeam
from tests.training.small import job


@pytest.fixture(scope="module")
def team():
    return AcceleratedTeam("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory, team):
    """A whole run with dropout, never interrupted."""
    folder = tmp_path_factory.mktemp("run")
    made = job(team, still=False)
    before = {name: value.clone() for name, value in made.captioner.t5.named_parameters()}
    standing = Training(made, folder, team).run()
    return folder, made, standing, before


def losses(folder):
    return [(one["step"], one["kind"], one["loss"]) for one in read_journal(folder / "log.jsonl")]


def test_a_run_leaves_a_captioner_and_tells_what_it_did(run):
    folder, made, standing, _ = run
    assert standing.step == 12
    loaded = load_captioner(folder / "captioner")
    for name, value in loaded.bridge.state_dict().items():
        assert torch.equal(value, made.captioner.bridge.state_dict()[name])
    told = json.loads((folder / "run.json").read_text())
    assert told["parts"].startswith("mode bridge+lora: 14,000 trainable")
    assert (told["trainable"], told["processes"]) == (14000, 1)
    assert "Best state: step" in (folder / "captioner" / "card.md").read_text()


def test_it_learns(run):
    checks = [loss for _, kind, loss in losses(run[0]) if kind == "validation"]
    assert checks[-1] < checks[0]


def test_the_t5_base_has_not_moved_by_a_bit(run):
    _, made, _, before = run
    base = [name for name in before if "lora_" not in name]
    after = dict(made.captioner.t5.named_parameters())
    assert base
    assert all(torch.equal(before[name], after[name]) for name in base)
    assert any(not torch.equal(before[name], after[name]) for name in before if "lora_" in name)


def test_a_frozen_weight_that_moved_is_no_captioner(tmp_path, team):
    training = Training(job(team, steps=1), tmp_path, team)
    with torch.no_grad():
        training.job.captioner.t5.shared.weight.add_(1)
    with pytest.raises(WeightsMismatch, match="frozen"):
        training.run()
    assert not (tmp_path / "captioner").exists()


def test_every_record_is_whole(run):
    for record in read_journal(run[0] / "log.jsonl"):
        if record["kind"] == "train":
            assert record["tokens_per_second"] > 0
            assert record["memory_mb"] > 1
            assert record["flops"] > 0
            assert sum(record["shares"].values()) == pytest.approx(1, abs=0.01)
            assert set(record["learning_rate"]) == {"qformer", "projection", "lora"}


class BrokenOff(Exception):
    pass


@pytest.mark.parametrize("moment", [1, 4, 7, 9])
def test_a_broken_off_run_ends_as_if_it_was_not(run, tmp_path, team, moment):
    folder, _, standing, _ = run

    def listen(record):
        if record.get("step") == moment:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        Training(job(team, still=False), tmp_path, team, listen=listen).run()
    torch.rand(moment)  # Nothing may hang on what was drawn in between.
    resumed = Training(job(team, still=False), tmp_path, team).run(resume=True)
    assert resumed == standing
    assert losses(tmp_path) == losses(folder)
    for name in ("bridge.safetensors", "adapter/adapter_model.safetensors"):
        assert hash_file(tmp_path / "captioner" / name) == hash_file(folder / "captioner" / name)


def test_resume_refuses_another_training_and_silence_refuses_any(run, team):
    folder = run[0]
    with pytest.raises(UsageError, match="--resume"):
        Training(job(team), folder, team).run()
    with pytest.raises(SettingError, match="batch was 8, is 4"):
        Training(job(team, batch=4), folder, team).run(resume=True)


def test_resume_of_nothing_begins(tmp_path, team):
    assert Training(job(team, steps=2), tmp_path, team).run(resume=True).step == 2


class Judge:
    """Goals as they are told; the best state is not the last."""

    def __init__(self, goals):
        self.goals = iter(goals)
        self.states = []

    def measure(self, captioner):
        self.states.append(captioner.bridge.queries.detach().clone())
        return {"loss": 1.0, "goal": next(self.goals)}


def test_the_best_state_is_kept_and_patience_ends(tmp_path, team):
    judge = Judge([1.0, 3.0, 2.0, 3.0, 9.0])
    rhythm = Rhythm(save_every=5, check_every=2, log_every=1, patience=2)
    training = Training(replace(job(team, steps=50, rhythm=rhythm), check=judge), tmp_path, team)
    standing = training.run()
    assert (standing.step, standing.best_step, standing.idle) == (8, 4, 2)
    assert torch.equal(load_captioner(tmp_path / "captioner").bridge.queries, judge.states[1])
    finished = Training(replace(job(team, steps=50, rhythm=rhythm), check=judge), tmp_path, team)
    assert finished.run(resume=True).step == 8


def test_figures_that_are_no_numbers_end_the_run(tmp_path, team):
    training = Training(replace(job(team), check=Judge([1.0, float("nan")])), tmp_path, team)
    with pytest.raises(SettingError, match="no numbers at step 8"):
        training.run()
    assert not (tmp_path / "captioner").exists()


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, team):
    with pytest.raises(SettingError, match=r"Lower training\.rates"):
        Training(job(team, rates=(1e30, 1e30, 1e30), warmup=0), tmp_path, team).run()


def test_reading_ahead_gives_the_same_and_hands_on_errors():
    def read(step):
        if step == 3:
            raise ValueError("no photo")
        return [step]

    for busy in (False, True):
        with Ahead(read, busy=busy) as ahead:
            assert [ahead.take(step, last=False) for step in (0, 1, 2)] == [[0], [1], [2]]
            with pytest.raises(ValueError, match="no photo"):
                ahead.take(3, last=True)
