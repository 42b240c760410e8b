"""Of what a cache of features is: everything that decides the numbers in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dermaxai.errors import DataError, NotSupported, SettingError

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.encoders.cards import EncoderCard

Dtype = Literal["float16", "int8"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
Pooling = Literal["all", "class"] | int
"""All patches; the image embedding alone; or this many rows and columns of area means."""

KEY_FILE = "key.json"
PIXELS_VERSION = 1
"""Of reading and preparing photos (images.py, encoders/preprocess.py); raised when pixels change."""
AUGMENTATION = "turn-mirror-zoom-shift-light/1"
"""Name and version of `views.augment`; the number is raised when its draws change."""
_DECIDING = (
    "adapter", "kind", "activation", "image_size", "patch_size", "mean", "std", "interpolation",
    "resize_mode", "resize_to",
)  # fmt: skip
"""Fields of a card by which the same weights give other features of the same photo."""


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """What a cache holds; two caches of equal `digest` hold the same numbers for the same photo and view."""

    encoder: str
    """Name of the card, for the reader; the weights' hash decides."""
    weights_sha256: str
    preprocessing: str
    """Digest of the card's fields that decide pixels and activation, and of `PIXELS_VERSION`."""
    precision: str
    """Of the encoder's arithmetic: 'float32' or 'bfloat16'."""
    layer: Literal["patches", "embedding"]
    """Patch tokens after the final norm, or the image embedding, unit length."""
    pooling: str
    """'all', 'class', or '7x7' for area means."""
    rows: int
    """Of the grid of tokens."""
    columns: int
    width: int
    """Of a token."""
    dtype: Dtype
    """As stored; 'int8' with one scale per token."""
    augmentation: str
    """How the views after the first are made; view 0 is the photo itself."""
    seed: int
    """Of the views after the first. How many there are is not in the key: a cache may gain views."""

    @property
    def tokens(self) -> int:
        """Per photo and view."""
        return self.rows * self.columns

    @property
    def asked_pooling(self) -> Pooling:
        """As `make_key` takes it."""
        return "all" if self.pooling == "all" else "class" if self.pooling == "class" else self.rows

    @property
    def digest(self) -> str:
        """64 hex digits over everything but the encoder's name."""
        values = {name: value for name, value in asdict(self).items() if name != "encoder"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """Of the cache: what a reader recognises, then the digest's first 12 digits."""
        name = re.sub(r"[^\w.-]+", "-", self.encoder).strip("-.") or "encoder"
        return f"{name}-{self.pooling}-{self.dtype}-{self.digest[:12]}"

    def check(self, other: FeatureKey, place: Path) -> None:
        """Raise DataError where `place`, which holds this key, is asked for features of another."""
        if self.digest == other.digest:
            return
        names = [field.name for field in fields(self) if field.name != "encoder"]
        differing = [
            f"{name} is {_short(getattr(self, name))}, asked for {_short(getattr(other, name))}"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]
        raise DataError(
            f"The feature cache '{place}' holds other features: {'; '.join(differing)}.",
            hint="Name another folder, or the encoder and options that wrote it.",
        )

    def check_encoder(self, encoder: AbstractEncoder) -> None:
        """Raise DataError unless these features are what `encoder` gives, up to its precision."""
        mine = self.weights_sha256, self.preprocessing
        if mine != (encoder.sha256, preprocessing_digest(encoder.card)):
            raise DataError(
                f"These features are of '{self.encoder}' ({self.weights_sha256[:12]}); the encoder now is "
                f"'{encoder.card.name}' ({encoder.sha256[:12]}), or prepares photos in another way.",
                hint="Build a cache with this encoder: 'dermaxai features build'.",
            )

    def write(self, folder: Path) -> None:
        """Put the key into a folder in one step."""
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{KEY_FILE}.{os.getpid()}"
        fresh.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, folder / KEY_FILE)


def make_key(
    encoder: AbstractEncoder, *, pooling: Pooling = "all", dtype: Dtype = "float16", seed: int = 0
) -> FeatureKey:
    """The key of what `encoder` gives, pooled and stored like this.

    Raises: SettingError for a pooling or dtype that there is not, NotSupported for weights without a hash.
    """
    if dtype not in DTYPES:
        raise SettingError(f"Features are stored as {' or '.join(DTYPES)}, not as '{dtype}'.")
    if not encoder.sha256:
        raise NotSupported(
            f"The weights of '{encoder.card.name}' have no hash, so features of them cannot be told apart.",
            hint="Load the encoder from its file.",
        )
    rows, columns = token_grid(encoder.grid, pooling)
    return FeatureKey(
        encoder=encoder.card.name,
        weights_sha256=encoder.sha256,
        preprocessing=preprocessing_digest(encoder.card),
        precision=str(encoder.dtype).removeprefix("torch."),
        layer="embedding" if pooling == "class" else "patches",
        pooling=f"{pooling}x{pooling}" if isinstance(pooling, int) else pooling,
        rows=rows,
        columns=columns,
        width=encoder.card.embed if pooling == "class" else encoder.width,
        dtype=dtype,
        augmentation=AUGMENTATION,
        seed=seed,
    )


def token_grid(grid: tuple[int, int], pooling: Pooling) -> tuple[int, int]:
    """Rows and columns of tokens that are left. Raises: SettingError."""
    from dermaxai.features.pooling import check_cells

    if pooling == "all":
        return grid
    if pooling == "class":
        return 1, 1
    check_cells(grid, pooling)
    return pooling, pooling


def preprocessing_digest(card: EncoderCard) -> str:
    """64 hex digits over what decides how a photo becomes input, and the activation inside."""
    values = {name: getattr(card, name) for name in _DECIDING} | {"version": PIXELS_VERSION}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_key(folder: Path) -> FeatureKey:
    """The key of a cache's folder. Raises: DataError."""
    try:
        values = json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))
        return _checked(values)
    except FileNotFoundError:
        raise DataError(
            f"There is no feature cache in '{folder}': {KEY_FILE} is missing.",
            hint="Build one with 'dermaxai features build'.",
        ) from None
    except (ValueError, TypeError, OSError) as error:
        raise DataError(
            f"'{folder / KEY_FILE}' is no key of a feature cache: {error}.",
            hint="Build the cache again in another folder.",
        ) from error


def _checked(values: Any) -> FeatureKey:  # noqa: ANN401 - whatever JSON holds
    """Raises: TypeError, ValueError."""
    key = FeatureKey(**values)
    numbers = key.rows, key.columns, key.width, key.seed
    if not all(type(number) is int for number in numbers) or min(numbers[:3]) < 1 or key.dtype not in DTYPES:
        raise ValueError("a size or dtype in it is impossible")
    return key


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text
