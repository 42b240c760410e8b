import dataclasses

import numpy as np
import pytest
import torch

from dermaxai.errors import NotSupported, SettingError
from dermaxai.evaluate.encoders import CHANCE, EncoderPlan, evaluate_encoder
from dermaxai.evaluate.records import Records
from dermaxai.evaluate.zero_shot import MAJORITY
from dermaxai.measure.estimates import evaluate_all
from tests.evaluate.small_set import draw_items

PLAN = EncoderPlan(fewest=3, shares=(0.5, 1.0))


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return draw_items(tmp_path_factory.mktemp("judged"), 9)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """Other ids and other files of the same dataset."""
    drawn = draw_items(tmp_path_factory.mktemp("lessons"), 15)[9:]
    return [dataclasses.replace(one, id=f"{one.id} again", cluster=f"{one.cluster} again") for one in drawn]


@pytest.fixture(scope="module")
def evaluation(model, items, lessons):
    return evaluate_encoder(model.encoder, items, PLAN, train=lessons)


def conditions(evaluation):
    return list(dict.fromkeys(one.condition for one in evaluation.columns))


def test_every_task_has_its_condition(evaluation, items):
    assert conditions(evaluation) == [
        "ham10000, zero-shot",
        "ham10000, concepts",
        "ham10000, retrieval, composed captions",
        "ham10000, linear probe, 50%",
        "ham10000, linear probe, 100%",
    ]
    assert evaluation.kind == "encoders"
    assert {row for one in evaluation.columns for row in one.rows} == {item.id for item in items}
    assert not any(np.isnan(evaluate_all(one.parts, one.statistic)) for one in evaluation.columns)


def test_baselines_stand_beside(evaluation):
    beside = {one.contestant: one.condition for one in evaluation.columns if one.is_baseline}
    assert set(beside) == {MAJORITY, CHANCE}
    assert {one.contestant for one in evaluation.columns if not one.is_baseline} == {"tiny"}


def test_notes_tell_names_prompts_and_what_was_learned_from(evaluation):
    told = "\n".join(evaluation.notes)
    assert "zero-shot: 7 classes, names of Derm1M and MAKE: actinic keratosis, basal cell" in told
    assert "concepts: 1 findings, prompts of Derm1M and MAKE" in told
    assert "linear probe, 100%: learned from 6 photos, L2 weight" in told


def test_settings_and_command_give_the_same_numbers_again(model, items, lessons, evaluation):
    assert evaluation.settings["encoder sha256"] == model.encoder.sha256
    assert evaluation.settings["fewest photos of a concept"] == "3"
    assert "--task zero_shot --task concepts" in evaluation.command
    again = evaluate_encoder(model.encoder, items, PLAN, train=lessons)
    for one, other in zip(evaluation.columns, again.columns, strict=True):
        np.testing.assert_array_equal(one.parts, other.parts)


def test_embeddings_are_kept_beside_the_records(model, items, tmp_path, monkeypatch):
    records = Records.open(tmp_path / "records", {"any": "key"})
    first = evaluate_encoder(model.encoder, items, EncoderPlan(("zero_shot",)), records)
    assert list((tmp_path / "records" / "embeddings").glob("tiny-*/*.npy"))
    monkeypatch.setattr(type(model.encoder), "forward", lambda *_: pytest.fail("encoded again"))
    again = evaluate_encoder(model.encoder, items, EncoderPlan(("zero_shot",)), records)
    np.testing.assert_array_equal(first.columns[0].parts, again.columns[0].parts)


def test_nobody_learns_from_what_is_judged(model, items, lessons):
    mixed = [*lessons, items[0], dataclasses.replace(items[1], sha256="1" * 64, id="ham10000/other photo")]
    found = evaluate_encoder(model.encoder, items, EncoderPlan(("linear_probe",), shares=(1.0,)), train=mixed)
    assert "2 of 8 training photos share" in found.notes[0]
    assert "learned from 6 photos" in found.notes[1]


def test_datasets_are_never_mixed(model, items, tmp_path):
    other = draw_items(tmp_path / "pad", 3, dataset="pad_ufes_20", diagnosis="melanoma", captions=())
    found = evaluate_encoder(model.encoder, [*items, *other], EncoderPlan(("zero_shot", "retrieval")))
    assert conditions(found) == [
        "ham10000, zero-shot", "ham10000, retrieval, composed captions", "pad_ufes_20, zero-shot",
    ]  # fmt: skip
    assert "pad_ufes_20, retrieval: fewer than two photos have an English caption." in found.notes


def test_tasks_without_material_are_told(model, tmp_path):
    bare = draw_items(
        tmp_path / "bare", 3, dataset="folder", diagnosis=None, present=(), absent=(), captions=()
    )
    found = evaluate_encoder(model.encoder, bare, EncoderPlan())
    assert found.columns == ()
    assert len(found.notes) == 4


def test_an_encoder_without_texts_can_only_be_probed(model, items, monkeypatch):
    monkeypatch.setattr(model.encoder, "has_text", False)
    with pytest.raises(NotSupported, match="no text tower, so there is no zero_shot, concepts, retrieval"):
        evaluate_encoder(model.encoder, items, EncoderPlan())
    assert evaluate_encoder(model.encoder, items, EncoderPlan(("linear_probe",))).columns == ()


def test_a_photo_that_fails_is_told(model, items, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    some = [dataclasses.replace(items[0], path=broken), *items[1:]]
    found = evaluate_encoder(model.encoder, some, EncoderPlan(("zero_shot",)))
    assert "1 of 9 photos could not be used; the first, ham10000/photo_0" in found.notes[0]
    assert len(found.columns[0].rows) == 8


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tasks": ("zeroshot",)}, "Tasks are zero_shot"),
        ({"tasks": ()}, "not none"),
        ({"names": "mine"}, "Names are authors"),
        ({"scheme": "mine"}, "schemes authors"),
        ({"templates": ("a photo",)}, "holds {} once"),
        ({"shares": (0.0,)}, "shares above 0"),
        ({"fewest": 0}, "1 or more"),
    ],
)
def test_wrong_plans_are_refused(wrong, told):
    with pytest.raises(SettingError, match=told):
        EncoderPlan(**wrong)


def test_an_encoder_that_knows_the_answer_is_right(model, items, monkeypatch):
    """Photos that are their class's text: every task is at its best."""
    from dermaxai.evaluate import encoders

    names = encoders.class_names("ham10000", "tiny", items)
    texts = encoders.classify.__globals__["text_directions"](
        model.encoder, list(names.names.values()), model.encoder.card.templates or ("{}",)
    )
    rows = [names.diagnoses.index(item.sample.diagnosis) for item in items]
    perfect = encoders.Embedded(tuple(items), texts[torch.tensor(rows)].numpy())
    monkeypatch.setattr(encoders, "embed_items", lambda *_: perfect)
    found = evaluate_encoder(model.encoder, items, EncoderPlan(("zero_shot",)))
    value = {
        one.scale.name: evaluate_all(one.parts, one.statistic)
        for one in found.columns
        if not one.is_baseline and not one.scale.name.startswith("recall")
    }
    assert value == dict.fromkeys(("accuracy", "balanced_accuracy", "auroc", "top_3", "top_5"), 1.0)
