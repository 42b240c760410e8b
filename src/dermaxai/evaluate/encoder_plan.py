"""What an encoder is asked without a captioner, and everything the answers depend on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from dermaxai.errors import SettingError
from dermaxai.evaluate.class_names import SPELLINGS, Spelling
from dermaxai.evaluate.concept_presence import SCHEMES, Scheme
from dermaxai.evaluate.linear_probe import SHARES
from dermaxai.provenance import device_name, library_versions

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder

Task = Literal["zero_shot", "concepts", "retrieval", "linear_probe"]
TASKS: tuple[Task, ...] = get_args(Task)
OF_TEXTS: tuple[Task, ...] = ("zero_shot", "concepts", "retrieval")
"""Tasks that need a text tower."""


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """Tasks, and how they are put to the encoder."""

    tasks: tuple[Task, ...] = TASKS
    names: Spelling = "authors"
    """How classes are called."""
    templates: tuple[str, ...] = ()
    """Prompts of zero-shot diagnosis with one `{}`; empty: those of the encoder's card, its authors'."""
    scheme: Scheme = "authors"
    """How concepts are asked for."""
    fewest: int = 10
    """Photos that must show a concept, and as many that must not, for its AUROC."""
    shares: tuple[float, ...] = SHARES
    """Of the training photos, for the linear probe."""
    seed: int = 0
    """Of what the probe learns from."""
    cache: Path | None = None
    """Folder for embeddings, shared by all encoders; None: beside the records, or nowhere."""

    def __post_init__(self) -> None:
        unknown = [one for one in self.tasks if one not in TASKS]
        if unknown or not self.tasks:
            raise SettingError(f"Tasks are {', '.join(TASKS)}; not {', '.join(unknown) or 'none'}.")
        if self.names not in SPELLINGS or self.scheme not in SCHEMES:
            raise SettingError(
                f"Names are {', '.join(SPELLINGS)}, schemes {', '.join(SCHEMES)}; "
                f"not '{self.names}', '{self.scheme}'."
            )
        if any(template.count("{}") != 1 for template in self.templates):
            raise SettingError("A template holds {} once.", hint="As 'This is a skin image of {}'.")
        if self.fewest < 1 or self.seed < 0 or not all(0 < one <= 1 for one in self.shares):
            raise SettingError(
                f"'fewest' is 1 or more, shares above 0 and up to 1, a seed 0 or more; not {self.fewest}, "
                f"{self.shares}, {self.seed}."
            )


def encoder_settings(encoder: AbstractEncoder, plan: EncoderPlan) -> dict[str, str]:
    """Everything that a number depends on but the photos, in words."""
    told = {
        "kind": "encoders",
        "encoder": encoder.card.name,
        "encoder sha256": encoder.sha256,
        "tasks": ", ".join(plan.tasks),
        "class names": plan.names,
        "templates": "; ".join(plan.templates) or "of the card",
        "concept prompts": plan.scheme,
        "fewest photos of a concept": str(plan.fewest),
        "shares of the training photos": ", ".join(f"{one:g}" for one in plan.shares),
        "seed": str(plan.seed),
        "device": device_name(encoder.device),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "dermaxai": version("dermaxai"),
        "versions": ", ".join(f"{name} {number}" for name, number in library_versions().items()),
    }
    return {name: value for name, value in told.items() if value}
