"""Every published layout loads strictly: names, shapes and dtypes of the real checkpoints, no memory.

`layouts.json` holds a hash of each layout, so that every card is checked everywhere; the full lists, where
they lie beside the repository, say what differs, and are checked against the hashes themselves.
"""

import fnmatch
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dermaxai.encoders import hf, meta, openclip, panderm, weights
from dermaxai.encoders.cards import card_names, read_card
from dermaxai.encoders.weights import Checkpoint, rename_prefixes
from dermaxai.errors import WeightsMismatch

REPOSITORY = Path(__file__).parents[2]
LAYOUTS = Path(os.environ.get("DERMAXAI_FACTS", REPOSITORY.parent / "shared" / "facts")) / "state_dicts"
NOWHERE = Checkpoint(Path("nowhere"), Path("nowhere"), "")

PAIRS = [
    ("biomedclip", "biomedclip"),
    ("dermlip_panderm_base_w_pubmed_256", "dermlip-panderm-base"),
    ("dermlip_vit_b16", "dermlip-vit-b16"),
    ("make_vit_b16", "make"),
    ("make_vit_b16", "o-make"),
    ("monet_vit_l14_hf", "monet"),
    ("openclip_vit_b16", "openclip-b16"),
    ("openclip_vit_h14", "openclip-h14"),
    ("openclip_vit_l14", "openclip-l14"),
    ("panderm_base", "panderm-base"),
    ("siglip2_so400m_patch14_384_hf", "siglip2-so400m-384"),
    ("siglip_so400m_patch14_384_hf", "siglip-so400m-384"),
    ("unimed_clip_vit_b16", "unimed-clip-b16"),
    ("unimed_clip_vit_b16_upstream_layout", "unimed-clip-b16"),
    ("whylesionclip_vit_l14", "whylesionclip"),
]
"""Layout and card whose geometry it must fit, without any folder. O-MAKE is MAKE trained on, same layout."""
HASHES = json.loads(Path(__file__).with_name("layouts.json").read_text())
"""Layout -> `hash_of` what a module must hold to take it."""

each_pair = pytest.mark.parametrize(("name", "card_name"), PAIRS, ids=lambda value: str(value))


@pytest.fixture(autouse=True)
def _values_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(weights, "_check_finite", lambda state, what: None)


def layout(name):
    path = LAYOUTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    described = json.loads(path.read_text())["keys"]
    return {
        key: torch.empty(entry["shape"], dtype=getattr(torch, entry["dtype"]), device="meta")
        for key, entry in described.items()
    }


def hash_of(tensors):
    """sha256 of the sorted lines 'key shape dtype', such as 'visual.conv1.weight 768x3x16x16 float32'."""
    lines = [
        f"{key} {'x'.join(map(str, tensor.shape)) or '-'} {str(tensor.dtype).removeprefix('torch.')}"
        for key, tensor in tensors.items()
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def taken(card, state):
    """The tensors of a file that go into the module, under the module's names."""
    renamed = rename_prefixes(state, card.renamed_prefixes)
    dropped = card.dropped_weight_keys
    return {key: v for key, v in renamed.items() if not any(fnmatch.fnmatchcase(key, p) for p in dropped)}


def panderm_outline(card):
    """The few tensors from which a PanDerm tower's geometry is read, as its card and paper have them."""
    prefix, width = "visual." if card.has_text else "", card.width
    shapes = {
        "cls_token": (1, 1, width),
        "patch_embed.proj.weight": (width, 3, card.patch_size, card.patch_size),
        "blocks.0.mlp.fc1.weight": (4 * width, width),
        "blocks.11.norm1.weight": (width,),
    }
    return {prefix + key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


def build(card, state):
    if card.adapter == "hf":
        return hf.build(card, hf.model_config(card, NOWHERE.folder))
    if card.adapter == "panderm":
        config = openclip.model_config(card, NOWHERE.folder) if card.has_text else card.config
        return panderm.build(card, config, state, NOWHERE)
    return openclip.build(card, openclip.model_config(card, NOWHERE.folder), NOWHERE.folder)


def load(card, state):
    state = rename_prefixes(state, card.renamed_prefixes)
    module = build(card, state)
    return meta.fill(module, state, dropped=card.dropped_weight_keys, what=card.name, dtype=torch.float32)


def tower_of(card, module):
    return {"hf": hf, "panderm": panderm, "openclip": openclip}[card.adapter].tower_of(module)


def test_every_card_has_a_layout():
    assert {card for _, card in PAIRS} == set(card_names()) - {"demo"}
    assert {layout for layout, _ in PAIRS} == set(HASHES)


@each_pair
def test_a_module_made_from_the_card_alone_holds_the_layout(name, card_name):
    card = read_card(card_name)
    module = build(card, panderm_outline(card))
    assert hash_of(module.state_dict()) == HASHES[name]


@each_pair
def test_the_hash_is_that_of_the_published_layout(name, card_name):
    assert hash_of(taken(read_card(card_name), layout(name))) == HASHES[name]


def test_the_hash_sees_names_shapes_and_types():
    plain = {"a": torch.zeros(2, 3), "b": torch.zeros(())}
    assert hash_of(plain) == hash_of(dict(reversed(plain.items())))
    others = [{**plain, "a": torch.zeros(3, 2)}, {**plain, "b": torch.zeros((), dtype=torch.float16)}]
    others += [{"a": plain["a"]}, {**plain, "c": plain["b"]}, {"a": plain["a"], "c": plain["b"]}]
    assert len({hash_of(plain), *map(hash_of, others)}) == 1 + len(others)


@each_pair
def test_layout_fits_its_card(name, card_name):
    card, state = read_card(card_name), layout(name)
    tower = tower_of(card, load(card, state))
    assert (tower.width, tower.patch) == (card.width, card.patch_size)
    assert tower.grid == card.grid
    parts = tower.open(tower.blocks[-1])
    assert card.width % parts.heads == 0


@each_pair
def test_one_missing_or_extra_tensor_is_refused(name, card_name):
    card, state = read_card(card_name), layout(name)
    # The last block's second norm: every layout calls it differently, all end like this.
    missing = next(key for key in state if key.endswith((".norm2.bias", ".ln_2.bias", ".layer_norm2.bias")))
    with pytest.raises(WeightsMismatch, match="missing"):
        load(card, {key: tensor for key, tensor in state.items() if key != missing})
    with pytest.raises(WeightsMismatch, match="relative_position_bias_table"):
        load(card, {**state, missing.replace("norm2.bias", "relative_position_bias_table"): state[missing]} if
             "norm2" in missing else {**state, "relative_position_bias_table": state[missing]})  # fmt: skip


def vit_l_16(card):
    vision = {**card.config["vision_cfg"], "layers": 24, "width": 1024}
    config = {**card.config, "embed_dim": 768, "vision_cfg": vision}
    return replace(card, config=config, width=1024, embed=768)


def test_dermfm_zero_of_the_paper_is_a_large_dermlip_panderm():
    card = vit_l_16(read_card("dermlip-panderm-base"))
    tower = panderm.tower_of(load(card, layout("dermfm_zero_paper_checkpoint_layout")))
    assert (tower.width, len(tower.blocks), tower.pooling) == (1024, 24, "mean")
    assert tower.open(tower.blocks[0]).heads == 16


def test_fine_tuned_panderm_is_read_by_its_own_norm():
    card = read_card("panderm-base")
    tower = panderm.tower_of(load(card, layout("panderm_base_finetune")))
    assert tower.pooling == "mean"


@pytest.mark.parametrize(
    ("layout_name", "library_name"),
    [
        ("open_clip_vit_so400m_14_siglip_384", "ViT-SO400M-14-SigLIP-384"),
        ("open_clip_vit_so400m_14_siglip2_378", "ViT-SO400M-14-SigLIP2-378"),
        ("open_clip_vit_so400m_16_siglip2_384", "ViT-SO400M-16-SigLIP2-384"),
    ],
)
def test_siglip_in_the_port_of_open_clip(layout_name, library_name):
    import open_clip

    config = open_clip.get_model_config(library_name)
    card = replace(read_card("openclip-b16"), config=config, activation="unknown")
    tower = openclip.tower_of(load(card, layout(layout_name)))
    assert (tower.width, tower.pooling, tower.first_patch) == (1152, "map", 0)
    assert tower.grid == ((27, 27) if "14" in library_name else (24, 24))


@pytest.mark.parametrize(
    ("name", "width", "layers"), [("clip_vit_b16_hf", 768, 12), ("clip_vit_h14_hf", 1280, 32)]
)
def test_clip_in_the_layout_of_transformers(name, width, layers):
    state = layout(name)
    embed, text = state["text_projection.weight"].shape
    large = width == 1280
    vision = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 16 if large else 12,
        "patch_size": state["vision_model.embeddings.patch_embedding.weight"].shape[-1],
    }
    words = {
        "hidden_size": text,
        "intermediate_size": 4 * text,
        "num_hidden_layers": 24 if large else 12,
        "num_attention_heads": 16 if large else 8,
    }
    config = {"model_type": "clip", "projection_dim": embed, "vision_config": vision}
    card = replace(read_card("monet"), config=config, text_config=words, activation="gelu")
    tower = hf.tower_of(load(card, state))
    assert (tower.width, len(tower.blocks)) == (width, layers)
    assert tower.open(tower.blocks[0]).heads == vision["num_attention_heads"]
