"""A photo as a tower wants it, with the same numbers as open_clip and transformers give."""

from __future__ import annotations

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from dermaxai.encoders.cards import EncoderCard
from dermaxai.geometry import Placement
from dermaxai.types import SkinImage

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def prepare(
    image: SkinImage, card: EncoderCard, covered: int
) -> tuple[Float[Tensor, "3 height width"], Placement]:
    """Resize, crop and normalise a photo (float32), and say which part of it the patch grid covers.

    `covered` is the side of the patch grid in input pixels: 378 of 384 for SigLIP, else `card.image_size`.
    """
    import numpy as np

    photo = Image.fromarray(np.ascontiguousarray(image.pixels))
    width, height = resized_size(photo.size, card)
    top, left = (_margin(length, card) for length in (height, width))
    resized = photo.resize((width, height), _FILTERS[card.interpolation])
    square = resized.crop((left, top, left + card.image_size, top + card.image_size))
    (start_y, length_y), (start_x, length_x) = (
        (start * side / resized_side, covered * side / resized_side)
        for start, side, resized_side in ((top, photo.height, height), (left, photo.width, width))
    )
    place = Placement(photo.height, photo.width, start_y, start_x, length_y, length_x)
    return normalise(square, card), place


def resized_size(size: tuple[int, int], card: EncoderCard) -> tuple[int, int]:
    """(width, height) of the photo after resizing; the long side is rounded down, as torchvision does."""
    if card.resize_mode == "squash":
        return card.image_size, card.image_size
    short = min(size)
    width, height = (int(card.resize_to * side / short) for side in size)
    return width, height


def normalise(square: Image.Image, card: EncoderCard) -> Float[Tensor, "3 height width"]:
    """RGB 0..255 to (RGB / 255 - mean) / std."""
    import numpy as np

    pixels = torch.from_numpy(np.array(square, dtype=np.float32)).permute(2, 0, 1).contiguous() / 255
    mean, std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (card.mean, card.std))
    return (pixels - mean) / std


def _margin(length: int, card: EncoderCard) -> int:
    """Pixels cut off before the centre crop: torchvision rounds half to even, transformers rounds down."""
    spare = length - card.image_size
    return spare // 2 if card.adapter == "hf" else round(spare / 2)
