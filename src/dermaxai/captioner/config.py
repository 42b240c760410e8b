"""What a captioner is made of, as plain values that go to and from JSON; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from dermaxai.errors import SettingError
from dermaxai.registry import check_name

Settings = TypeVar("Settings")
ADAPTER = "adapter"
"""Key in `CaptionerConfig.tables`: the adapter that was trained last."""
ALL_LINEAR = ("q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo")
"""Every linear layer of a T5 block: `wi` in the original form, `wi_0` and `wi_1` in the gated one."""


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Sizes of the Q-Former between an encoder and a T5."""

    encoder_width: int
    """Of a patch token."""
    output_width: int
    """The T5's d_model."""
    hidden: int = 384
    layers: int = 4
    heads: int = 6
    queries: int = 32
    """How many tokens the text decoder gets to read."""
    cross_attention_frequency: int = 2
    """Layer i looks at the patches when i is a multiple of this."""
    dropout: float = 0.1
    output_std: float = 1.0
    """Of the projected queries at the start; T5 token embeddings have 1 at initialisation."""

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise SettingError(f"Bridge: hidden {self.hidden} must be a multiple of heads {self.heads}.")
        for name in ("encoder_width", "output_width", "layers", "queries", "cross_attention_frequency"):
            if getattr(self, name) < 1:
                raise SettingError(f"Bridge: {name} must be at least 1, not {getattr(self, name)}.")


_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 128, "layers": 2, "heads": 4, "queries": 16, "cross_attention_frequency": 1},
    "small": {"hidden": 384, "layers": 4, "heads": 6, "queries": 32, "cross_attention_frequency": 2},
    "base": {"hidden": 768, "layers": 12, "heads": 12, "queries": 32, "cross_attention_frequency": 2},
}


def bridge_preset(
    name: str,
    encoder_width: int,
    output_width: int,
    **changes: Any,  # noqa: ANN401 - any field of BridgeConfig
) -> BridgeConfig:
    """The sizes called tiny (128 x 2), small (384 x 4) or base (768 x 12, as BLIP-2).

    Raises: UnknownName.

    >>> bridge_preset("tiny", 192, 128, queries=8).hidden
    128
    """
    check_name("bridge size", name, _PRESETS)
    return BridgeConfig(encoder_width, output_width, **{**_PRESETS[name], **changes})


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Low-rank adapters on the T5; the decoder only, unless `encoder` is set."""

    rank: int = 16
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    dropout: float = 0.05
    layers: tuple[str, ...] = ALL_LINEAR
    """Names of linear layers inside T5 blocks."""
    encoder: bool = False
    """Adapt the T5 encoder as well; pointless when it is skipped."""

    @property
    def target(self) -> str:
        """The regular expression over module names that PEFT gets."""
        part = "(encoder|decoder)" if self.encoder else "decoder"
        return rf"{part}\.block\..*\.({'|'.join(self.layers)})"


@dataclass(frozen=True, slots=True)
class LanguagePrompt:
    """How the decoder is told the language: tokens it starts with, or a text before the queries."""

    decoder_prefix: str = ""
    """Special tokens of the tokenizer, such as '<ru>'; forced first and not part of the caption."""
    encoder_prompt: str = ""
    """Ordinary text whose embeddings stand in front of the queries, such as 'describe in English: '."""


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """Everything that is needed to build a captioner, except weights."""

    encoder: str
    """Name of the encoder card."""
    encoder_sha256: str
    """Of the encoder's weight file; empty when any weights will do."""
    bridge: BridgeConfig
    t5: str
    """Hub id, or a plain name for a base that travels in the checkpoint."""
    t5_revision: str = ""
    languages: Mapping[str, LanguagePrompt] = field(default_factory=lambda: {"en": LanguagePrompt()})
    adapters: Mapping[str, LoraSettings] = field(default_factory=dict)
    """By name; after loading that of `tables[ADAPTER]` is active, else 'default'."""
    skip_encoder: bool = True
    """Give the queries to the decoder directly instead of through the T5 encoder."""
    max_tokens: int = 96
    """Longest caption, end token included."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able extras of a trained model: calibration, gate thresholds, training figures; 'templates' lists
    languages that are composed from the facts of the English caption (`captioner.templates`)."""

    @property
    def encoder_width(self) -> int:
        """Of a patch token."""
        return self.bridge.encoder_width

    def with_changes(self, **changes: Any) -> CaptionerConfig:  # noqa: ANN401 - any field
        """The same config with some fields replaced."""
        return replace(self, **changes)


def config_to_json(config: CaptionerConfig) -> dict[str, Any]:
    """Plain dictionaries, lists and numbers."""
    return asdict(replace(config, languages=dict(config.languages), adapters=dict(config.adapters)))


def config_from_json(table: Mapping[str, Any]) -> CaptionerConfig:
    """The inverse of `config_to_json`. Raises: SettingError naming unknown or missing keys."""
    values = dict(table)
    values["bridge"] = _read(BridgeConfig, values.get("bridge", {}), "bridge")
    values["languages"] = {
        name: _read(LanguagePrompt, entry, f"languages.{name}")
        for name, entry in values.get("languages", {}).items()
    }
    values["adapters"] = {
        name: _read(
            LoraSettings, {**entry, "layers": tuple(entry.get("layers", ALL_LINEAR))}, f"adapters.{name}"
        )
        for name, entry in values.get("adapters", {}).items()
    }
    return _read(CaptionerConfig, values, "captioner")


def _read(kind: type[Settings], table: Mapping[str, Any], where: str) -> Settings:
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - known)
    if unknown:
        raise SettingError(f"{where}: unknown keys {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    try:
        return kind(**table)
    except TypeError as error:
        raise SettingError(f"{where}: {error}.") from error
