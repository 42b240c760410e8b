import dataclasses

from dermaxai.evaluate.joining import join_encoders
from dermaxai.evaluate.results import write_results
from tests.evaluate.made import make_evaluation


def encoder(name, seed, **told):
    return make_evaluation(
        32, (name,), seed=seed, kind="encoders", settings={"model": name, "seed": "0"}, **told
    )


def own(evaluation):
    """Without baselines, whose numbers the seed changes."""
    columns = tuple(column for column in evaluation.columns if not column.is_baseline)
    return dataclasses.replace(evaluation, columns=columns)


def test_encoders_become_rivals():
    one, two = (
        own(encoder("demo", 0)),
        own(encoder("monet", 1, command="another", notes=("A note.", "More."))),
    )
    captions = make_evaluation(4, kind="captions")
    found = join_encoders([one, captions, two])
    assert [evaluation.kind for evaluation in found] == ["encoders", "captions"]
    assert found[0].columns == (*one.columns, *two.columns)
    assert len(found[0].items) == 32
    assert found[0].settings == {"model": "demo; monet", "seed": "0"}
    assert found[0].command == "dermaxai evaluate …\nanother"
    assert found[0].notes == ("A note.", "More.")


def test_baselines_that_are_the_same_are_there_once():
    one = encoder("demo", 0)
    renamed = [
        column if column.is_baseline else dataclasses.replace(column, contestant="monet")
        for column in one.columns
    ]
    (joined,) = join_encoders([one, dataclasses.replace(one, columns=tuple(renamed))])
    baselines = [column for column in joined.columns if column.is_baseline]
    assert len(baselines) == sum(column.is_baseline for column in one.columns)


def test_what_would_be_mixed_up_stays_apart():
    one, two = encoder("demo", 0), encoder("monet", 1)
    assert join_encoders([one, two]) == [one, two], "baselines of one name with other numbers"
    twice = [own(one), own(encoder("demo", 1))]
    assert join_encoders(twice) == twice, "one encoder twice"
    item = dataclasses.replace(two.items[0], sha256="f" * 64)
    other = dataclasses.replace(own(two), items=(item, *two.items[1:]))
    assert len(join_encoders([own(one), other])) == 2, "one id, two photos"
    methods = [make_evaluation(8, ("a",)), make_evaluation(8, ("b",))]
    assert join_encoders(methods) == methods, "methods under two models"
    assert join_encoders([one]) == [one]


def test_results_compare_them(tmp_path):
    told = [own(encoder("demo", 0)), own(encoder("monet", 1))]
    results = write_results(told, tmp_path, pages=None, figures=False)
    assert results.summary.evaluations == ("encoders",)
    assert {(one.ours, one.theirs) for one in results.summary.comparisons} == {("demo", "monet")}
