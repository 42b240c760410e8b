"""Phantoms: drawn dermoscopic photos whose lesions, colours, border and symmetry are known exactly."""

from dermaxai.phantom.draw import Phantom, draw_phantom
from dermaxai.phantom.measures import border_roughness, mirror_overlap
from dermaxai.phantom.plan import COLOURS, SIZE_SHARES, PhantomPlan, caption_plan, sample_plans

__all__ = [
    "COLOURS",
    "SIZE_SHARES",
    "Phantom",
    "PhantomPlan",
    "border_roughness",
    "caption_plan",
    "draw_phantom",
    "mirror_overlap",
    "sample_plans",
]
