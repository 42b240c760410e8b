"""Image embeddings of many photos, made once and kept: chunks of .npy that a later run reads back."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from jaxtyping import Float32

from dermaxai.errors import DataError, DermaXAIError
from dermaxai.evaluate.items import Item
from dermaxai.features.key import preprocessing_digest
from dermaxai.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.types import SkinImage

CHUNK = 64
"""Photos encoded and written together; what an interruption loses at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The embeddings of those items whose photo could be read."""

    items: tuple[Item, ...]
    values: Float32[np.ndarray, "items embed"]
    """Unit length."""
    failed: tuple[tuple[str, str], ...] = ()
    """Ids of the other items, and why."""

    def pick(self, items: Sequence[Item]) -> Embedded:
        """The same for some of its items, in the given order; what it has not is left out."""
        places = {item.id: place for place, item in enumerate(self.items)}
        kept = tuple(item for item in items if item.id in places)
        return Embedded(kept, self.values[[places[item.id] for item in kept]], self.failed)


def embed_items(
    encoder: AbstractEncoder,
    items: Sequence[Item],
    folder: Path | None = None,
    tell: Callable[[str, int, int], None] | None = None,
) -> Embedded:
    """The embedding of each item; what `folder` holds of this encoder is read, the rest is computed and kept.

    A photo that cannot be read is left out and named in `failed`. Chunks are formed from the items that are
    given, in order, so that an interrupted and an uninterrupted run of the same items encode the same batches
    and give the same bits.
    """
    kept = _Chunks(folder / folder_name(encoder)) if folder is not None else None
    known = kept.read() if kept else {}
    failed: dict[str, str] = {}
    photos = list({item.sha256: item for item in items}.values())
    for start in range(0, len(photos), CHUNK):
        chunk = [item for item in photos[start : start + CHUNK] if item.sha256 not in known]
        if not chunk:
            continue
        fresh = _encode(encoder, chunk, failed)
        known.update(fresh)
        if kept and fresh:
            kept.write(fresh)
        if tell:
            tell(f"embedding with {encoder.card.name}", min(start + CHUNK, len(photos)), len(photos))
    there = tuple(item for item in items if item.sha256 in known)
    values = np.stack([known[item.sha256] for item in there]) if there else np.zeros((0, 0), np.float32)
    lost = tuple((item.id, failed[item.sha256]) for item in items if item.sha256 not in known)
    return Embedded(there, values, lost)


def folder_name(encoder: AbstractEncoder) -> str:
    """Of an encoder's chunks: its name, and a digest of whatever decides the numbers."""
    precision = str(encoder.dtype).removeprefix("torch.")
    deciding = f"{encoder.sha256} {preprocessing_digest(encoder.card)} {precision}"
    return f"{encoder.card.name}-{hashlib.sha256(deciding.encode()).hexdigest()[:16]}"


def _encode(
    encoder: AbstractEncoder, chunk: Sequence[Item], failed: dict[str, str]
) -> dict[str, Float32[np.ndarray, "embed"]]:
    """By hash of the photo; those that cannot be read go into `failed`."""
    prepared = []
    for item in chunk:
        try:
            prepared.append((item.sha256, encoder.preprocess(_read(item))[0]))
        except DermaXAIError as error:
            failed[item.sha256] = str(error)
    if not prepared:
        return {}
    pixels = torch.stack([one for _, one in prepared]).to(encoder.device, encoder.dtype)
    with torch.inference_mode():
        pooled = encoder.forward(pixels).pooled.float().cpu().numpy()
    return {name: row for (name, _), row in zip(prepared, pooled, strict=True)}


def _read(item: Item) -> SkinImage:
    image = read_image(item.path)
    if image.sha256 != item.sha256:
        raise DataError(
            f"'{item.path.name}' has changed since it was listed.", hint="Gather the photos again."
        )
    return image


@final
class _Chunks:
    """Pairs of NAME.npy (photos, embed) and NAME.json (hashes of their files)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[str, Float32[np.ndarray, "embed"]]:
        """Everything there is. Raises: DataError for a chunk that is damaged."""
        known: dict[str, Float32[np.ndarray, "embed"]] = {}
        for names in sorted(self.folder.glob("*.json")):
            try:
                hashes = json.loads(names.read_text(encoding="utf-8"))
                values = np.load(names.with_suffix(".npy"), allow_pickle=False)
                known.update(zip(hashes, values, strict=True))
            except (OSError, ValueError, TypeError) as error:
                raise DataError(
                    f"'{names}' is no chunk of embeddings: {error}.", hint="Remove it and its .npy file."
                ) from error
        return known

    def write(self, fresh: dict[str, Float32[np.ndarray, "embed"]]) -> None:
        """One more chunk; the list of hashes comes last and makes it count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Named by what is in it, so that two runs at a time never mix one's numbers with the other's names.
        name = hashlib.sha256(" ".join(fresh).encode()).hexdigest()[:24]
        values = io.BytesIO()
        np.save(values, np.stack(list(fresh.values())), allow_pickle=False)
        self._put(f"{name}.npy", values.getvalue())
        self._put(f"{name}.json", json.dumps(list(fresh)).encode())

    def _put(self, name: str, content: bytes) -> None:
        part = self.folder / f".{name}.{os.getpid()}"
        part.write_bytes(content)
        os.replace(part, self.folder / name)
