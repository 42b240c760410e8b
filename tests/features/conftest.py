import hashlib

import pytest
import torch

from dermaxai.features import FeatureCache, FeatureKey, FeatureWriter
from dermaxai.features.key import AUGMENTATION


def key_of(**changes):
    values = dict(
        encoder="tiny", weights_sha256="a" * 64, preprocessing="b" * 64, precision="float32", layer="patches",
        pooling="all", rows=2, columns=3, width=8, dtype="float16", augmentation=AUGMENTATION, seed=0,
    )  # fmt: skip
    return FeatureKey(**(values | changes))


def name_of(number):
    """Of a photo."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def features_of(numbers, key):
    """Float16 values, always the same for a number."""
    rows = []
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        rows.append(torch.randn(key.tokens, key.width, generator=generator).half().float())
    return torch.stack(rows)


def fill(cache, numbers, view=0, **how):
    numbers = list(numbers)
    with FeatureWriter(cache, **how) as writer:
        names = [name_of(number) for number in numbers]
        writer.append(names, [view] * len(names), features_of(numbers, cache.key), [view / 4] * len(names))
    cache.refresh()


@pytest.fixture
def cache(tmp_path):
    return FeatureCache.create(tmp_path, key_of())
