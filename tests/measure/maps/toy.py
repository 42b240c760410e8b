"""A vision tower whose attributions are known, in genuine parts: an encoder, a tower, blocks that open.

What a photo is to it. A grid of `GRID` x `GRID` patches of `PATCH` pixels. A patch's token is its mean
colour, (red, green, blue), each -1 (none) to 1 (full), 0 for mid grey. Two blocks: the first leaves all
tokens as they are, the last adds the sum of the patches' colours to the class token, which started as
`ANCHOR` along a direction of its own. The embedding is the class token:
(`ANCHOR`, Σ red, Σ green, Σ blue, 0, …).

What a text is to it. 'red', 'green', 'blue' (the first of these words in the text) are the unit vectors of
these three; 'cyan', 'magenta', 'yellow' their opposites; any other text is a fixed direction drawn from its
letters, within the colours.

What is exact, with S = a set of patches that are left (tokens dropped), c_i = a patch's evidence for the
question (its colour times the direction) and L(S) = |embedding|:

* cosine(S) = Σ_{i in S} c_i / L(S), with ANCHOR <= L(S) and L(S)/ANCHOR - 1 <= (Σ|colours| / ANCHOR)² / 2.
  With `ANCHOR` = 1000 and fewer than 36 · √3 units of colour that is below 0.002: additive within 0.2 %.
* The true attribution of a patch is c_i / L(all), whatever other patches are there: removal, gradient times
  input, Shapley values and integrated gradients against grey agree on it within the same 0.2 %.
* A patch's pixels set to grey or its token dropped is the same thing. Set to another colour x it loses
  c_i - c(x): still additive, against another baseline.
* A blur or a fill from neighbours mixes colours of neighbours, so that it is only nearly additive.

`truth` gives the attributions; `Occlusion(where="input")` computes them with the real method.
"""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from dermaxai.encoders import tail
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.encoders.cards import read_card
from dermaxai.explain.base import Explained
from dermaxai.explain.occlusion import Occlusion
from dermaxai.geometry import Placement
from dermaxai.measure.maps.base import Protocol, Subject
from dermaxai.types import HeatMap, SkinImage, Target

GRID, PATCH, WIDTH, ANCHOR = 6, 8, 8, 1000.0
SIDE = GRID * PATCH
COLOURS = ("red", "green", "blue")
OPPOSITES = ("cyan", "magenta", "yellow")
GREY = 127.5
"""Not a value of a pixel: `photo_of` rounds to 127 or 128, evidence of at most 0.004."""


class Block(nn.Module):
    """Adds `gain` times the sum of the patches, through `mix`, to the class token."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        seen = torch.eye(WIDTH)
        seen[0, 0] = 0
        self.mix.weight.data = gain * seen

    def forward(self, tokens):
        added = self.mix(tokens[:, 1:]).sum(1, keepdim=True)
        return torch.cat([tokens[:, :1] + added, tokens[:, 1:]], 1)

    def parts(self):
        """The same as attention: equal weights, and values that undo the mean over tokens."""

        def project(tokens):
            values = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, 1:]], 1)
            return 0 * tokens, 0 * tokens, tokens.shape[1] * self.mix(values)

        def merge(context):
            kept = torch.zeros(context.shape[1], 1).to(context)
            kept[0] = 1
            return context * kept

        return tail.BlockParts(lambda tokens: tokens, project, 1, merge, torch.zeros_like)


class Towers(nn.Module):
    """Embeds patches by their mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Linear(3, WIDTH, bias=False)
        self.colour.weight.data = torch.eye(WIDTH)[:, 1:4].contiguous()
        self.class_token = nn.Parameter(torch.eye(WIDTH)[0] * ANCHOR)
        self.blocks = nn.ModuleList([Block(0.0), Block(1.0)])

    def embed(self, pixels):
        means = nn.functional.avg_pool2d(pixels, PATCH).flatten(2).transpose(1, 2)
        start = self.class_token.to(means).expand(len(pixels), 1, -1)
        return torch.cat([start, self.colour(means)], 1)


class Toy(AbstractEncoder):
    """See the top of this file."""

    has_text = True
    logit_scale = 100.0

    def __init__(self, dtype=torch.float32) -> None:
        self.module = Towers().to(dtype).requires_grad_(False).eval()
        self.tower = tail.Tower(
            embed=self.module.embed,
            blocks=self.module.blocks,
            run=lambda block, tokens: block(tokens),
            open=lambda block: block.parts(),
            read_out=lambda tokens: tail.ReadOut(tokens[:, 1:], tokens[:, 0]),
            pooling="class",
            first_patch=1,
            grid=(GRID, GRID),
            width=WIDTH,
            patch=PATCH,
        )
        self.card = replace(
            read_card("demo"),
            name="toy",
            image_size=SIDE,
            resize_to=SIDE,
            patch_size=PATCH,
            width=WIDTH,
            embed=WIDTH,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            templates=("{}",),
        )
        self.device, self.dtype, self.sha256 = torch.device("cpu"), dtype, "0" * 64
        self.grid, self.width = (GRID, GRID), WIDTH

    def preprocess(self, image):
        assert image.pixels.shape == (SIDE, SIDE, 3), "photos of the toy are drawn by `photo_of`"
        pixels = torch.from_numpy(image.pixels.copy()).permute(2, 0, 1).float() / 255
        return (pixels - 0.5) / 0.5, Placement(SIDE, SIDE, 0.0, 0.0, float(SIDE), float(SIDE))

    def forward(self, pixels):
        return tail.run_tower(self.tower, pixels)

    def tail(self, tail_input):
        return tail.open_tail(self.tower, tail_input)

    def encode_text(self, texts):
        return torch.stack([torch.from_numpy(direction(text)).float() for text in texts])


def direction(text: str) -> np.ndarray:
    """Unit vector (WIDTH,) of a text, float64."""
    found = np.zeros(WIDTH)
    for word in text.lower().split():
        for sign, names in ((1.0, COLOURS), (-1.0, OPPOSITES)):
            if word in names:
                found[1 + names.index(word)] = sign
                return found
    drawn = np.random.default_rng(list(hashlib.sha256(text.encode()).digest())).standard_normal(3)
    found[1:4] = drawn / np.linalg.norm(drawn)
    return found


def colours_of(seed: int, strength: float = 1.0) -> np.ndarray:
    """Colours of every patch, (GRID, GRID, 3), each drawn from -strength to strength."""
    return np.random.default_rng(seed).uniform(-strength, strength, (GRID, GRID, 3))


def photo_of(colours: np.ndarray) -> SkinImage:
    """A photo of patches of one colour each, rounded to 8 bit."""
    values = np.clip(np.rint(GREY + GREY * colours), 0, 255).astype(np.uint8)
    pixels = values.repeat(PATCH, 0).repeat(PATCH, 1)
    return SkinImage(pixels, hashlib.sha256(pixels.tobytes()).hexdigest())


def truth(image: SkinImage, text: str) -> np.ndarray:
    """The attribution of each patch for a query, (GRID, GRID) float64; their sum is the photo's cosine."""
    colours = image.pixels[::PATCH, ::PATCH].astype(np.float64) / 255 * 2 - 1
    length = np.hypot(ANCHOR, np.linalg.norm(colours.sum((0, 1))))
    return colours @ direction(text)[1:4] / length


def subject_of(image: SkinImage, encoder: Toy | None = None, **options) -> Subject:
    """A subject that can be asked with `Occlusion(where="input")`, the perfect method; fields by name."""
    encoder = encoder or Toy()
    method = Occlusion(where="input")
    methods = {(method.name, method.variant): method}
    settings = {"protocol": Protocol(steps=12), "methods": methods, **options}
    return Subject(Explained(encoder), encoder.encode([image])[0], image, **settings)


def heat_of(subject: Subject, values: np.ndarray, text: str = "red", method: str = "drawn") -> HeatMap:
    """Values as a map of a query on this subject."""
    drawn = np.asarray(values, np.float32).reshape(subject.encoded.grid)
    return HeatMap(
        drawn, method, Target("query", text), subject.encoded.placement, "cosine", "drawn", "drawn"
    )


def perfect_maps(subject: Subject, texts: tuple[str, ...] = ("red",)) -> list[HeatMap]:
    """What the perfect method answers."""
    (method,) = (one for one in subject.methods.values() if one.name == "occlusion")
    return method.explain(subject.model, subject.encoded, [Target("query", text) for text in texts])
