"""The nouns that pass between the rooms; shape, unit and range beside each field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dermaxai.errors import UsageError
from dermaxai.geometry import Placement

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from jaxtyping import Float, Float32, UInt8
    from torch import Tensor

Language = Literal["en", "ru"]
TargetKind = Literal["caption", "word", "phrase", "query", "concept", "diagnosis"]
Prior = Literal["", "expected", "despite"]
Verdict = Literal["", "yes", "no", "undecided"]

MINIMUM_NATS = 0.1
"""A word counts as from the image if the photo raises its probability by about a tenth, and as said in spite
of the image if it lowers it by more than that."""


@dataclass(frozen=True, slots=True, eq=False)
class SkinImage:
    """A photo as the rest of the program sees it: upright, sRGB, without identity data."""

    pixels: UInt8[np.ndarray, "height width 3"]
    sha256: str
    """Of the file as received, 64 hex digits."""
    format: str = ""
    """Of the file as received: JPEG, PNG, TIFF, WEBP, BMP, DICOM."""
    removed: tuple[str, ...] = ()
    """Names of identity fields taken out, never their values."""
    notes: tuple[str, ...] = ()
    """What was changed on reading, in words: 'alpha flattened on white', '16 bit scaled to 8'."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What one encoder pass leaves of one photo; every later question starts here."""

    patches: Float[Tensor, "n width"]
    """Patch tokens after the final norm, row-major, class token excluded; n == grid[0] * grid[1]."""
    pooled: Float[Tensor, "embed"]
    """Image embedding, unit length."""
    tail_input: Float[Tensor, "tokens width"]
    """All tokens entering the last block; `encoders.tail` recomputes the rest with a graph."""
    grid: tuple[int, int]
    """Rows, columns of patches."""
    placement: Placement
    encoder: str
    """Name of the encoder card."""
    pixels: Float[Tensor, "3 height width"] | None = None
    """What entered the tower; for methods that hide parts of the photo or reopen every block."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a caption; punctuation belongs to no word."""

    text: str
    start: int
    """First character in `Caption.text`."""
    stop: int
    """One behind the last character."""
    tokens: tuple[int, ...]
    """Positions in `Caption.token_ids`."""
    logprob: float
    """Nats, summed over tokens, each given the image and the text before it."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A generated or given text, with the decoder's log-probability of each of its tokens."""

    text: str
    language: Language
    words: tuple[Word, ...]
    token_ids: tuple[int, ...]
    """Decoder output without the start token, the end token included."""
    token_logprobs: tuple[float, ...]
    """Nats, one per token."""

    @property
    def logprob(self) -> float:
        """Nats, summed over all tokens, end token included."""
        return float(sum(self.token_logprobs))

    def find(self, text: str) -> int:
        """Index of the first word spelled `text` (case ignored). Raises: UsageError."""
        for index, word in enumerate(self.words):
            if word.text.casefold() == text.casefold():
                return index
        raise UsageError(f"The caption has no word '{text}'.", hint=f"Its text: {self.text}")


@dataclass(frozen=True, slots=True)
class Target:
    """The question a map answers; `word`, `phrase`, `caption` ask the decoder, the others CLIP similarity."""

    kind: TargetKind
    text: str
    word: int | None = None
    """Index in `Caption.words` for kind 'word', of the first word for kind 'phrase'."""
    against: str | None = None
    """Contrast: why `text` rather than this."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """An explanation: raw low-resolution values and where they lie in the photo. Never rescaled."""

    values: Float32[np.ndarray, "rows columns"]
    """Signed if the method is; in units of `scalar`."""
    method: str
    target: Target
    placement: Placement
    scalar: str
    """What was differentiated: 'cosine', 'logit(100.0)', 'word log-probability', …"""
    layer: str
    """Where the method read the network: 'last block, attention', 'Q-Former keys and values', …"""
    variant: str = ""
    seconds: float = 0.0
    """Wall clock; not part of equality of cases."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much of a word comes from the image: log p(word | image) - log p(word | mean image)."""

    word: int
    """Index in `Caption.words`."""
    nats: float
    from_image: bool
    """False: drawn dimmed and without a map."""

    @property
    def prior(self) -> Prior:
        """Why a word is not from the image: 'expected' of any photo, said 'despite' this one; '' if it is."""
        if self.from_image:
            return ""
        return "despite" if self.nats < -MINIMUM_NATS else "expected"


@dataclass(frozen=True, slots=True)
class Alternative:
    """What else the decoder would have said in the place of a word, given the same image and text before."""

    word: int
    """Index in `Caption.words`."""
    text: str
    logprob: float
    """Nats, summed over tokens, to compare with `Word.logprob`."""


@dataclass(frozen=True, slots=True)
class TextShare:
    """What one word of a question's text counts."""

    text: str
    start: int
    """First character in the text."""
    stop: int
    """One behind the last character."""
    value: float
    """Signed if the method is; in units of the scalar. Sub-word tokens are summed."""


@dataclass(frozen=True, slots=True)
class TextMap:
    """The text side of an explanation: which words of the question made the similarity. Never rescaled."""

    shares: tuple[TextShare, ...]
    method: str
    target: Target
    scalar: str
    layer: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Concept:
    """A clinical concept found in the image."""

    name: str
    """English; the concept tree translates it."""
    weight: float
    """In the units of the method that found it; 0 says 'not needed', not 'absent'."""
    words: tuple[int, ...] = ()
    """Indices in `Caption.words` of the words that say it."""
    kind: str = ""
    """Of the concept tree: finding, colour, diagnosis, …"""


@dataclass(frozen=True, slots=True)
class ConceptFit:
    """How well a few concepts stand for the image embedding, beside what the mean image alone would do."""

    method: str
    penalty: float
    """Weight of the l1 norm."""
    atoms: int
    """Size of the concept dictionary."""
    cosine: float
    """Of the reconstruction and the embedding, both after the mean is taken out; -1 to 1."""
    cosine_with_mean: float
    """Of the reconstruction with the mean added back, as published."""
    cosine_of_mean: float
    """Of the mean alone: what `cosine_with_mean` has to beat."""
    mean: str
    """Which mean image: kind, number of photos, beginning of its hash."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike the maps of several methods are for one question."""

    target: Target
    methods: tuple[str, ...]
    """As 'name' or 'name:variant'; their consensus and spread are maps of methods of these names."""
    correlations: tuple[float, ...]
    """Spearman's rank correlation of each pair, row-major, -1 to 1; NaN where a map is constant."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of trust with its 95 % interval; n == 1 means low == high == value."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    of: str
    """'caption', a method, or a map as `scores.map_names` calls it: '<method>/<word index>' for most."""
    baseline: float | None = None
    """Mean over random maps of the same question; of a sanity check its limit."""
    baseline_low: float | None = None
    """With `baseline_high`: 2.5th and 97.5th percentile of the random maps."""
    baseline_high: float | None = None
    verdict: Verdict = ""
    """Better than a random map; of a sanity check, whether it is passed. '' where nothing was compared."""
    protocol: str = ""
    """How it was measured, as 'name=value' pairs: 'removal=tokens, steps=20, random_maps=20, seed=0'."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Whether the photo is outside what the model knows, by a measured rule, told in words."""

    flag: bool
    score: float
    """Distance from the training photos in the rule's unit; larger is stranger."""
    threshold: float
    """`flag` is score > threshold."""
    rule: str


@dataclass(frozen=True, slots=True)
class Blur:
    """How soft the photo's sharpest edges are, and the limit: sigma, percent of its shorter side."""

    width: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a case: enough to make it again."""

    dermaxai: str
    encoder: str
    encoder_sha256: str
    captioner: str
    captioner_sha256: str
    settings: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0
    licence: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Everything about one image; the only thing that outputs read."""

    image: SkinImage
    captions: tuple[Caption, ...]
    """The first is the explained one; the others say the same image in other languages."""
    made_by: Provenance
    maps: tuple[HeatMap, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    """One per word of the first caption."""
    concepts: tuple[Concept, ...] = ()
    """By falling weight."""
    scores: tuple[Score, ...] = ()
    outside: Outside | None = None
    warnings: tuple[str, ...] = ()
    texts: tuple[TextMap, ...] = ()
    concept_fit: ConceptFit | None = None
    agreements: tuple[Agreement, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    """Of the words of the first caption, by word and falling probability."""
    blur: Blur | None = None

    @property
    def caption(self) -> Caption:
        """The explained caption."""
        return self.captions[0]

    def map(self, text: str, method: str) -> HeatMap:
        """The map of `method` for the word or query `text`. Raises: UsageError listing what there is."""
        for heat in self.maps:
            if heat.method == method and heat.target.text.casefold() == text.casefold():
                return heat
        known = ", ".join(f"{heat.method}/{heat.target.text}" for heat in self.maps) or "none"
        raise UsageError(f"The case has no map of '{method}' for '{text}'. Maps: {known}.")

    def score(self, method: str, text: str, metric: str) -> Score:
        """The score `metric` of the map of a word or query. Raises: UsageError."""
        from dermaxai.scores import find_score

        return find_score(self, method, text, metric)

    def save(self, folder: Path | str) -> Path:
        """Write the case as a folder that `dermaxai.cases.load_case` reads back exactly; as `save_case`."""
        from dermaxai.cases import save_case

        return save_case(self, folder)

    def figure(self, path: Path | str, text: str | None = None, method: str | None = None) -> Path:
        """Write one picture (.png, .svg, .pdf): the map of the word or query `text`, or all words; without
        `method` that of the first map there is. Raises: UsageError.
        """
        from dermaxai.figures import save_figure

        return save_figure(self, path, text=text, method=method, language=self.caption.language)

    def report(self, path: Path | str, language: Language | None = None) -> Path:
        """One HTML file, or two printed pages if `path` ends in .pdf. Raises: MissingExtra for a PDF."""
        from dermaxai import pdf, report

        write = pdf.write_pdf if str(path).lower().endswith(".pdf") else report.write_report
        return write(self, path, language=language or self.caption.language)
