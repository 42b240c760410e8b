"""Some of many photos: drawn with a seed, whole clusters, diagnoses in their shares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dermaxai.errors import SettingError


@dataclass(frozen=True, slots=True)
class Drawable:
    """What the draw looks at of a photo."""

    id: str
    cluster: str
    """'': by itself."""
    stratum: str
    """Its diagnosis."""


def draw(photos: Sequence[Drawable], limit: int, seed: int = 0) -> list[int]:
    """Places of at most `limit` photos, ascending.

    Each diagnosis gets its share of `limit` (largest remainders), filled with whole clusters in an order that
    depends on the seed and the cluster alone; what is left over then takes whatever clusters fit. A cluster
    counts for its commonest diagnosis. Fewer than `limit` come only where no cluster fits any more.
    Raises: SettingError for a limit below 1.

    >>> photos = [Drawable(str(n), "", "melanoma" if n < 2 else "naevus") for n in range(8)]
    >>> len(draw(photos, 4)), sum(place < 2 for place in draw(photos, 4))
    (4, 1)
    """
    if limit < 1:
        raise SettingError(f"A sample has 1 photo or more; {limit} were asked for.")
    if len(photos) <= limit:
        return list(range(len(photos)))
    clusters: dict[str, list[int]] = {}
    for place, photo in enumerate(photos):
        clusters.setdefault(f"cluster {photo.cluster}" if photo.cluster else f"id {photo.id}", []).append(
            place
        )
    order = sorted(clusters, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    stratum = {name: _commonest([photos[place].stratum for place in clusters[name]]) for name in order}
    left = shares({kind: 0 for kind in sorted(set(stratum.values()))} | _sizes(clusters, stratum), limit)
    chosen: set[str] = set()
    for name in order:
        if len(clusters[name]) <= left[stratum[name]]:
            left[stratum[name]] -= len(clusters[name])
            chosen.add(name)
    spare = sum(left.values())
    for name in order:
        if name not in chosen and len(clusters[name]) <= spare:
            spare -= len(clusters[name])
            chosen.add(name)
    return sorted(place for name in chosen for place in clusters[name])


def shares(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    """`limit` split in proportion to sizes, by largest remainders; ties go to the first name.

    >>> shares({"a": 6, "b": 3, "c": 1}, 5)
    {'a': 3, 'b': 2, 'c': 0}
    """
    total = sum(sizes.values())
    found = {name: size * limit // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(sizes[name] * limit % total), name))
    for name in by_remainder[: limit - sum(found.values())]:
        found[name] += 1
    return found


def _sizes(clusters: Mapping[str, Sequence[int]], stratum: Mapping[str, str]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for name, places in clusters.items():
        counted[stratum[name]] += len(places)
    return dict(counted)


def _commonest(kinds: Sequence[str]) -> str:
    counted = Counter(kinds)
    return min(counted, key=lambda kind: (-counted[kind], kind))
