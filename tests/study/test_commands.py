"""The command that stands beside a number asks `dermaxai evaluate` for the very same plan and photos."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from dermaxai.commands import evaluating
from dermaxai.commands.options import Choice
from dermaxai.errors import DermaXAIError
from dermaxai.evaluate.gathering import Gathered
from dermaxai.study.commands import command_of
from dermaxai.study.kinds import WORK
from dermaxai.study.recipe import read_plan
from dermaxai.study.sections import DataSection, ModelSection, StudySection

PLANS = {
    "explanations": [
        {"methods": ["score_cam:top 64"], "metrics": ["deletion"], "questions": ["word", "query"]},
        {
            "methods": ["rollout"], "metrics": ["road", "energy"], "questions": ["query"], "baselines": [],
            "texts": ["a nevus, benign", "blue-white veil"], "most_words": 3, "measured_masks": True,
            "protocol": {"removal": "noisy linear", "steps": 7, "random_maps": 3, "radius": 0.125},
        },
        {"methods": ["splice"], "metrics": ["insertion"], "questions": ["concept"], "texts": "lesion"},
    ],
    "captions": [
        {"languages": ["en"], "metrics": ["bleu", "cider_d"], "compose": False},
        {"languages": ["en", "ru"], "baselines": []},
    ],
    "encoders": [
        {"tasks": ["zero_shot"], "templates": ["a photo of {}, close", "{}"], "shares": [0.25, 1.0]},
    ],
}  # fmt: skip
CASES = [(kind, options) for kind, given in PLANS.items() for options in given]
READERS = {"explanations": "_map_plan", "captions": "_caption_plan", "encoders": "_encoder_plan"}


def task(kind, plan, **data):
    section = DataSection(**{"name": "some", "on": ("ham10000=photos", "more photos"), **data})
    model = SimpleNamespace(section=ModelSection(name="demo", dtype="bfloat16"))
    return SimpleNamespace(kind=kind, plan=plan, data=SimpleNamespace(section=section), model=model)


def words_of(kind, plan, **data):
    study = SimpleNamespace(study=StudySection(name="tried", seed=4))
    program, *words = shlex.split(command_of(study, task(kind, plan, **data)))
    assert program == "dermaxai"
    assert words[:2] == ["evaluate", kind]
    return words[1:]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What the command line made of some words: the plan, the photos, the model."""
    seen = {}

    def stop(choice):
        seen["choice"] = choice
        raise DermaXAIError("far enough")

    def gather(choice, photos, train):
        seen["photos"] = photos
        return Gathered((), ()), None

    def read(kind):
        whole = getattr(evaluating, READERS[kind])

        def keep(*given):
            seen["plan"] = whole(*given)
            return seen["plan"]

        return keep

    monkeypatch.setattr(Choice, "load", stop)
    monkeypatch.setattr(evaluating, "_gather", gather)

    def ask(kind, words):
        monkeypatch.setattr(evaluating, READERS[kind], read(kind))
        done = CliRunner().invoke(evaluating.evaluate, [*words, "-o", str(tmp_path / "results")])
        assert isinstance(done.exception, DermaXAIError), done.output
        assert done.exception.message == "far enough", done.output
        return seen

    return ask


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_the_plan_comes_back(asked, kind, options):
    plan = read_plan(WORK[kind].plan, options, seed=4)
    seen = asked(kind, words_of(kind, plan))
    skipped = {"cache", "embeddings"}
    for name in type(plan).__dataclass_fields__:
        if name not in skipped:
            assert getattr(seen["plan"], name) == getattr(plan, name), name


def test_the_photos_and_the_model_come_back(asked):
    plan = read_plan(WORK["explanations"].plan, PLANS["explanations"][0], seed=4)
    data = {"split": "all", "ids": Path("some ids.txt"), "limit": 9, "masks": Path("outlines")}
    seen = asked("explanations", words_of("explanations", plan, **data))
    photos, choice = seen["photos"], seen["choice"]
    assert photos.on == ["ham10000=photos", "more photos"]
    assert (photos.split, photos.ids, photos.limit, photos.masks) == tuple(data.values())
    assert (choice.seed, choice.threads, choice.dtype) == (4, 1, "bfloat16")
