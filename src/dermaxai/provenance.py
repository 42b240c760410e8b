"""Who made a case, and the conditions under which making it again gives the same bits."""

from __future__ import annotations

import platform
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dermaxai.types import Provenance, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.settings import Settings

LIBRARIES = ("torch", "transformers", "open_clip_torch", "timm", "peft", "numpy", "pillow")
"""Those whose change may change a number."""


@cache
def library_versions() -> dict[str, str]:
    """Python's version and that of each library in `LIBRARIES`; 'not installed' where there is none."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def repeat_command(verb: str, options: Mapping[str, str | Sequence[str]]) -> str:
    """The command line that repeats a case; the photo's name may identify a person, so it is not in it.

    >>> repeat_command("explain", {"method": ["evidence"], "query": ["blue-white veil"], "source": ""})
    "dermaxai explain PHOTO --method evidence --query 'blue-white veil'"
    """
    words = ["dermaxai", verb, "PHOTO"]
    for name, given in options.items():
        for value in [given] if isinstance(given, str) else given:
            words += [f"--{name}", value] if value else []
    return shlex.join(words)


def repeat_question(target: Target, method: str) -> str:
    """The command line that adds a later question to a case.

    >>> repeat_question(Target("query", "blue-white veil"), "grad_eclip")
    "dermaxai query CASE 'blue-white veil' --method grad_eclip"
    """
    words = ["dermaxai", "query", "CASE", target.text, "--method", method]
    if target.against is not None:
        words = ["dermaxai", "contrast", "CASE", "--word", target.text, "--against", target.against]
    return shlex.join(words)


def record_maker(
    encoder: AbstractEncoder,
    captioner: Captioner | None,
    settings: Settings,
    *,
    asked: Mapping[str, str],
    command: str,
) -> Provenance:
    """Versions, weights, settings and device; `asked` holds what was asked of this photo."""
    own = {
        "beams": str(settings.beams),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "encoder revision": encoder.card.revision,
        "threads": str(settings.threads or torch.get_num_threads()),
    }
    licences = [encoder.card.licence]
    if captioner is not None:
        licences.append(str(captioner.config.tables.get("licence", "")))
    return Provenance(
        dermaxai=version("dermaxai"),
        encoder=encoder.card.name,
        encoder_sha256=encoder.sha256,
        captioner=captioner_name(captioner),
        captioner_sha256=captioner.sha256 if captioner else "",
        settings={name: value for name, value in (own | dict(asked)).items() if value},
        versions=dict(library_versions()),
        device=device_name(encoder.device),
        seed=settings.seed,
        licence="; ".join(dict.fromkeys(filter(None, licences))),
        command=command,
    )


def captioner_name(captioner: Captioner | None) -> str:
    """What the captioner calls itself, else the encoder it reads; '' without one."""
    if captioner is None:
        return ""
    return str(captioner.config.tables.get("name") or captioner.config.encoder)


def device_name(device: torch.device) -> str:
    """The device and, for CUDA, its model, on which the last bits depend."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


@contextmanager
def repeatable(settings: Settings) -> Iterator[None]:
    """Within: fixed seed, fixed number of threads, deterministic kernels. Afterwards all is as before."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # Where a device has no deterministic kernel the case is made all the same, and carries the warning.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        torch.set_num_threads(threads)


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Collects the texts of warnings that concern the reader of a case, each once.

    They are those of this package, and those of torch about results that may differ in the last bits; what
    libraries tell programmers is left out.
    """
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += dict.fromkeys(str(entry.message).strip() for entry in caught if _concerns_readers(entry))


def _concerns_readers(entry: warnings.WarningMessage) -> bool:
    own = Path(entry.filename).is_relative_to(Path(__file__).parent)
    return own or "deterministic" in str(entry.message)
