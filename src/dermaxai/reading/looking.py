"""What a reader looked at: the caption, its words and their maps, as the page of a case holds them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from dermaxai.errors import UsageError
from dermaxai.geometry import Placement
from dermaxai.types import HeatMap, Target
from dermaxai.viewer import STEPS


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A case as it was shown, without its pixels."""

    caption: str
    """The explained caption; '' where the model wrote none."""
    words: tuple[str, ...]
    """As they stand in the caption."""
    height: int
    """Of the photo, pixels."""
    width: int
    page: Mapping[str, Any]
    """As `viewer.case_to_page` has it."""

    @property
    def caption_sha256(self) -> str:
        """Of the caption: what an answer is bound to."""
        return hash_caption(self.caption)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that have a map here, each once."""
        return tuple(dict.fromkeys(method["name"] for method in self.page["methods"]))

    def word(self, index: int | None) -> str:
        """A word of the caption; '' for None, the caption as a whole. Raises: UsageError."""
        if index is None:
            return ""
        if not 0 <= index < len(self.words):
            raise UsageError(
                f"The caption has no word {index}.", hint=f"Its words are 0 to {len(self.words) - 1}."
            )
        return self.words[index]

    def maps_of(self, word: int) -> dict[str, HeatMap]:
        """The maps of a word by method, those of contrasts left out; the first variant of each method.

        Values are exact to a quarter of a thousandth of the map's peak.
        """
        found: dict[str, HeatMap] = {}
        for row in self.page["maps"]:
            target = self.page["targets"][row["target"]]
            name = self.page["methods"][row["method"]]["name"]
            plain = target["kind"] == "word" and target["against"] is None and target["word"] == word
            if plain and name not in found:
                found[name] = self._map(row, name, target)
        return found

    def _map(self, row: Mapping[str, Any], name: str, target: Mapping[str, Any]) -> HeatMap:
        place = self.page["places"][row["place"]]
        placement = Placement(
            self.height, self.width, place["top"], place["left"], place["height"], place["width"]
        )
        values = unpack_cells(row["cells"], place["rows"] * place["columns"]) * np.float32(row["peak"])
        question = Target("word", target["text"], target["word"])
        return HeatMap(values.reshape(place["rows"], place["columns"]), name, question, placement, "", "")


def read_page(document: bytes) -> Looked:
    """What a stored page shows. Raises: UsageError where it is no page of a described case."""
    page = json.loads(document)
    if not isinstance(page, dict) or "captions" not in page:
        raise UsageError("This photo is not described yet.", hint="Wait until its job is done.")
    first: dict[str, Any] = page["captions"][0] if page["captions"] else {"text": "", "words": []}
    text: str = first["text"]
    words = tuple(text[word["start"] : word["stop"]] for word in first["words"])
    return Looked(text, words, page["photo"]["height"], page["photo"]["width"], page)


def hash_caption(text: str) -> str:
    """The sha256 of a caption, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def unpack_cells(cells: str, count: int) -> Float32[np.ndarray, "n"]:
    """Cells of a page as shares of the peak, -1 to 1: the way back of `viewer.pack_cells`.

    >>> unpack_cells("gAAB", 2).tolist()
    [0.0, -1.0]
    """
    packed = np.frombuffer(base64.b64decode(cells) + b"\0\0\0", np.uint8).astype(np.int32)
    first, second, third = (packed[place : place + 3 * (count // 2) + 1 : 3] for place in range(3))
    steps = np.stack([first * 16 + second // 16, second % 16 * 256 + third], 1).ravel()[:count]
    return (steps - STEPS - 1).astype(np.float32) / np.float32(STEPS)
