"""From patches to words: a Q-Former bridge reads a frozen encoder, a T5 with LoRA writes.

Importing this package imports no torch; each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermaxai.captioner.checkpoint import load_captioner as load_captioner
    from dermaxai.captioner.checkpoint import save_captioner as save_captioner
    from dermaxai.captioner.config import BridgeConfig as BridgeConfig
    from dermaxai.captioner.config import CaptionerConfig as CaptionerConfig
    from dermaxai.captioner.config import LanguagePrompt as LanguagePrompt
    from dermaxai.captioner.config import LoraSettings as LoraSettings
    from dermaxai.captioner.decoder import T5Base as T5Base
    from dermaxai.captioner.decoder import load_t5 as load_t5
    from dermaxai.captioner.decoder import save_t5 as save_t5
    from dermaxai.captioner.model import Captioner as Captioner
    from dermaxai.captioner.modes import FrozenWatch as FrozenWatch
    from dermaxai.captioner.modes import TrainableParts as TrainableParts
    from dermaxai.captioner.qformer import Bridge as Bridge
    from dermaxai.captioner.qformer import init_from_blip2 as init_from_blip2
    from dermaxai.captioner.words import words_of as words_of

_HOMES = {
    "Bridge": "qformer",
    "BridgeConfig": "config",
    "Captioner": "model",
    "CaptionerConfig": "config",
    "FrozenWatch": "modes",
    "LanguagePrompt": "config",
    "LoraSettings": "config",
    "T5Base": "decoder",
    "TrainableParts": "modes",
    "init_from_blip2": "qformer",
    "load_captioner": "checkpoint",
    "load_t5": "decoder",
    "save_captioner": "checkpoint",
    "save_t5": "decoder",
    "words_of": "words",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
