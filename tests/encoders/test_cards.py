import dataclasses
import json
import os
from pathlib import Path

import pytest

from dermaxai.encoders.cards import KINDS, EncoderCard, card_names, read_card, table
from dermaxai.errors import SettingError, UnknownName

FACTS = Path(os.environ.get("DERMAXAI_FACTS", Path(__file__).parents[3] / "shared" / "facts"))
WANTED = {
    *("demo", "dermlip-vit-b16", "dermlip-panderm-base", "make", "panderm-base", "biomedclip"),
    *("unimed-clip-b16", "siglip-so400m-384", "siglip2-so400m-384", "openclip-b16", "openclip-l14"),
    *("openclip-h14", "o-make", "monet", "whylesionclip"),
}


@pytest.fixture(params=card_names())
def card(request) -> EncoderCard:
    return read_card(request.param)


@pytest.fixture
def broken(tmp_path):
    """Writes a card with lines of 'make' replaced (None: removed) and returns its path."""
    source = Path(__import__("dermaxai").__file__).parent / "cards" / "encoders" / "make.toml"

    def write(changes: dict[str, str | None]) -> Path:
        lines = []
        for line in source.read_text().splitlines():
            name = line.partition(" = ")[0]
            if name not in changes:
                lines.append(line)
            elif changes[name] is not None:
                lines.append(f"{name} = {changes[name]}")
        path = tmp_path / "broken.toml"
        path.write_text("\n".join(lines))
        return path

    return write


def test_every_promised_encoder_has_a_card():
    assert set(card_names()) == WANTED
    assert card_names()[0] == "demo"


def test_card_is_complete(card):
    assert card.name in WANTED
    assert card.title
    assert card.citation
    assert card.licence
    assert card.notes
    assert card.kind in KINDS[card.adapter]
    assert card.name == "demo" or (card.config and card.grid[0] in (14, 16, 27))


def test_pinned_or_said_so(card):
    if card.repo_id and not card.revision:
        assert any("first download" in note for note in card.notes)
    assert len(card.revision) in (0, 40)
    if not card.repo_id and card.name != "demo":
        assert card.sha256
        assert "drive.google.com" in card.notes[0]


def test_bert_towers_need_no_hub_for_their_configuration(card):
    if "hf_model_name" in card.config.get("text_cfg", {}):
        assert card.text_config["model_type"] == "bert"
        assert card.tokenizer_repo
    if card.adapter == "hf":
        assert card.text_config["model_type"] in ("clip_text_model", "siglip_text_model")


def test_width_and_embedding_agree_with_the_configuration(card):
    vision = card.config.get("vision_cfg") or card.config.get("vision_config") or {}
    assert vision.get("width", vision.get("hidden_size", card.width)) == card.width
    assert vision.get("patch_size", card.patch_size) == card.patch_size
    assert card.config.get("embed_dim", card.config.get("projection_dim", card.embed)) == card.embed


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "layout", "patch_key"),
    [
        ("openclip-b16", "openclip_vit_b16", "visual.conv1.weight"),
        ("openclip-l14", "openclip_vit_l14", "visual.conv1.weight"),
        ("openclip-h14", "openclip_vit_h14", "visual.conv1.weight"),
        ("biomedclip", "biomedclip", "visual.trunk.patch_embed.proj.weight"),
        ("panderm-base", "panderm_base", "patch_embed.proj.weight"),
        ("monet", "monet_vit_l14_hf", "vision_model.embeddings.patch_embedding.weight"),
        (
            "siglip-so400m-384",
            "siglip_so400m_patch14_384_hf",
            "vision_model.embeddings.patch_embedding.weight",
        ),
    ],
)
def test_geometry_agrees_with_the_published_layout(name, layout, patch_key):
    path = FACTS / "state_dicts" / f"{layout}.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    shape = json.loads(path.read_text())["keys"][patch_key]["shape"]
    card = read_card(name)
    assert shape == [card.width, 3, card.patch_size, card.patch_size]


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'biomedclip'"):
        read_card("biomed-clp")


def test_a_card_of_ones_own_is_read_by_path(broken):
    path = broken({"name": '"mine"'})
    assert read_card(path).name == "mine"
    assert read_card(str(path)) == read_card(path)


def test_all_faults_of_types_are_reported_together(broken):
    path = broken({"adapter": '"opencilp"', "mean": "[0.5, 0.5]", "licence": None, "image_size": '"224"'})
    path.write_text("surprise = 1\n" + path.read_text())
    with pytest.raises(SettingError) as caught:
        read_card(path)
    message = str(caught.value)
    assert "5 fault(s)" in message
    for part in ("'adapter'", "openclip, panderm, hf", "'mean'", "three numbers", "'licence' is missing"):
        assert part in message
    assert "'image_size'" in message
    assert "'surprise' is no field" in message


def test_all_faults_between_fields_are_reported_together(broken):
    changes = {"kind": '"siglip"', "revision": '"main"', "sha256": '"abc"', "std": "[0.2, 0.0, 0.2]"}
    path = broken({**changes, "resize_to": "100", "has_text": "false", "repo_id": '"no slash"'})
    with pytest.raises(SettingError) as caught:
        read_card(path)
    for part in ("'kind'", "'revision'", "'sha256'", "'std'", "'resize_to'", "'has_text'", "'repo_id'"):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_no_card_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="is not TOML"):
        read_card(path)


def test_a_missing_card_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SettingError, match="cannot be read"):
        read_card(tmp_path / "none.toml")


def test_every_field_explains_itself():
    import ast
    import inspect
    import itertools

    from dermaxai.encoders import cards

    tree = ast.parse(inspect.getsource(cards))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    named = {field.name for field in dataclasses.fields(EncoderCard)}
    explained = set()
    for node, after in itertools.pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            explained.add(node.target.id)
    assert explained == named


def test_the_page_of_encoders_is_up_to_date():
    page = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
    _, _, listed = page.partition("## All encoders\n\n")
    assert listed == table()
