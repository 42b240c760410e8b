"""The command that looks at the installation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import typer

from dermaxai.commands.console import say, say_json
from dermaxai.commands.options import JsonOption
from dermaxai.errors import DermaXAIError

if TYPE_CHECKING:
    from dermaxai.settings import Settings

CHECKS_FAILED = 4
EXTRAS = {"dicom": "pydicom", "data": "pyarrow", "train": "accelerate"}
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
    findings: list[Finding] = []
    width = _width()
    for finding in _examine():
        findings.append(finding)
        if as_json:
            say_json(asdict(finding))
        else:
            say(f"{_SIGNS[finding.state]} {finding.subject:{width}}  {finding.text}")
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(CHECKS_FAILED)


def _width() -> int:
    """Of the first column."""
    from dermaxai.encoders.cards import card_names
    from dermaxai.provenance import LIBRARIES

    return max(map(len, (*card_names(), *LIBRARIES)))


def _examine() -> Iterator[Finding]:
    from dermaxai.settings import read_settings

    yield from _versions()
    for extra, module in EXTRAS.items():
        if find_spec(module):
            yield Finding(extra, "ok", "installed")
        else:
            yield Finding(extra, "absent", f"pip install 'dermaxai[{extra}]'")
    try:
        settings = read_settings()
    except DermaXAIError as error:
        yield Finding("settings", "failed", f"{error} Nothing else was examined.")
        return
    yield from _settings(settings)
    yield from _weights()
    yield _embedded()


def _versions() -> Iterator[Finding]:
    from importlib.metadata import version

    from dermaxai.provenance import library_versions

    yield Finding("dermaxai", "ok", version("dermaxai"))
    for name, found in library_versions().items():
        yield Finding(name, "failed" if found == "not installed" else "ok", found)


def _settings(settings: Settings) -> Iterator[Finding]:
    from dermaxai.settings import choose_device, unknown_names

    yield Finding("offline", "ok", "yes, no network is touched" if settings.offline else "no")
    try:
        device = choose_device(settings.device)
        yield Finding("device", "ok", f"{device.value}, because {device.reason}")
    except DermaXAIError as error:
        yield Finding("device", "failed", str(error))
    for name in unknown_names():
        yield Finding("settings", "absent", f"{name} sets nothing")


def _weights() -> Iterator[Finding]:
    from dermaxai.commands.models import find_weights
    from dermaxai.encoders.cards import card_names, read_card
    from dermaxai.encoders.hub import size_in_words
    from dermaxai.loading import DEMO

    for name in card_names():
        card = read_card(name)
        if find_weights(card) is not None:
            yield Finding(name, "ok", "weights are here")
        elif card.repo_id:
            size = size_in_words(card.megabytes * 10**6)
            yield Finding(name, "absent", f"{size}: dermaxai fetch {name}")
        elif name == DEMO:
            yield Finding(name, "absent", "not in this installation")
        else:
            yield Finding(name, "absent", f"by hand: dermaxai models card {name}")


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
