"""Describes a skin image in words and shows, for every word, the pixels it rests on.

Research tool, not a medical device.

The public names are imported when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermaxai.cases import load_case as load_case
    from dermaxai.cases import save_case as save_case
    from dermaxai.errors import DermaXAIError as DermaXAIError
    from dermaxai.images import read_image as read_image
    from dermaxai.pipeline import Model as Model
    from dermaxai.pipeline import load as load
    from dermaxai.report import write_report as write_report
    from dermaxai.settings import Settings as Settings
    from dermaxai.settings import read_settings as read_settings
    from dermaxai.types import Caption as Caption
    from dermaxai.types import Case as Case
    from dermaxai.types import HeatMap as HeatMap
    from dermaxai.types import SkinImage as SkinImage
    from dermaxai.types import Target as Target
    from dermaxai.types import Word as Word

_HOMES = {
    "Caption": "types",
    "Case": "types",
    "DermaXAIError": "errors",
    "HeatMap": "types",
    "Model": "pipeline",
    "Settings": "settings",
    "SkinImage": "types",
    "Target": "types",
    "Word": "types",
    "load": "pipeline",
    "load_case": "cases",
    "read_image": "images",
    "read_settings": "settings",
    "save_case": "cases",
    "write_report": "report",
}
__all__ = sorted(_HOMES)
__version__: str


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    if name == "__version__":
        from importlib.metadata import version

        return version("dermaxai")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
