"""The BERT text tower of open_clip, built from a local configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from dermaxai.encoders import hub
from dermaxai.encoders.cards import EncoderCard
from dermaxai.encoders.weights import read_json
from dermaxai.errors import WeightsMissing, WeightsOffline


def bert_config(card: EncoderCard, folder: Path, name: str, *, offline: bool) -> Mapping[str, Any]:
    """The geometry of the text tower: the folder's, otherwise the card's, otherwise the hub's.

    The folder may hold it as `config.json` in a folder called like the last part of `name`, as
    `text_config.json`, or as a `config.json` whose model type is an encoder's.
    Raises: WeightsOffline, WeightsMissing.
    """
    places = (folder / name, folder / Path(name).name, folder)
    for path in [place / "config.json" for place in places] + [folder / "text_config.json"]:
        found = read_json(path) if path.is_file() else {}
        if "hidden_size" in found:
            return dict(found)
    return card.text_config or _hub_config(name, offline=offline)


def bert_text_tower(name: str, config: Mapping[str, Any], text: Mapping[str, Any], embed: int) -> Any:  # noqa: ANN401
    """open_clip's `HFTextEncoder` with random weights; `text` is open_clip's `text_cfg`."""
    import transformers
    from open_clip.hf_model import HFTextEncoder

    values = dict(config)
    made = transformers.AutoConfig.for_model(values.pop("model_type", "bert"), **values)
    tower = HFTextEncoder(
        name,
        output_dim=embed,
        config=made,
        pooler_type=text.get("hf_pooler_type", "mean_pooler"),
        proj_type=text.get("hf_proj_type", "mlp"),
        pretrained=False,
    )
    if text.get("hf_pooler_type") != "cls_pooler":
        # Given a ready configuration open_clip builds BERT's own pooler too, which no checkpoint here has.
        tower.transformer.pooler = None
    return tower


def without_padding(ids: Int[Tensor, "texts length"], pad: int) -> Int[Tensor, "texts shorter"]:
    """Cut the columns that are padding in every text; a masked tower gives the same embedding, sooner."""
    used = (ids != pad).any(dim=0).nonzero()
    return ids[:, : int(used.max()) + 1] if len(used) else ids[:, :1]


def _hub_config(name: str, *, offline: bool) -> Mapping[str, Any]:
    import transformers

    offline = hub.is_offline(offline=offline)
    try:
        config = transformers.AutoConfig.from_pretrained(name, local_files_only=offline)
    except (OSError, ValueError) as error:
        kind = WeightsOffline if offline else WeightsMissing
        raise kind(
            f"The configuration of the text tower {name} is neither in the folder nor in the card nor "
            f"{'in the cache, and this run is offline' if offline else 'at the hub'}.",
            hint="Put it into the folder as text_config.json, or into the card as [text_config].",
        ) from error
    return dict(config.to_dict())
