import pytest

from dermaxai.errors import SettingError
from dermaxai.study.recipe import read_plan, read_study

SHORTEST = """
[study]
name = "tried"
[[data]]
name = "some"
on = "photos"
[[explanations]]
methods = ["grad_cam", "rollout"]
metrics = ["deletion"]
questions = ["query"]
"""
PLAN = "dermaxai.evaluate.explanations:ExplanationPlan"


@pytest.fixture
def study(tmp_path):
    def write(text, *changes):
        path = tmp_path / "tried.toml"
        path.write_text(text, encoding="utf-8")
        return read_study(path, changes)

    return write


def test_the_rest_has_defaults(study):
    read = study(SHORTEST)
    assert read.data[0].on == ("photos",)
    assert [one.title for one in read.model] == ["demo"]
    assert read.study.threads == 1
    assert [title for title, _ in read.plans("explanations")] == ["explanations"]
    assert read.plans("captions") == []


def test_changes_find_tables_by_name_and_by_number(study):
    read = study(SHORTEST, "data.some.limit=7", "explanations.0.metrics=['insertion']", "study.seed=3")
    assert read.data[0].limit == 7
    assert read.explanations[0].options["metrics"] == ["insertion"]
    assert read.study.seed == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.other.limit=7", "'other' is not there"),
        ("data.limit=7", "there are several 'data'"),
        ("study.name.x=7", "'name' is a value"),
        ("nothing", "expected table.key=value"),
        ("data.some.limit=0", "data.0.limit: input should be greater than or equal to 1"),
        ("data.some.lmit=3", "Did you mean 'limit'?"),
        ("explanations.0.metrics=['deletoin']", "Did you mean 'deletion'?"),
        ("explanations.0.methodz=1", "Did you mean 'methods'?"),
        ("explanations.0.protocol={stesp = 3}", "protocol.stesp: No key is called 'stesp'. Did you mean"),
        ("explanations.0.protocol={steps = 1}", "counts are 2 or more"),
        ("explanations.0.questions=['why']", "questions.0: input should be 'word', 'query' or 'concept'"),
        ("explanations.0.data=['sme']", "Did you mean 'some'?"),
        ("explanations.0.models=['dem']", "Did you mean 'demo'?"),
        ("claim={name = 'c', ranking = ['a', 'a']}", "stands in it twice"),
        ("claim={name = 'c', ranking = ['a', 'b'], plans = ['x']}", "claim c: No plan is called 'x'"),
        ("claim={name = 'c', kind = 'captions', ranking = ['a', 'b']}", "no table [[captions]]"),
        ("model=[{}, {}]", "there are several 'demo'"),
        ("study.name='a b'", "study.name: string should match pattern"),
    ],
)  # fmt: skip
def test_every_fault_is_told_in_words(study, change, said):
    with pytest.raises(SettingError) as told:
        study(SHORTEST, change)
    assert said in str(told.value)
    assert told.value.exit_code == 2


def test_all_faults_come_at_once(study):
    with pytest.raises(SettingError, match=r"tried\.toml: 3 faults:") as told:
        study(SHORTEST, "data.some.limit=0", "explanations.0.metrics=[]", "study.sed=1")
    assert "explanations.0: A plan names at least one method" in str(told.value)
    assert "Did you mean 'seed'?" in str(told.value)


def test_something_must_be_evaluated(study):
    with pytest.raises(SettingError, match="at least one of the tables captions, explanations, encoders"):
        study(SHORTEST.split("[[explanations]]")[0])


@pytest.mark.parametrize("text", ["[study", "\x00"])
def test_what_is_no_toml(study, text):
    with pytest.raises(SettingError, match="cannot be read"):
        study(text)


def test_the_seed_of_the_study_reaches_every_part_of_a_plan():
    options = {"methods": ["grad_cam"], "metrics": ["deletion"], "protocol": {"steps": 5}}
    plan = read_plan(PLAN, options, seed=9)
    assert (plan.protocol.steps, plan.protocol.seed) == (5, 9)
    named = read_plan(PLAN, {**options, "protocol": {"seed": 2}}, seed=9)
    assert named.protocol.seed == 2
