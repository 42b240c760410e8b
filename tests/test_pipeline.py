import dataclasses
import shlex
import shutil

import numpy as np
import pytest
import torch

from dermaxai.cases import load_case
from dermaxai.errors import (
    ImageTooLarge,
    ImageUnreadable,
    NotSupported,
    UnknownName,
    UsageError,
    WeightsMismatch,
    WeightsMissing,
)
from dermaxai.pipeline import load
from dermaxai.types import Outside
from tests.tiny_model import CAPTIONS

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture
def case(model, photos):
    return model.explain(photos[0], ["evidence"], queries=["dark mole"])


class Strange:
    """A rule that finds everything strange."""

    def check(self, encoded, image):
        return Outside(True, float(encoded.grid[0]), 1.0, f"{image.pixels.shape[0]} pixels high")


def chosen(bundle):
    """How the tiny model is named in a command."""
    return f"--model {shlex.quote(str(bundle))} --device cpu"


def saved(case, folder):
    case.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "timings.json"}


# ---- describing ---------------------------------------------------------------------------------


def test_each_photo_gets_a_case_with_one_caption(model, photos):
    cases = model.describe(photos, lang="ru")
    assert [case.caption.text for case in cases] == [CAPTIONS["ru"]] * 3
    assert [len(case.captions) for case in cases] == [1, 1, 1]
    assert [case.image.format for case in cases] == ["JPEG", "PNG", "PNG"]
    assert all(case.maps == () and case.outside is None for case in cases)
    assert model.describe(photos[0])[0].caption.text == CAPTIONS["en"]
    assert model.describe([]) == []


def test_photos_may_be_paths_bytes_or_pictures(model, photos):
    path = photos[0]
    made = [model.describe(one)[0] for one in (path, str(path), path.read_bytes(), model.read(path))]
    assert len({case.image.sha256 for case in made}) == 1
    assert len({case.caption for case in made}) == 1


def test_bad_photos_are_typed_errors(model, broken, bundle, photos):
    with pytest.raises(ImageUnreadable, match="broken"):
        model.describe(broken)
    with pytest.raises(ImageTooLarge, match="160 x 120"):
        load(bundle, max_pixels=1000).describe(photos[0])


def test_an_unknown_language_is_refused(model, photos):
    for ask in (model.describe, lambda photo, lang: model.explain(photo, lang=lang)):
        with pytest.raises(NotSupported, match="'de'"):
            ask(photos[0], lang="de")


# ---- explaining ---------------------------------------------------------------------------------


def test_a_case_holds_captions_evidence_and_maps(case):
    assert [(one.language, one.text) for one in case.captions] == list(CAPTIONS.items())
    assert [entry.word for entry in case.evidence] == list(range(len(case.caption.words)))
    from_image = [entry.word for entry in case.evidence if entry.from_image]
    words = [heat for heat in case.maps if heat.target.kind == "word"]
    assert [heat.target.word for heat in words] == from_image
    assert [case.caption.words[index].text for index in from_image] == ["large", "dark", "lesion"]
    assert all(heat.method == "evidence" and heat.values.shape == (4, 4) for heat in words)
    query = case.map("dark mole", "grad_eclip")
    assert query.target.kind == "query"
    assert query.scalar == "cosine"
    assert np.isfinite(query.values).all()


def test_the_chosen_language_comes_first(model, photos):
    case = model.explain(photos[0], lang="ru")
    assert [one.language for one in case.captions] == ["ru", "en"]
    assert {heat.target.text for heat in case.maps} <= set(CAPTIONS["ru"].split())


def test_methods_that_compare_are_asked_about_each_word(model, photos):
    case = model.explain(photos[0], ["legrad", "evidence"], queries=["skin"])
    compared = [heat for heat in case.maps if heat.method == "legrad"]
    from_image = [case.caption.words[entry.word].text for entry in case.evidence if entry.from_image]
    assert [heat.target.text for heat in compared] == [*dict.fromkeys(from_image), "skin"]
    assert {heat.target.kind for heat in compared} == {"query"}


def test_the_photo_is_encoded_once(model, photos, monkeypatch):
    passes = []
    honest = model.encoder.forward
    monkeypatch.setattr(model.encoder, "forward", lambda pixels: passes.append(len(pixels)) or honest(pixels))
    case = model.explain(photos[1], ["evidence", "grad_eclip"], queries=["skin"])
    case = model.query(case, "a raised mole")
    model.contrast(case, word="large", against="small")
    assert passes == [1]


def test_the_same_photo_gives_the_same_case_bit_for_bit(bundle, photos, tmp_path):
    first = saved(load(bundle, device="cpu").explain(photos[0], ["evidence", "grad_eclip"]), tmp_path / "a")
    torch.rand(7)
    second = saved(load(bundle, device="cpu").explain(photos[0], ["evidence", "grad_eclip"]), tmp_path / "b")
    assert first == second


def test_torch_is_left_as_it_was(bundle, photos):
    threads = torch.get_num_threads()
    model = load(bundle, threads=threads + 1, seed=5)
    state = torch.get_rng_state()
    model.explain(photos[0])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_case_says_who_made_it(bundle, photos, model, case):
    made = case.made_by
    assert made.encoder == "tiny"
    assert made.encoder_sha256 == model.encoder.sha256
    assert (made.captioner, made.captioner_sha256) == ("tiny captioner", model.captioner.sha256)
    assert made.licence == "unknown; CC0"
    assert made.device == "cpu"
    assert made.settings["lang"] == "en"
    assert made.settings["methods"] == "evidence"
    assert torch.__version__.startswith(made.versions["torch"].partition("+")[0])
    assert made.command == (
        "DERMAXAI_BATCH=2 dermaxai explain PHOTO --method evidence --lang en --query 'dark mole' "
        + chosen(bundle)
    )
    assert photos[0].name not in repr(made)
    assert load(bundle, seed=3).explain(photos[0]).made_by.seed == 3


def test_the_command_names_every_choice_that_is_not_the_default(bundle, photos, tmp_path):
    place = tmp_path / "two words"
    shutil.copytree(bundle, place)
    changes = {"seed": 3, "beams": 2, "dtype": "bfloat16", "threads": 1, "min_side": 8, "offline": True}
    model = load(place / "encoder", captioner=place / "captioner", device="cpu", **changes)
    options = (
        f"--model '{place / 'encoder'}' --captioner '{place / 'captioner'}' "
        "--device cpu --dtype bfloat16 --threads 1 --seed 3 --beams 2"
    )
    (case,) = model.describe(photos[0], "ru")
    assert case.made_by.command == f"DERMAXAI_MIN_SIDE=8 dermaxai describe PHOTO --lang ru {options}"
    case = model.contrast(case, "очаг", "узел", method="evidence:integrated")
    assert case.made_by.command.split(" && ")[1] == (
        "DERMAXAI_MIN_SIDE=8 dermaxai contrast CASE --word 'очаг' --against 'узел' "
        f"--method evidence:integrated {options}"
    )


def test_one_method_and_one_query_may_be_plain_strings(model, photos):
    case = model.explain(photos[0], "evidence", queries="dark mole")
    assert {(heat.method, heat.target.kind) for heat in case.maps} == {
        ("evidence", "word"),
        ("grad_eclip", "query"),
    }
    assert case.map("dark mole", "grad_eclip").target.text == "dark mole"


def test_warnings_are_kept_in_the_case(model, photos, monkeypatch):
    import warnings

    from dermaxai import images as room

    honest = model.encoder.encode

    def worry(images):
        for _ in range(2):
            warnings.warn_explicit("the light is poor", UserWarning, room.__file__, 1)
        warnings.warn("for programmers", UserWarning, stacklevel=1)
        return honest(images)

    monkeypatch.setattr(model.encoder, "encode", worry)
    assert model.explain(photos[2]).warnings == ("the light is poor",)
    assert model.describe(photos[2])[0].warnings == ("the light is poor",)


def test_the_rule_for_strange_photos_is_asked(model, photos, monkeypatch):
    rule = property(lambda captioner: Strange())
    monkeypatch.setattr(type(model.captioner), "outside", rule, raising=False)
    for case in (model.explain(photos[0]), *model.describe(photos[0])):
        assert case.outside == Outside(True, 4.0, 1.0, "120 pixels high")


def test_unknown_methods_and_empty_questions_fail_before_any_work(model, photos, monkeypatch):
    monkeypatch.setattr(model, "_encode", lambda photo: pytest.fail("encoded"))
    with pytest.raises(UnknownName, match="grad_eclip"):
        model.explain(photos[0], ["gradeclip"])
    with pytest.raises(UnknownName, match="variant"):
        model.explain(photos[0], ["grad_eclip:nice"])
    with pytest.raises(UsageError, match="no text"):
        model.explain(photos[0], queries=[" "])


# ---- later questions ----------------------------------------------------------------------------


def test_a_query_adds_one_map_and_replaces_its_own(model, case, bundle):
    more = model.query(case, "benign keratosis")
    assert len(more.maps) == len(case.maps) + 1
    assert more.caption is case.caption
    assert more.made_by.command.endswith(
        " && DERMAXAI_BATCH=2 dermaxai query CASE 'benign keratosis' --method grad_eclip " + chosen(bundle)
    )
    again = model.query(more, "benign keratosis")
    assert len(again.maps) == len(more.maps)
    assert again.made_by == more.made_by
    np.testing.assert_array_equal(
        again.map("benign keratosis", "grad_eclip").values, more.map("benign keratosis", "grad_eclip").values
    )


def test_a_contrast_is_the_difference_of_two_words(model, case):
    heat = model.contrast(case, word="large", against="small").maps[-1]
    assert (heat.target.kind, heat.target.text, heat.target.against) == ("word", "large", "small")
    assert "difference" in heat.scalar
    with pytest.raises(UsageError, match="no word 'small'"):
        model.contrast(case, word="small", against="large")
    with pytest.raises(UsageError, match="itself"):
        model.contrast(case, word="large", against=" LARGE ")
    with pytest.raises(NotSupported, match="Use 'evidence'"):
        model.contrast(case, word="large", against="small", method="legrad")


def test_a_contrast_of_words_in_a_row_is_the_sum_of_its_parts(model, case):
    whole = model.contrast(case, "Large  dark", "small").maps[-1]
    assert (whole.target.text, whole.target.word, whole.target.against) == ("large dark", 1, "small")
    first = model.contrast(case, "large", "small").maps[-1]
    np.testing.assert_allclose(whole.values, first.values + case.map("dark", "evidence").values, atol=1e-5)
    with pytest.raises(UsageError, match="in a row"):
        model.contrast(case, "dark large", "small")


def test_a_saved_case_is_asked_on(model, case, tmp_path):
    assert case.save(tmp_path / "case") == tmp_path / "case"
    read = load_case(tmp_path / "case")
    fresh, old = model.query(read, "skin"), model.query(case, "skin")
    np.testing.assert_array_equal(fresh.maps[-1].values, old.maps[-1].values)
    report = fresh.report(tmp_path / "case" / "report.html")
    assert "a large dark lesion" in report.read_text("utf-8")


def test_other_weights_are_told(model, case):
    made_by = dataclasses.replace(case.made_by, encoder_sha256="0" * 64)
    asked = model.query(dataclasses.replace(case, made_by=made_by), "skin")
    assert asked.warnings == (f"Maps were added by the encoder 'tiny', {model.encoder.sha256[:12]}.",)


# ---- loading ------------------------------------------------------------------------------------


def test_a_folder_without_captioner_answers_similarity_only(bundle, photos):
    blind = load(bundle / "encoder")
    assert blind.languages == ()
    case = blind.explain(photos[0], ["grad_eclip"], queries=["skin"])
    assert case.caption.text == ""
    assert [heat.target.text for heat in case.maps] == ["skin"]
    assert case.warnings == ("There is no captioner for 'encoder': similarity questions only.",)
    for ask in (blind.describe, blind.explain):
        with pytest.raises(NotSupported, match="no captioner"):
            ask(photos[0])


def test_the_same_weights_are_the_same_encoder_whatever_the_folder_is_called(bundle, photos, tmp_path):
    shutil.copytree(bundle / "encoder", tmp_path / "renamed")
    model = load(tmp_path / "renamed", captioner=bundle / "captioner")
    assert model.encoder.card.name == "tiny"
    assert model.describe(photos[0])[0].caption.text == CAPTIONS["en"]


def test_a_captioner_of_another_encoder_is_refused(bundle, tmp_path):
    from tests.encoders.tiny import open_clip_folder

    open_clip_folder(tmp_path / "other", layers=2)
    with pytest.raises(NotSupported, match="reads encoder 'tiny', not 'other'"):
        load(tmp_path / "other", captioner=bundle / "captioner")
    open_clip_folder(tmp_path / "tiny", layers=2)
    with pytest.raises(WeightsMismatch, match="trained on weights"):
        load(tmp_path / "tiny", captioner=bundle / "captioner")


def test_missing_things_are_named(tmp_path, bundle):
    with pytest.raises(UnknownName, match="Did you mean 'monet'"):
        load("monett")
    with pytest.raises(WeightsMissing, match=r"captioner\.json"):
        load(bundle / "encoder", captioner=tmp_path)


def test_weights_that_were_carried_here_are_found_by_name(bundle, tmp_path, monkeypatch):
    from dermaxai import loading

    asked = []

    def stop(name, place, **_):
        asked.append((name, place))
        raise WeightsMissing("stop")

    (tmp_path / "monet").mkdir()
    monkeypatch.setattr(loading, "load_encoder", stop)
    monkeypatch.setenv("DERMAXAI_WEIGHTS", str(tmp_path))
    for name in ("monet", "make"):
        with pytest.raises(WeightsMissing, match="stop"):
            load(name)
    assert asked == [("monet", tmp_path / "monet"), ("make", None)]


def test_settings_may_be_given_whole_and_changed(bundle):
    from dermaxai.settings import read_settings

    model = load(bundle, settings=read_settings(seed=4, beams=2), beams=3)
    assert (model.settings.seed, model.settings.beams) == (4, 3)
    assert model.device.reason


def test_the_embedded_model_describes_a_phantom():
    from dermaxai.phantom import draw_phantom, sample_plans

    case = load().explain(draw_phantom(sample_plans(1, 0)[0], 0).image)
    assert len(case.captions) == 2
    assert case.caption.words
    assert case.maps
