"""Scores of a case beside single maps, one random order at a time."""

import dataclasses
import math

import numpy as np
import pytest

from dermaxai.cases import load_case, save_case
from dermaxai.errors import UnknownName, UsageError
from dermaxai.measure.case_scores import (
    QUICK,
    TIE_SEEDS,
    check_case,
    has_ties,
    in_words,
    judge,
    makers_of,
    measure_case,
    options_of,
    with_checks,
)
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.maps.deletion import Deletion, Insertion, curves_of, random_aucs
from dermaxai.progress import heard_by
from dermaxai.scores import map_names, scores_by_map
from dermaxai.types import Target
from tests.encoders.tiny import photo

PROTOCOL = Protocol(steps=4, random_maps=6, seed=3)


@pytest.fixture(scope="module")
def case(model):
    return model.explain(photo(64, 64, 1), methods=["evidence", "grad_eclip"], queries=["dark mole"])


@pytest.fixture(scope="module")
def parts(model, case):
    (encoded,) = model.encoder.encode([case.image])
    return model._explained(case.caption), encoded


def test_every_map_beside_random_maps_of_its_question(case, parts):
    found = measure_case(*parts, case, protocol=PROTOCOL)
    subject = Subject(*parts, case.image, PROTOCOL)
    names = dict(zip(map_names(case.maps), case.maps, strict=True))
    assert {score.of for score in found.scores} == {n for n, heat in names.items() if heat.method != "spread"}
    assert found.notes == ()
    for score in found.scores:
        heat = names[score.of]
        random = random_aucs(subject, [heat.target])[score.metric == "insertion"][0]
        assert score.baseline == pytest.approx(float(np.mean(random)))
        ordered = sorted(random)
        assert ordered[0] <= score.baseline_low <= ordered[1]
        assert ordered[-2] <= score.baseline_high <= ordered[-1]
        metric = Insertion() if score.metric == "insertion" else Deletion()
        seeds = range(3, 3 + TIE_SEEDS) if has_ties(heat) else [3]
        values = [
            metric.measure(
                dataclasses.replace(subject, protocol=dataclasses.replace(PROTOCOL, seed=s)), [heat]
            )[0]
            for s in seeds
        ]
        assert score.value == pytest.approx(np.mean(values))
        assert (score.low, score.high, score.n) == (min(values), max(values), len(values))
        assert score.protocol == "removal=tokens, steps=4, random_maps=6, passes=model, seed=3"
    assert measure_case(*parts, case, protocol=PROTOCOL).scores == found.scores


def test_curves_come_too_but_are_not_stored(case, parts, tmp_path):
    found = measure_case(*parts, case, ["deletion"], PROTOCOL)
    assert {score.metric for score in found.scores} == {"deletion"}
    name = found.scores[0].of
    heat = dict(zip(map_names(case.maps), case.maps, strict=True))[name]
    (own,) = curves_of(Subject(*parts, case.image, PROTOCOL), [heat])
    assert np.array_equal(found.curves[name].deletion, own.deletion)


@pytest.mark.parametrize(
    ("metric", "value", "verdict"),
    [
        *(
            ("deletion", value, one)
            for value, one in ((0.0, "yes"), (0.3, "undecided"), (0.5, "no"), (0.9, "no"))
        ),
        *(
            ("insertion", value, one)
            for value, one in ((1.1, "yes"), (0.7, "undecided"), (0.5, "no"), (0.1, "no"))
        ),
    ],
)
def test_verdicts(metric, value, verdict):
    random = np.linspace(0, 1, 41)
    score = judge(metric, [value], random)
    assert score.verdict == verdict
    beaten = np.mean(random > value) if metric == "deletion" else np.mean(random < value)
    assert (verdict == "yes") == (beaten > 0.97)
    assert (score.baseline, score.baseline_low, score.baseline_high) == pytest.approx((0.5, 0.025, 0.975))


@pytest.mark.parametrize("metric", ["deletion", "insertion"])
@pytest.mark.parametrize("size", [1.0, 1e-6, -0.3, 0.0])
def test_rounding_is_no_merit(metric, size):
    """Where nothing moves the score, what is left is rounding."""
    for error in (-1e-7, 0.0, 1e-7):
        assert judge(metric, [size * (1 + error)], np.full(40, size)).verdict == "no"


class Enough(Exception):
    """Raised by who listens."""


@pytest.mark.parametrize("ask", [measure_case, check_case])
def test_stopped_in_the_middle_the_next_answer_is_as_it_was(model, case, parts, ask):
    def again():
        found = ask(model._explained(case.caption), parts[1], case)
        return repr(found if ask is check_case else found.scores)

    told = []
    with heard_by(lambda name, share: told.append((name, share))):
        wanted = again()
    shares = [share for _, share in told]
    assert {name for name, _ in told} == {"measure" if ask is measure_case else "sanity"}
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(set(shares)) > 10

    def stop(_name, share):
        if share > 0.4:
            raise Enough

    with pytest.raises(Enough), heard_by(stop):
        again()
    assert again() == wanted


def test_few_random_maps_prove_nothing():
    few, enough = np.linspace(0, 1, 19), np.linspace(0, 1, 20)
    assert judge("insertion", [2.0], few).verdict == "undecided"
    assert judge("insertion", [2.0], enough).verdict == "yes"


def test_random_maps_are_hardly_ever_better_than_random():
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(2000, 101))
    verdicts = [judge("insertion", [draw[0]], draw[1:]).verdict for draw in draws]
    assert 0.015 < np.mean([one == "yes" for one in verdicts]) < 0.045
    assert 0.45 < np.mean([one == "no" for one in verdicts]) < 0.55


def test_equal_patches_are_taken_in_several_orders(case, parts):
    heat = case.maps[0]
    stepped = dataclasses.replace(heat, values=np.sign(heat.values))
    zero = dataclasses.replace(case.maps[1], values=0 * case.maps[1].values)
    changed = dataclasses.replace(case, maps=(stepped, zero))
    for score in measure_case(*parts, changed, protocol=PROTOCOL).scores:
        assert score.n == TIE_SEEDS
        assert score.low < score.value < score.high


def test_what_is_not_defined_is_left_out_and_said(case, parts):
    strange = dataclasses.replace(case.maps[0], method="my_own")
    broken = dataclasses.replace(case.maps[1], values=np.full_like(case.maps[1].values, np.nan))
    changed = dataclasses.replace(case, maps=(strange, broken, case.maps[2]))
    found = measure_case(*parts, changed, ["max_sensitivity", "deletion"], PROTOCOL)
    names = map_names(changed.maps)
    kept = [(score.metric, score.of) for score in found.scores]
    assert kept == [("deletion", names[0]), ("deletion", names[2]), ("max_sensitivity", names[2])]
    assert any(names[1] in note and "no numbers" in note for note in found.notes)
    assert any(names[0] in note and "Max-sensitivity" in note for note in found.notes)
    article = dataclasses.replace(case.maps[0], target=Target("word", case.caption.words[0].text, 0))
    said = measure_case(*parts, dataclasses.replace(case, maps=(article,)), ["deletion"], PROTOCOL)
    assert said.scores == ()
    assert "Deletion is not defined" in said.notes[0]


def test_maps_of_another_grid_are_left_out_and_said(case, parts):
    heat = case.maps[0]
    other = dataclasses.replace(heat, values=np.ones((3, 5), np.float32), target=Target("query", "elsewhere"))
    mixed = dataclasses.replace(case, maps=(*case.maps, other))
    found = measure_case(*parts, mixed, protocol=PROTOCOL)
    assert {score.of for score in found.scores} == {
        score.of for score in measure_case(*parts, case, protocol=PROTOCOL).scores
    }
    assert any("elsewhere" in note and "another encoder" in note for note in found.notes)
    assert check_case(*parts, mixed, ["evidence"]) == check_case(*parts, case, ["evidence"])


def test_a_metric_that_needs_what_is_not_there_is_said_once(case, parts):
    found = measure_case(*parts, case, ["energy", "sparseness"], PROTOCOL)
    assert {score.metric for score in found.scores} == {"sparseness"}
    assert all(score.verdict == "" and score.baseline is None for score in found.scores)
    assert len(found.notes) == 1
    assert "of every map was left out" in found.notes[0]


def test_unknown_metrics_are_refused(case, parts):
    with pytest.raises(UnknownName, match="deletion"):
        measure_case(*parts, case, ["delation"])


def test_the_model_keeps_scores_and_how_to_have_them_again(model, case, tmp_path):
    after = model.measure(case, "deletion", PROTOCOL)
    both = model.measure(after, protocol=dataclasses.replace(PROTOCOL, steps=5))
    assert len(both.scores) == 2 * len(after.scores)
    assert {score.protocol.split(", ")[1] for score in both.scores} == {"steps=5"}
    command = "measure CASE --metric deletion --steps 4 --random 6 --removal tokens"
    assert command in after.made_by.command
    assert both.score("evidence", case.maps[0].target.text, "deletion").of == "evidence/1"
    assert load_case(save_case(both, tmp_path / "case")).scores == both.scores
    assert case.scores == ()


def test_an_older_case_without_these_fields_is_read(model, case, tmp_path):
    import json

    folder = save_case(model.measure(case, "deletion", PROTOCOL), tmp_path / "case")
    document = json.loads((folder / "case.json").read_text("utf-8"))
    new = {"baseline", "baseline_low", "baseline_high", "verdict", "protocol"}
    for score in document["case"]["scores"]:
        for name in new:
            del score[name]
    (folder / "case.json").write_text(json.dumps(document), "utf-8")
    (score, *_) = load_case(folder).scores
    assert (score.baseline, score.verdict, score.protocol) == (None, "", "")


def test_explaining_can_measure_at_once(model):
    case = model.explain(photo(64, 64, 2), measure=True)
    assert {score.metric for score in case.scores} == {"deletion", "insertion"}
    assert case.scores[0].protocol == in_words(QUICK)
    assert "dermaxai measure CASE --metric deletion" in case.made_by.command.split(" && ")[1]


def test_another_map_keeps_the_scores_of_the_others(model, case):
    measured = model.measure(case, "deletion", PROTOCOL)
    after = model.query(measured, "a papule")
    by_map = dict(zip(map_names(after.maps), scores_by_map(after), strict=True))
    assert by_map["grad_eclip/query: a papule"] == {}
    for name, scores in zip(map_names(measured.maps), scores_by_map(measured), strict=True):
        # Consensus and spread are made anew, so that their old numbers are of nothing.
        assert by_map[name] == ({} if name.startswith(("consensus", "spread")) else scores)


def test_checks_of_some_methods(model, case, parts):
    every = check_case(*parts, case)
    assert [check.method for check in every] == ["evidence"] * 4 + ["grad_eclip"] * 4 + ["caption"]
    some = model.sanity(case, "grad_eclip")
    assert {check.method for check in some} == {"grad_eclip", "caption"}
    with pytest.raises(UsageError, match=r"no map of 'legrad'.*evidence, grad_eclip"):
        model.sanity(case, ["legrad"])
    kept = with_checks(with_checks(case, every), some)
    assert len(kept.scores) == len(every)
    assert all(score.metric.startswith("sanity_") for score in kept.scores)


def test_who_made_a_map(case):
    makers = makers_of([dataclasses.replace(case.maps[0], method="my_own"), *case.maps])
    assert ("my_own", case.maps[0].variant) not in makers
    for heat in case.maps:
        if heat.method in ("evidence", "grad_eclip"):
            assert makers[heat.method, heat.variant].variant == heat.variant
    assert ("consensus", "ranks") not in makers


def test_how_it_was_measured_in_words():
    assert options_of(["deletion"], QUICK) == {
        "metric": ["deletion"], "steps": "10", "random": "20", "removal": "tokens"
    }  # fmt: skip
    assert in_words(Protocol(removal="noisy linear")).startswith("removal=noisy linear, steps=20")


def test_what_is_nowhere_defined_has_no_verdict():
    score = judge("deletion", [math.nan], np.array([math.nan, 0.5]))
    assert score.verdict == ""
    assert math.isnan(score.value)
