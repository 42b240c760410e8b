"""Whether a photo is outside what a model knows: two distances from its training photos, two thresholds.

One distance is of plain statistics of the pixels, the other of the encoder's features. Noise, documents and
flat colours are far in the first, objects with the colours of skin in the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from scipy import ndimage
from torch import Tensor

from dermaxai.colour import to_frame, to_lab
from dermaxai.errors import SettingError, ShapeError
from dermaxai.types import Encoded, Outside, SkinImage

FALSE_FLAGS = 0.03
"""Share of dermoscopic photos that may be flagged, both distances together."""
PREFIX = "outside."
"""Of the rule's tensors among a captioner's statistics."""
ABOVE = 1 + 1e-9
"""A photo on the threshold is not beyond it, whatever the last digit."""
FLOOR = 0.05
"""Gradient energy, squared CIELAB units, below which a picture counts as smooth."""

STATISTICS = (
    "lightness mean", "lightness spread", "lightness 5 %", "lightness 95 %",
    "green-red mean", "green-red spread", "green-red 98 %",
    "blue-yellow mean", "blue-yellow spread", "blue-yellow 2 %", "blue-yellow 98 %",
    "chroma mean", "grey share", "white share", "black share", "foreign hue share",
    "fine gradient", "coarse gradient", "colour gradient", "direction",
)  # fmt: skip
"""What `describe_photo` gives, in this order."""


def describe_photo(pixels: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "statistics"]:
    """The `STATISTICS` of the centred square at 112 px; CIELAB units, roots of shares, logs of energies."""
    frame = to_frame(pixels).astype(np.uint16)
    small = (frame[::2, ::2] + frame[1::2, ::2] + frame[::2, 1::2] + frame[1::2, 1::2] + 2) // 4
    lab = to_lab(small.astype(np.uint8)).astype(np.float64)
    return np.concatenate([_colours(lab), _edges(lab)])


def _colours(lab: Float[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "16"]:
    light, green_red, blue_yellow = (lab[..., channel].ravel() for channel in range(3))
    chroma = np.hypot(green_red, blue_yellow)
    values = [light.mean(), light.std(), *np.percentile(light, (5, 95))]
    values += [green_red.mean(), green_red.std(), np.percentile(green_red, 98)]
    values += [blue_yellow.mean(), blue_yellow.std(), *np.percentile(blue_yellow, (2, 98))]
    foreign = (chroma > 8) & ((green_red < -2) | (blue_yellow < -0.6 * np.maximum(green_red, 0) - 4))
    shares = (chroma < 4, (light > 94) & (chroma < 8), light < 10, foreign)
    return np.array([*values, chroma.mean(), *(np.sqrt(share.mean()) for share in shares)])


def _edges(lab: Float[np.ndarray, "h w 3"]) -> Float64[np.ndarray, "4"]:
    """Energies at two scales, and how much stronger one direction is than the other, as in lines of text."""
    light = lab[..., 0]
    rows, columns = (float((np.diff(light, axis=axis) ** 2).mean()) for axis in (0, 1))
    coarse = np.gradient(ndimage.gaussian_filter(light, 4.0)[::4, ::4])
    colour = sum(float((np.diff(lab[..., 1:], axis=axis) ** 2).mean()) for axis in (0, 1))
    energies = (rows + columns, sum(float((slope**2).mean()) for slope in coarse), colour)
    direction = abs(np.log((rows + FLOOR) / (columns + FLOOR)))
    return np.array([*(np.log(energy + FLOOR) for energy in energies), direction])


def describe_features(tail_input: Float[Tensor, "tokens width"]) -> Float64[np.ndarray, "features"]:
    """Mean of the tokens that enter the encoder's last block.

    Behind it everything is turned towards lesions, and strangers come nearer.
    """
    return tail_input.detach().float().mean(dim=0).cpu().double().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Photos as the rule sees them, one row each."""

    photo: Float64[np.ndarray, "n statistics"]
    features: Float64[np.ndarray, "n features"]


def describe(encoded: Encoded, image: SkinImage) -> Samples:
    """One photo as a sample of one row."""
    return Samples(describe_photo(image.pixels)[None], describe_features(encoded.tail_input)[None])


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """A cloud of training photos; distance 1 lies on its threshold."""

    mean: Float64[np.ndarray, "d"]
    whitening: Float64[np.ndarray, "d d"]
    """Divided by the threshold, so that the threshold of the distance is 1."""

    def distance(self, rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n"]:
        """Mahalanobis distance over the threshold. Raises: ShapeError for rows of another width."""
        if rows.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"The rule for photos outside knows rows of {len(self.mean)} numbers, not {rows.shape[1:]}.",
                hint="Use the encoder it was measured with.",
            )
        return np.asarray(np.linalg.norm((rows - self.mean) @ self.whitening, axis=1))

    def scaled(self, threshold: float) -> Ellipsoid:
        """The same cloud with its threshold at `threshold`."""
        return Ellipsoid(self.mean, self.whitening / threshold)

    @classmethod
    def fit(cls, rows: Float64[np.ndarray, "n d"]) -> Ellipsoid:
        """Mean and shrunk covariance of standardised rows; the threshold is still 1."""
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.maximum(spread, 0.01 * max(float(np.median(spread)), 1e-9))
        covariance = shrink_covariance((rows - mean) / spread)
        # The rows of the whitening carry the standardisation: |L^T (x - m) / s| with L L^T = C^-1.
        whitening = np.linalg.cholesky(np.linalg.inv(covariance)) / spread[:, None]
        return cls(mean, whitening)


def shrink_covariance(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "d d"]:
    """Covariance of centred rows, shrunk towards a multiple of the identity.

    Source: Ledoit & Wolf 2004, doi 10.1016/S0047-259X(03)00096-4, equation 14 with lemmas 3.2 to 3.5.
    """
    count, width = rows.shape
    sample = rows.T @ rows / count
    target = np.eye(width) * (np.trace(sample) / width)
    distance = float(((sample - target) ** 2).sum())
    fourth = float(((rows**2).sum(axis=1) ** 2).sum())
    error = (fourth - count * float((sample**2).sum())) / count**2
    share = min(max(error / distance, 1e-3), 1.0) if distance > 0 else 1.0
    return np.asarray(share * target + (1 - share) * sample)


@dataclass(frozen=True, slots=True, eq=False)
class OutsideRule:
    """A photo is outside if its pixels or its features are farther than their threshold."""

    photo: Ellipsoid
    features: Ellipsoid
    counts: tuple[int, int]
    """Training photos measured, validation photos that set the thresholds."""
    false_flags: float
    """Share of the validation photos beyond the thresholds."""

    def score(self, samples: Samples) -> Float64[np.ndarray, "n"]:
        """The larger of the two distances, each over its threshold."""
        distances = self.photo.distance(samples.photo), self.features.distance(samples.features)
        return np.asarray(np.maximum(*distances))

    def check(self, encoded: Encoded, image: SkinImage) -> Outside:
        """The rule's answer for one photo. Raises: ShapeError for another encoder's features."""
        score = float(self.score(describe(encoded, image))[0])
        return Outside(flag=score > 1.0, score=score, threshold=1.0, rule=self.words)

    @property
    def words(self) -> str:
        """The rule as a sentence."""
        return (
            f"farther (Mahalanobis) from {self.counts[0]} training photos than {1 - self.false_flags:.1%} of "
            f"{self.counts[1]} validation photos, in {len(self.photo.mean)} pixel statistics "
            f"or in {len(self.features.mean)} encoder features"
        )

    @classmethod
    def fit(cls, train: Samples, validation: Samples, *, false_flags: float = FALSE_FLAGS) -> OutsideRule:
        """Clouds from `train`; both thresholds at one quantile, so that together they flag `false_flags`.

        Raises: SettingError for a rate that this many validation photos cannot show.
        """
        count = len(validation.photo)
        if not 1 <= false_flags * count < count:
            raise SettingError(
                f"{count} validation photos cannot set a rate of {false_flags}.",
                hint="Give at least one photo per false flag that is allowed.",
            )
        clouds = Ellipsoid.fit(train.photo), Ellipsoid.fit(train.features)
        distances = clouds[0].distance(validation.photo), clouds[1].distance(validation.features)
        first, second = (one.argsort(kind="stable").argsort(kind="stable") for one in distances)
        ranks = np.maximum(first, second)
        kept = int(np.sort(ranks)[count - 1 - int(false_flags * count)])
        photo, features = (
            cloud.scaled(float(np.sort(one)[kept]) * ABOVE)
            for cloud, one in zip(clouds, distances, strict=True)
        )
        rule = cls(photo, features, (len(train.photo), count), false_flags)
        flagged = float((rule.score(validation) > 1.0).mean())
        return cls(photo, features, rule.counts, flagged)

    def to_tensors(self) -> dict[str, Tensor]:
        """What `from_tensors` makes the same rule of, float64, names beginning with `PREFIX`."""
        table = {
            "photo.mean": self.photo.mean,
            "photo.whitening": self.photo.whitening,
            "features.mean": self.features.mean,
            "features.whitening": self.features.whitening,
            "counts": np.array([*self.counts, self.false_flags], np.float64),
        }
        return {PREFIX + name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in table.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> OutsideRule | None:
        """The rule among a captioner's statistics, or None where there is none."""
        if PREFIX + "counts" not in tensors:
            return None

        def value(name: str) -> Float64[np.ndarray, "..."]:
            return tensors[PREFIX + name].detach().cpu().double().numpy()

        photo, features = (
            Ellipsoid(value(f"{part}.mean"), value(f"{part}.whitening")) for part in ("photo", "features")
        )
        train, validation, false_flags = value("counts").tolist()
        return cls(photo, features, (int(train), int(validation)), float(false_flags))
