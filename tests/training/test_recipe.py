import pytest

from dermaxai.errors import SettingError
from dermaxai.training.recipe import Recipe, read_recipe

SHORTEST = """
data.manifest = "m.parquet"
features.cache = "f"
encoder.name = "demo"
training.steps = 5
"""


@pytest.fixture
def recipe(tmp_path):
    def write(text, *changes):
        path = tmp_path / "tried.toml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path, changes)

    return write


def test_the_rest_has_defaults(recipe):
    read = recipe(SHORTEST)
    assert read.training.mode == "bridge+lora"
    assert read.data.languages == "every"
    assert read.captioner.languages["en"].decoder_prefix == ""


def test_changes_are_typed_as_toml_and_else_text(recipe):
    read = recipe(
        SHORTEST, "training.steps=10", "training.rates.lora=1e-3", "encoder.name=make", "data.languages.ru=2",
        'data.train=["train", "test"]',
    )  # fmt: skip
    assert (read.training.steps, read.training.rates.lora) == (10, 1e-3)
    assert (read.encoder.name, read.data.languages) == ("make", {"ru": 2.0})
    assert read.data.train == ("train", "test")


def test_all_faults_come_at_once_with_near_names(recipe):
    with pytest.raises(SettingError) as told:
        recipe(
            SHORTEST, "training.batch=-1", "training.stesp=1", "data.train=all", "captioner.adapters.a.rnk=2",
            "captioner.languages.fr.decoder_prefix=x", "nothing",
        )  # fmt: skip
    text = str(told.value)
    assert text.startswith("tried.toml: 6 faults:")
    assert "training.batch: input should be greater than or equal to 1 (it is -1)" in text
    assert "Did you mean 'steps'?" in text
    assert "Did you mean 'rank'?" in text
    assert "captioner.languages.fr" in text
    assert "--set nothing: expected table.key=value" in text
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training={steps = 5, epochs = 1}"], "give either steps or epochs"),
        (["training.batch=10", "training.accumulate=4"], "batch 10 must be a multiple of accumulate 4"),
        (["features.live=true"], "give either cache"),
        (["data.datasets.x=0"], "weights must be above 0"),
        (["data.languages.en=-1"], "weights must be above 0"),
        (['data.train=["validation"]'], "both hold the part 'validation'"),
        (["captioner.start=x", "captioner.bridge=tiny"], "start decides bridge"),
        (["captioner.adapters.a.encoder=true"], "adapts what skip_encoder leaves out"),
        (['captioner.adapters."a-b".rank=2'], "is no name"),
        (["training.steps.x=1"], "'steps' is a value, no table"),
        (["captioner.sizes.hidden=0"], "captioner.sizes.hidden: input should be greater than or equal to 1"),
        (["captioner.sizes.dropout=2"], "captioner.sizes.dropout: input should be less than 1"),
        (["captioner.sizes.headz=3"], "Did you mean 'heads'"),
        (["captioner.languages={}"], "name at least one"),
        (["captioner.adapters.a.layers=['x']"], "a T5 has no layer 'x'"),
        (["captioner.adapters.a.layers=[]"], "at least 1 item"),
        (["training.rates.lora=inf"], "should be a finite number"),
        (["data.datasets.x=nan"], "should be a finite number"),
    ],
)
def test_contradictions(recipe, changes, message):
    with pytest.raises(SettingError, match=message):
        recipe(SHORTEST, *changes)


def test_steps_take_the_place_of_epochs(recipe):
    text = SHORTEST.replace("training.steps", "training.epochs")
    assert recipe(text, "training.steps=9").training.epochs is None
    assert recipe(SHORTEST, "training.epochs=2").training.steps is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('data.languages="all"', "data.languages: 'every' or weights such as {en = 1, ru = 1} are expected"),
        ("data.languages={fr = 1}", "data.languages.fr: input should be 'en' or 'ru'"),
        ("data.languages={en = 'x'}", "data.languages.en: input should be a valid number"),
    ],
)
def test_a_choice_of_two_forms_is_one_fault(recipe, change, said):
    with pytest.raises(SettingError) as told:
        recipe(SHORTEST, change)
    assert str(told.value).startswith(f"tried.toml: 1 fault:\n  - {said}")


def test_sizes_of_the_preset_are_not_told(recipe):
    assert recipe(SHORTEST).values["captioner.sizes"] == "{}"
    values = recipe(SHORTEST, "captioner.sizes.heads=3").values
    assert {name: value for name, value in values.items() if "sizes" in name} == {
        "captioner.sizes.heads": "3"
    }


@pytest.mark.parametrize("text", ["[data", "\x00"])
def test_what_is_no_toml(recipe, text):
    with pytest.raises(SettingError, match="cannot be read"):
        recipe(text)


def test_a_missing_file_and_missing_tables(tmp_path, recipe):
    with pytest.raises(SettingError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(SettingError, match="4 faults") as told:
        recipe("")
    assert "data: field required" in str(told.value)


def test_values_tell_recipes_apart(recipe):
    one, same, other = recipe(SHORTEST), recipe(SHORTEST), recipe(SHORTEST, "training.rates.lora=1e-9")
    assert one.sha256 == same.sha256 != other.sha256
    assert one.values["training.rates.lora"] == "0.0002"
    assert isinstance(one, Recipe)
