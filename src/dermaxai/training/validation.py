"""How good a state is: the loss on photos it did not learn from, and the facts that its captions state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final

import numpy as np
import torch
from jaxtyping import Int

from dermaxai.captioner.agreement import LEAD
from dermaxai.captioner.model import Captioner
from dermaxai.statements.reading import read_clinical
from dermaxai.training.material import Material, Reading
from dermaxai.training.steps import Team, collate, precision
from dermaxai.types import Language


class Check(Protocol):
    """Something that tells a better state from a worse one."""

    def measure(self, captioner: Captioner) -> dict[str, float]:
        """Figures of a state; among them 'goal', which is higher for a better one."""


@final
class Validation:
    """Photos as they are, with their plainest captions, shared out to the processes.

    Args: rows of `material`; batch, photos at once; facts, whether captions are written and read as well.
    """

    def __init__(
        self,
        material: Material,
        rows: Int[np.ndarray, "n"],
        team: Team,
        *,
        batch: int = 32,
        facts: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._material, self._rows, self._team = material, rows, team
        self._batch, self._facts, self._dtype = batch, facts, dtype

    def measure(self, captioner: Captioner) -> dict[str, float]:
        """'loss' in nats per token, 'tokens', 'facts' where asked for, and 'goal' of the two.

        'facts': share of the facts in the plainest captions that greedy captions state alike.
        """
        was_training = captioner.training
        captioner.eval()
        with torch.inference_mode(), own_words(captioner):
            sums = [self._measure(captioner, reading) for reading in self._readings()]
        captioner.train(was_training)
        own = np.sum(sums, axis=0) if sums else np.zeros(4)
        loss, tokens, right, stated = self._team.total(own.tolist())
        figures = {"loss": loss / max(tokens, 1), "tokens": tokens}
        if self._facts:
            figures["facts"] = right / max(stated, 1)
        return {**figures, "goal": figures.get("facts", -figures["loss"])}

    def _readings(self) -> Iterator[Reading]:
        own = self._rows[self._team.rank :: self._team.world]
        return (self._material.plain(own[at : at + self._batch]) for at in range(0, len(own), self._batch))

    def _measure(self, captioner: Captioner, reading: Reading) -> tuple[float, float, float, float]:
        patches = reading.patches.to(self._team.device).float()
        with precision(self._team.device, self._dtype):
            part = collate(captioner, reading, patches)
            loss = float(captioner(part.patches, part.batch)) * part.tokens
            right, stated = _facts(captioner, reading, patches) if self._facts else (0, 0)
        return loss, float(part.tokens), float(right), float(stated)


def _facts(captioner: Captioner, reading: Reading, patches: torch.Tensor) -> tuple[int, int]:
    """Facts rightly stated, and facts to be stated."""
    right = stated = 0
    for language in dict.fromkeys(reading.languages):
        places = [place for place, one in enumerate(reading.languages) if one == language]
        told = captioner.describe_patches(patches[[reading.photos[place] for place in places]], language)
        for place, caption in zip(places, told, strict=True):
            wanted = _stated(reading.texts[place], language)
            found = _stated(caption.text, language)
            stated += len(wanted)
            right += len(wanted & found)
    return right, stated


def _stated(text: str, language: Language) -> set[tuple[str, str, bool]]:
    """Each fact with whether it is denied."""
    mentions = read_clinical(text, language).mentions
    return {(one.slot, one.value, one.polarity == "negated") for one in mentions}


@contextmanager
def own_words(captioner: Captioner) -> Iterator[None]:
    """Captions as the decoder writes them, none brought into agreement with another language."""
    config = captioner.config
    tables = {name: value for name, value in config.tables.items() if name != LEAD}
    captioner.config = config.with_changes(tables=tables)
    try:
        yield
    finally:
        captioner.config = config
