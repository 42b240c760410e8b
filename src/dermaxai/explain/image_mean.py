"""The mean image of an encoder: what photos of one kind share, which no concept is credited with.

Concepts found after this mean is taken out are relative to the average photo of that kind.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from dermaxai.errors import DataError, NotSupported

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.types import SkinImage

ImageKind = Literal["dermoscopic", "clinical"]
KINDS: tuple[ImageKind, ...] = get_args(ImageKind)
ENOUGH = 1000
"""Photos below which a mean is a poor one."""
KEYS = frozenset({"encoder", "encoder_sha256", "kind", "n", "about", "vector", "sha256"})


@dataclass(frozen=True, slots=True, eq=False)
class ImageMean:
    """The mean of n image embeddings of unit length; its own length tells how alike they are."""

    encoder: str
    """Name of the card."""
    encoder_sha256: str
    kind: ImageKind
    n: int
    """Photos."""
    about: str
    """Which photos, in words."""
    vector: Float[Tensor, "embed"]
    """Double precision; not of unit length."""

    @property
    def sha256(self) -> str:
        """Of everything else in the file."""
        return _hash(self._fields())

    @property
    def title(self) -> str:
        """For a reader: kind, number of photos, beginning of the hash.

        >>> ImageMean("demo", "ab", "clinical", 3, "", torch.ones(2)).title
        'clinical, 3 photos, 08384925'
        """
        return f"{self.kind}, {self.n} photos, {self.sha256[:8]}"

    def save(self, path: Path) -> Path:
        """Write it as JSON; `read_mean` reads the same bits."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = self._fields() | {"sha256": self.sha256}
        path.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def _fields(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "kind": self.kind,
            "n": self.n,
            "about": self.about,
            "vector": self.vector.double().tolist(),
        }


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def measure_mean(
    encoder: AbstractEncoder,
    photos: Iterable[SkinImage],
    kind: ImageKind,
    *,
    about: str = "",
    batch: int = 16,
) -> ImageMean:
    """The mean embedding of photos, read and encoded in batches.

    Raises: DataError where there is no photo.
    """
    total, count = torch.zeros((), dtype=torch.float64), 0
    for some in _batches(photos, batch):
        pixels = torch.stack([encoder.preprocess(photo)[0] for photo in some])
        pooled = encoder.forward(pixels.to(encoder.device, encoder.dtype)).pooled
        total = total + pooled.cpu().double().sum(0)
        count += len(some)
    if not count:
        raise DataError("There is no photo to take the mean of.", hint="Name photos, or a folder of them.")
    return ImageMean(encoder.card.name, encoder.sha256, kind, count, about, total / count)


def _batches(photos: Iterable[SkinImage], size: int) -> Iterator[list[SkinImage]]:
    waiting = iter(photos)
    while some := list(islice(waiting, size)):
        yield some


def read_mean(path: Path) -> ImageMean:
    """A mean that `ImageMean.save` wrote. Raises: DataError for a file that is no mean or was changed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"The image mean '{path}' cannot be read: {error}.") from error
    if not isinstance(found, dict) or found.keys() != KEYS:
        raise DataError(f"'{path}' is no image mean: expected the keys {', '.join(sorted(KEYS))}.")
    if _hash({name: value for name, value in found.items() if name != "sha256"}) != found["sha256"]:
        raise DataError(f"The image mean '{path}' was changed after it was made.", hint="Make it again.")
    vector = found["vector"]
    numbers = isinstance(vector, list) and vector and all(isinstance(one, float) for one in vector)
    if found["kind"] not in KINDS or not numbers or not all(map(math.isfinite, vector)):
        raise DataError(f"'{path}' is no image mean: its kind or its vector is none.")
    given = {name: found[name] for name in KEYS - {"sha256", "vector"}}
    return ImageMean(**given, vector=torch.tensor(vector, dtype=torch.float64))


def find_mean(encoder: AbstractEncoder, kind: ImageKind, path: Path | None = None) -> ImageMean:
    """The mean of `encoder` for photos of `kind`: the file at `path`, else its folder's, else the package's.

    Raises: NotSupported where there is none, or where the file is another encoder's or of another kind;
    DataError for a file that is no mean.
    """
    folder: Path | None = getattr(encoder, "folder", None)
    beside = path or (folder / file_name(kind) if folder else None)
    if beside is not None and (path or beside.is_file()):
        return _fitting(read_mean(beside), encoder, kind, beside)
    shipped = Path(str(resources.files("dermaxai"))) / "demo" / "encoder" / file_name(kind)
    if shipped.is_file():
        found = read_mean(shipped)
        if found.encoder_sha256 == encoder.sha256:
            return found
    raise NotSupported(
        f"There is no mean of {kind} photos for the encoder '{encoder.card.name}'.", hint=_how(kind)
    )


def file_name(kind: ImageKind) -> str:
    """Of a mean in an encoder's folder.

    >>> file_name("clinical")
    'image_mean_clinical.json'
    """
    return f"image_mean_{kind}.json"


def _fitting(found: ImageMean, encoder: AbstractEncoder, kind: ImageKind, place: Path) -> ImageMean:
    if (found.encoder_sha256, found.kind) == (encoder.sha256, kind):
        return found
    raise NotSupported(
        f"The image mean '{place}' was made by '{found.encoder}' ({found.encoder_sha256[:12]}) from "
        f"{found.kind} photos; needed: '{encoder.card.name}' ({encoder.sha256[:12]}), {kind}.",
        hint=_how(kind),
    )


def _how(kind: ImageKind) -> str:
    return (
        f"Make one with 'dermaxai concepts-mean PHOTOS --kind {kind} -o FILE'; "
        f"in the encoder's folder it is called {file_name(kind)}."
    )
