"""The captioner of a recipe: built anew over a frozen encoder and T5, or a trained one taken further."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dermaxai.captioner.checkpoint import load_captioner
from dermaxai.captioner.config import (
    ALL_LINEAR,
    BridgeConfig,
    CaptionerConfig,
    LanguagePrompt,
    LoraSettings,
    bridge_preset,
)
from dermaxai.captioner.decoder import T5Base, load_t5
from dermaxai.captioner.model import Captioner
from dermaxai.captioner.templates import TEMPLATES
from dermaxai.errors import SettingError, WeightsMismatch
from dermaxai.training.recipe import Recipe
from dermaxai.training.sections import CaptionerSection, LoraSection


@dataclass(frozen=True, slots=True)
class Seen:
    """The encoder as a captioner must know it."""

    name: str
    sha256: str
    """Of its weights; '' where nobody knows."""
    width: int
    """Of a patch."""


def build_captioner(recipe: Recipe, seen: Seen, *, offline: bool = False) -> Captioner:
    """The captioner that a recipe trains, its adapter active.

    Raises: WeightsError, NotSupported, SettingError for sizes that do not fit each other.
    """
    if recipe.captioner.start is not None:
        captioner = load_captioner(recipe.captioner.start, offline=offline)
        _check_seen(captioner.config, seen)
        captioner.config = captioner.config.with_changes(
            tables={**captioner.config.tables, **_templates(recipe.captioner)}
        )
    else:
        section = recipe.captioner
        base = load_t5(section.t5, revision=section.t5_revision, offline=offline)
        captioner = Captioner(_config(recipe, seen, base), base, seed=recipe.training.seed)
    for name, settings in new_adapters(recipe, captioner.adapters.settings).items():
        _add_adapter(captioner, name, settings, recipe.training.seed)
    known = recipe.training.adapter in captioner.adapters.settings
    captioner.adapters.use(recipe.training.adapter if known else None)
    return captioner


def _add_adapter(captioner: Captioner, name: str, settings: LoraSettings, seed: int) -> None:
    """Raises: SettingError where this T5 has none of the layers."""
    try:
        captioner.add_adapter(name, settings, seed=seed)
    except ValueError as error:  # PEFT's
        raise SettingError(
            f"captioner.adapters.{name}: this T5 has none of the layers {', '.join(settings.layers)}.",
            hint=f"Leave 'layers' out, or choose some of {', '.join(ALL_LINEAR)}.",
        ) from error


def new_adapters(recipe: Recipe, known: Iterable[str]) -> dict[str, LoraSettings]:
    """Those that the recipe names or trains and that the captioner does not have."""
    named = {name: _lora(one) for name, one in recipe.captioner.adapters.items()}
    if "lora" in recipe.training.mode:
        named.setdefault(recipe.training.adapter, LoraSettings())
    return {name: settings for name, settings in named.items() if name not in known}


def bridge_of(section: CaptionerSection, encoder_width: int, output_width: int) -> BridgeConfig:
    """The bridge's sizes. Raises: UnknownName, SettingError."""
    return bridge_preset(section.bridge, encoder_width, output_width, **section.sizes.model_dump())


def _config(recipe: Recipe, seen: Seen, base: T5Base) -> CaptionerConfig:
    section = recipe.captioner
    return CaptionerConfig(
        encoder=seen.name,
        encoder_sha256=seen.sha256,
        bridge=bridge_of(section, seen.width, base.width),
        t5=base.source,
        t5_revision=base.revision,
        languages=_prompts(section),
        skip_encoder=section.skip_encoder,
        max_tokens=section.max_tokens,
        tables=_templates(section),
    )


def _templates(section: CaptionerSection) -> dict[str, list[str]]:
    return {TEMPLATES: list(section.templates)} if section.templates else {}


def _prompts(section: CaptionerSection) -> Mapping[str, LanguagePrompt]:
    return {
        name: LanguagePrompt(one.decoder_prefix, one.encoder_prompt)
        for name, one in section.languages.items()
    }


def _lora(section: LoraSection) -> LoraSettings:
    return LoraSettings(section.rank, section.alpha, section.dropout, section.layers, section.encoder)


def _check_seen(config: CaptionerConfig, seen: Seen) -> None:
    same = not (config.encoder_sha256 and seen.sha256) or config.encoder_sha256 == seen.sha256
    if config.encoder_width != seen.width or not same:
        raise WeightsMismatch(
            f"The captioner reads '{config.encoder}' ({config.encoder_sha256[:12]}, width "
            f"{config.encoder_width}), the patches are of '{seen.name}' ({seen.sha256[:12]}, width "
            f"{seen.width}).",
            hint="Take the cache of its own encoder.",
        )
