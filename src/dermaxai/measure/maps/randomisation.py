"""Randomisation: a map must change when the weights are drawn again, and when the text is another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from dermaxai.errors import SettingError
from dermaxai.explain.base import AbstractMethod, Explained
from dermaxai.measure.maps.again import Values, ask_again, by_method, mean_of_known, rank_correlation
from dermaxai.measure.maps.base import AbstractMapMetric, Subject
from dermaxai.measure.maps.rivals import rivals_of_all
from dermaxai.measure.randomising import encode_again, with_random_weights
from dermaxai.measure.scale import Scale
from dermaxai.progress import steps
from dermaxai.types import HeatMap, Target

DRAWS = 3
"""Models with random weights; one alone may happen to resemble the trained one."""
SIMILARITY_UNIT = "rank correlation"


@final
class ModelRandomisation(AbstractMapMetric):
    """How much of a map is left when the weights are drawn again: the size of Spearman's rank correlation.

    All blocks of the vision tower and, for words, the captioner's bridge are drawn again on a copy, `DRAWS`
    times; the mean over the draws. The values are compared as they are, signed. The sign of the correlation
    is dropped: drawn weights turn a map's sign by chance, and a map that comes back upside down has kept its
    shape. 0: nothing is left; 1: the map does not need what was learned. A caption is not written again.

    Unrelated maps that are smooth correlate by chance; about 0.1 to 0.2 is what they have on 14 x 14 patches.
    NaN where a map is constant.

    Source: arXiv:1810.03292, section 3; all layers at once, as in arXiv:2401.06465 ("Efficient MPRT").
    """

    scale = Scale(
        "model_randomisation",
        "Model randomisation",
        "lower",
        SIMILARITY_UNIT,
        0.0,
        1.0,
        "arXiv:1810.03292, section 3",
    )
    needs = frozenset({"method"})

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One correlation per map. Raises: NotSupported without the methods or the photo's pixels."""
        rows = [similarity_to_random(subject, maps, draw) for draw in steps(range(DRAWS))] if maps else []
        return [mean_of_known([abs(row[place]) for row in rows]) for place in range(len(maps))]


def similarity_to_random(
    subject: Subject, maps: Sequence[HeatMap], draw: int = 0, *, blocks: int | None = None
) -> list[float]:
    """Spearman's rank correlation of each map with that of one random model, signed; as `cascade`."""
    model = with_random_weights(subject.model, subject.protocol.seed + draw, blocks=blocks)
    found = ask_again(subject, maps, encode_again(model.encoder, subject.encoded), model)
    return [
        rank_correlation(heat.values.astype(np.float64), other)
        for heat, other in zip(maps, found, strict=True)
    ]


def cascade(
    subject: Subject, maps: Sequence[HeatMap], depths: Sequence[int] | None = None, draw: int = 0
) -> Float[np.ndarray, "depths maps"]:
    """The same, while more and more is drawn again from the output towards the photo.

    `depths`: how many blocks of the vision tower, from the last one on; None: 0, 1, … all. The bridge is
    drawn at every depth, so that at 0 maps of words have lost it already, and others are as they were.
    Raises: SettingError for a depth that the tower has not.
    Source: cascading randomisation (arXiv:1810.03292, section 3.1).
    """
    count = len(subject.model.encoder.tower.blocks)
    chosen = range(count + 1) if depths is None else depths
    if any(not 0 <= depth <= count for depth in chosen):
        raise SettingError(f"The tower has {count} blocks; depths are 0 to {count}, not {list(chosen)}.")
    rows = [similarity_to_random(subject, maps, draw, blocks=depth) for depth in steps(chosen)]
    return np.array(rows).reshape(len(chosen), len(maps))


@final
class TextRandomisation(AbstractMapMetric):
    """How alike the maps of a question and of a wrong one are: Spearman's rank correlation, -1 to 1.

    Wrong questions are those of the subject's `rivals`, or chosen as `rivals.rivals_of` says; the mean over
    them. 1: the map is the same whatever is asked. Below 0 is no merit, but no fault either. NaN where a map
    is constant or there is no wrong question.

    Source: the text's counterpart of arXiv:1810.03292 (there: other labels, section 3.3).
    """

    scale = Scale(
        "text_randomisation",
        "Text randomisation",
        "lower",
        SIMILARITY_UNIT,
        -1.0,
        1.0,
        "after arXiv:1810.03292",
    )
    needs = frozenset({"method"})

    def measure(self, subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
        """One correlation per map. Raises: NotSupported without the methods."""
        rivals = rivals_of_all(subject, [heat.target for heat in maps])
        wrong = _wrong_maps(
            subject,
            maps,
            {target: [(one.model, one.target) for one in found] for target, found in rivals.items()},
        )
        return [
            mean_of_known([rank_correlation(heat.values.astype(np.float64), other) for other in found])
            for heat, found in zip(maps, wrong, strict=True)
        ]


def _wrong_maps(
    subject: Subject, maps: Sequence[HeatMap], rivals: dict[Target, list[tuple[Explained, Target]]]
) -> list[list[Values]]:
    """The maps of the wrong questions of each map; each method is asked once per model."""
    found: list[list[Values]] = [[] for _ in maps]
    for method, places in steps(by_method(subject, maps)):
        wanted = [pair for place in places for pair in rivals[maps[place].target]]
        answers = _answers(method, subject, wanted)
        for place in places:
            found[place] = [answers[id(model), target] for model, target in rivals[maps[place].target]]
    return found


def _answers(
    method: AbstractMethod, subject: Subject, wanted: Sequence[tuple[Explained, Target]]
) -> dict[tuple[int, Target], Values]:
    models = {id(model): model for model, _ in wanted}
    answers: dict[tuple[int, Target], Values] = {}
    for key, model in steps(models.items()):
        targets = list(dict.fromkeys(target for other, target in wanted if other is model))
        maps = method.explain(model, subject.encoded, targets)
        answers |= {(key, heat.target): heat.values.astype(np.float64) for heat in maps}
    return answers
