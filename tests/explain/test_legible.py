"""Texts that a text tower cannot read are refused, by towers of every vocabulary."""

import pytest

from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported
from dermaxai.explain.base import Explained
from dermaxai.explain.grad_eclip import GradEclip
from dermaxai.explain.legible import STRANGERS, check_legible
from dermaxai.types import Target
from tests.encoders import tiny

BLIND = {
    "words": tiny.dermlip_panderm_folder,
    "sentence pieces": tiny.siglip_folder,
}


@pytest.fixture(scope="module", params=BLIND)
def blind(request, tmp_path_factory):
    """A tower that knows some letters only."""
    made = BLIND[request.param](tmp_path_factory.mktemp("models") / "blind")
    return load_encoder(made.name, made.source, offline=True)


@pytest.fixture(scope="module")
def reads_bytes(tmp_path_factory):
    made = tiny.open_clip_folder(tmp_path_factory.mktemp("models") / "bytes")
    return load_encoder(made.name, made.source, offline=True)


@pytest.mark.parametrize("text", ["漢字", "skin 漢字 xyz", "🙂", STRANGERS[0]])
def test_unknown_characters_are_named(blind, text):
    signs = [sign for sign in text if not sign.isascii()]
    with pytest.raises(NotSupported, match=" ".join(signs)):
        check_legible(blind, ["skin", text])


def test_a_question_or_its_rival_may_be_the_unknown_one(blind):
    encoded = blind.encode([tiny.photo(90, 120)])[0]
    for target in (Target("query", "漢字"), Target("concept", "skin", against="🙂")):
        with pytest.raises(NotSupported, match="cannot read"):
            GradEclip().explain(Explained(blind), encoded, [target])


def test_known_and_plain_texts_cost_no_pass(blind, monkeypatch):
    monkeypatch.setattr(blind, "encode_text", lambda texts: pytest.fail("encoded"))
    check_legible(blind, ["skin", "blue-white veil (5 %)?", ""])


def test_a_tower_that_reads_bytes_knows_everything(reads_bytes):
    check_legible(reads_bytes, ["漢字 🙂 родинка", STRANGERS[0]])
    encoded = reads_bytes.encode([tiny.photo(90, 120)])[0]
    (heat,) = GradEclip().explain(Explained(reads_bytes), encoded, [Target("query", "漢字")])
    assert heat.values.any()


@pytest.mark.slow
def test_the_embedded_model_reads_russian_and_no_chinese():
    from dermaxai.loading import demo_folder

    encoder = load_encoder("demo", demo_folder() / "encoder", offline=True)
    check_legible(encoder, ["Пигментная сеть, 5 мм — ёж", "blue–white veil, 30°"])
    with pytest.raises(NotSupported, match="'demo' cannot read 漢 字"):
        check_legible(encoder, ["漢字 xyz"])
