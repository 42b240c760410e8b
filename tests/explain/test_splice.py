"""SpLiCE: few concepts that stand for a photo, the words that say them, and maps of their weights."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

import dermaxai
from dermaxai.cli import Commands
from dermaxai.commands.concepts import concepts, concepts_mean
from dermaxai.concepts.tree import bare, read_tree
from dermaxai.errors import NotSupported, SettingError
from dermaxai.explain import METHODS
from dermaxai.explain.base import Explained
from dermaxai.explain.concept_dictionary import centred, concept_dictionary
from dermaxai.explain.grad_eclip import GradEclip
from dermaxai.explain.image_mean import measure_mean
from dermaxai.explain.pooling import cosine_gradients, open_pooling
from dermaxai.explain.splice import Splice, reconstruct, spoken_concepts, weight_directions, without_mean
from dermaxai.explain.support import DoubtfulMap
from dermaxai.images import read_image
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.types import Caption, Target, Word
from tests.encoders import tiny
from tests.explain.conftest import GOLDEN, ROOT
from tests.explain.snapshot import snapshot

HAM = ROOT.parent / "shared" / "data" / "ham10000"


@pytest.fixture(scope="module")
def demo():
    return dermaxai.load("demo")


@pytest.fixture(scope="module")
def case(demo):
    """A drawn lesion that the embedded model has described."""
    (plan,) = sample_plans(1, seed=11)
    return demo.explain(draw_phantom(plan, seed=11).image, methods=["evidence"])


@pytest.fixture(scope="module")
def seen(demo, case):
    """(model, encoded) of the case, with its caption."""
    return Explained(demo.encoder, demo.captioner, case.caption), demo.encoder.encode([case.image])[0]


@pytest.fixture
def reader(tower):
    """(model, encoded, method) per kind of pooling; bare names, so that texts stay short."""
    encoder, encoded = tower
    mean = measure_mean(encoder, [tiny.photo(64, 64, seed) for seed in (5, 6, 7)], "dermoscopic")
    return Explained(encoder), encoded, Splice(mean=mean, names="all", prompts="plain", penalty=0.02)


def asked(found):
    return [Target("concept", concept.name) for concept in found.concepts]


def caption_of(text, language="en"):
    words, start = [], 0
    for part in text.split():
        bare = part.strip(".,;")
        begin = text.index(bare, start)
        words.append(Word(bare, begin, begin + len(bare), (len(words),), -0.1))
        start = begin + len(bare)
    return Caption(text, language, tuple(words), tuple(range(len(words))), (-0.1,) * len(words))


@pytest.mark.shared
@pytest.mark.parametrize("penalty", [0.05, 0.25])
def test_reconstructs_as_the_published_code(penalty):
    path = GOLDEN / "splice.npz"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    golden = {
        name: torch.from_numpy(np.load(path)[name]) for name in ("dictionary", "image_mean", "embedding")
    }
    weights, wanted = (np.load(path)[f"l1_{penalty}_skl_{name}"] for name in ("weights", "recon"))
    _, whole = reconstruct(torch.from_numpy(weights), golden["dictionary"], golden["image_mean"])
    assert np.abs(whole.numpy() - wanted).max() < 1e-5
    point, distance = without_mean(golden["embedding"], golden["image_mean"])
    assert (distance > 0).all()
    assert np.abs(point.numpy() - np.load(path)["centered"]).max() < 1e-6


def test_concepts_come_by_weight_with_their_fit(seen):
    with pytest.warns(DoubtfulMap, match="concept names as words"):
        found = Splice().find(*seen)
    weights = [concept.weight for concept in found.concepts]
    assert weights == sorted(weights, reverse=True)
    assert min(weights) > 0
    for concept in found.concepts:
        assert read_tree().find(concept.name, "en").kind == concept.kind
    model, encoded = seen
    mixture = Splice().decompose(model, encoded)
    z, mean = encoded.pooled.double(), mixture.mean.vector
    rest = (z - mean) / (z - mean).norm()
    total = sum(
        concept.weight * mixture.dictionary.directions[mixture.dictionary.find(concept.name)]
        for concept in found.concepts
    )
    total = total / total.norm()
    whole = (total + mean) / (total + mean).norm()
    fit = found.fit
    assert fit.cosine == pytest.approx(float(total @ rest), abs=1e-6)
    assert fit.cosine_with_mean == pytest.approx(float(whole @ z), abs=1e-6)
    assert fit.cosine_of_mean == pytest.approx(float(mean @ z / mean.norm()), abs=1e-6)
    assert fit.cosine_with_mean > fit.cosine_of_mean
    assert (fit.method, fit.penalty, fit.atoms) == ("splice", 0.15, len(mixture.dictionary.atoms))
    assert fit.mean == mixture.mean.title


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
def test_a_larger_penalty_finds_fewer_concepts(seen):
    counts = [len(Splice(penalty=penalty).find(*seen).concepts) for penalty in (0.01, 0.15, 0.5)]
    assert counts[0] > counts[1] > counts[2]
    nothing = Splice(penalty=2.5).find(*seen)
    assert nothing.concepts == ()
    assert nothing.fit.cosine == 0
    assert nothing.fit.cosine_with_mean == pytest.approx(nothing.fit.cosine_of_mean)


@pytest.mark.shared
@pytest.mark.parametrize("names", ["words", "all"])
def test_five_to_fifteen_concepts_of_photos_nobody_trained_on(demo, names):
    listed = (ROOT / "recipes" / "ham10000_test_ids.txt").read_text().split()[::10]
    photos = {path.stem: path for path in HAM.rglob("*.jpg")}
    if not photos:
        pytest.skip(f"the photos are not at {HAM}")
    encoded = demo.encoder.encode([read_image(photos[name]) for name in listed])
    model, method = Explained(demo.encoder), Splice(names=names)
    counts = [int((method.decompose(model, one).weights > 0).sum()) for one in encoded]
    assert 5 <= np.mean(counts) <= 15
    assert np.mean([5 <= count <= 15 for count in counts]) > 0.8


def test_directions_are_the_change_of_the_weights(reader):
    """Finite differences through the last block, the mean, the unit length and the solver."""
    model, encoded, method = reader
    encoder, step = model.encoder, 1e-3
    mixture = method.decompose(model, encoded)
    towards = torch.randn(encoded.tail_input.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ends = [
            encoder.tail((encoded.tail_input + sign * step * towards)[None]).pooled[0].double()
            for sign in (1, -1)
        ]
    found = [method.decompose(model, replace(encoded, pooled=end)).weights for end in ends]
    slopes = weight_directions(mixture) @ (ends[0] - ends[1])
    assert int((mixture.weights > 0).sum()) >= 1
    assert torch.allclose(found[0] - found[1], slopes, rtol=1e-2, atol=1e-6)
    assert slopes.abs().max() > 1e-5


def test_shares_of_all_tokens_sum_to_the_change_of_the_weight(reader):
    model, encoded, method = reader
    mixture = method.decompose(model, encoded)
    pooled = open_pooling(model.encoder, encoded.tail_input)
    directions = weight_directions(mixture)[mixture.weights > 0].to(pooled.embedding)
    shares = GradEclip(weighting="attention").contributions(pooled, directions)
    effect = torch.einsum("trd,rd->t", cosine_gradients(pooled, directions), pooled.context[0].detach())
    assert torch.allclose(shares.sum(1), effect, rtol=1e-3, atol=1e-5)
    targets = [
        Target("concept", atom.name)
        for atom, weight in zip(mixture.dictionary.atoms, mixture.weights, strict=True)
        if weight > 0
    ]
    maps = method.explain(model, encoded, targets)
    for heat, row in zip(maps, shares, strict=True):
        assert np.allclose(heat.values.ravel(), row[pooled.first_patch :].detach(), atol=1e-6)
        assert heat.values.shape == encoded.grid
        assert (heat.scalar, heat.layer) == ("concept weight", "attention before the embedding")


def test_hiding_what_carries_a_concept_lowers_its_weight(seen):
    """The map against the model itself: attention taken away from the warmest patches."""
    model, encoded = seen
    method, mixture = Splice(), Splice().decompose(*seen)
    best = int(mixture.weights.argmax())
    (heat,) = method.explain(model, encoded, [Target("concept", mixture.dictionary.atoms[best].name)])
    order = np.argsort(heat.values.ravel())
    pooled = open_pooling(model.encoder, encoded.tail_input)
    weights = {}
    for name, patches in (("warm", order[-10:]), ("cold", order[:10])):
        lost = torch.einsum(
            "hn,hnd->hd", pooled.attention[:, 0, patches + 1], pooled.values[:, patches + 1]
        ).reshape(-1)
        direction = weight_directions(mixture)[best].to(pooled.embedding)
        (slope,) = cosine_gradients(pooled, direction[None])
        weights[name] = float(slope[0] @ lost)
    assert weights["warm"] > 0 > weights["cold"]


def test_one_by_one_is_the_same_as_together(reader):
    model, encoded, method = reader
    mixture = method.decompose(model, encoded)
    targets = [Target("concept", atom.name) for atom in mixture.dictionary.atoms[:6]]
    targets.append(Target("concept", targets[0].text, against=targets[1].text))
    together = method.explain(model, encoded, targets)
    for heat, target in zip(together, targets, strict=True):
        (alone,) = method.explain(model, encoded, [target])
        assert np.allclose(heat.values, alone.values, rtol=1e-4, atol=1e-7)
        assert np.isfinite(heat.values).all()
    assert together[-1].scalar == "concept weight difference"
    assert np.allclose(together[-1].values, together[0].values - together[1].values, atol=1e-6)


@pytest.mark.filterwarnings("ignore::dermaxai.explain.support.DoubtfulMap")
def test_only_concepts_that_are_needed_have_a_map(seen):
    model, encoded = seen
    found = Splice().find(model, encoded)
    dictionary = concept_dictionary(model.encoder)
    needed = {concept.name for concept in found.concepts}
    unused = next(atom.name for atom in dictionary.atoms if atom.name not in needed)
    maps = Splice().explain(model, encoded, [*asked(found), Target("concept", unused)])
    assert all(heat.values.any() for heat in maps[:-1])
    assert not maps[-1].values.any()
    assert len({heat.values.tobytes() for heat in maps}) == len(maps)


def test_a_concept_answers_to_its_russian_name(seen):
    english, russian = Splice().explain(
        *seen, [Target("concept", "melanocytic nevus"), Target("concept", "меланоцитарный невус")]
    )
    assert (english.values == russian.values).all()


@pytest.mark.parametrize("text", ["poikiloderma", "a text that is no concept", "dog"])
def test_what_is_no_atom_is_refused(seen, text):
    with pytest.raises(NotSupported, match=r"none of the \d+ concepts.*Use 'grad_eclip'"):
        Splice().explain(*seen, [Target("concept", text)])
    with pytest.raises(NotSupported, match="Use 'grad_eclip'"):
        Splice().explain(*seen, [Target("concept", "red", against=text)])


def test_other_questions_name_the_method_that_can(seen):
    with pytest.raises(NotSupported, match="Use 'evidence'"):
        Splice().explain(*seen, [Target("word", "lesion", word=0)])
    with pytest.raises(NotSupported, match="Use 'grad_eclip'"):
        Splice().explain(*seen, [Target("query", "red")])


def test_no_mean_no_concepts(tower):
    encoder, encoded = tower
    with pytest.raises(NotSupported, match="concepts-mean PHOTOS --kind dermoscopic"):
        Splice().find(Explained(encoder), encoded)
    with pytest.raises(NotSupported, match="--kind clinical"):
        Splice(kind="clinical").find(Explained(encoder), encoded)


def test_the_mean_of_another_encoder_is_refused(seen, reader):
    _, _, method = reader
    with pytest.raises(NotSupported, match="mean image was made by"):
        Splice(mean=method.mean).find(*seen)


def test_a_photo_that_is_the_mean_image_has_no_concepts(reader):
    model, encoded, method = reader
    mean = replace(method.mean, vector=encoded.pooled.double())
    alone = Splice(mean=mean, names="all", prompts="plain", penalty=0.02)
    mixture = alone.decompose(model, encoded)
    assert not mixture.weights.any()
    (heat,) = alone.explain(model, encoded, [Target("concept", mixture.dictionary.atoms[0].name)])
    assert not heat.values.any()


def test_work_on_one_photo_is_shared(seen, monkeypatch):
    model, encoded = seen
    first = Splice().decompose(model, encoded)
    assert Splice().decompose(model, encoded) is first
    assert Splice(penalty=0.150000001).decompose(model, encoded) is not first


def test_model_stays_as_it_was_also_after_an_error(reader, monkeypatch):
    model, encoded, method = reader
    before = snapshot(model.encoder.module)
    target = Target("concept", method.decompose(model, encoded).dictionary.atoms[0].name)
    method.explain(model, encoded, [target])
    assert snapshot(model.encoder.module) == before

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(GradEclip, "contributions", fail)
    with pytest.raises(ZeroDivisionError):
        method.explain(model, encoded, [target])
    assert snapshot(model.encoder.module) == before


def test_works_where_the_caller_switched_autograd_off(seen):
    targets = [Target("concept", "dark brown")]
    wanted = Splice().explain(*seen, targets)[0].values
    with torch.inference_mode():
        found = Splice().explain(*seen, targets)[0].values
    assert (found == wanted).all()


def test_words_that_say_a_concept():
    tree = read_tree()
    said = spoken_concepts(
        caption_of("A large asymmetric lesion with an irregular border. It is dark brown and red."), tree
    )
    assert said["large"] == (1,)
    assert said["asymmetric"] == (2,)
    assert said[tree.find("irregular border", "en").id][0] == 6
    assert said[tree.find("dark brown", "en").id] == (10, 11)
    assert said["red"] == (13,)
    assert tree.find("brown", "en").id not in said
    twice = spoken_concepts(caption_of("Red, and red again"), tree)
    assert twice["red"] == (0, 2)


def test_words_over_a_full_stop_are_no_phrase():
    said = spoken_concepts(caption_of("The lesion is dark. Brown skin."), read_tree())
    assert read_tree().find("dark brown", "en").id not in said
    assert read_tree().find("brown", "en").id in said


def test_russian_words_may_be_inflected():
    tree = read_tree()
    said = spoken_concepts(
        caption_of("Крупное асимметричное образование с неровной границей. Цвет тёмно-коричневый.", "ru"),
        tree,
    )
    assert said["large"] == (0,)
    assert said["asymmetric"] == (1,)
    assert said[tree.find("dark brown", "en").id] == (7,) or said[tree.find("dark brown", "en").id] == (6, 7)
    assert spoken_concepts(caption_of("", "ru"), tree) == {}


def test_variants_are_named_and_ranges_kept():
    names = {Splice.of_variant(name).variant for name in Splice.variants}
    assert names == set(Splice.variants)
    assert Splice(penalty=0.05).variant == "concepts it reads, penalty 0.05"
    assert Splice(merge=0.8).variant == "words names, card prompts, merge 0.8, penalty 0.15"
    for options in ({"penalty": -1.0}, {"penalty": float("nan")}, {"merge": 0.0}, {"merge": 1.1}):
        with pytest.raises(SettingError):
            Splice(**options)
    with pytest.raises(SettingError, match="names words, all"):
        Splice(names="some")
    assert METHODS.load("splice") is Splice


def test_the_published_setting_takes_every_name_as_it_is(demo):
    method = Splice.of_variant("reference")
    found = concept_dictionary(demo.encoder, names=method.names, prompts=method.prompts, merge=method.merge)
    nodes = read_tree().atoms()
    assert len(found.atoms) == len(nodes)
    raw = demo.encoder.encode_text([bare(atom.name) for atom in found.atoms]).double()
    assert torch.allclose(found.directions, centred(raw), atol=1e-4)
    assert method.penalty == 0.25


@pytest.fixture
def app():
    """The commands as the command line calls them."""
    made = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    made.command()(concepts)
    made.command()(concepts_mean)
    return made


def test_the_command_adds_concepts_to_a_case(app, case, tmp_path):
    folder = case.save(tmp_path / "case")
    done = CliRunner().invoke(app, ["concepts", str(folder), "--json", "--lang", "ru", "--penalty", "0.1"])
    assert done.exit_code == 0, done.output
    row, after = json.loads(done.stdout), dermaxai.load_case(folder)
    assert [one["name"] for one in row["concepts"]] == [one.name for one in after.concepts]
    assert sum(one["share"] for one in row["concepts"]) == pytest.approx(1, abs=1e-2)
    assert row["fit"]["penalty"] == after.concept_fit.penalty == 0.1
    assert {one["text"] for one in row["maps"]} == {one["name"] for one in row["concepts"][:8]}
    assert all(read_tree().find(one["text"], "ru").names["en"] == one["name"] for one in row["concepts"])
    russian = CliRunner().invoke(app, ["concepts", str(folder), "--lang", "ru"]).stdout
    assert re.search(r"Средний снимок: дерматоскопия, \d+ фото, ", russian)
    assert not re.search(r"\d\.\d", russian)
    told = CliRunner().invoke(app, ["concepts", str(folder), "--lang", "en"])
    assert told.exit_code == 0, told.output
    first = dermaxai.load_case(folder).concepts[0]
    assert any(
        line.startswith(first.name) and f"{first.weight:.3f}" in line for line in told.stdout.splitlines()
    )
    assert "the mean alone gives" in told.stdout
    assert (folder / "report.html").is_file()
