"""A sample with what was measured in it, as JSON and back: what a shard carries beside each photo."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermaxai.data.appearance import Appearance
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.errors import DataError


@dataclass(frozen=True, slots=True)
class Told:
    """A photo with what is known of it, as a manifest gives it too."""

    sample: Sample
    """Without a path: the photo travels beside it."""
    appearance: Appearance | None


def to_json(sample: Sample, appearance: Appearance | None) -> bytes:
    """Everything but the path, which means nothing elsewhere; the same input gives the same bytes."""
    table = dataclasses.asdict(dataclasses.replace(sample, path=None))
    seen = None if appearance is None else dataclasses.asdict(appearance)
    return json.dumps({"sample": table, "appearance": seen}, ensure_ascii=False, sort_keys=True).encode()


def from_json(text: bytes, place: str) -> Told:
    """The inverse of `to_json`. Args: place, for messages. Raises: DataError for what it never wrote."""
    try:
        table = json.loads(text)
        return Told(_sample(table["sample"]), _appearance(table["appearance"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{place} holds no sample: {error}.", hint="Write the shards again (`dermaxai data shards`)."
        ) from error


def _sample(table: dict[str, Any]) -> Sample:
    captions = tuple(
        SampleCaption(
            one["language"], tuple(Sentence(**sentence) for sentence in one["sentences"]), one["field"]
        )
        for one in table.pop("captions")
    )
    votes = tuple((str(name), int(count)) for name, count in table.pop("votes"))
    path = table.pop("path")
    lists = {name: tuple(value) for name, value in table.items() if isinstance(value, list)}
    return Sample(**{**table, **lists}, path=Path(path) if path else None, captions=captions, votes=votes)


def _appearance(table: dict[str, Any] | None) -> Appearance | None:
    if table is None:
        return None
    colours = tuple((str(name), float(share)) for name, share in table.pop("colours"))
    return Appearance(**table, colours=colours)
