"""Who made a case, and the conditions under which making it again gives the same bits."""

from __future__ import annotations

import dataclasses
import platform
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dermaxai.errors import NotSupported
from dermaxai.types import Case, Provenance, Target

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.settings import Settings

LIBRARIES = ("torch", "transformers", "open_clip_torch", "timm", "peft", "numpy", "pillow")
"""Those whose change may change a number."""
AND = " && "
"""Between the commands that repeat a case."""
NO_OPTION = "--"
"""Before a text that begins like an option; options stand before it."""
PLACES = frozenset({"offline", "weights"})
"""Settings that say where weights come from; their sha256 says what they are."""
OPTIONS = frozenset({"device", "dtype", "threads", "seed", "beams"})
"""Settings that the commands have an option for; the others are named in the environment."""


@cache
def library_versions() -> dict[str, str]:
    """Python's version and that of each library in `LIBRARIES`; 'not installed' where there is none."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def chosen_settings(settings: Settings) -> dict[str, str]:
    """Settings that differ from their default, without those that say only where weights come from.

    >>> from dermaxai.settings import read_settings
    >>> chosen_settings(read_settings(seed=3, max_pixels=10**6))
    {'seed': '3', 'max_pixels': '1000000'}
    """
    fields = type(settings).model_fields
    values = {name: getattr(settings, name) for name in fields if name not in PLACES}
    return {name: str(value) for name, value in values.items() if value != fields[name].default}


def repeat_command(
    words: Sequence[str],
    options: Mapping[str, str | Sequence[str]],
    settings: Mapping[str, str] | None = None,
) -> str:
    """The command line that repeats a case or a question; empty options are left out.

    The photo's name may identify a person, so it is not in it. `settings` are those of `chosen_settings`.

    >>> repeat_command(["explain", "PHOTO"], {"query": ["blue-white veil"], "source": ""}, {"batch": "2"})
    "DERMAXAI_BATCH=2 dermaxai explain PHOTO --query 'blue-white veil'"
    """
    given = settings or {}
    outer = [f"DERMAXAI_{name.upper()}={value}" for name, value in given.items() if name not in OPTIONS]
    inner = {name: value for name, value in given.items() if name in OPTIONS}
    chosen: dict[str, str | Sequence[str]] = {**options, **inner}
    options_end = words.index(NO_OPTION) if NO_OPTION in words else len(words)
    line = [*outer, "dermaxai", *words[:options_end]]
    for name, value in chosen.items():
        for one in [value] if isinstance(value, str) else value:
            line += [f"--{name}", one] if one else []
    return shlex.join([*line, *words[options_end:]])


def question_words(target: Target) -> list[str]:
    """What `repeat_command` is told of a later question to a case.

    >>> question_words(Target("query", "blue-white veil"))
    ['query', 'CASE', 'blue-white veil']
    >>> question_words(Target("concept", "pigment network")), question_words(Target("query", "-3 mm"))
    (['query', 'CASE', 'pigment network', '--kind', 'concept'], ['query', 'CASE', '--', '-3 mm'])
    """
    if target.against is not None and target.kind in ("word", "phrase"):
        return ["contrast", "CASE", "--word", target.text, "--against", target.against]
    text = [NO_OPTION, target.text] if target.text.startswith("-") else [target.text]
    kind = [] if target.kind == "query" else ["--kind", target.kind]
    rival = [] if target.against is None else ["--against", target.against]
    return ["query", "CASE", *([*kind, *rival, *text] if NO_OPTION in text else [*text, *kind, *rival])]


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
        "encoder revision": encoder.revision,
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


def with_command(
    case: Case,
    command: str,
    noted: Sequence[str],
    encoder: AbstractEncoder,
    **changes: Any,  # noqa: ANN401 - any field of a case
) -> Case:
    """The case with `changes`, the command that makes them, and what was warned of.

    A part made by other weights than the rest of the case is allowed, but said. A command that was given
    before is told again, since what came between may depend on either.
    """
    told = case.made_by.command
    commands = [told] if told == command or told.endswith(AND + command) else [told, command]
    same = case.made_by.encoder_sha256 == encoder.sha256
    stranger = f"Maps were added by the encoder '{encoder.card.name}', {encoder.sha256[:12]}."
    remarks = (*case.warnings, *([] if same else [stranger]), *noted)
    return dataclasses.replace(
        case,
        made_by=dataclasses.replace(case.made_by, command=AND.join(filter(None, commands))),
        warnings=tuple(dict.fromkeys(remarks)),
        **changes,
    )


def check_maker(case: Case, encoder: AbstractEncoder) -> None:
    """Maps are measured on what they explain. Raises: NotSupported unless `encoder` made the case."""
    made = case.made_by
    if made.encoder_sha256 not in ("", encoder.sha256):
        raise NotSupported(
            f"The case was made by the encoder '{made.encoder}', {made.encoder_sha256[:12]}; this one is "
            f"'{encoder.card.name}', {encoder.sha256[:12]}. Its maps explain the other one.",
            hint="Measure with the model that made the case, or explain the photo with this one.",
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
