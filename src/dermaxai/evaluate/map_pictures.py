"""Maps drawn over single photos, for the pages of the worst and the best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.ndimage import binary_dilation

from dermaxai.errors import DermaXAIError
from dermaxai.evaluate.explanation_photo import Photo, answer_all, ask_photo
from dermaxai.evaluate.explanation_plan import ExplanationPlan, contestants_of
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.known_concepts import ConceptSet
from dermaxai.evaluate.pages import SIDE, Drawing
from dermaxai.overlay import draw_overlay, is_empty, is_signed, own_range
from dermaxai.provenance import kept_warnings, repeatable
from dermaxai.types import HeatMap

if TYPE_CHECKING:
    from dermaxai.pipeline import Model

MOST_QUESTIONS = 3
"""Of each kind; of words those that owe most to the photo."""
MOST_CONTESTANTS = 4
OUTLINE = (255, 255, 255)


@final
@dataclass(frozen=True, slots=True, eq=False)
class MapPictures:
    """Draws the maps of a photo, asked anew: records keep numbers, not maps."""

    model: Model
    plan: ExplanationPlan
    concepts: ConceptSet

    def __call__(self, item: Item) -> list[Drawing]:
        """A drawing per question and contestant without baselines; none of a photo that fails."""
        words = min(self.plan.most_words or MOST_QUESTIONS, MOST_QUESTIONS)
        methods = tuple(dict.fromkeys(self.plan.methods))[:MOST_CONTESTANTS]
        plan = replace(self.plan, methods=methods, baselines=(), most_words=words)
        try:
            with kept_warnings(), repeatable(self.model.settings):
                photo = ask_photo(self.model, item, plan, self.concepts)
                return list(_drawings(_first_of_each(photo), plan))
        except DermaXAIError:
            return []


def _first_of_each(photo: Photo) -> Photo:
    kinds = dict.fromkeys(one.condition for one in photo.asked)
    chosen = [[one for one in photo.asked if one.condition == kind][:MOST_QUESTIONS] for kind in kinds]
    return replace(photo, asked=[one for some in chosen for one in some])


def _drawings(photo: Photo, plan: ExplanationPlan) -> Iterator[Drawing]:
    """Question by question, so that contestants stand side by side; before them the outline."""
    if photo.mask is not None:
        whose = "an expert's" if photo.outline == "expert" else "measured by this program"
        yield Drawing("", f"outline of the lesion, {whose}", _outlined(photo, photo.image.pixels))
    maps, _ = answer_all(photo, contestants_of(plan))
    caption = photo.model.caption
    for place, asked in enumerate(photo.asked):
        heading = f"{asked.condition} \u201c{asked.target.text}\u201d"
        if caption is not None and asked.condition == "word":
            heading += f" of \u201c{caption.text}\u201d"
        for name, row in maps.items():
            heat = row[place]
            if heat is not None:
                drawn = _outlined(photo, draw_overlay(photo.image, heat))
                yield Drawing(heading, f"{name}: {_span(heat)}", drawn)


def _span(heat: HeatMap) -> str:
    """What the colours reach to."""
    if is_empty(heat):
        return "says nothing"
    low, high = own_range(heat, signed=is_signed(heat))
    return f"{low:.2g} to {high:.2g} ({heat.scalar})".replace("-", "\u2212", int(low < 0))


def _outlined(
    photo: Photo, pixels: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Small, with a line around the lesion where there is an outline."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    drawn = np.array(picture)
    if photo.mask is not None:
        drawn[_line(photo.mask, picture.size)] = OUTLINE
    return drawn


def _line(mask: Bool[np.ndarray, "height width"], size: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    """Two pixels around the lesion; `size` is width and height."""
    small = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), bool)
    line: Bool[np.ndarray, "rows columns"] = binary_dilation(small, iterations=2) & ~small
    return line
