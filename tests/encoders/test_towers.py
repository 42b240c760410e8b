"""Towers that no card uses today, and towers that must be refused."""

from types import SimpleNamespace

import pytest
import torch

from dermaxai.encoders.tail import open_blocks, open_tail, run_tower
from dermaxai.encoders.towers import open_clip_tower, siglip_tower, timm_tower
from dermaxai.errors import NotSupported
from tests.encoders import tiny


def timm_visual(**options):
    from timm.models.vision_transformer import VisionTransformer

    sizes = {"img_size": 64, "patch_size": 16, "embed_dim": 64, "depth": 2, "num_heads": 4, "num_classes": 0}
    trunk = tiny.stir(lambda: VisionTransformer(**sizes, **options)).requires_grad_(False)
    return SimpleNamespace(trunk=trunk, head=torch.nn.Identity(), image_size=(64, 64))


@pytest.mark.parametrize(
    ("options", "pooling", "first"),
    [
        ({"global_pool": "map", "class_token": False}, "map", 0),
        ({"global_pool": "token", "init_values": 0.1}, "class", 1),
        ({"global_pool": "avg"}, "mean", 1),
    ],
)
def test_timm_tower_is_timm_s_forward(options, pooling, first):
    visual = timm_visual(**options)
    tower = timm_tower(visual)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.normalize(visual.trunk(pixels), dim=-1)
    features = run_tower(tower, pixels)
    tail = open_tail(tower, features.tail_input.requires_grad_(True))
    assert (tail.pooling, tail.first_patch) == (pooling, first)
    assert torch.allclose(features.pooled, expected, atol=1e-6)
    assert torch.allclose(tail.pooled, expected, atol=1e-6)
    if pooling == "map":
        assert tail.pool_attention.shape == (2, 4, 1, 16)
        gradient = torch.autograd.grad(tail.pooled[:, 0].sum(), tail.pool_attention)[0]
        assert gradient.abs().max() > 0


def test_all_blocks_opened_end_where_the_forward_pass_ends(tmp_path):
    made = tiny.siglip_folder(tmp_path / "siglip")
    tower = siglip_tower(made.model.requires_grad_(False))
    pixels = torch.randn(1, 3, 70, 70, generator=torch.Generator().manual_seed(1))
    blocks = open_blocks(tower, tower.embed(pixels).requires_grad_(True))
    pooled = tower.read_out(blocks[-1].tokens).embedding
    assert len(blocks) == 3
    assert torch.allclose(pooled, made.image(pixels), atol=1e-5)
    for gradient in torch.autograd.grad(pooled.sum(), [block.attention for block in blocks]):
        assert gradient.abs().max() > 0
    later = open_blocks(tower, blocks[0].tokens, first=1)
    assert torch.equal(later[-1].tokens, blocks[-1].tokens)


@pytest.mark.parametrize(
    ("options", "named"), [({"attentional_pool": True}, "attentional"), ({"qk_norm": True}, "CustomResidual")]
)
def test_exotic_open_clip_towers_are_refused(options, named):
    import open_clip

    visual = open_clip.CLIP(24, {**tiny.VISION, **options}, dict(tiny.CLIP_TEXT)).visual
    with pytest.raises(NotSupported, match=named):
        open_clip_tower(visual)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"qk_norm": True}, "normed queries"), ({"reg_tokens": 2}, "plain VisionTransformer")],
)
def test_exotic_timm_towers_are_refused(options, named):
    with pytest.raises(NotSupported, match=named):
        timm_tower(timm_visual(**options))
