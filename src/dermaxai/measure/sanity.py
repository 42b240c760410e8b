"""Sanity: four things that must happen to a map, whatever it shows, if it explains the model at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from dermaxai.errors import UsageError
from dermaxai.explain.evidence import known_mean, visual_evidence
from dermaxai.explain.shared import input_pixels
from dermaxai.measure.estimates import MEAN, Estimate, Statistic, estimate, mean_parts, ratio
from dermaxai.measure.maps.again import Values, ask_again, rank_correlation
from dermaxai.measure.maps.base import Subject
from dermaxai.measure.maps.randomisation import DRAWS, TextRandomisation
from dermaxai.measure.randomising import encode_again, encode_pixels, with_random_weights
from dermaxai.progress import steps
from dermaxai.types import Encoded, HeatMap, Score, Verdict

Outcome = Literal["passed", "failed", "undecided"]
Tell = Callable[[str, int, int], None]
"""Told before each check: which one of which method, how many are done, how many there are."""
VERDICTS: Mapping[Outcome, Verdict] = {"passed": "yes", "failed": "no", "undecided": "undecided"}
FEWEST = 3
"""Maps below which nothing is decided."""
FRAME = 0.1
"""Share of each side of the photo in which skin is looked for."""
RATIO = Statistic("ratio of sums", of_sums=ratio)
CAPTION = "caption"
"""What is judged where it is the captioner itself and no method."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a check asks for."""

    limit: float
    is_upper: bool
    """Whether values below the limit are good."""
    unit: str
    about: str
    """What it means when the check fails, in one sentence."""
    low: float = -1.0
    """The smallest value there can be."""
    high: float = 1.0


RULES: Mapping[str, Rule] = {
    "random_weights": Rule(
        0.2,
        True,
        "rank correlation",
        "A model that has learned nothing gives much the same map, so the map shows the photo or the "
        "architecture and not what was learned.",
        low=0.0,
    ),
    "wrong_question": Rule(
        0.5,
        True,
        "rank correlation",
        "A word or text that does not fit gets much the same map, so the map does not belong to its "
        "question.",
    ),
    "blank_photo": Rule(
        0.5,
        True,
        "rank correlation",
        "A photo of nothing but plain skin gives much the same map, so the map belongs to the frame and not "
        "to the photo.",
    ),
    "mirrored_photo": Rule(
        0.5,
        False,
        "rank correlation",
        "The mirrored photo gives another map than the mirrored map, so the map depends on where things lie "
        "more than on what they are.",
    ),
    "blank_words": Rule(
        0.1,
        True,
        "share of evidence",
        "A photo of nothing but plain skin speaks for the words of the caption too, so they do not rest on "
        "the lesion.",
        low=0.0,
        high=np.inf,
    ),
}
"""The limits, none of them fitted to a model. 0.2: rank correlations below are called negligible. 0.5: two
maps then share a quarter (its square) of their order. 0.1: what plain skin says for the words may be a tenth
of what the photo says, and no more."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one method over the maps of a case."""

    name: str
    """As in `RULES`."""
    method: str
    """'name', or 'name:variant' where a case has several; 'caption' for `blank_words`."""
    value: float
    """NaN where no map could be checked."""
    low: float
    high: float
    """95 % interval over the maps."""
    limit: float
    verdict: Outcome
    """Decided where the whole interval lies on one side of the limit and there are maps enough."""
    unit: str
    n: int
    """Maps, or words, that count."""
    about: str
    """What it means when the check fails; why it could not be made where that is so."""

    @property
    def score(self) -> Score:
        """The same as a case keeps it: `baseline` is the limit."""
        numbers = self.value, self.low, self.high, self.n
        return Score(f"sanity_{self.name}", *numbers, self.method, self.limit, verdict=VERDICTS[self.verdict])


def check_maps(subject: Subject, maps: Sequence[HeatMap], tell: Tell | None = None) -> list[Check]:
    """Every check of every method that made one of `maps`, then that of the words of the caption.

    The subject must hold the methods of the maps. The models are left as they were, bit for bit. Where a
    method cannot be asked again, the check has no value and `about` says why.
    """
    looks: Mapping[str, Callable[[Subject, Sequence[HeatMap]], list[float]]] = {
        "random_weights": left_of_random_weights,
        "wrong_question": TextRandomisation().measure,
        "blank_photo": likeness_of_blank,
        "mirrored_photo": likeness_of_mirrored,
    }
    found: list[Check] = []
    names = _names(maps)
    for (method, variant), name in steps(names.items()):
        own = [heat for heat in maps if (heat.method, heat.variant) == (method, variant)]
        for check, look in steps(looks.items()):
            if tell:
                tell(f"{name}: {check}", len(found), len(names) * len(looks))
            try:
                values = estimate(mean_parts(look(subject, own)), MEAN)
            except UsageError as error:
                nothing = _judge(check, name, Estimate(float("nan"), float("nan"), float("nan"), 0))
                found.append(replace(nothing, about=error.message))
                continue
            values = _as_correlation(values) if check == "random_weights" else values
            found.append(_judge(check, name, values))
    return [*found, *check_words(subject)]


def _names(maps: Sequence[HeatMap]) -> dict[tuple[str, str], str]:
    kinds = list(dict.fromkeys((heat.method, heat.variant) for heat in maps))
    methods = [method for method, _ in kinds]
    return {kind: ":".join(kind) if methods.count(kind[0]) > 1 else kind[0] for kind in kinds}


def _judge(name: str, method: str, found: Estimate) -> Check:
    rule = RULES[name]
    return Check(
        name,
        method,
        found.value,
        found.low,
        found.high,
        rule.limit,
        outcome(rule, found),
        rule.unit,
        found.n,
        rule.about,
    )


def outcome(rule: Rule, found: Estimate) -> Outcome:
    """'passed' or 'failed' where the interval does not hold the limit.

    >>> rule = Rule(0.5, False, "", "")
    >>> [outcome(rule, Estimate(0.6, low, 0.7, n)) for low, n in ((0.55, 9), (0.4, 9), (0.55, 1))]
    ['passed', 'undecided', 'undecided']
    """
    if found.n < FEWEST or np.isnan(found.value):
        return "undecided"
    if rule.is_upper:
        return "passed" if found.high < rule.limit else "failed" if found.low > rule.limit else "undecided"
    return "passed" if found.low > rule.limit else "failed" if found.high < rule.limit else "undecided"


# ---- what is looked at --------------------------------------------------------------------------


def left_of_random_weights(subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
    """Squared rank correlation with the maps of random models, less what unrelated maps would have.

    One number per map, the mean of `DRAWS` models; NaN where the map is constant. Smooth maps correlate by
    chance: the mean square over all shifts and mirrorings of the random map is taken off, so that 0 is
    expected where nothing is left. `_as_correlation` takes the root of the mean over maps.
    """
    rows = []
    for draw in steps(range(DRAWS)):
        model = with_random_weights(subject.model, subject.protocol.seed + draw)
        found = ask_again(subject, maps, encode_again(model.encoder, subject.encoded), model)
        own = [heat.values.astype(np.float64) for heat in maps]
        rows.append([_beyond_chance(one, other) for one, other in zip(own, found, strict=True)])
    # A random model may give a constant map: nothing is left then.
    return [
        float(np.mean([row[place] for row in rows])) if np.ptp(maps[place].values) else float("nan")
        for place in range(len(maps))
    ]


def _beyond_chance(own: Values, other: Values) -> float:
    if not np.ptp(own) or not np.ptp(other):
        return 0.0
    return rank_correlation(own, other) ** 2 - chance_of(own, other)


def chance_of(one: Values, other: Values) -> float:
    """Mean squared rank correlation of a map with all shifts and mirrorings of another, 0 to 1.

    Shifts go round the edges; the map as it lies is one of them and hardly counts.
    """
    from scipy.stats import rankdata

    own, ranks = (rankdata(values.ravel()).reshape(values.shape) for values in (one, other))
    own, ranks = (values - values.mean() for values in (own, ranks))
    size = float((own**2).sum() * (ranks**2).sum())
    flips = (ranks, ranks[::-1], ranks[:, ::-1], ranks[::-1, ::-1])
    # All shifts at once: a correlation in space is a product of spectra.
    spectra = [np.fft.ifft2(np.fft.fft2(own) * np.conj(np.fft.fft2(flip))).real for flip in flips]
    return float(np.mean(np.stack(spectra) ** 2)) / size


def _as_correlation(squared: Estimate) -> Estimate:
    """The root of mean squares; negative ones, by chance, are 0."""
    value, low, high = (
        float(np.sqrt(max(number, 0.0))) if not np.isnan(number) else number
        for number in (squared.value, squared.low, squared.high)
    )
    return Estimate(value, low, high, squared.n)


def likeness_of_blank(subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
    """Rank correlation of each map with that of a photo of plain skin; 0 where that is flat, as it should be.

    NaN for a flat map of the photo itself. Sizes are not compared: a word that the photo makes certain has
    hardly any gradient left, and on plain skin thousands of times as much.
    """
    found = ask_again(subject, maps, blank_photo(subject))
    own = [heat.values.astype(np.float64) for heat in maps]
    return [
        0.0 if np.ptp(one) and not np.ptp(other) else rank_correlation(one, other)
        for one, other in zip(own, found, strict=True)
    ]


def blank_photo(subject: Subject) -> Encoded:
    """A photo of one colour, the median of the frame around the photo, where skin is; encoded."""
    pixels = input_pixels(subject.model.encoder, subject.encoded)[0].float().cpu()
    height, width = pixels.shape[1:]
    inner = torch.zeros(height, width, dtype=torch.bool)
    down, across = max(1, round(FRAME * height)), max(1, round(FRAME * width))
    inner[down : height - down, across : width - across] = True
    colour = pixels[:, ~inner].median(1).values
    (found,) = encode_pixels(
        subject.model.encoder,
        subject.encoded,
        colour[None, :, None, None].expand(1, 3, height, width).clone(),
    )
    return found


def likeness_of_mirrored(subject: Subject, maps: Sequence[HeatMap]) -> list[float]:
    """Rank correlation of each map with that of the mirrored photo, mirrored back; NaN where constant."""
    pixels = input_pixels(subject.model.encoder, subject.encoded).float().cpu()
    (mirrored,) = encode_pixels(subject.model.encoder, subject.encoded, pixels.flip(-1))
    found = ask_again(subject, maps, mirrored)
    return [
        rank_correlation(heat.values.astype(np.float64), other[:, ::-1])
        for heat, other in zip(maps, found, strict=True)
    ]


def check_words(subject: Subject) -> list[Check]:
    """What plain skin says for the words that the photo speaks for; empty without a caption and its mean."""
    captioner, caption = subject.model.captioner, subject.model.caption
    if captioner is None or caption is None or not caption.words:
        return []
    mean = subject.model.mean_patches
    if mean is None and known_mean(captioner) is None:
        return []
    own, blank = (
        visual_evidence(captioner, encoded, caption, mean_patches=mean)
        for encoded in (subject.encoded, blank_photo(subject))
    )
    pairs = [
        (max(other.nats, 0.0), one.nats) for one, other in zip(own, blank, strict=True) if one.from_image
    ]
    parts: Float[np.ndarray, "words 2"] = np.array(pairs, np.float64).reshape(-1, 2)
    return [_judge("blank_words", CAPTION, estimate(parts, RATIO))] if len(parts) else []
