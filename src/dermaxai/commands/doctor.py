"""The command that looks at the installation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

import typer

from dermaxai.commands.console import say, say_json
from dermaxai.commands.options import JsonOption
from dermaxai.errors import DermaXAIError

CHECKS_FAILED = 4
EXTRAS = {"dicom": "pydicom"}
"""Extra -> the module that it brings."""
_SIGNS = {"ok": "✓", "absent": "–", "failed": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer; only 'failed' is a fault."""

    subject: str
    state: Literal["ok", "absent", "failed"]
    text: str


def doctor(as_json: JsonOption = False) -> None:
    """Check what is installed, which weights are here, and that the embedded model works."""
    findings = []
    for finding in _examine():
        findings.append(finding)
        if as_json:
            say_json(asdict(finding))
        else:
            say(f"{_SIGNS[finding.state]} {finding.subject:12}{finding.text}")
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(CHECKS_FAILED)


def _examine() -> Iterator[Finding]:
    yield from _versions()
    for extra, module in EXTRAS.items():
        if find_spec(module):
            yield Finding(extra, "ok", "installed")
        else:
            yield Finding(extra, "absent", f"pip install 'dermaxai[{extra}]'")
    yield from _settings()
    yield from _weights()
    yield _embedded()


def _versions() -> Iterator[Finding]:
    from importlib.metadata import version

    from dermaxai.provenance import library_versions

    yield Finding("dermaxai", "ok", version("dermaxai"))
    for name, found in library_versions().items():
        yield Finding(name, "failed" if found == "not installed" else "ok", found)


def _settings() -> Iterator[Finding]:
    from dermaxai.settings import choose_device, read_settings, unknown_names

    try:
        settings = read_settings()
        device = choose_device(settings.device)
    except DermaXAIError as error:
        yield Finding("settings", "failed", str(error))
        return
    yield Finding("offline", "ok", "yes, no network is touched" if settings.offline else "no")
    yield Finding("device", "ok", f"{device.value}, because {device.reason}")
    for name in unknown_names():
        yield Finding("settings", "absent", f"{name} sets nothing")


def _weights() -> Iterator[Finding]:
    from dermaxai.commands.models import find_weights
    from dermaxai.encoders.cards import card_names, read_card
    from dermaxai.encoders.hub import size_in_words

    for name in card_names():
        card = read_card(name)
        if find_weights(card) is not None:
            yield Finding(name, "ok", "weights are here")
        elif card.repo_id:
            size = size_in_words(card.megabytes * 10**6)
            yield Finding(name, "absent", f"{size}: dermaxai fetch {name}")


def _embedded() -> Finding:
    """Describe and explain a phantom with the embedded model."""
    from dermaxai.phantom import draw_phantom, sample_plans
    from dermaxai.pipeline import load

    try:
        model = load("demo")
        case = model.explain(draw_phantom(sample_plans(1, 0)[0], 0).image)
    except DermaXAIError as error:
        return Finding("self-test", "failed", str(error))
    if not case.caption.words:
        return Finding("self-test", "failed", "the embedded model wrote no caption for a phantom")
    return Finding("self-test", "ok", f"a phantom was described and explained, {len(case.maps)} maps")
