"""Randomisation beside scipy's rank correlations and models drawn one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from dermaxai.errors import SettingError
from dermaxai.explain.base import Explained
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.measure.maps.baselines import CentredGaussian
from dermaxai.measure.maps.randomisation import DRAWS, ModelRandomisation, TextRandomisation, cascade
from dermaxai.measure.maps.rivals import EVERYDAY, OTHER_WORDS, RIVALS, rivals_of
from dermaxai.measure.randomising import encode_again, with_random_weights
from dermaxai.questions import find_method
from dermaxai.types import SkinImage, Target
from tests.encoders.tiny import photo
from tests.explain.snapshot import snapshot
from tests.measure.maps import toy

NO_PHOTO = SkinImage(np.zeros((2, 2, 3), np.uint8), "")
QUERIES = [Target("query", "dark mole"), Target("query", "skin")]


def subject_of(encoder, encoded, *methods, **options):
    held = {(method.name, method.variant): method for method in methods}
    return Subject(Explained(encoder), encoded, NO_PHOTO, Protocol(seed=2), held, **options)


def spoken(model):
    """A subject with a caption, and the maps of its second word."""
    (encoded,) = model.encoder.encode([model.read(photo(64, 64, 1))])
    caption = model.captioner.describe(encoded)[0]
    method = find_method("evidence:input_x_gradient")
    own = Explained(model.encoder, model.captioner, caption)
    subject = Subject(own, encoded, NO_PHOTO, methods={(method.name, method.variant): method})
    return subject, method.explain(own, encoded, [Target("word", caption.words[1].text, 1)])


@pytest.mark.parametrize("name", ["grad_eclip", "occlusion"])
def test_weights_drawn_one_model_at_a_time(tower, name):
    encoder, encoded = tower
    method = find_method(name)
    subject = subject_of(encoder, encoded, method)
    maps = method.explain(subject.model, encoded, QUERIES)
    before = snapshot(encoder.module)
    found = ModelRandomisation().measure(subject, maps)
    assert snapshot(encoder.module) == before
    assert ModelRandomisation().measure(subject, maps) == found
    for heat, value in zip(maps, found, strict=True):
        sizes = []
        for draw in range(DRAWS):
            drawn = with_random_weights(Explained(encoder), 2 + draw)
            (other,) = method.explain(drawn, encode_again(drawn.encoder, encoded), [heat.target])
            sizes.append(abs(spearmanr(heat.values.ravel(), other.values.ravel()).statistic))
        assert value == pytest.approx(np.mean(sizes), abs=1e-6)


def test_a_map_that_knows_no_model_is_left_as_it_was(tower):
    encoder, encoded = tower
    method = CentredGaussian()
    subject = subject_of(encoder, encoded, method)
    maps = method.explain(subject.model, encoded, QUERIES)
    assert ModelRandomisation().measure(subject, maps) == pytest.approx([1.0, 1.0])
    assert TextRandomisation().measure(subject, maps) == pytest.approx([1.0, 1.0])


def test_constant_maps_have_no_number(tower):
    encoder, encoded = tower
    method = find_method("grad_eclip")
    subject = subject_of(encoder, encoded, method)
    flat = [replace(heat, values=0 * heat.values) for heat in method.explain(subject.model, encoded, QUERIES)]
    for metric in (ModelRandomisation(), TextRandomisation()):
        assert all(map(math.isnan, metric.measure(subject, flat)))
        assert metric.measure(subject, []) == []


def test_the_cascade_begins_at_the_output(tower):
    encoder, encoded = tower
    method = find_method("occlusion")
    subject = subject_of(encoder, encoded, method)
    maps = method.explain(subject.model, encoded, QUERIES)
    found = cascade(subject, maps)
    assert found.shape == (len(encoder.tower.blocks) + 1, 2)
    assert found[0] == pytest.approx(1.0)
    assert (found[1:] < 0.999).all()
    assert np.abs(found).max() <= 1
    assert np.array_equal(cascade(subject, maps, [0, 1]), found[:2])
    with pytest.raises(SettingError, match="depths"):
        cascade(subject, maps, [99])


def test_words_lose_the_bridge_first(model):
    subject, maps = spoken(model)
    before = snapshot(model.captioner), snapshot(model.encoder.module)
    assert abs(cascade(subject, maps, [0])[0, 0]) < 0.999
    assert 0 <= ModelRandomisation().measure(subject, maps)[0] < 0.999
    assert (snapshot(model.captioner), snapshot(model.encoder.module)) == before


# ---- other texts --------------------------------------------------------------------------------


def test_the_opposite_text_has_the_opposite_map():
    rivals = [Target("query", "cyan")]
    subject = toy.subject_of(toy.photo_of(toy.colours_of(4)), rivals=rivals)
    assert TextRandomisation().measure(subject, toy.perfect_maps(subject)) == pytest.approx([-1.0])


def test_the_mean_over_given_rivals_but_never_the_question_itself():
    rivals = [Target("query", text) for text in ("green", "red", "blue")]
    subject = toy.subject_of(toy.photo_of(toy.colours_of(5)), rivals=rivals)
    red, green, blue = toy.perfect_maps(subject, ("red", "green", "blue"))
    expected = np.mean([spearmanr(red.values.ravel(), one.values.ravel()).statistic for one in (green, blue)])
    assert TextRandomisation().measure(subject, [red]) == pytest.approx([expected])


def test_queries_are_compared_with_everyday_texts(tower):
    encoder, encoded = tower
    method = find_method("grad_eclip")
    subject = subject_of(encoder, encoded, method)
    (heat,) = method.explain(subject.model, encoded, QUERIES[:1])
    asked = [rival.target for rival in rivals_of(subject, heat.target)]
    assert asked == [Target("query", text) for text in EVERYDAY[:RIVALS]]
    others = method.explain(subject.model, encoded, asked)
    expected = np.mean([spearmanr(heat.values.ravel(), one.values.ravel()).statistic for one in others])
    assert TextRandomisation().measure(subject, [heat]) == pytest.approx([expected])


def test_a_whole_caption_has_no_wrong_text(model):
    subject, _ = spoken(model)
    assert rivals_of(subject, Target("caption", subject.model.caption.text)) == []


@pytest.fixture(scope="module")
def demo():
    """The embedded model on a drawn photo, whose tokenizer spells any word."""
    import dermaxai
    from dermaxai.phantom import draw_phantom, sample_plans

    (plan,) = sample_plans(1, 0)
    made = dermaxai.load("demo", device="cpu")
    (encoded,) = made.encoder.encode([draw_phantom(plan, 0).image])
    caption = made.captioner.describe(encoded)[0]
    method = find_method("evidence:input_x_gradient")
    own = Explained(made.encoder, made.captioner, caption)
    return Subject(own, encoded, NO_PHOTO, methods={(method.name, method.variant): method})


@pytest.mark.parametrize("place", [0, 1])
def test_the_least_probable_words_stand_in_the_words_place(demo, place):
    caption, captioner = demo.model.caption, demo.model.captioner
    target = Target("word", caption.words[place].text, place)
    found = rivals_of(demo, target)
    start, stop = caption.words[place].start, caption.words[place].stop
    scored = []
    for word in OTHER_WORDS["en"]:
        word = word.capitalize() if place == 0 else word
        said = captioner.score(demo.encoded, caption.text[:start] + word + caption.text[stop:])
        if said.words[place].text == word:
            scored.append((said.words[place].logprob, word))
    assert [one.target.text for one in found] == [word for _, word in sorted(scored)[:RIVALS]]
    for one in found:
        assert one.target.word == place
        assert one.model.caption.text == caption.text[:start] + one.target.text + caption.text[stop:]
    assert demo.model.caption is caption


def test_the_map_of_a_wrong_word_is_asked_of_the_wrong_caption(demo):
    caption = demo.model.caption
    (method,) = demo.methods.values()
    (heat,) = method.explain(demo.model, demo.encoded, [Target("word", caption.words[1].text, 1)])
    others = [
        method.explain(rival.model, demo.encoded, [rival.target])[0] for rival in rivals_of(demo, heat.target)
    ]
    expected = np.mean([spearmanr(heat.values.ravel(), one.values.ravel()).statistic for one in others])
    assert TextRandomisation().measure(demo, [heat]) == pytest.approx([expected])


def test_phrases_are_replaced_as_a_whole(demo):
    caption = demo.model.caption
    words = caption.words[1:3]
    phrase = caption.text[words[0].start : words[1].stop]
    for rival in rivals_of(demo, Target("phrase", phrase, 1)):
        assert len(rival.model.caption.words) == len(caption.words) - 1
        assert rival.target.word == 1
