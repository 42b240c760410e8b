"""Checkpoints at the Hugging Face hub: what its cache holds, what it must be asked for, and its refusals."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermaxai.encoders.cards import EncoderCard
from dermaxai.errors import WeightsCorrupt, WeightsError, WeightsGated, WeightsMissing, WeightsOffline

TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model", "vocab.json")
"""Any one of these makes a tokenizer."""
_SMALL_FILES = ("*.json", "*.txt", "*.model")
"""Configuration and tokenizer."""

Report = Callable[[EncoderCard, str, int], None]
"""Called before a download with card, file name and bytes (0 where unknown)."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """The weight file that the hub offers for a card."""

    name: str
    size: int
    sha256: str


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
) -> Path:
    """Fetch weights, configuration and tokenizer files into the hub's cache, or into the folder `target`.

    Returns the weight file. Raises: WeightsOffline, WeightsGated, WeightsMissing, WeightsCorrupt where the
    hub's own hash differs.
    """
    _check_online(card, offline=offline)
    with _translated(card, card.repo_id, card.revision):
        offer = _offered(card)
        if report is not None:
            report(card, offer.name, offer.size)
        _snapshot(card.repo_id, card.revision, _SMALL_FILES, target)
        weights = _snapshot(card.repo_id, card.revision, (offer.name,), target) / offer.name
    _check_arrived(weights, offer)
    return weights


def download_tokenizer(card: EncoderCard, target: Path | None = None, *, offline: bool = False) -> Path:
    """Fetch the tokenizer that the card names beside its weights.

    Returns its folder. Raises: as `download`.
    """
    _check_online(card, offline=offline)
    patterns = (*TOKENIZER_FILES, "tokenizer_config.json", "special_tokens_map.json", "merges.txt")
    with _translated(card, card.tokenizer_repo, card.tokenizer_revision):
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
    there = {entry.rfilename: entry for entry in info.siblings or []}
    for name in (card.weights, *card.alternatives):
        if name in there:
            stored = there[name].lfs
            return _Offer(name, there[name].size or 0, stored.sha256 if stored else "")
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


def _check_online(card: EncoderCard, *, offline: bool) -> None:
    if is_offline(offline=offline):
        raise _offline(card, "the network is switched off (offline)")


def _offline(card: EncoderCard, why: str) -> WeightsOffline:
    from huggingface_hub import constants

    return WeightsOffline(
        f"'{card.name}' is not on this machine and {why}. Needed: '{card.weights}' "
        f"({size_in_words(card.megabytes * 10**6)}) of {card.repo_id}, revision {card.revision or 'newest'}; "
        f"looked in {constants.HF_HUB_CACHE}.",
        hint=(
            f"Online, run 'dermaxai fetch {card.name}'; or fetch it elsewhere with '--to FOLDER', bring the "
            "folder here, and give it as the weights."
        ),
    )


@contextlib.contextmanager
def _translated(card: EncoderCard, repo_id: str, revision: str) -> Iterator[None]:
    """Turn the hub library's exceptions into this package's."""
    from huggingface_hub import errors

    # The base of its HTTP library's errors, which changes its name between versions (httpx, httpx2).
    http_error: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except WeightsError:
        raise
    except (http_error, OSError) as error:
        raise _explained(card, repo_id, revision, error) from error


def _explained(card: EncoderCard, repo_id: str, revision: str, error: BaseException) -> WeightsError:
    from huggingface_hub import errors

    chain = list(_chain(error))
    status = next((code for code in map(_status, chain) if code), 0)
    page = f"https://huggingface.co/{repo_id}"
    if status in (401, 403) or any(isinstance(entry, errors.GatedRepoError) for entry in chain):
        return WeightsGated(
            f"The hub refused {repo_id} (HTTP {status}): it is gated, private, or does not exist; without a "
            f"login the hub does not say which. Licence: {card.licence}.",
            hint=f"Log in at {page}, accept the terms, and set HF_TOKEN to a token that may read it.",
        )
    if any(isinstance(entry, errors.RevisionNotFoundError) for entry in chain):
        return WeightsMissing(
            f"{repo_id} has no revision {revision or 'main'}.",
            hint=f"See {page}/commits/main; correct the card.",
        )
    if status == 404:
        return WeightsMissing(
            f"The hub knows no {repo_id}, or not that file of it (HTTP 404).", hint=f"See {page}."
        )
    if isinstance(error, OSError) and error.errno is not None:
        return WeightsMissing(
            f"The files of {repo_id} cannot be stored: {error}.", hint="Free space, or set HF_HOME."
        )
    reason = str(chain[-1]).splitlines()[0] if str(chain[-1]) else type(chain[-1]).__name__
    return _offline(card, f"the hub does not answer ({f'HTTP {status}' if status else reason})")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
