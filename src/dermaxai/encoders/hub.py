"""Checkpoints at the Hugging Face hub: what its cache holds, what it must be asked for, and its refusals."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dermaxai.encoders.cards import EncoderCard
from dermaxai.errors import (
    UsageError,
    WeightsCorrupt,
    WeightsError,
    WeightsGated,
    WeightsMissing,
    WeightsOffline,
)

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model", "vocab.json")
"""Any one of these makes a tokenizer."""
CONFIGURATIONS = ("open_clip_config.json", "config.json")
"""Either one says what the architecture is."""
_SMALL_FILES = ("*.json", "*.txt", "*.model")
"""Configuration and tokenizer."""

Report = Callable[[EncoderCard, str, int], None]
"""Called before a download with card, file name and bytes (0 where unknown)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the hub, in the words of its error messages."""

    repo_id: str
    revision: str
    """Empty: the newest."""
    name: str
    """What the user calls it."""
    files: str
    """What is needed of it."""
    hint: str
    """What to do where the hub cannot be asked."""
    licence: str = ""

    @property
    def page(self) -> str:
        """Address of the hub page."""
        return f"https://huggingface.co/{self.repo_id}"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A weight file that was fetched, and the commit that it is from."""

    weights: Path
    revision: str


@dataclass(frozen=True, slots=True)
class _Offer:
    """The weight file that the hub offers for a card, and the commit that it offers it at."""

    name: str
    size: int
    sha256: str
    revision: str


def is_offline(*, offline: bool = False) -> bool:
    """Whether the network may not be touched: asked for, or HF_HUB_OFFLINE or DERMAXAI_OFFLINE set."""
    if offline or os.environ.get("DERMAXAI_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return True
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").upper() in (
        *("1", "ON", "YES", "TRUE"),
    )


def find(card: EncoderCard) -> Path | None:
    """The weight file in the hub's cache at the card's revision, or None. Touches no network."""
    return _cached(card.repo_id, card.revision, (card.weights, *card.alternatives))


def find_tokenizer(card: EncoderCard) -> Path | None:
    """The folder of the card's tokenizer in the hub's cache, or None. Touches no network."""
    found = _cached(card.tokenizer_repo, card.tokenizer_revision, TOKENIZER_FILES)
    return found.parent if found else None


def find_configuration(repo_id: str, revision: str = "") -> Path | None:
    """The folder of a repository's configuration in the hub's cache, or None. Touches no network."""
    found = _cached(repo_id, revision, CONFIGURATIONS)
    return found.parent if found else None


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the files of a tokenizer."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def _cached(repo_id: str, revision: str, names: Sequence[str]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        found = try_to_load_from_cache(repo_id, name, revision=revision or "main")
        if isinstance(found, str):
            return Path(found)
    return None


def revision_of(weights: Path) -> str:
    """The commit that a file of the hub's cache belongs to; empty for any other file."""
    folder = weights.parent
    return folder.name if folder.parent.name == "snapshots" else ""


def size_in_words(size: int) -> str:
    """Bytes for a reader.

    >>> size_in_words(598_500_000), size_in_words(0)
    ('598 MB', 'size unknown')
    """
    return f"{size // 10**6} MB" if size else "size unknown"


def download(
    card: EncoderCard, target: Path | None = None, *, offline: bool = False, report: Report | None = None
) -> Arrived:
    """Fetch weights, configuration and tokenizer files into the hub's cache, or into the folder `target`.

    Raises: WeightsOffline, WeightsGated, WeightsMissing, WeightsCorrupt where the hub's own hash differs.
    """
    wanted = _wanted(card)
    _check_online(wanted, offline=offline)
    with translated(wanted):
        offer = _offered(card)
        if report is not None:
            report(card, offer.name, offer.size)
        # The cache remembers what 'main' was only if it is asked for 'main'; a folder remembers nothing.
        revision = card.revision if target is None else offer.revision
        _snapshot(card.repo_id, revision, _SMALL_FILES, target)
        weights = _snapshot(card.repo_id, revision, (offer.name,), target) / offer.name
    _check_arrived(weights, offer)
    return Arrived(weights, revision_of(weights) or offer.revision)


def download_configuration(repo_id: str, revision: str = "", *, offline: bool = False) -> Path:
    """Fetch the small files of any repository into the hub's cache: configuration and tokenizer.

    Returns their folder, named by the commit. Raises: as `download`.
    """
    wanted = Wanted(repo_id, revision, repo_id, "its configuration", "Connect once, or give a local folder.")
    _check_online(wanted, offline=offline)
    with translated(wanted):
        return _snapshot(repo_id, revision, _SMALL_FILES, None)


def download_tokenizer(card: EncoderCard, target: Path | None = None, *, offline: bool = False) -> Path:
    """Fetch the tokenizer that the card names beside its weights.

    Returns its folder. Raises: as `download`.
    """
    wanted = replace(
        _wanted(card), repo_id=card.tokenizer_repo, revision=card.tokenizer_revision, files="the tokenizer"
    )
    _check_online(wanted, offline=offline)
    patterns = (*TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "merges.txt")
    with translated(wanted):
        folder = _snapshot(card.tokenizer_repo, card.tokenizer_revision, patterns, target)
    if not has_tokenizer(folder):
        raise WeightsMissing(f"{card.tokenizer_repo} holds no tokenizer: expected {', '.join(patterns)}.")
    return folder


def _snapshot(repo_id: str, revision: str, patterns: Sequence[str], target: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    patterns = list(patterns)
    return Path(
        snapshot_download(repo_id, revision=revision or "main", allow_patterns=patterns, local_dir=target)
    )


def _offered(card: EncoderCard) -> _Offer:
    """The first of the card's file names that the repository has, or its only safetensors file."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(card.repo_id, revision=card.revision or "main", files_metadata=True)
    revision = info.sha or card.revision
    there = {entry.rfilename: entry for entry in info.siblings or []}
    for name in (card.weights, *card.alternatives):
        if name in there:
            stored = there[name].lfs
            return _Offer(name, there[name].size or 0, stored.sha256 if stored else "", revision)
    wanted = ", ".join((card.weights, *card.alternatives))
    raise WeightsMissing(
        f"{card.repo_id} at revision {card.revision or 'main'} has none of {wanted}; "
        f"it holds {', '.join(sorted(there)[:12]) or 'nothing'}.",
        hint=f"See {card.page}; name the file in a card of your own.",
    )


def _check_arrived(weights: Path, offer: _Offer) -> None:
    from dermaxai.encoders.weights import hash_file

    if not weights.is_file():
        raise WeightsMissing(f"The hub said it sent {offer.name}, but {weights} is not there.")
    came = hash_file(weights)
    if offer.sha256 and came != offer.sha256:
        raise WeightsCorrupt(
            f"{weights} arrived damaged: the hub says sha256 {offer.sha256}, came {came}.",
            hint="Remove the file and fetch it again.",
        )


def _wanted(card: EncoderCard) -> Wanted:
    return Wanted(
        card.repo_id,
        card.revision,
        card.name,
        f"'{card.weights}' ({size_in_words(card.megabytes * 10**6)})",
        f"Online, run 'dermaxai fetch {card.name}'; or fetch it elsewhere with '--to FOLDER', bring the "
        "folder here, and give it as the weights.",
        card.licence,
    )


def _check_online(wanted: Wanted, *, offline: bool) -> None:
    if is_offline(offline=offline):
        raise _offline(wanted, "the network is switched off (offline)")


def _offline(wanted: Wanted, why: str) -> WeightsOffline:
    from huggingface_hub import constants

    return WeightsOffline(
        f"'{wanted.name}' is not on this machine and {why}. Needed: {wanted.files} of {wanted.repo_id}, "
        f"revision {wanted.revision or 'newest'}; looked in {constants.HF_HUB_CACHE}.",
        hint=wanted.hint,
    )


@contextlib.contextmanager
def translated(wanted: Wanted) -> Iterator[None]:
    """Turn the hub library's exceptions into this package's.

    Raises: WeightsGated, WeightsMissing, WeightsOffline, UsageError for an impossible hub id.
    """
    from huggingface_hub import errors

    # The base of its HTTP library's errors, which changes its name between versions (httpx, httpx2).
    http_error: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    transfer_error: type[Exception] = getattr(errors, "XetDownloadError", http_error)
    try:
        yield
    except WeightsError:
        raise
    except errors.HFValidationError as error:
        raise UsageError(f"'{wanted.repo_id}' cannot be a hub id: {error}") from error
    except (http_error, transfer_error, OSError) as error:
        raise _explained(wanted, error) from error


def _explained(wanted: Wanted, error: BaseException) -> WeightsError:
    from huggingface_hub import errors

    chain = list(_chain(error))
    status = next((code for code in map(_status, chain) if code), 0)
    if status in (401, 403) or any(isinstance(entry, errors.GatedRepoError) for entry in chain):
        return _gated(wanted, status)
    if any(isinstance(entry, errors.RevisionNotFoundError) for entry in chain):
        return WeightsMissing(
            f"{wanted.repo_id} has no revision {wanted.revision or 'main'}.",
            hint=f"See {wanted.page}/commits/main, and correct the revision.",
        )
    if status == 404:
        return WeightsMissing(
            f"The hub knows no {wanted.repo_id}, or not that file of it (HTTP 404).",
            hint=f"See {wanted.page}.",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return WeightsMissing(
            f"The files of {wanted.repo_id} cannot be stored: {error}.", hint="Free space, or set HF_HOME."
        )
    reason = str(chain[-1]).splitlines()[0] if str(chain[-1]) else type(chain[-1]).__name__
    return _offline(wanted, f"the hub does not answer ({f'HTTP {status}' if status else reason})")


def _gated(wanted: Wanted, status: int) -> WeightsGated:
    licence = f" Licence: {wanted.licence}." if wanted.licence else ""
    return WeightsGated(
        f"The hub refused {wanted.repo_id} (HTTP {status}): it is gated, private, or does not exist; without "
        f"a login the hub does not say which.{licence}",
        hint=f"Log in at {wanted.page}, accept the terms, and set HF_TOKEN to a token that may read it.",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
