"""What a name stands for: a card, a folder without one, or a repository at the hub without one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dermaxai.encoders import hub
from dermaxai.encoders.cards import EncoderCard, card_names, is_hub_id, read_card, short_name
from dermaxai.encoders.folders import card_of_folder


def find_card(
    name_or_card: str | Path | EncoderCard, source: str | Path | None = None, *, offline: bool = False
) -> tuple[EncoderCard, Path | None]:
    """The card, and where its weights were said to lie.

    In this order: a card itself; a folder that needs none; a hub id that no card has, whose configuration is
    fetched; otherwise what `read_card` takes. Names of cards go before folders called like them.

    Raises: UnknownName; SettingError; WeightsError, NotSupported where a card is made from a configuration.
    """
    place = Path(source) if source is not None else None
    if isinstance(name_or_card, EncoderCard):
        return name_or_card, place
    name = str(name_or_card)
    if place is None and name not in card_names() and Path(name).is_dir():
        return card_of_folder(Path(name)), Path(name)
    if place is None and is_hub_id(name) and short_name(name.partition("@")[0]) not in card_names():
        return _card_of_repository(name, offline=offline), None
    return read_card(name_or_card), place


def _card_of_repository(name: str, *, offline: bool) -> EncoderCard:
    """A card from a repository's own configuration, pinned to the commit that it was read at."""
    repo_id, _, revision = name.partition("@")
    folder = hub.find_configuration(repo_id, revision)
    if folder is None:
        folder = hub.download_configuration(repo_id, revision, offline=offline)
    found = card_of_folder(folder)
    return dataclasses.replace(found, name=repo_id, title=repo_id, repo_id=repo_id, revision=folder.name)
