"""Patch features of a frozen encoder, written once and read many times.

`FeatureKey` says of what they are, `extract` writes them into a `FeatureCache`, training reads them there.
"""

from __future__ import annotations

from dermaxai.features.extracting import Extracted, Extraction, Photo, extract, photos_of
from dermaxai.features.key import FeatureKey
from dermaxai.features.store import FeatureCache
from dermaxai.features.writing import FeatureWriter

__all__ = [
    "Extracted", "Extraction", "FeatureCache", "FeatureKey", "FeatureWriter", "Photo", "extract", "photos_of",
]  # fmt: skip
