"""Text towers part by part, as `tail.py` has it for vision towers: nothing hooks, changes or copies a model.

A `TextTower` says how to call the text tower of any library: tokens of texts, embed, open the blocks one by
one with explicit attention, read the embedding out. Pre-norm and post-norm blocks look the same from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dermaxai.encoders.tail import BlockParts, Step, split_heads
from dermaxai.encoders.tokenizing import Tokenize
from dermaxai.encoders.towers import open_clip_block, transformers_block
from dermaxai.errors import NotSupported

# The libraries' modules carry no types, so a tower comes in as Any and leaves as a typed `TextTower`.


@dataclass(frozen=True, slots=True, eq=False)
class TextParts:
    """One transformer block, pre-norm or post-norm, as functions that can be called one by one."""

    project: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
    """Tokens entering the block -> queries, keys, values, each (texts, tokens, heads * head)."""
    heads: int
    merge: Step
    """Context -> output projection and layer scale."""
    finish: Callable[[Tensor, Tensor], Tensor]
    """Tokens entering the block and merged context -> tokens leaving it."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenText:
    """One block of a text tower, recomputed."""

    queries: Float[Tensor, "texts heads tokens head"]
    keys: Float[Tensor, "texts heads tokens head"]
    values: Float[Tensor, "texts heads tokens head"]
    attention: Float[Tensor, "texts heads tokens tokens"]
    """After softmax; 0 where the tower masks."""
    context: Float[Tensor, "texts tokens width"]
    """Heads merged, before the output projection."""
    tokens: Float[Tensor, "texts tokens width"]
    """Block output."""


@dataclass(frozen=True, slots=True, eq=False)
class TextTower:
    """A text tower of any library, seen the same way."""

    tokenize: Tokenize
    """Texts -> ids (texts, context) on the tower's device, always padded to its whole context."""
    embed: Step
    """Ids -> tokens entering the first block."""
    blocks: Sequence[nn.Module]
    open: Callable[[nn.Module], TextParts]
    sees: Callable[[Tensor], Tensor]
    """Ids -> bool (texts or 1, rows or 1, tokens): which tokens each row may attend to."""
    reads: Callable[[Tensor], Tensor]
    """Ids -> (texts, tokens), rows sum to 1: from which tokens the embedding is read."""
    read_out: Callable[[Tensor, Tensor], Tensor]
    """Last block's output and ids -> embeddings, not yet unit length."""
    read_at: str
    """What is read, in words: 'end token', 'class token', 'last token', 'mean of the tokens'."""

    def __post_init__(self) -> None:
        self.open(self.blocks[-1])


def used_positions(tower: TextTower, ids: Int[Tensor, "texts tokens"]) -> Bool[Tensor, "texts tokens"]:
    """Tokens that a row which is read can attend to: special tokens are, masked padding is not."""
    return ((tower.reads(ids) > 0)[:, :, None] & tower.sees(ids)).any(1)


def without_unused(tower: TextTower, ids: Int[Tensor, "texts tokens"]) -> Int[Tensor, "texts shorter"]:
    """Cut the columns on the right that no text uses; the embeddings stay the same."""
    last = int(used_positions(tower, ids).any(0).nonzero().max())
    return ids[:, : last + 1]


def open_text_blocks(
    tower: TextTower, ids: Int[Tensor, "texts tokens"], count: int, *, single_head: bool = False
) -> list[OpenText]:
    """The last `count` blocks (all, if there are fewer) with explicit attention, chained in one graph.

    `single_head` recomputes them with one head as wide as the tower, which is another network.
    """
    sees = tower.sees(ids)[:, None]
    first = max(0, len(tower.blocks) - count)
    with torch.no_grad():
        tokens = tower.embed(ids)
        for block in tower.blocks[:first]:
            tokens = _open(tower.open(block), tokens, sees).tokens
    opened: list[OpenText] = []
    tokens = tokens.detach().requires_grad_()
    for block in tower.blocks[first:]:
        opened.append(_open(tower.open(block), tokens, sees, heads=1 if single_head else None))
        tokens = opened[-1].tokens
    return opened


def _open(parts: TextParts, tokens: Tensor, sees: Tensor, heads: int | None = None) -> OpenText:
    queries, keys, values = (split_heads(part, heads or parts.heads) for part in parts.project(tokens))
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-2, -1)
    wide = scores if scores.dtype == torch.float64 else scores.float()
    attention = wide.masked_fill(~sees, float("-inf")).softmax(dim=-1).to(scores.dtype)
    context = (attention @ values).transpose(1, 2).flatten(2)
    return OpenText(queries, keys, values, attention, context, parts.finish(tokens, parts.merge(context)))


def open_clip_text_tower(model: Any, tokenize: Tokenize) -> TextTower:  # noqa: ANN401
    """The text transformer of an open_clip model: DermLIP B/16, MAKE, OpenCLIP, WhyLesionCLIP, the demo.

    Causal and read at the end token, or, in open_clip's ports of SigLIP, without mask and read at the end.
    Raises: NotSupported for a class token of its own (CoCa) and for other pooling.
    """
    text = model.text if hasattr(model, "text") else model
    pooling = text.pool_type if hasattr(text, "pool_type") else text.text_pool_type
    if getattr(text, "cls_emb", None) is not None or pooling not in _READ_AT:
        raise NotSupported(
            f"The open_clip text tower pools by '{pooling}' or has a class token of its own; "
            f"{', '.join(_READ_AT)} without one can be explained."
        )
    end = text.eos_id if hasattr(text, "eos_id") else text.text_eos_id
    causal = text.attn_mask is not None

    def place(ids: Tensor) -> Tensor:
        if pooling in ("argmax", "eos"):
            return ids.argmax(-1) if pooling == "argmax" else _first_of(ids, end)
        return torch.full_like(ids[:, 0], 0 if pooling == "first" else ids.shape[1] - 1)

    def embed(ids: Tensor) -> Tensor:
        result: Tensor = text.token_embedding(ids) + text.positional_embedding[: ids.shape[1]]
        return result

    def read_out(tokens: Tensor, ids: Tensor) -> Tensor:
        read, projection = _rows(text.ln_final(tokens), place(ids)), text.text_projection
        if projection is None:
            return read
        result: Tensor = projection(read) if isinstance(projection, nn.Linear) else read @ projection
        return result

    return TextTower(
        tokenize=tokenize,
        embed=embed,
        blocks=tuple(text.transformer.resblocks),
        open=lambda block: _pre_norm(open_clip_block(block)),
        sees=_sees_before if causal else _sees_all,
        reads=lambda ids: _at(place(ids), ids),
        read_out=read_out,
        read_at=_READ_AT[pooling],
    )


def bert_text_tower(text: Any, tokenize: Tokenize) -> TextTower:  # noqa: ANN401
    """open_clip's `HFTextEncoder` around a BERT: BiomedCLIP, UniMed-CLIP, DermLIP PanDerm.

    Raises: NotSupported for other language models and for pooling by maximum.
    """
    from transformers import BertModel
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    bert, pooler = text.transformer, text.pooler
    kind = type(pooler).__name__
    if not isinstance(bert, BertModel) or bert.config.is_decoder or kind not in _BERT_READ_AT:
        raise NotSupported(
            f"The text tower is a {type(bert).__name__} pooled by {kind}; a BertModel pooled by "
            f"{', '.join(_BERT_READ_AT)} can be explained."
        )

    def valid(ids: Tensor) -> Tensor:
        return torch.ne(ids, text.config.pad_token_id)

    def reads(ids: Tensor) -> Tensor:
        if kind == "MeanPooler":
            weights: Tensor = valid(ids) / valid(ids).sum(-1, keepdim=True)
            return weights
        return _at(torch.zeros_like(ids[:, 0]), ids)

    def read_out(tokens: Tensor, ids: Tensor) -> Tensor:
        spoken = None if bert.pooler is None else bert.pooler(tokens)
        output = BaseModelOutputWithPooling(last_hidden_state=tokens, pooler_output=spoken)
        result: Tensor = text.proj(pooler(output, valid(ids).long()))
        return result

    return TextTower(
        tokenize=tokenize,
        embed=lambda ids: bert.embeddings(input_ids=ids),
        blocks=tuple(bert.encoder.layer),
        open=_bert_block,
        sees=lambda ids: valid(ids)[:, None],
        reads=reads,
        read_out=read_out,
        read_at=_BERT_READ_AT[kind],
    )


def transformers_clip_text_tower(model: Any, tokenize: Tokenize) -> TextTower:  # noqa: ANN401
    """The text half of transformers' `CLIPModel`: causal, read at the end token. MONET and other folders."""
    text = model.text_model

    def place(ids: Tensor) -> Tensor:
        # Old configurations name 2 as the end token although it never was; the library reads the largest id.
        return ids.argmax(-1) if text.eos_token_id == 2 else _first_of(ids, text.eos_token_id)

    def filled(texts: Sequence[str]) -> Tensor:
        # transformers pads to the longest text, with the end token; filled as CLIP's own tokenizer does it,
        # a text's ids do not depend on its neighbours.
        ids = tokenize(texts)
        behind = torch.arange(ids.shape[1], device=ids.device) > place(ids)[:, None]
        length = text.config.max_position_embeddings - ids.shape[1]
        return nn.functional.pad(ids.masked_fill(behind, 0), (0, length))

    return TextTower(
        tokenize=filled,
        embed=lambda ids: text.embeddings(input_ids=ids),
        blocks=tuple(text.encoder.layers),
        open=lambda block: _pre_norm(transformers_block(block)),
        sees=_sees_before,
        reads=lambda ids: _at(place(ids), ids),
        read_out=lambda tokens, ids: model.text_projection(_rows(text.final_layer_norm(tokens), place(ids))),
        read_at=_READ_AT["eos"],
    )


def siglip_text_tower(model: Any, tokenize: Tokenize) -> TextTower:  # noqa: ANN401
    """The text half of transformers' `SiglipModel`: no mask, padding included, read at the last token."""
    text = model.text_model
    return TextTower(
        tokenize=tokenize,
        embed=lambda ids: text.embeddings(input_ids=ids),
        blocks=tuple(text.encoder.layers),
        open=lambda block: _pre_norm(transformers_block(block)),
        sees=_sees_all,
        reads=lambda ids: _at(torch.full_like(ids[:, 0], ids.shape[1] - 1), ids),
        read_out=lambda tokens, ids: text.head(text.final_layer_norm(tokens[:, -1])),
        read_at=_READ_AT["last"],
    )


_READ_AT = {"argmax": "end token", "eos": "end token", "last": "last token", "first": "first token"}
_BERT_READ_AT = {
    "MeanPooler": "mean of the tokens",
    "ClsPooler": "class token",
    "ClsLastHiddenStatePooler": "class token",
}


def _rows(tokens: Tensor, place: Tensor) -> Tensor:
    return tokens[torch.arange(len(tokens), device=tokens.device), place]


def _first_of(ids: Tensor, wanted: int) -> Tensor:
    return torch.eq(ids, wanted).int().argmax(-1)


def _at(place: Tensor, ids: Tensor) -> Tensor:
    return nn.functional.one_hot(place, ids.shape[1]).float()


def _sees_all(ids: Tensor) -> Tensor:
    return torch.ones(1, 1, ids.shape[1], dtype=torch.bool, device=ids.device)


def _sees_before(ids: Tensor) -> Tensor:
    length = ids.shape[1]
    return torch.ones(1, length, length, dtype=torch.bool, device=ids.device).tril()


def _pre_norm(parts: BlockParts) -> TextParts:
    def finish(tokens: Tensor, merged: Tensor) -> Tensor:
        tokens = tokens + merged
        return tokens + parts.feed_forward(tokens)

    return TextParts(lambda tokens: parts.project(parts.norm(tokens)), parts.heads, parts.merge, finish)


def _bert_block(block: Any) -> TextParts:  # noqa: ANN401
    attention, output = block.attention.self, block.attention.output
    return TextParts(
        project=lambda tokens: (attention.query(tokens), attention.key(tokens), attention.value(tokens)),
        heads=attention.num_attention_heads,
        merge=output.dense,
        finish=lambda tokens, merged: block.feed_forward_chunk(output.LayerNorm(merged + tokens)),
    )
