"""PanDerm has no text tower: it describes, and says what to take for a question about similarity."""

from __future__ import annotations

import pytest
import torch

from dermaxai.captioner import BridgeConfig
from dermaxai.encoders import load_encoder
from dermaxai.errors import NotSupported
from dermaxai.loading import Parts
from dermaxai.pipeline import Model
from dermaxai.settings import Chosen, read_settings
from tests.captioner import tiny as captioners
from tests.encoders import tiny as encoders


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = encoders.panderm_file(tmp_path_factory.mktemp("models") / "panderm")
    encoder = load_encoder(made.name, made.source, offline=True)
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "queries": 4, "dropout": 0.0}
    writer = captioners.captioner(
        encoder=encoder.card.name,
        encoder_sha256=encoder.sha256,
        bridge=BridgeConfig(encoder.width, captioners.D_MODEL, **sizes),
        max_tokens=8,
    )
    return Model(Parts(encoder, writer, Chosen(torch.device("cpu"), "test")), read_settings(device="cpu"))


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_it_describes(model, lang):
    photo = encoders.photo(90, 120)
    (case,) = model.describe(photo, lang)
    assert case.caption.language == lang
    assert len(case.caption.token_ids) > 1
    assert case.made_by.encoder == "panderm-base"
    other = encoders.photo(90, 120, seed=5)
    rows = model.encoder.encode([photo, other])
    scores = [model.captioner.score(row, case.caption.token_ids, lang).logprob for row in rows]
    assert scores[0] != pytest.approx(scores[1], abs=1e-6)


def test_a_similarity_question_names_what_to_use_instead(model):
    (case,) = model.describe(encoders.photo(90, 120))
    with pytest.raises(NotSupported, match=r"no text tower.*'evidence'.*an encoder with text"):
        model.query(case, "a dark mole")
    for ask in (lambda: model.encoder.encode_text(["a dark mole"]), lambda: model.encoder.logit_scale):
        with pytest.raises(NotSupported, match=r"vision-only.*dermlip-panderm-base"):
            ask()
