"""What a word loses when patches are taken away: the decoder's score with and without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dermaxai.errors import SettingError
from dermaxai.explain.agreement import compare_maps
from dermaxai.explain.base import Explained, speaker, without_dropout
from dermaxai.explain.shared import AT_ONCE
from dermaxai.explain.word_gradients import Questions, Scalar, ask
from dermaxai.progress import steps
from dermaxai.types import Encoded, HeatMap

if TYPE_CHECKING:
    from dermaxai.captioner.model import Captioner

PASSES = 14 * 14
"""By default no more groups of patches than this are hidden, one after the other."""


def group_patches(grid: tuple[int, int], cells: int | None = None) -> Int[Tensor, "n"]:
    """Which group each patch belongs to, row-major: at most `cells` groups along each side of the photo.

    None: every patch alone up to 14 x 14, otherwise the smallest squares of patches that need no more groups.
    Raises: SettingError for a single group.
    """
    if (cells is not None and cells < 2) or grid == (1, 1):
        raise SettingError(
            f"Occlusion hides one of several groups of patches; {cells} along each side of a grid of "
            f"{grid[0]} x {grid[1]} leaves nothing to look at."
        )
    square = 1
    while cells is None and -(-grid[0] // square) * -(-grid[1] // square) > PASSES:
        square += 1
    rows, columns = (min(side, cells or -(-side // square)) for side in grid)
    down, right = (
        torch.arange(side) * count // side for side, count in zip(grid, (rows, columns), strict=True)
    )
    return (down[:, None] * columns + right).flatten()


def spread_evenly(
    changes: Float[Tensor, "questions groups"], groups: Int[Tensor, "n"]
) -> Float[Tensor, "questions n"]:
    """What each group counts, shared out equally among its patches, so that the sum stays."""
    return (changes / torch.bincount(groups).to(changes))[:, groups.to(changes.device)]


def word_occlusion(
    captioner: Captioner,
    questions: Questions,
    language: str,
    patches: Float[Tensor, "n width"],
    groups: Int[Tensor, "n"],
    scalar: Scalar = "log-probability",
) -> Float[Tensor, "questions n"]:
    """Each question's score with all patches minus that without a patch's group; signed, in nats.

    Groups are masked out of the Q-Former's keys and values, which is the same as if they were not there. The
    text is given (teacher forcing), and all questions look at the same readings.
    """
    kept = torch.ones(int(groups.max()) + 2, len(groups), dtype=torch.bool)
    kept[1:] = groups != torch.arange(len(kept) - 1)[:, None]
    scores = []
    with torch.no_grad(), without_dropout(captioner):
        for some in steps(torch.split(kept.to(captioner.device), max(1, AT_ONCE // (4 * patches.numel())))):
            # The Q-Former must get every photo it is asked about: one for many masks is read wrongly.
            queries = captioner.read(patches.expand(len(some), -1, -1), some)
            scores.append(token_scores(captioner, questions, language, queries, scalar))
    return spread_evenly(losses(questions, torch.cat(scores)), groups)


def losses(
    questions: Questions, scores: Float[Tensor, "readings texts length"]
) -> Float[Tensor, "questions groups"]:
    """By how much each question's score falls from the first reading to each of the others."""
    return torch.einsum("qtl,rtl->qr", questions.weights, scores[:1] - scores[1:])


@torch.no_grad()
def token_scores(
    captioner: Captioner,
    questions: Questions,
    language: str,
    queries: Float[Tensor, "readings queries d_model"],
    scalar: Scalar = "log-probability",
) -> Float[Tensor, "readings texts length"]:
    """The score of every token of every text for several readings, as `Captioner.read` gives them."""
    texts = questions.token_ids
    scores = []
    at_once = max(1, AT_ONCE // (texts.numel() * captioner.t5.config.vocab_size))
    for some in steps(torch.split(queries, at_once)):
        repeated = texts.repeat(len(some), 1)
        with without_dropout(captioner):
            logits = captioner.logits_of(some, repeated, language).float()
        tokens = logits.gather(2, repeated[:, :, None])[:, :, 0]
        if scalar == "log-probability":
            tokens = tokens - logits.logsumexp(-1)
        scores.append(tokens.reshape(len(some), *texts.shape))
    return torch.cat(scores)


def agreement_with_occlusion(
    model: Explained, encoded: Encoded, maps: Sequence[HeatMap], *, cells: int | None = None
) -> list[float]:
    """Spearman's rank correlation of each map of words with what hiding patches does to the same words.

    Maps are averaged over the groups of patches that are hidden together. NaN where a map is constant.
    Raises: NotSupported without a caption, UsageError, SettingError as `group_patches`.
    """
    captioner, caption = speaker(model)
    groups = group_patches(encoded.grid, cells)
    questions = ask(captioner, caption, [heat.target for heat in maps])
    lost = word_occlusion(captioner, questions, caption.language, encoded.patches, groups).cpu()
    given = torch.stack([torch.from_numpy(heat.values).flatten() for heat in maps])
    sums = lost.new_zeros(len(maps), int(groups.max()) + 1).index_add(1, groups, given)
    pairs = zip(maps, spread_evenly(sums, groups), lost, strict=True)
    return [
        compare_maps(heat.target, [_with(heat, one), _with(heat, other)]).correlations[1]
        for heat, one, other in pairs
    ]


def _with(heat: HeatMap, values: Float[Tensor, "n"]) -> HeatMap:
    return replace(heat, values=values.reshape(heat.values.shape).numpy())
