"""How to call the vision towers of open_clip, timm and transformers: one `Tower` per kind."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dermaxai.encoders.tail import BlockParts, MapAttention, ReadOut, Tower, attend, split_heads
from dermaxai.errors import NotSupported

# The libraries' modules carry no types, so a tower comes in as Any and leaves as a typed `Tower`.


def open_clip_tower(visual: Any) -> Tower:  # noqa: ANN401
    """open_clip's `VisionTransformer`: CLIP ViT-B/16, L/14, H/14 and their fine-tuned descendants.

    Raises: NotSupported for attention pooling and for towers without a pooled token.
    """
    if visual.attn_pool is not None or visual.pool_type not in ("tok", "avg"):
        raise NotSupported(
            f"The open_clip tower pools by '{visual.pool_type}' with attentional pooling; "
            "only 'tok' and 'avg' without it can be explained."
        )

    def embed(pixels: Tensor) -> Tensor:
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        start = visual.class_embedding.expand(len(patches), 1, -1)
        tokens = torch.cat([start, patches], dim=1) + visual.positional_embedding
        result: Tensor = visual.ln_pre(tokens)
        return result

    def read_out(tokens: Tensor) -> ReadOut:
        normed = visual.ln_post(tokens)
        source = tokens if visual.final_ln_after_pool else normed
        pooled = source[:, 0] if visual.pool_type == "tok" else source[:, 1:].mean(dim=1)
        pooled = visual.ln_post(pooled) if visual.final_ln_after_pool else pooled
        return ReadOut(normed[:, 1:], pooled @ visual.proj if visual.proj is not None else pooled)

    return Tower(
        embed=embed,
        blocks=tuple(visual.transformer.resblocks),
        run=lambda block, tokens: block(tokens),
        open=open_clip_block,
        read_out=read_out,
        pooling="class" if visual.pool_type == "tok" else "mean",
        first_patch=1,
        grid=tuple(visual.grid_size),
        width=visual.transformer.width,
        patch=visual.patch_size[0],
    )


def timm_tower(visual: Any) -> Tower:  # noqa: ANN401
    """open_clip's `TimmModel` around timm's `VisionTransformer`: BiomedCLIP, and SigLIP in open_clip's port.

    Raises: NotSupported for other timm architectures.
    """
    trunk = visual.trunk
    if type(trunk).__name__ != "VisionTransformer" or trunk.num_prefix_tokens > 1:
        raise NotSupported(
            f"timm's {type(trunk).__name__} cannot be explained; a plain VisionTransformer can."
        )

    def embed(pixels: Tensor) -> Tensor:
        result: Tensor = trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(pixels))))
        return result

    def read_out(tokens: Tensor) -> ReadOut:
        normed = trunk.norm(tokens)
        patches = normed[:, trunk.num_prefix_tokens :]
        if trunk.attn_pool is None:
            return ReadOut(patches, visual.head(trunk.forward_head(normed)))
        mapped, pooled = _timm_map(trunk.attn_pool, patches)
        return ReadOut(patches, visual.head(trunk.head(trunk.head_drop(trunk.fc_norm(pooled)))), mapped)

    return Tower(
        embed=embed,
        blocks=tuple(trunk.blocks),
        run=lambda block, tokens: block(tokens),
        open=_timm_block,
        read_out=read_out,
        pooling=_timm_pooling(trunk),
        first_patch=trunk.num_prefix_tokens,
        # Not patch_embed.grid_size: a tower of dynamic size keeps there what it was made for.
        grid=tuple(side // trunk.patch_embed.patch_size[0] for side in visual.image_size),
        width=trunk.embed_dim,
        patch=trunk.patch_embed.patch_size[0],
    )


def panderm_tower(beit: Any, *, projected: bool) -> Tower:  # noqa: ANN401
    """A `Beit` of timm, read the PanDerm way.

    `projected` (the tower of DermLIP): mean of the normed patches, the same norm once more, then the head.
    Otherwise (PanDerm itself): the class token after the norm, as in the authors' linear probing, or, where
    the checkpoint is a fine-tuned one with `fc_norm`, the norm of the mean of the patches.
    Source: arXiv:2503.14911, and the measured behaviour of its published code.
    """
    final_norm = beit.norm if isinstance(beit.fc_norm, nn.Identity) else beit.fc_norm

    def embed(pixels: Tensor) -> Tensor:
        patches = beit.patch_embed(pixels)
        tokens = torch.cat([beit.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        result: Tensor = tokens + beit.pos_embed
        return result

    def read_out(tokens: Tensor) -> ReadOut:
        normed = final_norm(tokens)
        if projected:
            return ReadOut(normed[:, 1:], beit.head(final_norm(normed[:, 1:].mean(dim=1))))
        if final_norm is beit.fc_norm:
            return ReadOut(normed[:, 1:], final_norm(tokens[:, 1:].mean(dim=1)))
        return ReadOut(normed[:, 1:], normed[:, 0])

    return Tower(
        embed=embed,
        blocks=tuple(beit.blocks),
        run=lambda block, tokens: block(tokens),
        open=_beit_block,
        read_out=read_out,
        pooling="mean" if projected or final_norm is beit.fc_norm else "class",
        first_patch=1,
        grid=tuple(beit.patch_embed.grid_size),
        width=beit.embed_dim,
        patch=beit.patch_embed.patch_size[0],
    )


def transformers_clip_tower(model: Any) -> Tower:  # noqa: ANN401
    """The `CLIPModel` of transformers: MONET and other CLIP folders."""
    vision = model.vision_model

    def read_out(tokens: Tensor) -> ReadOut:
        # transformers norms the class token only; the patches get the same norm so that all towers agree.
        normed = vision.post_layernorm(tokens)
        return ReadOut(normed[:, 1:], model.visual_projection(normed[:, 0]))

    side = vision.config.image_size // vision.config.patch_size
    return Tower(
        embed=lambda pixels: vision.pre_layrnorm(vision.embeddings(pixels)),
        blocks=tuple(vision.encoder.layers),
        run=lambda block, tokens: block(tokens, None),
        open=transformers_block,
        read_out=read_out,
        pooling="class",
        first_patch=1,
        grid=(side, side),
        width=vision.config.hidden_size,
        patch=vision.config.patch_size,
    )


def siglip_tower(model: Any) -> Tower:  # noqa: ANN401
    """The `SiglipModel` of transformers: SigLIP, fixed-resolution SigLIP 2; pooled by attention (MAP)."""
    vision = model.vision_model

    def read_out(tokens: Tensor) -> ReadOut:
        patches = vision.post_layernorm(tokens)
        mapped = _transformers_map(vision.head, patches)
        pooled = vision.head.attention.out_proj(mapped.context)
        pooled = pooled + vision.head.mlp(vision.head.layernorm(pooled))
        return ReadOut(patches, pooled[:, 0], mapped)

    side = vision.config.image_size // vision.config.patch_size
    return Tower(
        embed=vision.embeddings,
        blocks=tuple(vision.encoder.layers),
        run=lambda block, tokens: block(tokens, None),
        open=transformers_block,
        read_out=read_out,
        pooling="map",
        first_patch=0,
        grid=(side, side),
        width=vision.config.hidden_size,
        patch=vision.config.patch_size,
    )


def _thirds(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    queries, keys, values = packed.chunk(3, dim=-1)
    return queries, keys, values


def open_clip_block(block: Any) -> BlockParts:  # noqa: ANN401
    """A block of open_clip, of its image or its text tower. Raises: NotSupported for a custom one."""
    if not isinstance(block.attn, nn.MultiheadAttention):
        raise NotSupported(f"open_clip's {type(block).__name__} cannot be explained; its default block can.")
    attention = block.attn
    return BlockParts(
        norm=block.ln_1,
        project=lambda x: _thirds(functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)),
        heads=attention.num_heads,
        merge=lambda context: block.ls_1(attention.out_proj(context)),
        feed_forward=lambda x: block.ls_2(block.mlp(block.ln_2(x))),
    )


def _timm_block(block: Any) -> BlockParts:  # noqa: ANN401
    attention = block.attn
    if not isinstance(attention.q_norm, nn.Identity) or getattr(attention, "gate", None) is not None:
        raise NotSupported("timm attention with normed queries or gates cannot be explained.")
    return BlockParts(
        norm=block.norm1,
        project=lambda x: _thirds(attention.qkv(x)),
        heads=attention.num_heads,
        merge=lambda context: block.ls1(attention.proj(attention.norm(context))),
        feed_forward=lambda x: block.ls2(block.mlp(block.norm2(x))),
    )


def _beit_block(block: Any) -> BlockParts:  # noqa: ANN401
    attention = block.attn

    def project(normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bias = torch.cat([attention.q_bias, torch.zeros_like(attention.q_bias), attention.v_bias])
        return _thirds(functional.linear(normed, attention.qkv.weight, bias))

    return BlockParts(
        norm=block.norm1,
        project=project,
        heads=attention.num_heads,
        merge=lambda context: block.gamma_1 * attention.proj(context),
        feed_forward=lambda x: block.gamma_2 * block.mlp(block.norm2(x)),
    )


def transformers_block(block: Any) -> BlockParts:  # noqa: ANN401
    """A block of transformers' CLIP or SigLIP, of its image or its text tower."""
    attention = block.self_attn
    return BlockParts(
        norm=block.layer_norm1,
        project=lambda x: (attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)),
        heads=attention.num_heads,
        merge=attention.out_proj,
        feed_forward=lambda x: block.mlp(block.layer_norm2(x)),
    )


def _transformers_map(head: Any, patches: Tensor) -> MapAttention:  # noqa: ANN401
    attention = head.attention
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    sources = (head.probe.expand(len(patches), -1, -1), patches, patches)
    queries, keys, values = (
        split_heads(functional.linear(source, weight, bias), attention.num_heads)
        for source, weight, bias in zip(sources, weights, biases, strict=True)
    )
    return MapAttention(queries, keys, values, *attend(queries, keys, values))


def _timm_pooling(trunk: Any) -> Any:  # noqa: ANN401
    if trunk.attn_pool is not None:
        return "map"
    if trunk.global_pool not in ("token", "avg"):
        raise NotSupported(
            f"timm pooling '{trunk.global_pool}' cannot be explained; 'token', 'avg', 'map' can."
        )
    return "class" if trunk.global_pool == "token" else "mean"


def _timm_map(pool: Any, patches: Tensor) -> tuple[MapAttention, Tensor]:  # noqa: ANN401
    if pool.latent_len != 1 or pool.pos_embed is not None:
        raise NotSupported("timm attention pooling with several latents or positions cannot be explained.")
    queries = pool.q_norm(split_heads(pool.q(pool.latent.expand(len(patches), -1, -1)), pool.num_heads))
    keys, values = (split_heads(part, pool.num_heads) for part in pool.kv(patches).chunk(2, dim=-1))
    keys = pool.k_norm(keys)
    mapped = MapAttention(queries, keys, values, *attend(queries, keys, values))
    pooled = pool.proj(mapped.context)
    pooled = pooled + pool.mlp(pool.norm(pooled)) if pool.mlp is not None else pooled
    return mapped, pooled[:, 0]
