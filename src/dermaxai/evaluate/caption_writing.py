"""The captions of many photos, written in batches, kept photo by photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

from dermaxai.data.appearance import measure
from dermaxai.data.composing import facts_of
from dermaxai.errors import DataError, DermaXAIError
from dermaxai.evaluate.caption_facts import measured_facts, needs_measuring
from dermaxai.evaluate.items import Item
from dermaxai.provenance import repeatable
from dermaxai.types import Caption, Language, Word

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import SkinImage


@final
class CaptionWriter:
    """Gives the document of one photo after another, and describes those of a batch together.

    Batches are made of all photos by their place, so that a stopped and resumed run describes the same photos
    together as an uninterrupted one and gives the same bits.
    """

    def __init__(
        self, model: Model, items: Sequence[Item], languages: Sequence[Language], beams: int
    ) -> None:
        size = model.settings.batch
        self._model, self._languages, self._beams = model, languages, beams
        self._batches = [items[start : start + size] for start in range(0, len(items), size)]
        self._places = {item.id: place // size for place, item in enumerate(items)}
        self._held: dict[str, dict[str, Any] | DermaXAIError] = {}

    def __call__(self, item: Item) -> dict[str, Any]:
        """What is kept of a photo. Raises: ImageError, DataError."""
        if item.id not in self._held:
            self._held = self._describe(self._batches[self._places[item.id]])
        found = self._held[item.id]
        if isinstance(found, DermaXAIError):
            raise found
        return found

    def _describe(self, batch: Sequence[Item]) -> dict[str, dict[str, Any] | DermaXAIError]:
        found: dict[str, dict[str, Any] | DermaXAIError] = {}
        photos: list[tuple[Item, SkinImage]] = []
        for item in batch:
            try:
                photos.append((item, self._read(item)))
            except DermaXAIError as error:
                found[item.id] = error
        if photos:
            captions = self._captions([image for _, image in photos])
            for place, (item, image) in enumerate(photos):
                own = {language: to_document(every[place]) for language, every in captions.items()}
                found[item.id] = {"captions": own, "measured": _measured(item, image)}
        return found

    def _read(self, item: Item) -> SkinImage:
        image = self._model.read(item.path)
        if image.sha256 != item.sha256:
            raise DataError(
                f"'{item.path.name}' has changed since it was listed.", hint="Gather the photos again."
            )
        return image

    def _captions(self, images: Sequence[SkinImage]) -> dict[Language, list[Caption]]:
        with repeatable(self._model.settings):
            encoded = self._model.encoder.encode(images)
            return {
                language: self._model.check_language(language).describe(encoded, language, beams=self._beams)
                for language in self._languages
            }


def to_document(caption: Caption) -> dict[str, Any]:
    """A caption as a record keeps it."""
    words = [[word.text, word.start, word.stop, list(word.tokens), word.logprob] for word in caption.words]
    return {
        "text": caption.text,
        "tokens": list(caption.token_ids),
        "logprobs": list(caption.token_logprobs),
        "words": words,
    }


def from_document(document: Mapping[str, Any], language: Language) -> Caption:
    """The caption that `to_document` was given."""
    words = tuple(
        Word(str(text), start, stop, tuple(tokens), logprob)
        for text, start, stop, tokens, logprob in document["words"]
    )
    return Caption(
        str(document["text"]), language, words, tuple(document["tokens"]), tuple(document["logprobs"])
    )


def _measured(item: Item, image: SkinImage) -> dict[str, Any]:
    if not needs_measuring(item.sample):
        return {}
    return measured_facts(facts_of(item.sample, measure(image.pixels)))
