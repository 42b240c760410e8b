"""What a cache is of."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from dermaxai.encoders.cards import read_card
from dermaxai.errors import DataError, NotSupported, SettingError
from dermaxai.features.key import make_key, preprocessing_digest, read_key, token_grid
from tests.features.conftest import key_of

CARD = read_card("dermlip-vit-b16")


def encoder_of(card=CARD, **changes):
    values = dict(card=card, sha256="c" * 64, dtype=torch.float32, grid=(14, 14), width=768)
    return SimpleNamespace(**(values | changes))


def test_everything_but_the_name_decides():
    key = key_of()
    changes = dict(
        weights_sha256="c" * 64, preprocessing="c" * 64, precision="bfloat16", layer="embedding",
        pooling="class", rows=1, columns=1, width=9, dtype="int8", augmentation="none/1", seed=1,
    )  # fmt: skip
    others = {replace(key, **{name: value}).digest for name, value in changes.items()}
    assert len(others | {key.digest}) == 1 + len(changes)
    assert replace(key, encoder="other").digest == key.digest
    assert len(key.digest) == 64


def test_it_comes_back_from_its_folder(tmp_path):
    key = key_of()
    key.write(tmp_path / "new")
    assert read_key(tmp_path / "new") == key
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.json"]


def test_the_folder_s_name_can_be_read_and_written():
    name = key_of(encoder="a/b: c", pooling="7x7").folder_name
    assert name == f"a-b-c-7x7-float16-{key_of(pooling='7x7').digest[:12]}"
    assert key_of(encoder="..").folder_name.startswith("encoder-")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "{}", '{"encoder": "x"}', "\x00"],
    ids=["empty", "list", "cut", "bare", "few", "zero"],
)
def test_what_is_no_key(tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(DataError, match="no key of a feature cache"):
        read_key(tmp_path)


def test_impossible_sizes(tmp_path):
    replace(key_of(), rows=0).write(tmp_path)
    with pytest.raises(DataError, match="impossible"):
        read_key(tmp_path)
    with pytest.raises(DataError, match=r"key.json is missing.*features build"):
        read_key(tmp_path / "nowhere")


def test_what_differs_is_named(tmp_path):
    with pytest.raises(DataError, match="dtype is float16, asked for int8; seed is 0, asked for 4") as caught:
        key_of().check(key_of(dtype="int8", seed=4), tmp_path)
    assert "width" not in str(caught.value)
    key_of().check(key_of(encoder="under another name"), tmp_path)


def test_of_an_encoder():
    key = make_key(encoder_of(), pooling=7, dtype="int8", seed=3)
    assert (key.encoder, key.weights_sha256, key.precision) == (CARD.name, "c" * 64, "float32")
    assert (key.pooling, key.tokens, key.width, key.layer, key.seed) == ("7x7", 49, 768, "patches", 3)
    assert make_key(encoder_of()).tokens == 196
    embedding = make_key(encoder_of(), pooling="class")
    assert (embedding.tokens, embedding.width, embedding.layer) == (1, 512, "embedding")
    assert [made.asked_pooling for made in (key, make_key(encoder_of()), embedding)] == [7, "all", "class"]
    key.check_encoder(encoder_of())
    key.check_encoder(encoder_of(dtype=torch.bfloat16))


def test_another_encoder_is_refused():
    key = make_key(encoder_of())
    for other in (encoder_of(sha256="d" * 64), encoder_of(card=replace(CARD, resize_to=256))):
        with pytest.raises(DataError, match="prepares photos in another way"):
            key.check_encoder(other)


@pytest.mark.parametrize(
    ("field", "value"),
    [("mean", (0.5, 0.5, 0.5)), ("std", (0.5, 0.5, 0.5)), ("resize_to", 256), ("image_size", 192),
     ("resize_mode", "squash"), ("interpolation", "bilinear"), ("activation", "quick_gelu"),
     ("adapter", "hf")],
)  # fmt: skip
def test_what_decides_pixels_is_in_the_digest(field, value):
    assert preprocessing_digest(replace(CARD, **{field: value})) != preprocessing_digest(CARD)


def test_what_does_not_is_not():
    assert preprocessing_digest(
        replace(CARD, title="x", licence="y", sha256="0" * 64)
    ) == preprocessing_digest(CARD)


def test_impossible_wishes():
    with pytest.raises(SettingError, match="int4"):
        make_key(encoder_of(), dtype="int4")
    with pytest.raises(SettingError, match="15 x 15"):
        make_key(encoder_of(), pooling=15)
    with pytest.raises(NotSupported, match="no hash"):
        make_key(encoder_of(sha256=""))
    assert token_grid((16, 12), 12) == (12, 12)
