"""Every error that DermaXAI raises on purpose.

DermaXAIError                  exit code 1
├── UsageError                 2   the request cannot be fulfilled as written
│   ├── UnknownName                a name that no table knows
│   ├── SettingError               a setting outside its range
│   ├── NotSupported               this encoder, method or language cannot answer this question
│   ├── NotFound                   no such case, job, reader or page
│   └── Conflict                   what is asked does not fit what is there by now
├── AccessError                1   who asks may not
│   ├── NotSignedIn                no token, or one that is unknown, expired or revoked
│   ├── NotAllowed                 this role, this origin or this reader may not do that
│   └── ReadingFirst               blind reading: own reading first, then the machine's
├── TooMuch                    1   more than this server takes at once
│   ├── QueueFull                  too many photos are waiting
│   ├── TooFast                    too many requests from one place
│   └── RequestTooLarge            more bytes than a request may have
├── StoreError                 1   database or folder of cases
│   ├── StoreFull                  no space left
│   ├── StoreReadOnly              nothing may be written there
│   ├── StoreOutdated              of another version of the tables
│   └── StoreUnreachable           no such database, or it does not answer
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


class NotFound(UsageError):
    """No such case, job, reader or page."""


class Conflict(UsageError):
    """What is asked does not fit what is there by now."""


class AccessError(DermaXAIError):
    """Who asks may not."""


class NotSignedIn(AccessError):
    """No token, or one that is unknown, expired or revoked."""


class NotAllowed(AccessError):
    """A role, origin or reader that may not do what it asked for."""


class ReadingFirst(AccessError):
    """Blind reading: own reading first, then the machine's."""


class TooMuch(DermaXAIError):
    """More than this server takes at once."""

    seconds = 5
    """When it is worth trying again."""


class QueueFull(TooMuch):
    """Too many photos are waiting."""


class TooFast(TooMuch):
    """Too many requests from one place."""


class RequestTooLarge(TooMuch):
    """More bytes than a request may have."""


class StoreError(DermaXAIError):
    """Database or folder of cases."""


class StoreFull(StoreError):
    """No space left."""


class StoreReadOnly(StoreError):
    """Nothing may be written there."""


class StoreOutdated(StoreError):
    """Of another version of the tables."""


class StoreUnreachable(StoreError):
    """No such database, or it does not answer."""


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
