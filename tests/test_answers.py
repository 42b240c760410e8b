"""Questions of every kind to a whole model, many methods at once, and what a case keeps of it."""

import numpy as np
import pytest

from dermaxai.answers import label, reason_left_out
from dermaxai.cases import load_case
from dermaxai.errors import NotSupported, UnknownName, UsageError
from dermaxai.explain import METHODS
from dermaxai.explain.agreement import CONSENSUS, SPREAD
from dermaxai.questions import ALL, chosen_methods, concept_finder, in_english, plan_question
from dermaxai.types import Target

SEVERAL = ["evidence", "grad_cam", "xgrad_cam", "rollout"]


@pytest.fixture(scope="module")
def case(model, photos):
    return model.explain(photos[0], SEVERAL, queries=["a dark mole"])


def test_methods_share_questions_and_say_how_far_they_agree(case):
    word = case.agreements[0]
    assert word.methods == ("evidence", "grad_cam", "xgrad_cam")
    assert len(word.correlations) == 9
    asked = next(entry for entry in case.agreements if entry.target == Target("query", "a dark mole"))
    assert set(asked.methods) == {"grad_cam", "xgrad_cam"}
    for entry in case.agreements:
        made = [heat.method for heat in case.maps if heat.target == entry.target]
        assert made.count(CONSENSUS) == made.count(SPREAD) <= 1


def test_a_case_with_everything_is_read_back_exactly(case, tmp_path):
    again = load_case(case.save(tmp_path / "case"))
    assert again.agreements == case.agreements
    assert again.texts == case.texts
    assert (again.concepts, again.concept_fit) == (case.concepts, case.concept_fit)
    assert all((one.values == other.values).all() for one, other in zip(case.maps, again.maps, strict=True))


def test_all_stands_for_every_method():
    assert [method.name for method in chosen_methods([ALL])] == list(METHODS)
    assert [method.name for method in chosen_methods(["rollout", "rollout"])] == ["rollout"]
    with pytest.raises(UnknownName, match="called 'al'"):
        chosen_methods(["al"])


def test_what_cannot_be_asked_is_left_out_of_all_and_told(model, photos, monkeypatch):
    def refuse(*_args, **_options):
        raise NotSupported("not here", hint="there")

    monkeypatch.setattr("dermaxai.explain.xgrad_cam.XGradCam._answer", refuse)
    few = {name: METHODS[name] for name in SEVERAL}
    monkeypatch.setattr("dermaxai.questions.METHODS", type(METHODS)("explanation method", few))
    case = model.explain(photos[1], ALL)
    assert any("'xgrad_cam' was left out: not here" in warning for warning in case.warnings)
    assert {heat.method for heat in case.maps} >= {"evidence", "grad_cam", "rollout"}
    with pytest.raises(NotSupported, match="not here"):
        model.explain(photos[1], ["evidence", "xgrad_cam"])


def test_a_word_asked_of_a_method_that_knows_texts_only_stays_a_query(case):
    kinds = {(heat.method, heat.target.kind) for heat in case.maps}
    assert ("evidence", "word") in kinds
    assert ("grad_cam", "word") in kinds
    assert ("rollout", "query") in kinds
    assert ("rollout", "word") not in kinds


@pytest.mark.parametrize("kind", ["query", "concept", "diagnosis", "word", "phrase", "caption"])
def test_every_kind_of_question_by_name(model, case, kind):
    words = case.caption.words
    phrase = case.caption.text[words[0].start : words[1].stop]
    text = {"word": words[0].text, "phrase": phrase, "caption": ""}.get(kind, "mole")
    after = model.ask(case, text, kind=kind)
    new = [heat for heat in after.maps if heat.target.kind == kind and heat.method not in (CONSENSUS, SPREAD)]
    assert new
    assert ("--kind" in after.made_by.command) == (kind != "query")


def test_asking_against_something_is_the_difference(model, case):
    both = model.ask(case, "mole", against="skin", method="grad_cam")
    heat = next(heat for heat in both.maps if heat.target.against == "skin")
    assert heat.scalar == "cosine difference"
    one, other = (model.ask(case, text, method="grad_cam").map(text, "grad_cam") for text in ("mole", "skin"))
    # Grad-CAM is linear in the direction it is asked about.
    assert np.allclose(heat.values, one.values - other.values, atol=1e-5)


def test_questions_with_several_words_tell_which_of_them_count(model, case):
    after = model.ask(case, "a dark mole", method="grad_eclip")
    (told,) = (told for told in after.texts if told.method == "grad_eclip")
    assert [share.text for share in told.shares] == ["a", "dark", "mole"]
    assert model.ask(case, "mole", method="grad_eclip").texts == case.texts


def test_mistakes(case):
    with pytest.raises(UsageError, match="cannot be compared with itself"):
        plan_question(case.caption, case.caption.words[0].text, "word", case.caption.words[0].text)
    with pytest.raises(UsageError, match="no text"):
        plan_question(case.caption, " ", "concept")
    with pytest.raises(NotSupported, match="finds no concepts"):
        concept_finder("rollout")


def test_russian_words_are_asked_in_english():
    assert in_english("mole", "en") == "mole"
    assert in_english("чёрный", "ru") == "black"
    assert in_english("с", "ru") is None


def kept(case, folder):
    """Every byte of a case that does not differ between two runs."""
    case.save(folder)
    return {name: (folder / name).read_bytes() for name in ("case.json", "maps.npz", "image.png")}


def test_whoever_watches_a_case_grow_gets_the_same_case(model, photos, tmp_path):
    told = []
    watched = model.explain(
        photos[0], SEVERAL, queries=["mole"], tell=lambda name, case: told.append((name, case))
    )
    alone = model.explain(photos[0], SEVERAL, queries=["mole"])
    assert kept(watched, tmp_path / "watched") == kept(alone, tmp_path / "alone")
    assert [name for name, _ in told] == ["caption", *SEVERAL]
    assert [len({heat.method for heat in case.maps}) for _, case in told] == [0, 1, 2, 3, 4]
    assert all(case.captions == alone.captions and case.evidence == alone.evidence for _, case in told)


def test_watched_a_method_that_fails_costs_neither_caption_nor_other_maps(model, photos, monkeypatch):
    def refuse(*_args, **_options):
        raise UsageError("no answer")

    monkeypatch.setattr("dermaxai.explain.xgrad_cam.XGradCam._answer", refuse)
    told = {}
    case = model.explain(photos[1], SEVERAL, tell=told.__setitem__)
    assert reason_left_out(told["xgrad_cam"], "xgrad_cam") == "no answer"
    assert reason_left_out(case, "xgrad_cam") == "no answer"
    assert reason_left_out(case, "grad_cam") == ""
    assert {heat.method for heat in case.maps} >= {"evidence", "grad_cam", "rollout"}


def test_methods_that_come_later_ask_the_same(model, photos):
    """As if all had been asked at once, with everything that was there before."""
    whole = model.explain(photos[0], SEVERAL, queries=["a dark mole"], measure=True)
    part = model.explain(photos[0], SEVERAL[:2], queries=["a dark mole"], measure=True)
    heard = []
    later = model.extend(part, SEVERAL[2:], tell=lambda name, _: heard.append(name))
    assert heard == SEVERAL[2:]
    assert later.agreements == whole.agreements
    assert len(later.maps) == len(whole.maps)
    for one, other in zip(later.maps, whole.maps, strict=True):
        assert (one.method, one.target, one.variant) == (other.method, other.target, other.variant)
        assert np.array_equal(one.values, other.values)
    measured = {score.of for score in part.scores if score.of.startswith(tuple(SEVERAL[:2]))}
    assert measured <= {score.of for score in later.scores}
    assert later.made_by.command.endswith(
        "extend CASE --method xgrad_cam --method rollout " + model_words(later)
    )


def model_words(case):
    """How the model is named at the end of a command."""
    return "--model" + case.made_by.command.rpartition("--model")[2]


def test_a_method_that_is_asked_again_replaces_its_maps(model, case):
    again = model.extend(case, ["grad_cam"])
    assert sorted(map(repr, map(question, again.maps))) == sorted(map(repr, map(question, case.maps)))


def question(heat):
    return heat.method, heat.target, heat.variant


def test_methods_are_told_by_name_and_variant_where_that_is_not_the_default():
    labels = [label(method) for method in chosen_methods(["evidence", "evidence:exact"])]
    assert labels == ["evidence", "evidence:integrated, 16 steps"]
