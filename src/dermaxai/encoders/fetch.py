"""Fetching checkpoints before they are needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dermaxai.encoders import hub
from dermaxai.encoders.cards import EncoderCard, read_card
from dermaxai.encoders.weights import RECORD, Checkpoint, resolve, resolve_tokenizer


def fetch(names: Sequence[str], to: Path | None = None, report: hub.Report | None = None) -> list[Checkpoint]:
    """Bring the weights and tokenizers of the named encoders to this machine.

    Into the hub's cache, or each into a folder of its name under `to`, which can be carried to another
    machine. `report(card, file name, bytes)` is called before each download; nothing is printed.

    Raises: UnknownName before any download; as `weights.resolve`.
    """
    cards = [read_card(name) for name in names]
    return [_fetch(card, to / card.name if to and card.repo_id else None, report) for card in cards]


def _fetch(card: EncoderCard, target: Path | None, report: hub.Report | None) -> Checkpoint:
    if target is not None:
        return _fetch_into(card, target, report)
    if card.repo_id and hub.find(card) is None:
        hub.download(card, report=report)
    checkpoint = resolve(card)
    resolve_tokenizer(card, checkpoint)
    return checkpoint


def _fetch_into(card: EncoderCard, target: Path, report: hub.Report | None) -> Checkpoint:
    arrived = hub.download(card, target, report=report)
    if card.tokenizer_repo and not hub.has_tokenizer(target):
        hub.download_tokenizer(card, target)
    checkpoint = replace(resolve(card, arrived.weights), revision=arrived.revision)
    _record(card, checkpoint)
    return checkpoint


def _record(card: EncoderCard, checkpoint: Checkpoint) -> None:
    """Keep beside the weights where they came from, for whoever opens the folder later."""
    origin = {"encoder": card.name, "repo_id": card.repo_id, "revision": checkpoint.revision}
    facts = {**origin, "file": checkpoint.weights.name, "sha256": checkpoint.sha256, "licence": card.licence}
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    (checkpoint.folder / RECORD).write_text(text + "\n", encoding="utf-8")
