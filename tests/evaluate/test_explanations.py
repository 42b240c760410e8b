import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaxai.data.samples import Sample
from dermaxai.errors import NotSupported, SettingError, UnknownName
from dermaxai.evaluate.explanation_columns import columns_of
from dermaxai.evaluate.explanation_photo import COSINE, measure_photo
from dermaxai.evaluate.explanation_plan import LESION_TEXT, Contestant, contestants_of, metrics_of
from dermaxai.evaluate.explanations import ExplanationPlan, evaluate_explanations, explanation_key
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.known_concepts import ConceptSet, concept_set
from dermaxai.evaluate.masks import read_mask
from dermaxai.evaluate.records import Records
from dermaxai.explain.base import Explained, text_directions
from dermaxai.explain.evidence import visual_evidence, word_targets
from dermaxai.measure.estimates import evaluate_all
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.scale import Scale
from dermaxai.questions import find_method
from dermaxai.types import Target
from tests.evaluate.small_set import draw_items
from tests.evaluate.test_classification import slow_auroc

METHODS = ("evidence", "evidence:exact", "grad_eclip", "rollout")
PLAN = ExplanationPlan(METHODS, ("pointing", "sparseness", "deletion"), ("word", "query", "concept"),
                       Protocol(steps=3), ("random", "centre"))  # fmt: skip


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return draw_items(tmp_path_factory.mktemp("set"), 4)


@pytest.fixture(scope="module")
def evaluation(model, items):
    return evaluate_explanations(model, items, PLAN)


def values(evaluation, contestant, condition, metric):
    (column,) = [
        one
        for one in evaluation.columns
        if (one.contestant, one.condition, one.scale.name) == (contestant, condition, metric)
    ]
    found = column.parts[:, 0] / np.where(column.parts[:, 1] > 0, column.parts[:, 1], np.nan)
    return dict(zip(column.rows, found, strict=True))


# ---- what is measured --------------------------------------------------------------------------------


def slow_word_values(model, item, method, judge):
    """The same with nothing shared and nothing batched: one method, one map, one metric at a time."""
    image = model.read(item.path)
    found = []
    for number in range(100):
        encoded = model.encoder.encode([image])[0]
        caption = model.captioner.describe(encoded, "en")[0]
        explained = Explained(model.encoder, model.captioner, caption)
        targets = word_targets(caption, visual_evidence(model.captioner, encoded, caption))
        if number == len(targets):
            return found
        (heat,) = method.explain(explained, encoded, [targets[number]])
        mask, _ = read_mask(item, image)
        subject = Subject(
            explained, encoded, image, PLAN.protocol, {(method.name, method.variant): method}, mask
        )
        found += judge.measure(subject, [heat])
    raise AssertionError


@pytest.mark.parametrize("metric", ["pointing", "sparseness", "deletion"])
@pytest.mark.parametrize("name", ["evidence", "evidence:exact", "grad_eclip"])
def test_a_photos_value_is_the_mean_over_its_words(model, items, evaluation, name, metric):
    judge = metrics_of(PLAN)[metric]
    expected = [np.mean(slow_word_values(model, one, find_method(name), judge)) for one in items[:2]]
    found = values(evaluation, name, "word", metric)
    np.testing.assert_allclose([found[one.id] for one in items[:2]], expected, atol=2e-5)


def test_every_question_has_its_condition_and_every_contestant_its_name(evaluation, items):
    conditions = {(one.condition, one.contestant) for one in evaluation.columns if not one.is_baseline}
    everywhere = {"grad_eclip"}
    assert {who for condition, who in conditions if condition == "word"} >= {"evidence", "evidence:exact"}
    assert {who for condition, who in conditions if condition == "query"} >= everywhere
    assert "evidence" not in {who for condition, who in conditions if condition in ("query", "concept")}
    baselines = {one.contestant for one in evaluation.columns if one.is_baseline}
    assert baselines == {"random map", "centred Gaussian"}
    assert evaluation.items == tuple(items)
    assert evaluation.kind == "explanations"


def test_rows_are_those_that_all_contestants_have(evaluation):
    rows = {}
    for one in evaluation.columns:
        rows.setdefault((one.condition, one.scale.name), set()).add(one.rows)
    assert {place: len(found) for place, found in rows.items() if len(found) > 1} == {}


def test_the_same_numbers_bit_for_bit(model, items, evaluation):
    again = evaluate_explanations(model, items, PLAN)
    assert again.notes == evaluation.notes
    for one, other in zip(evaluation.columns, again.columns, strict=True):
        np.testing.assert_array_equal(one.parts, other.parts)


def test_settings_name_what_numbers_depend_on(model, evaluation):
    told = evaluation.settings
    assert told["encoder sha256"] == model.encoder.sha256
    assert told["captioner sha256"] == model.captioner.sha256
    assert "evidence:exact (integrated, 16 steps)" in told["methods"]
    assert "steps 3" in told["protocol"]
    assert "--method evidence:exact" in evaluation.command
    assert "--steps 3" in evaluation.command


def test_photos_without_an_outline_count_in_other_metrics_only(model, items):
    some = [items[0], dataclasses.replace(items[1], mask=None)]
    plan = ExplanationPlan(("grad_eclip",), ("pointing", "sparseness"), ("query",), texts="lesion")
    found = evaluate_explanations(model, some, plan)
    assert list(values(found, "grad_eclip", "query", "pointing")) == [items[0].id]
    assert list(values(found, "grad_eclip", "query", "sparseness")) == [one.id for one in some]
    assert any("1 of experts, 0 measured by this program, 1 photos without one" in one for one in found.notes)


def test_measured_outlines_are_a_condition_of_their_own(model, items):
    some = [items[0], *(dataclasses.replace(one, mask=None) for one in items[1:])]
    plan = ExplanationPlan(("grad_eclip",), ("pointing",), ("query",), texts="lesion", measured_masks=True)
    found = evaluate_explanations(model, some, plan)
    assert {one.condition for one in found.columns} == {"query", "query, measured outlines"}
    assert list(values(found, "grad_eclip", "query", "pointing")) == [items[0].id]


# ---- what is asked -----------------------------------------------------------------------------------


def asked(model, item, **changes):
    plan = dataclasses.replace(PLAN, methods=("grad_eclip",), metrics=("sparseness",), **changes)
    return measure_photo(model, item, plan, concept_set([item]))["questions"]


def test_queries_are_the_diagnosis_the_lesion_or_given_texts(model, items):
    item = items[0]
    assert asked(model, item, questions=("query",)) == [["query", "diagnosis", "melanoma"]]
    assert asked(model, item, questions=("query",), texts="lesion") == [["query", "query", LESION_TEXT]]
    texts = ("a dark mole", "hair, and a ruler")
    assert asked(model, item, questions=("query",), texts=texts) == [["query", "query", one] for one in texts]
    bare = dataclasses.replace(item, sample=dataclasses.replace(item.sample, diagnosis=None))
    assert asked(model, bare, questions=("query",)) == []


def test_the_words_that_owe_most_are_asked_first(model, items):
    every = [one[2] for one in asked(model, items[0], questions=("word",))]
    assert len(every) == 3
    some = [one[2] for one in asked(model, items[0], questions=("word",), most_words=2)]
    image = model.read(items[0].path)
    encoded = model.encoder.encode([image])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    nats = {
        caption.words[one.word].text: one.nats for one in visual_evidence(model.captioner, encoded, caption)
    }
    assert set(some) == set(sorted(nats, key=lambda word: -nats[word])[:2])
    assert some == [word for word in every if word in some]


def test_concepts_that_are_true_of_the_photo_are_asked(model, items):
    document = measure_photo(model, items[1], dataclasses.replace(PLAN, questions=("concept",)),
                             concept_set(items))  # fmt: skip
    texts = {one[2] for one in document["questions"]}
    assert {"melanocytic nevus", "crust"} <= texts
    assert document["truth"]["melanoma"] == 0
    assert document["truth"]["melanocytic_nevus"] == document["truth"]["crust"] == 1
    names = concept_set(items).names
    assert texts == {names[name] for name, value in document["truth"].items() if value == 1}


# ---- concepts ----------------------------------------------------------------------------------------


def test_concepts_of_a_set():
    def item(dataset, diagnosis, **told):
        sample = Sample(f"{dataset}/{diagnosis}", dataset, None, "", diagnosis=diagnosis, **told)
        return Item(sample.id, Path("none"), "0" * 64, sample)

    found = concept_set([item("ham10000", "melanoma"), item("other", "psoriasis", absent=("crust",))])
    assert len(found.diagnoses) == 8
    assert found.findings == ("crust",)
    assert found.names["blue_grey"] == "blue-grey"
    many = [item("many", name) for name in ("melanoma", "psoriasis", "melanoma", "acne_vulgaris")]
    assert concept_set(many).diagnoses == ("acne_vulgaris", "melanoma", "psoriasis")


def test_detection_is_by_the_mean_of_the_map_and_by_the_cosine(model, items):
    plan = dataclasses.replace(PLAN, methods=("grad_eclip", "rollout"), questions=("concept",))
    document = measure_photo(model, items[0], plan, concept_set(items))
    assert set(document["concepts"]) == {COSINE, "grad_eclip"}
    encoded = model.encoder.encode([model.read(items[0].path)])[0]
    target = Target("concept", "dermatofibroma")
    (heat,) = find_method("grad_eclip").explain(Explained(model.encoder), encoded, [target])
    assert document["concepts"]["grad_eclip"]["dermatofibroma"] == pytest.approx(heat.values.mean(), abs=1e-6)
    cosine = float(text_directions(model.encoder, [target])[0] @ encoded.pooled)
    assert document["concepts"][COSINE]["dermatofibroma"] == pytest.approx(cosine, abs=1e-6)


def test_a_method_without_its_dictionary_is_told(model, items):
    plan = ExplanationPlan(("splice", "grad_eclip"), ("sparseness",), ("concept",))
    found = evaluate_explanations(model, items[:1], plan)
    assert any(one.startswith("'splice'") for one in found.notes)
    assert "splice" not in {one.contestant for one in found.columns}


# ---- from documents to columns ---------------------------------------------------------------------


class Judge:
    """A metric of which only the scale and the needs matter."""

    def __init__(self, name, needs=frozenset()):
        self.scale, self.needs = Scale(name, name, "higher", "share"), needs


NAN = float("nan")


def document(values, **told):
    count = len(next(iter(values.values())))
    base = {
        "questions": [["word", "word", str(one)] for one in range(count)], "values": {"score": values},
        "outline": "expert", "concepts": {}, "truth": {}, "left out": {}, "warnings": [],
    }  # fmt: skip
    return base | told


def fake_items(count):
    return [Item(f"set/{one}", Path("none"), f"{one:064d}", Sample(f"set/{one}", "set", None, ""))
            for one in range(count)]  # fmt: skip


def means(told):
    return {one.contestant: (one.rows, evaluate_all(one.parts, one.statistic)) for one in told.columns}


def test_only_questions_that_all_answered_are_compared():
    contestants = [Contestant(name, None) for name in "ab"]
    documents = [document({"a": [1.0, 5.0], "b": [2.0, NAN]}), document({"a": [3.0], "b": [4.0]})]
    told = columns_of(fake_items(2), documents, contestants, {"score": Judge("score")})
    assert means(told) == {"a": (("set/0", "set/1"), 2.0), "b": (("set/0", "set/1"), 3.0)}
    assert told.notes[0] == (
        "score, word: 2 of 3 questions are compared, those that all have a value for; 'b' lacks 1."
    )


def test_who_answers_few_questions_does_not_take_them_from_the_others():
    contestants = [Contestant(name, None) for name in "abc"]
    documents = [document({"a": [1.0], "b": [2.0], "c": [7.0 if one == 1 else NAN]}) for one in range(4)]
    told = columns_of(fake_items(4), documents, contestants, {"score": Judge("score")})
    assert means(told)["a"] == (("set/0", "set/1", "set/2", "set/3"), 1.0)
    assert means(told)["c"] == (("set/1",), 7.0)
    assert "'c' has a value for 1 of 4 questions" in told.notes[0]


def test_photos_that_failed_are_no_rows():
    contestants = [Contestant("a", None)]
    documents = [{"error": "no photo"}, document({"a": [1.0]})]
    told = columns_of(fake_items(2), documents, contestants, {"score": Judge("score")})
    assert means(told) == {"a": (("set/1",), 1.0)}


def test_concept_areas_are_those_of_all_pairs(monkeypatch):
    generator = np.random.default_rng(0)
    contestants = [Contestant("splice", None), Contestant("convis", None)]
    truth = [
        {"crust": float(one % 2), "ulcer": float(one % 3 == 0), "rare": float(one == 0)} for one in range(18)
    ]
    documents = []
    for known in truth:
        scores = {who: {name: float(generator.normal() + value) for name, value in known.items()}
                  for who in (COSINE, "splice", "convis")}  # fmt: skip
        scores["splice"]["ulcer"] = NAN
        documents.append(document({"splice": [], "convis": []}, truth=known, concepts=scores))
    told = columns_of(fake_items(18), documents, contestants, {})
    found = {(one.contestant, one.scale.name): evaluate_all(one.parts, one.statistic) for one in told.columns}
    for who in (COSINE, "splice", "convis"):
        area = slow_auroc(
            [one["concepts"][who]["crust"] for one in documents], [one["crust"] for one in truth]
        )
        assert found[who, "auroc_crust"] == found[who, "concept_auroc"] == pytest.approx(area)
    assert any("not looked for: rare" in one for one in told.notes)
    assert any("'splice' does not know ulcer" in one for one in told.notes)
    assert [one.is_baseline for one in told.columns if one.contestant == COSINE] == [True, True]


# ---- records ---------------------------------------------------------------------------------------


def test_only_what_is_missing_is_measured(model, items, tmp_path, monkeypatch):
    plan = dataclasses.replace(PLAN, metrics=("pointing", "sparseness"))
    whole = evaluate_explanations(model, items, plan)

    def stop(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    key = explanation_key(model, items, plan)
    with pytest.raises(KeyboardInterrupt):
        evaluate_explanations(model, items, plan, Records.open(tmp_path, key), stop)
    measured = []
    genuine = measure_photo

    def watched(model, item, *rest):
        measured.append(item.id)
        return genuine(model, item, *rest)

    monkeypatch.setattr("dermaxai.evaluate.explanations.measure_photo", watched)
    records = Records.open(tmp_path, key)
    after = evaluate_explanations(model, items, plan, records)
    assert measured == [one.id for one in items[2:]]
    assert after.notes == whole.notes
    for one, other in zip(whole.columns, after.columns, strict=True):
        np.testing.assert_array_equal(one.parts, other.parts)


def test_another_outline_is_measured_again(model, items, tmp_path):
    plan = ExplanationPlan(("grad_eclip",), ("pointing",), ("query",), texts="lesion")
    mask = tmp_path / "mask.png"
    mask.write_bytes(items[0].mask.read_bytes())
    some = [dataclasses.replace(items[0], mask=mask)]
    key = explanation_key(model, some, plan)
    before = evaluate_explanations(model, some, plan, Records.open(tmp_path, key))
    outline = ~np.asarray(Image.open(mask))
    Image.fromarray(outline).save(mask)
    after = evaluate_explanations(model, some, plan, Records.open(tmp_path, key))
    old, new = (values(one, "grad_eclip", "query", "pointing")[items[0].id] for one in (before, after))
    assert old + new == pytest.approx(1)


def test_documents_are_plain(model, items):
    made = measure_photo(model, items[0], PLAN, ConceptSet(("melanoma",), (), ("pink",)))
    text = json.dumps(made)
    assert json.loads(text)["questions"] == made["questions"]
    assert made["maps"] == sum(
        not math.isnan(value) for row in made["values"]["sparseness"].values() for value in row
    )


def test_a_photo_that_fails_is_told(model, items, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    plan = ExplanationPlan(("grad_eclip",), ("sparseness",), ("query",), texts="lesion")
    some = [dataclasses.replace(items[0], path=broken), items[1]]
    found = evaluate_explanations(model, some, plan)
    assert "1 of 2 photos could not be used; the first, ham10000/photo_0" in found.notes[1]


# ---- plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "told"),
    [
        ({"metrics": ("delition",)}, UnknownName, "Did you mean 'deletion'"),
        ({"baselines": ("noise",)}, UnknownName, "No baseline map"),
        ({"questions": ("words",)}, SettingError, "Questions are word, query, concept"),
        ({"methods": ()}, SettingError, "at least one method"),
        ({"texts": "mole"}, SettingError, "Texts are 'diagnosis', 'lesion'"),
        ({"most_words": -1}, SettingError, "words 0 or more"),
    ],
)
def test_wrong_plans_are_refused(wrong, kind, told):
    with pytest.raises(kind, match=told):
        dataclasses.replace(PLAN, **wrong)


def test_a_method_that_answers_nothing_of_it_is_refused(model, items):
    plan = ExplanationPlan(("evidence",), ("sparseness",), ("query",))
    with pytest.raises(NotSupported, match="'evidence' answers caption, phrase, word, none of what is asked"):
        evaluate_explanations(model, items, plan)
    with pytest.raises(UnknownName, match="evidense"):
        contestants_of(ExplanationPlan(("evidense",), ("sparseness",)))


def test_words_need_a_captioner(model, items, monkeypatch):
    monkeypatch.setattr(model, "captioner", None)
    with pytest.raises(NotSupported, match="no captioner"):
        evaluate_explanations(model, items, ExplanationPlan(("evidence",), ("sparseness",)))
