"""Maps that know nothing of the model: what every method has to beat."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Float

from dermaxai.errors import SettingError
from dermaxai.explain.base import SIMILARITY, WORDS, AbstractMethod, Answer, Explained
from dermaxai.explain.shared import input_pixels
from dermaxai.types import Encoded, Target

RANDOM, GAUSSIAN, EDGES = "random map", "centred Gaussian", "edge map"
"""Names of the baselines, in maps and tables."""
WIDTH_OF_GAUSSIAN = 0.25
"""Standard deviation, as a share of the distance between the outermost cells of the grid."""
LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of red, green and blue (ITU-R BT.709)."""
NOWHERE = "none"
"""What a map without a model differentiates, and the layer it reads."""


@final
class RandomMap(AbstractMethod):
    """Uniform noise, 0 to 1: an independent map for every photo and every question.

    Drawn from the seed, the photo's content and the question, so that neither the order of photos nor what
    else is asked changes a map; a photo that changes by one bit has another one.
    """

    name = RANDOM
    title = "Random map"
    signed = False
    answers = WORDS | SIMILARITY
    layer = NOWHERE
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"uniform": {}}

    def __init__(self, *, seed: int = 0) -> None:
        """Raises: SettingError for a negative seed."""
        if seed < 0:
            raise SettingError(f"A seed is 0 or more, not {seed}.")
        self.seed = seed

    @property
    def variant(self) -> str:
        """With the seed where it is not 0."""
        return f"uniform, seed {self.seed}" if self.seed else "uniform"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        photo = _fingerprint(encoded)
        values = [self._draw(photo, target, encoded.grid) for target in targets]
        return Answer(torch.from_numpy(np.stack(values)), [NOWHERE] * len(targets), self.layer)

    def _draw(self, photo: bytes, target: Target, grid: tuple[int, int]) -> Float[np.ndarray, "n"]:
        asked = repr((target.kind, target.text, target.word, target.against)).encode()
        key = np.frombuffer(hashlib.sha256(photo + asked).digest(), np.uint32)
        return np.random.default_rng([self.seed, *key.tolist()]).random(grid[0] * grid[1])


@final
class CentredGaussian(AbstractMethod):
    """A hill in the middle of the square that the encoder sees, 0 to 1: lesions are photographed centred."""

    name = GAUSSIAN
    title = "Centred Gaussian"
    signed = False
    answers = WORDS | SIMILARITY
    layer = NOWHERE
    reads_question = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quarter": {}}
    variant = "quarter"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        values = torch.from_numpy(gaussian_values(encoded.grid).ravel())
        return Answer(values.expand(len(targets), -1), [NOWHERE] * len(targets), self.layer)


@final
class EdgeMap(AbstractMethod):
    """Where the photo has edges: length of the Sobel gradient of its luminance, mean per patch, 0 or more.

    In the pixels that entered the tower, with their normalisation undone. A method that looks like this one
    may show the photo's edges instead of the model's reasons.

    Source: Adebayo et al. (arXiv:1810.03292), the edge detector; Sobel filter with nearest pixels at the rim.
    """

    name = EDGES
    title = "Edge map"
    signed = False
    answers = WORDS | SIMILARITY
    layer = "pixels"
    reads_question = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"sobel": {}}
    variant = "sobel"

    def _answer(self, model: Explained, encoded: Encoded, targets: Sequence[Target]) -> Answer:
        pixels = input_pixels(model.encoder, encoded)[0].detach().to("cpu", torch.float64).numpy()
        mean, std = (
            np.array(values)[:, None, None] for values in (model.encoder.card.mean, model.encoder.card.std)
        )
        edges = edge_strength(np.einsum("c,cyx->yx", LUMA, pixels * std + mean))
        values = torch.from_numpy(_mean_per_patch(edges, encoded.grid, model.encoder.tower.patch))
        return Answer(values.expand(len(targets), -1), [NOWHERE] * len(targets), self.layer)


def gaussian_values(grid: tuple[int, int]) -> Float[np.ndarray, "rows columns"]:
    """exp(-d² / (2 `WIDTH_OF_GAUSSIAN`²)), d being the distance from the centre, both sides of length 1."""
    down, across = (np.linspace(-0.5, 0.5, side) for side in grid)
    distance = down[:, None] ** 2 + across[None] ** 2
    hill: Float[np.ndarray, "rows columns"] = np.exp(-distance / (2 * WIDTH_OF_GAUSSIAN**2))
    return hill


def edge_strength(light: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Length of the Sobel gradient, in units of `light`."""
    from scipy.ndimage import sobel

    strength: Float[np.ndarray, "height width"] = np.hypot(
        sobel(light, axis=0, mode="nearest"), sobel(light, axis=1, mode="nearest")
    )
    return strength


def _mean_per_patch(
    values: Float[np.ndarray, "height width"], grid: tuple[int, int], patch: int
) -> Float[np.ndarray, "n"]:
    """The rim that the patch grid leaves right and below counts nowhere."""
    rows, columns = grid
    seen = values[: rows * patch, : columns * patch]
    return np.asarray(seen.reshape(rows, patch, columns, patch).mean((1, 3)).ravel())


def _fingerprint(encoded: Encoded) -> bytes:
    """Of what entered the tower, or of the tokens entering the last block where that was not kept."""
    content = encoded.tail_input if encoded.pixels is None else encoded.pixels
    return hashlib.sha256(content.detach().float().cpu().contiguous().numpy().tobytes()).digest()
