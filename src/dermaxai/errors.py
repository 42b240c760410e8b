"""Every error that DermaXAI raises on purpose.

DermaXAIError                  exit code 1
├── UsageError                 2   the request cannot be fulfilled as written
│   ├── UnknownName                a name that no table knows
│   ├── SettingError               a setting outside its range
│   └── NotSupported               this encoder, method or language cannot answer this question
├── ImageError                 1   a file that is not a usable picture
│   ├── ImageTooLarge              over the limit of bytes or pixels
│   └── ImageUnreadable            empty, damaged, tiny, or of an unknown format or range of values
├── WeightsError               3   a checkpoint that cannot be used
│   ├── WeightsMissing             not on this machine, or not at the hub
│   ├── WeightsGated               the hub answered 401 or 403
│   ├── WeightsOffline             needed from the hub while offline
│   ├── WeightsCorrupt             wrong hash, truncated, NaN or infinite values
│   ├── WeightsUnsafe              a pickle that holds more than tensors
│   └── WeightsMismatch            keys or shapes differ from the architecture
├── DataError                  1   a dataset that is not as its publisher ships it
├── ShapeError                 1   arrays that do not belong together
└── MissingExtra               3   an optional package is not installed

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations


class DermaXAIError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(DermaXAIError):
    """The request cannot be fulfilled as written."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that no table knows."""


class SettingError(UsageError):
    """A setting outside its range."""


class NotSupported(UsageError):
    """The encoder, method or language at hand cannot answer this question."""


class ImageError(DermaXAIError):
    """A file that is not a usable picture."""


class ImageTooLarge(ImageError):
    """Over the limit of bytes or pixels."""


class ImageUnreadable(ImageError):
    """Empty, damaged, tiny, or of an unknown format or range of values."""


class WeightsError(DermaXAIError):
    """A checkpoint that cannot be used."""

    exit_code = 3


class WeightsMissing(WeightsError):
    """Not on this machine, or not at the hub."""


class WeightsGated(WeightsError):
    """The hub answered 401 or 403."""


class WeightsOffline(WeightsError):
    """Needed from the hub while offline."""


class WeightsCorrupt(WeightsError):
    """Wrong hash, truncated file, NaN or infinite values."""


class WeightsUnsafe(WeightsError):
    """A pickle that holds more than tensors."""


class WeightsMismatch(WeightsError):
    """Keys or shapes differ from the architecture."""


class DataError(DermaXAIError):
    """A dataset that is not as its publisher ships it."""


class ShapeError(DermaXAIError):
    """Arrays that do not belong together."""


class MissingExtra(DermaXAIError):
    """An optional package is not installed."""

    exit_code = 3
