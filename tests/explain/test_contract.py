"""What holds for every method of the table on every kind of tower: new rows are picked up by themselves."""

import numpy as np
import pytest
import torch

import dermaxai.explain
from dermaxai.errors import NotSupported
from dermaxai.explain import METHODS
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Explained
from dermaxai.progress import heard_by
from dermaxai.registry import Table
from dermaxai.types import Target
from tests.explain.snapshot import snapshot

TEXTS = {"query": "a dark mole", "concept": "papule", "diagnosis": "melanoma"}
BOUND_TO_A_DICTIONARY = frozenset({"splice"})
"""Asked about their own concepts only, and only with an image mean: their own tests ask them."""
FREE = [name for name in METHODS if name not in BOUND_TO_A_DICTIONARY]
OF_WORDS = [name for name in METHODS if METHODS.load(name).answers & WORDS]
OF_TEXTS = [name for name in FREE if METHODS.load(name).answers & SIMILARITY]

SILENT = frozenset[str]()
"""Methods that are over before anybody could stop them."""


class Enough(Exception):
    """Raised by who listens."""


class Stopper:
    """Hears so many beats, then stops the work."""

    def __init__(self, left):
        self.left = left

    def __call__(self, _name, _share):
        if not self.left:
            raise Enough
        self.left -= 1


def count_beats(method, explained, encoded, targets):
    beats = []
    with heard_by(lambda *told: beats.append(told)):
        method.explain(explained, encoded, targets)
    return len(beats)


def similarity_targets(method):
    asked = [Target(kind, text) for kind, text in TEXTS.items() if kind in method.answers]
    return [*asked, Target("query", "raised", against="skin")] if "query" in method.answers else asked


def check_maps(maps, encoded, targets):
    assert [heat.target for heat in maps] == list(targets)
    for heat in maps:
        assert heat.values.shape == encoded.grid
        assert heat.values.dtype == np.float32
        assert np.isfinite(heat.values).all()
        assert heat.placement == encoded.placement
        assert heat.scalar
        assert heat.layer
        assert heat.variant


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
@pytest.mark.parametrize("name", OF_TEXTS)
def test_similarity_questions_on_every_kind_of_tower(tower, name):
    encoder, encoded = tower
    method = METHODS.load(name)()
    before = snapshot(encoder.module)
    targets = similarity_targets(method)
    together = method.explain(Explained(encoder), encoded, targets)
    check_maps(together, encoded, targets)
    again = method.explain(Explained(encoder), encoded, targets)
    assert all((one.values == other.values).all() for one, other in zip(together, again, strict=True))
    for heat, target in zip(together, targets, strict=True):
        (alone,) = method.explain(Explained(encoder), encoded, [target])
        assert np.abs(alone.values - heat.values).max() <= 1e-4 * max(np.abs(heat.values).max(), 1e-6)
    assert snapshot(encoder.module) == before
    if method.reads_question:
        assert np.abs(together[0].values - together[-1].values).max() > 0
    else:
        assert all((heat.values == together[0].values).all() for heat in together)


@pytest.mark.parametrize("name", OF_WORDS)
def test_questions_about_words(model, photos, name):
    """Every kind of question to the decoder: word, phrase, caption, contrast."""
    photo = model.read(photos[0])
    encoded = model.encoder.encode([photo])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    words = caption.words
    phrase = caption.text[words[0].start : words[1].stop] if len(words) > 1 else words[0].text
    targets = [Target("word", word.text, index) for index, word in enumerate(words[:3])]
    targets += [Target("caption", caption.text), Target("word", words[-1].text, len(words) - 1, "pale")]
    if len(phrase.split()) == 2:
        targets.append(Target("phrase", phrase, 0))
    explained = Explained(model.encoder, model.captioner, caption)
    method = METHODS.load(name)()
    before = snapshot(model.encoder.module, model.captioner)
    together = method.explain(explained, encoded, targets)
    check_maps(together, encoded, targets)
    for heat, target in zip(together, targets, strict=True):
        (alone,) = method.explain(Explained(model.encoder, model.captioner, caption), encoded, [target])
        # Differences of log-probabilities are exact to the last bits of those, not of themselves.
        assert np.abs(alone.values - heat.values).max() <= 1e-3 * np.abs(heat.values).max() + 1e-5
    assert snapshot(model.encoder.module, model.captioner) == before


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
@pytest.mark.parametrize("name", OF_TEXTS)
def test_an_error_leaves_nothing_behind(tower, name, monkeypatch):
    """Every method is stopped where it makes its answer, after its hooks and graphs are in place."""
    encoder, encoded = tower
    method = METHODS.load(name)()
    before = snapshot(encoder.module)
    calls = []

    def fail(*_args, **_options):
        calls.append(name)
        raise ZeroDivisionError

    # The last thing that every answer needs; what comes before has run by then.
    monkeypatch.setattr("dermaxai.explain.base.to_grid", fail)
    with pytest.raises(ZeroDivisionError):
        method.explain(Explained(encoder), encoded, similarity_targets(method))
    assert calls
    assert snapshot(encoder.module) == before
    assert torch.is_grad_enabled()


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_is_stopped_anywhere_leaves_the_next_answer_as_it_was(model, photos, name):
    """Whoever listens may stop at every beat; what was shared until then is still right."""
    photo = model.read(photos[0])
    encoded = model.encoder.encode([photo])[0]
    caption = model.captioner.describe(encoded, "en")[0]
    method = METHODS.load(name)()
    words = [Target("word", word.text, index) for index, word in enumerate(caption.words[:2])]
    targets = [*(words if "word" in method.answers else []), *similarity_targets(method)]
    asked = [] if name in BOUND_TO_A_DICTIONARY else targets
    never = Explained(model.encoder, model.captioner, caption)
    wanted = method.explain(never, encoded, asked)
    before = snapshot(model.encoder.module, model.captioner)
    beats, stops = count_beats(method, Explained(model.encoder, model.captioner, caption), encoded, asked), 0
    for stop in sorted({0, 1, beats // 2, beats - 1} & set(range(beats))):
        explained = Explained(model.encoder, model.captioner, caption)
        with pytest.raises(Enough), heard_by(Stopper(stop)):
            method.explain(explained, encoded, asked)
        stops += 1
        assert snapshot(model.encoder.module, model.captioner) == before
        assert torch.is_grad_enabled()
        again = method.explain(explained, encoded, asked)
        assert all((one.values == other.values).all() for one, other in zip(wanted, again, strict=True))
    assert stops or not asked or name in SILENT


SLOW = {"score_cam": ["reference", "top 64"], "occlusion": ["input"], "convis": ["windows", "reference"]}


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
@pytest.mark.parametrize(("name", "variant"), [(name, one) for name, many in SLOW.items() for one in many])
def test_slow_methods_tell_how_far_they_are(tower, name, variant):
    encoder, encoded = tower
    method = METHODS.load(name).of_variant(variant)
    told = []
    with heard_by(lambda _name, share: told.append(share)):
        method.explain(Explained(encoder), encoded, similarity_targets(method))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(set(told)) > 2


@pytest.mark.parametrize("name", METHODS)
def test_support_says_why_and_what_instead(name):
    method = METHODS.load(name)()
    for pooling in ("class", "mean", "map"):
        for kind in sorted(method.answers):
            found = method.support(pooling, kind)
            assert found.level in ("supported", "doubtful", "impossible")
            assert bool(found.why) == (found.level != "supported")
            if found.level == "impossible":
                assert found.instead in METHODS


def test_a_tower_without_text_can_only_be_asked_what_needs_none(tmp_path):
    from dermaxai.encoders import load_encoder
    from tests.encoders import tiny

    made = tiny.panderm_file(tmp_path / "panderm")
    encoder = load_encoder(made.name, made.source, offline=True)
    encoded = encoder.encode([tiny.photo(90, 120)])[0]
    for name in OF_TEXTS:
        method = METHODS.load(name)()
        if method.reads_question:
            with pytest.raises(NotSupported, match="no text tower"):
                method.explain(Explained(encoder), encoded, [Target("query", "mole")])
        else:
            check_maps(
                method.explain(Explained(encoder), encoded, [Target("query", "mole")]),
                encoded,
                [Target("query", "mole")],
            )


TOY = '''
"""How bright a patch token is: a toy for the contract."""

import torch

from dermaxai.explain.base import SIMILARITY, AbstractMethod, Answer


class Brightness(AbstractMethod):
    """Length of each patch token. Source: none, a toy."""

    name = "brightness"
    title = "Brightness"
    signed = False
    answers = SIMILARITY
    layer = "normed patches"
    reads_question = False
    variants = {"length": {}}
    variant = "length"

    def _answer(self, model, encoded, targets):
        values = encoded.patches.norm(dim=1).expand(len(targets), -1)
        return Answer(values, ["token length"] * len(targets), self.layer)
'''


def test_a_newcomer_adds_a_method_in_one_file_and_one_row(tower, tmp_path, monkeypatch):
    (tmp_path / "brightness.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    table = Table("explanation method", {**METHODS, "brightness": "brightness:Brightness"})
    monkeypatch.setattr(dermaxai.explain, "METHODS", table)
    kind = table.load("brightness")
    assert issubclass(kind, AbstractMethod)
    encoder, encoded = tower
    targets = similarity_targets(kind)
    check_maps(kind().explain(Explained(encoder), encoded, targets), encoded, targets)
