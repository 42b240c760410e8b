"""Captions over a set of photos: kinds of references apart, baselines beside, stops that cost nothing."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dermaxai.data.appearance import measure
from dermaxai.data.composing import facts_of, weak_captions
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.errors import DataError, NotSupported, SettingError, UnknownName
from dermaxai.evaluate.caption_baselines import BASELINES, TEMPLATE
from dermaxai.evaluate.caption_columns import Condition, Contestant, columns_of
from dermaxai.evaluate.caption_facts import (
    composed_measurement,
    known_facts,
    needs_measuring,
    references_of,
)
from dermaxai.evaluate.caption_writing import from_document, to_document
from dermaxai.evaluate.captions import METRICS, CaptionPlan, captions_key, evaluate_captions
from dermaxai.evaluate.embeddings import Embedded
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.records import Records
from dermaxai.images import read_image
from dermaxai.measure.captions.cider import Frequencies
from dermaxai.measure.captions.written import Tools
from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.measure.estimates import evaluate_all
from dermaxai.statements.clinical import ClinicalFacts
from tests.evaluate.small_set import draw_items
from tests.measure.captions.tiny_bert import write_bert
from tests.sample_case import write_caption

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))
CARD = {
    "diagnosis_balanced": 0.610,
    "diagnosis_exact": 0.673,
    "size_agreement": 0.845,
    "symmetry_agreement": 0.815,
    "border_agreement": 0.829,
    "colour_agreement": 0.833,
}
"""MODEL_CARD.md, 450 photos, greedy."""
CLINICAL = tuple(CLINICAL_METRICS)
PLAN = CaptionPlan(metrics=CLINICAL)


def written(text, language="en"):
    return SampleCaption(language, (Sentence(text, "author"),), "report")


def with_captions(item, *captions):
    return replace(item, sample=replace(item.sample, captions=tuple(captions)))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Five photos nobody has described, and seven to learn from."""
    folder = tmp_path_factory.mktemp("drawn")
    items = [with_captions(item) for item in draw_items(folder, 12)]
    return items[:5], items[5:]


@pytest.fixture(scope="module")
def judged(drawn):
    """Two photos with a report, one of them with a composed caption too, and three with nothing."""
    first, second, *others = drawn[0]
    composed = weak_captions(first.sample)
    return [
        with_captions(first, written("A large papule without crust. Melanoma."), *composed),
        with_captions(second, written("A small lesion, possible blue nevus."), written("Очаг.", "ru")),
        *others,
    ]


@pytest.fixture(scope="module")
def train(drawn):
    return [with_captions(item, written(f"Report {place // 2}.")) for place, item in enumerate(drawn[1])]


@pytest.fixture(scope="module")
def evaluation(model, judged, train):
    return evaluate_captions(model, judged, replace(PLAN, languages=("en", "ru")), train=train)


def columns(evaluation, **wanted):
    return [
        one
        for one in evaluation.columns
        if all(getattr(one, name) == value for name, value in wanted.items())
    ]


def named(evaluation, name, **wanted):
    (found,) = [one for one in columns(evaluation, **wanted) if one.scale.name == name]
    return found


def rows_by_condition(evaluation):
    return {one.condition: set(one.rows) for one in evaluation.columns if one.scale.name == "diagnosis_named"}


def test_kinds_of_references_are_conditions_of_their_own(evaluation, judged):
    ids = [item.id for item in judged]
    assert rows_by_condition(evaluation) == {
        "en, written captions": {ids[0], ids[1]},
        "en, composed captions": {ids[0], *ids[2:]},
        "ru, written captions": {ids[1]},
        "ru, composed captions": {ids[0], *ids[2:]},
    }


def test_every_condition_has_its_baselines(evaluation):
    for condition in ("en, written captions", "en, composed captions"):
        found = {one.contestant: one.is_baseline for one in columns(evaluation, condition=condition)}
        assert found == {"tiny captioner": False} | dict.fromkeys(BASELINES.values(), True)


def test_without_composing_only_facts_are_left(model, judged):
    found = evaluate_captions(model, judged, replace(PLAN, compose=False, baselines=()))
    ids = [item.id for item in judged]
    assert rows_by_condition(found)["en, facts"] == set(ids[2:])
    names = {one.scale.name for one in columns(found, condition="en, facts")}
    assert "diagnosis_balanced" in names
    assert not any(name.startswith("concept") for name in names)


def test_the_models_captions_are_judged_by_what_is_known(evaluation, judged):
    """'a large dark lesion' of every photo."""
    said = named(evaluation, "size_agreement", condition="en, composed captions", contestant="tiny captioner")
    for row, parts in zip(said.rows, said.parts, strict=True):
        (item,) = [one for one in judged if one.id == row]
        appearance = measure(read_image(item.path).pixels)
        expected = [float(appearance.size == "large"), 1.0] if appearance.trusted else [0.0, 0.0]
        assert parts.tolist() == expected


def test_the_template_knows_the_label(evaluation):
    for condition in ("en, written captions", "en, composed captions"):
        found = named(evaluation, "diagnosis_balanced", condition=condition, contestant=BASELINES[TEMPLATE])
        assert evaluate_all(found.parts, found.statistic) == 1.0


def test_what_a_reader_must_know(evaluation, model, judged):
    notes = " ".join(evaluation.notes)
    assert "Composed captions state" in notes
    assert "is told the true diagnosis" in notes
    assert evaluation.kind == "captions"
    assert evaluation.items == tuple(judged)
    told = evaluation.settings
    assert told["model"] == "tiny captioner"
    assert model.captioner.sha256 in told["captioner"]
    assert model.encoder.sha256 in told["encoder"]
    assert (told["photos"], told["training photos of baselines"], told["decoding"]) == ("5", "7", "greedy")
    assert len(told["photos sha256"]) == len(told["training photos sha256"]) == 64
    assert "dermaxai evaluate captions --on PHOTOS --lang en --lang ru --metric" in evaluation.command


def test_reliability_is_drawn_for_the_model_alone(evaluation):
    curves = [one for one in evaluation.curves if one.condition == "en, composed captions"]
    assert [one.title for one in curves] == ["Reliability, all facts"]
    assert set(curves[0].lines) == {"tiny captioner"}
    assert all(0 <= sure <= 1 and 0 <= right <= 1 for sure, right in curves[0].lines["tiny captioner"])
    assert curves[0].diagonal


def same(one, other):
    def key(column):
        return column.condition, column.contestant, column.scale.name, column.rows

    assert [key(column) for column in one.columns] == [key(column) for column in other.columns]
    for mine, theirs in zip(one.columns, other.columns, strict=True):
        np.testing.assert_array_equal(mine.parts, theirs.parts)
    assert (one.settings, one.notes, one.curves) == (other.settings, other.notes, other.curves)


def test_a_second_run_gives_the_same_bits(evaluation, model, judged, train):
    same(evaluation, evaluate_captions(model, judged, replace(PLAN, languages=("en", "ru")), train=train))


def test_a_stopped_run_goes_on_and_ends_the_same(model, judged, train, tmp_path, monkeypatch):
    plan = replace(PLAN, embeddings=tmp_path / "embeddings")
    whole = evaluate_captions(model, judged, PLAN, train=train)

    def stop(what, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_captions(model, judged, plan, Records.open(tmp_path, captions_key(model, plan)), stop)
    records = Records.open(tmp_path, captions_key(model, plan))
    assert records.missing(judged) == judged[3:]
    read, encode = [], model.encoder.encode
    monkeypatch.setattr(model.encoder, "encode", lambda images: read.append(len(images)) or encode(images))
    same(whole, evaluate_captions(model, judged, plan, records, train=train))
    assert read == [2, 1], "the batch that was broken off, and the last"
    read.clear()
    same(whole, evaluate_captions(model, judged, plan, records, train=train))
    assert read == []


def test_the_key_names_what_captions_depend_on(model):
    key = captions_key(model, PLAN)
    assert captions_key(model, replace(PLAN, beams=2)) != key
    assert captions_key(model, replace(PLAN, languages=("en", "ru"))) != key
    assert captions_key(model, replace(PLAN, metrics=("slots",), baselines=(), compose=False)) == key


def test_a_broken_photo_is_left_out_and_told(model, judged, broken):
    bad = replace(judged[3], path=broken)
    found = evaluate_captions(model, [*judged[:3], bad, judged[4]], replace(PLAN, baselines=()))
    assert bad.id not in {row for one in found.columns for row in one.rows}
    assert found.items == (*judged[:3], judged[4])
    assert found.notes[0].startswith(f"1 of 5 photos could not be used; the first, {bad.id}:")


def test_another_file_under_the_same_name_is_no_photo_of_the_list(model, judged):
    swapped = replace(judged[0], path=judged[1].path)
    found = evaluate_captions(model, [swapped, *judged[1:]], replace(PLAN, baselines=()))
    assert "has changed since it was listed" in found.notes[0]


def test_without_training_photos(model, judged):
    found = evaluate_captions(model, judged, PLAN)
    assert {one.contestant for one in found.columns} == {"tiny captioner", BASELINES[TEMPLATE]}
    assert any("no nearest neighbour and no majority caption" in note for note in found.notes)


def test_training_photos_of_judged_lesions_teach_nothing(model, judged, train):
    near = [replace(train[0], cluster=judged[0].cluster), judged[1], *train[2:]]
    found = evaluate_captions(model, judged, PLAN, train=near)
    assert found.settings["training photos of baselines"] == "5"
    assert any(note.startswith("2 training photos share") for note in found.notes)


def test_what_cannot_be_asked(model, judged):
    with pytest.raises(DataError, match="no photo"):
        evaluate_captions(model, [], PLAN)
    with pytest.raises(UnknownName, match="bleu"):
        CaptionPlan(metrics=("blue",))
    with pytest.raises(UnknownName, match="nearest neighbour"):
        CaptionPlan(baselines=("nearest neighbor",))
    with pytest.raises(SettingError, match="at least one beam"):
        CaptionPlan(beams=0)
    model_without = type(model)(replace(_parts(model), captioner=None), model.settings)
    with pytest.raises(NotSupported, match="no captioner"):
        evaluate_captions(model_without, judged, PLAN)


def _parts(model):
    from dermaxai.loading import Parts

    return Parts(model.encoder, model.captioner, model.device)


def test_metrics_of_texts_and_clip_score(model, bundle, judged, train):
    plan = CaptionPlan(metrics=("bleu", "length", "clip_score"), score_encoder=bundle)
    found = evaluate_captions(model, judged, plan, train=train)
    names = {one.scale.name for one in found.columns}
    assert {"bleu_1", "bleu_4", "clip_score"} <= names
    assert any("captioner's own encoder" in note for note in found.notes)
    own = named(found, "clip_score", condition="en, composed captions", contestant="tiny captioner")
    assert set(own.rows) == {judged[0].id, *(item.id for item in judged[2:])}


def test_bert_score_is_that_of_the_named_files(model, judged, tmp_path):
    write_bert(tmp_path / "tiny")
    plan = CaptionPlan(metrics=("bert_score",), bert=tmp_path / "tiny", baselines=())
    found = evaluate_captions(model, judged, plan)
    assert {one.scale.name for one in found.columns} == {"bert_precision", "bert_recall", "bert_f1"}
    name, digest = found.settings["BERTScore"].split()
    assert (name, len(digest)) == ("tiny", 64)
    (tmp_path / "tiny" / "notes.txt").write_text("another file", encoding="utf-8")
    assert evaluate_captions(model, judged, plan).settings["BERTScore"] != f"tiny {digest}"


def test_what_is_left_out_is_told(model, judged):
    found = evaluate_captions(model, judged, CaptionPlan(metrics=("clip_score", "bert_score", "slots")))
    assert {one.scale.name.split("_")[0] for one in found.columns} == {
        "size", "symmetry", "border", "colour",
    }  # fmt: skip
    assert any("CLIPScore is left out" in note for note in found.notes)
    assert any("BERTScore is left out" in note for note in found.notes)


def test_all_metrics_are_asked_for_by_default():
    assert CaptionPlan().metrics == METRICS
    assert set(CLINICAL_METRICS) < set(METRICS)


def test_a_caption_is_kept_whole():
    caption = write_caption("a large lesion with an irregular border", "en")
    assert from_document(to_document(caption), "en") == caption


# ---- what is known and referred to ----------------------------------------------------------


def test_measurements_are_read_from_composed_captions(drawn):
    for item in drawn[0]:
        appearance = measure(read_image(item.path).pixels)
        sample = replace(item.sample, captions=weak_captions(item.sample, appearance))
        expected = facts_of(sample, appearance, absent=5)
        assert known_facts(sample) == expected
        assert not needs_measuring(sample)
        assert needs_measuring(item.sample)
        assert known_facts(item.sample, composed_measurement(sample)) == expected


def test_written_captions_are_never_known(judged):
    facts = known_facts(judged[1].sample)
    assert (facts.size, facts.diagnosis) == (None, "melanocytic_nevus")


def test_references_of_a_photo_without_captions(drawn):
    sample = drawn[0][1].sample
    known = known_facts(sample, {"size": "small", "colours": ["black", "red"]})
    assert known.absent == ("crust",) or known.present == ("crust",)
    (text,) = references_of(sample, "en", known)["composed captions"]
    assert text.startswith("Dermoscopic photo. A small lesion. The colour is black and red.")
    assert "No crust" not in text
    assert references_of(sample, "en", known, compose=False) == {"facts": ()}
    assert references_of(sample, "en", ClinicalFacts(modality="clinical")) == {}


def test_a_caption_in_another_language_is_no_reference(judged):
    sample = replace(judged[0].sample, captions=(written("Очаг.", "ru"),))
    assert set(references_of(sample, "ru", known_facts(sample))) == {"written captions"}
    assert set(references_of(sample, "en", known_facts(sample))) == {"composed captions"}


def test_columns_hold_the_rows_that_can_be_judged(judged):
    items = tuple(judged[:3])
    known = {item.id: ClinicalFacts() for item in items} | {items[0].id: ClinicalFacts(diagnosis="melanoma")}
    references = {item.id: ("A lesion.",) for item in items}
    condition = Condition("en", "written captions", items, references, known)
    contestant = Contestant("somebody", {item.id: "Melanoma." for item in items[:2]})
    found = {one.scale.name: one for one in columns_of(contestant, condition, ("diagnosis",), Tools())}
    assert found["diagnosis_named"].rows == (items[0].id, items[1].id)
    assert found["diagnosis_balanced"].rows == (items[0].id,)
    assert columns_of(Contestant("nobody", {}), condition, ("diagnosis",), Tools()) == []


# ---- the embedded model -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(
    not (DATA / "ham10000").is_dir(), reason="the HAM10000 photos are not beside the repository"
)
def test_the_figures_of_the_model_card():
    from dermaxai.evaluate.gathering import gather
    from dermaxai.pipeline import load

    ids = Path(__file__).parents[2] / "recipes" / "ham10000_test_ids.txt"
    items: list[Item] = gather([f"ham10000={DATA / 'ham10000'}"], ids=ids)
    found = evaluate_captions(load("demo", device="cpu"), items, replace(PLAN, baselines=()))
    assert len(found.items) == 450
    held = {one.scale.name: one for one in columns(found, condition="en, composed captions")}
    values = {name: evaluate_all(held[name].parts, held[name].statistic) for name in CARD}
    assert values == pytest.approx(CARD, abs=5e-4)


def test_frequencies_add_a_column_and_are_checked_at_once(tmp_path):
    path = tmp_path / "frequencies.json"
    with pytest.raises(DataError, match="no frequencies"):
        CaptionPlan(frequencies=path)
    Frequencies.of([["A red plaque."], ["A brown mole."]]).save(path)
    with pytest.raises(SettingError, match="cider_d"):
        CaptionPlan(metrics=("bleu",), frequencies=path)
    CaptionPlan(frequencies=path)


@pytest.mark.parametrize("with_images", [True, False])
def test_frequencies_reach_the_metric(tmp_path, with_images):
    path = tmp_path / "frequencies.json"
    Frequencies.of([["A red plaque."], ["A brown mole."]]).save(path)
    item = Item("d/1", Path("1.jpg"), "0" * 64, Sample("d/1", "d", Path("1.jpg"), "row 1"))
    condition = Condition(
        "en", "written captions", (item,), {"d/1": ("A brown mole.",)}, {"d/1": ClinicalFacts()}
    )
    pictures = Embedded((item,), np.ones((1, 1), np.float32)) if with_images else None
    told = columns_of(
        Contestant("demo", {"d/1": "A brown mole."}),
        condition,
        ("cider_d",),
        Tools(frequencies=path),
        pictures,
    )
    values = {one.scale.name: evaluate_all(one.parts, one.statistic) for one in told}
    assert values["cider_d"] == 0
    assert values["cider_d_frozen"] > 5
