"""The paragraph for the methods section of a paper, from what the cases say of how they were made."""

from __future__ import annotations

from collections.abc import Iterable

from dermaxai.collection.entries import Folder
from dermaxai.collection.results import FEW
from dermaxai.i18n import Catalogue
from dermaxai.measure.estimates import RESAMPLES
from dermaxai.types import MINIMUM_NATS


def methods_text(folder: Folder, texts: Catalogue, seed: int) -> list[str]:
    """Sentences in the catalogue's language: photos, model, maps, protocol, statistics, versions."""
    makers = [entry.made_by for entry in folder.entries]
    named = sorted({pair for entry in folder.entries for pair in entry.methods if pair[0] in folder.methods})
    methods = ", ".join(
        texts.name("method", name) + (f" ({variant})" if variant else "") for name, variant in named
    )
    said = [
        texts.count(
            "collection.paper.photos",
            len(folder.entries),
            version=_all(made.dermaxai for made in makers),
            encoder=_all(f"{made.encoder}, sha256 {made.encoder_sha256[:16]}" for made in makers),
            captioner=_all(f"{made.captioner}, sha256 {made.captioner_sha256[:16]}" for made in makers),
        ),
        texts.text("collection.paper.maps", nats=texts.number(MINIMUM_NATS, 1), methods=methods),
        *(_protocol(protocol, texts) for protocol in protocols_of(folder)),
        texts.text("collection.paper.agreement"),
        texts.text("collection.paper.statistics", resamples=texts.number(RESAMPLES, 0), seed=seed, few=FEW),
    ]
    versions = _all(
        ", ".join(f"{key} {value}" for key, value in sorted(made.versions.items())) for made in makers
    )
    devices = _all(f"{made.device}, {texts.text('collection.seed', seed=made.seed)}" for made in makers)
    said.append(texts.text("collection.paper.versions", versions=versions, devices=devices))
    return said


def protocols_of(folder: Folder) -> list[dict[str, str]]:
    """The ways in which maps were measured, each once."""
    told = sorted(
        {score.protocol for entry in folder.entries for note in entry.maps for score in note.scores}
    )
    return [dict(pair.split("=", 1) for pair in one.split(", ") if "=" in pair) for one in told if one]


def _protocol(protocol: dict[str, str], texts: Catalogue) -> str:
    return texts.text(
        "collection.paper.protocol",
        removal=texts.name("removal", protocol.get("removal", "?")),
        steps=protocol.get("steps", "?"),
        random_maps=protocol.get("random_maps", "?"),
        seed=protocol.get("seed", "?"),
    )


def _all(values: Iterable[str]) -> str:
    """Each once, in the order of their first appearance."""
    return "; ".join(dict.fromkeys(value for value in values if value))
