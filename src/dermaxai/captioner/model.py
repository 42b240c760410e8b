"""The captioner: patches in, words with their probabilities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dermaxai.captioner.adapters import Adapters
from dermaxai.captioner.agreement import one_set_of_facts
from dermaxai.captioner.config import CaptionerConfig, LoraSettings
from dermaxai.captioner.decoder import T5Base
from dermaxai.captioner.modes import TrainableParts, TrainingMode, choose_trainable
from dermaxai.captioner.outside import OutsideRule
from dermaxai.captioner.prompts import IGNORED, Prompts, TextBatch
from dermaxai.captioner.qformer import Bridge
from dermaxai.captioner.search import Hypothesis, Limits, Start, bans, beam, greedy, head
from dermaxai.captioner.templates import composed_languages, retell, written_in
from dermaxai.captioner.words import decode, words_of
from dermaxai.errors import NotSupported, SettingError, ShapeError, WeightsMismatch
from dermaxai.types import Caption, Encoded, Language

RESCUE_WIDTH = 4
"""Beams that look for another text when the greedy one holds a banned form."""


class Captioner(nn.Module):
    """A bridge and a T5 with LoRA, reading the patches of one frozen encoder.

    The encoder is not a part of it: it only must be the one named in `config`.
    """

    sha256: str = ""
    """Of the checkpoint's captioner.json, which holds the hashes of all its files; '' if never saved."""

    def __init__(self, config: CaptionerConfig, base: T5Base, *, seed: int = 0) -> None:
        super().__init__()
        if config.bridge.output_width != base.width:
            raise WeightsMismatch(
                f"The bridge writes vectors {config.bridge.output_width} wide, "
                f"T5 '{base.source}' reads {base.width}."
            )
        # A table that cannot work is refused here, not at the first photo.
        composed_languages(config)
        self.config = config
        self.base_sha256 = base.sha256
        self.statistics: dict[str, Tensor] = {}
        """What the training photos looked like, by name; stored with the weights, never trained."""
        self.t5 = base.model
        self.tokenizer = base.tokenizer
        self.prompts = Prompts.of(config, base)
        self.adapters = Adapters(base.model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridge = Bridge(config.bridge)
            for name, settings in config.adapters.items():
                self.adapters.add(name, settings)
        if "default" in config.adapters:
            self.adapters.use("default")
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.bridge.queries.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the bridge's weights."""
        return self.bridge.dtype

    @property
    def languages(self) -> tuple[str, ...]:
        """What it can write, and what is composed from what it writes (`captioner.templates`)."""
        return (*self.config.languages, *composed_languages(self.config))

    @property
    def mean_patches(self) -> Float[Tensor, "n width"] | None:
        """The mean photo of the training, as patches; None where nobody measured it."""
        return self.statistics.get("mean_patches")

    @mean_patches.setter
    def mean_patches(self, patches: Float[Tensor, "n width"]) -> None:
        if patches.shape[-1] != self.config.encoder_width:
            raise ShapeError(f"Mean patches are {self.config.encoder_width} wide, not {patches.shape[-1]}.")
        self.statistics["mean_patches"] = patches.detach()

    @property
    def outside(self) -> OutsideRule | None:
        """The rule that flags photos unlike those of the training; None where nobody measured it."""
        return OutsideRule.from_tensors(self.statistics)

    @outside.setter
    def outside(self, rule: OutsideRule) -> None:
        self.statistics.update(rule.to_tensors())

    # ---- describing -------------------------------------------------------------------------

    def describe(
        self,
        encoded: Encoded | Sequence[Encoded],
        language: Language = "en",
        *,
        beams: int = 1,
        banned: Sequence[str] | None = None,
    ) -> list[Caption]:
        """One caption per photo: greedy for one beam, otherwise never less probable than the greedy one.

        Where the config names a leading language, the others state its facts (`captioner.agreement`).
        `banned`: beginnings of words that must not appear, case ignored.
        Raises: NotSupported for photos of another encoder or an unknown language, SettingError.
        """
        return self.describe_patches(self._stack(encoded), language, beams=beams, banned=banned)

    def describe_patches(
        self,
        patches: Float[Tensor, "batch n width"],
        language: Language = "en",
        *,
        beams: int = 1,
        banned: Sequence[str] | None = None,
    ) -> list[Caption]:
        """As `describe`, for patches from a feature cache.

        In a composed language the English caption is retold, so `banned` are beginnings of English words.
        """
        if beams < 1:
            raise SettingError(f"beams must be at least 1, not {beams}.")
        if (written := written_in(self.config, language)) != language:
            found = self.describe_patches(patches, written, beams=beams, banned=banned)
            return [retell(caption, language) for caption in found]
        allowed = bans(banned, self.tokenizer) if banned else None
        limits = Limits(
            self.prompts.end, self.config.max_tokens, self.prompts.forbidden().to(self.device), allowed
        )
        with self.still():
            queries = self.read(patches)
            captions = self._write(queries, language, limits, beams)
            if allowed is not None:
                return captions
            again = partial(self._write, queries, limits=limits, beams=beams)
            return one_set_of_facts(self, patches, captions, again)

    def _write(self, queries: Tensor, language: Language, limits: Limits, beams: int) -> list[Caption]:
        memory, mask = self.memory(queries, [language] * len(queries))
        start = Start(memory, mask, self.prompts.prefix(language))
        return [self._caption(one, language) for one in self._search(start, limits, beams)]

    def _search(self, start: Start, limits: Limits, beams: int) -> list[Hypothesis]:
        found = greedy(self.t5, start, limits)
        if beams > 1:
            wide = beam(self.t5, start, limits, beams)
            found = [_better(one, other, limits) for one, other in zip(found, wide, strict=True)]
        if limits.allowed is None:
            return found
        for index, one in enumerate(found):
            if not limits.allowed(one.token_ids):
                other = beam(self.t5, start.row(index), limits, max(beams, RESCUE_WIDTH))[0]
                if other is None:
                    raise SettingError(
                        "Every caption holds a banned form.", hint="Ban fewer or longer forms."
                    )
                found[index] = other
        return found

    def score(self, encoded: Encoded, text: str | Sequence[int], language: Language = "en") -> Caption:
        """The decoder's log-probability of each token of a given text, or of given token ids.

        Raises: NotSupported for text the tokenizer cannot spell, UsageError for empty text.
        """
        return self.score_patches(self._stack(encoded), text, language)[0]

    def score_patches(
        self, patches: Float[Tensor, "batch n width"], text: str | Sequence[int], language: Language = "en"
    ) -> list[Caption]:
        """As `score`: one text, each of several images; for instance an image and the mean image."""
        if (written := written_in(self.config, language)) != language:
            return [retell(one, language) for one in self.score_patches(patches, text, written)]
        ids = self.prompts.pieces(text) if isinstance(text, str) else tuple(text)
        tokens = torch.tensor([ids], device=self.device).expand(len(patches), -1)
        with self.still():
            logits = self.logits(patches, tokens, language)
            values = logits.float().log_softmax(-1).gather(2, tokens[:, :, None])[:, :, 0]
        return [self._caption(Hypothesis(ids, tuple(row)), language) for row in values.tolist()]

    def _caption(self, found: Hypothesis, language: Language) -> Caption:
        text = decode(found.token_ids, self.tokenizer)
        words = words_of(text, found.token_ids, self.tokenizer, found.logprobs)
        return Caption(text, language, words, found.token_ids, found.logprobs)

    def read(
        self, patches: Float[Tensor, "batch n width"], patch_mask: Bool[Tensor, "batch n"] | None = None
    ) -> Float[Tensor, "batch queries d_model"]:
        """The bridge alone: what the text decoder gets to see of each image."""
        return cast(Tensor, self.bridge(patches.to(self.device), patch_mask))

    def logits(
        self,
        patches: Float[Tensor, "images n width"],
        token_ids: Int[Tensor, "texts length"],
        language: str = "en",
    ) -> Float[Tensor, "texts length pieces"]:
        """Teacher-forced logits; position i predicts `token_ids[:, i]`. Differentiable in `patches`.

        `token_ids` hold no start token and no prefix. One image may meet many texts: each image is
        read once and serves an equal run of texts.
        """
        return self.logits_of(self.read(patches), token_ids, language)

    def logits_of(
        self,
        queries: Float[Tensor, "images queries d_model"],
        token_ids: Int[Tensor, "texts length"],
        language: str = "en",
    ) -> Float[Tensor, "texts length pieces"]:
        """As `logits`, from what `read` gave; differentiable in `queries`."""
        language = written_in(self.config, language)
        memory, mask = self.memory(queries, [language] * len(queries))
        prefix = torch.tensor([self.prompts.prefix(language)], device=token_ids.device)
        inputs = torch.cat([prefix.expand(len(token_ids), -1), token_ids[:, :-1]], 1)
        hidden = self._decode(memory, mask, inputs)
        return head(self.t5, hidden[:, prefix.shape[1] - 1 :])

    def prepare(self, texts: Sequence[str], languages: Sequence[str]) -> TextBatch:
        """Captions as `forward` takes them; do it once for a whole data set, then `TextBatch.pick`."""
        return self.prompts.batch(texts, languages, self.config.max_tokens)

    def loss(
        self, patches: Float[Tensor, "images n width"], texts: Sequence[str], languages: Sequence[str]
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy per token (nats); each image serves an equal run of texts."""
        return cast(Tensor, self(patches, self.prepare(texts, languages).to(self.device)))

    def forward(
        self, patches: Float[Tensor, "images n width"], batch: TextBatch, label_smoothing: float = 0.0
    ) -> Float[Tensor, ""]:
        """The training loss: mean cross-entropy per token (nats) over texts, end token included."""
        queries = self.read(patches)
        times = _times(len(queries), len(batch.inputs))
        memory, mask = self.memory(_spread(queries, times), batch.languages)
        counts = batch.labels != IGNORED
        logits = head(self.t5, self._decode(memory, mask, batch.inputs)[counts])
        return nn.functional.cross_entropy(
            logits.float(), batch.labels[counts], label_smoothing=label_smoothing
        )

    def _decode(
        self,
        memory: Float[Tensor, "images length d_model"],
        mask: Tensor | None,
        inputs: Int[Tensor, "texts l"],
    ) -> Float[Tensor, "texts l d_model"]:
        times = _times(len(memory), len(inputs))
        out = self.t5.decoder(
            input_ids=inputs,
            encoder_hidden_states=_spread(memory, times),
            encoder_attention_mask=None if mask is None else _spread(mask, times),
            use_cache=False,
        )
        return cast(Tensor, out.last_hidden_state)

    def memory(
        self, queries: Float[Tensor, "rows queries d_model"], languages: Sequence[str]
    ) -> tuple[Float[Tensor, "rows length d_model"], Tensor | None]:
        """What the decoder attends to: prompt and queries, through the T5 encoder unless it is skipped."""
        mask = None
        if self.prompts.has_encoder_prompts:
            queries, mask = self._with_prompts(queries, languages)
        if self.config.skip_encoder:
            return queries, mask
        return self.t5.encoder(inputs_embeds=queries, attention_mask=mask).last_hidden_state, mask

    def _with_prompts(self, queries: Tensor, languages: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        prompts = [self.prompts.encoder_prompt(language) for language in languages]
        longest = max(map(len, prompts))
        # On the left, so that the distance between prompt and queries does not depend on the batch.
        rows = [[self.prompts.start] * (longest - len(ids)) + list(ids) for ids in prompts]
        embedded = self.t5.shared(torch.tensor(rows, device=queries.device, dtype=torch.long))
        joined = torch.cat([embedded, queries], 1)
        if all(len(ids) == longest for ids in prompts):
            return joined, None
        mask = torch.ones(joined.shape[:2], dtype=torch.long, device=queries.device)
        for row, ids in enumerate(prompts):
            mask[row, : longest - len(ids)] = 0
        return joined, mask

    # ---- training ---------------------------------------------------------------------------

    def set_mode(self, mode: TrainingMode) -> TrainableParts:
        """Choose what trains; print the result to see the counts. Raises: UnknownName, SettingError."""
        return choose_trainable(self.bridge, self.t5, self.adapters, mode)

    def add_adapter(self, name: str, settings: LoraSettings, *, seed: int = 0) -> None:
        """Add a fresh LoRA adapter, without effect until it trains, and make it active."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adapters.add(name, settings)
        self.t5.to(self.device)
        self.config = self.config.with_changes(adapters={**self.config.adapters, name: settings})

    @contextmanager
    def still(self) -> Iterator[None]:
        """No dropout and no graph, whatever was set."""
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.train(was_training)

    def _stack(self, encoded: Encoded | Sequence[Encoded]) -> Float[Tensor, "batch n width"]:
        photos = [encoded] if isinstance(encoded, Encoded) else list(encoded)
        if not photos:
            raise ShapeError("There is no photo to describe.")
        for photo in photos:
            if photo.encoder != self.config.encoder:
                raise NotSupported(
                    f"This captioner reads '{self.config.encoder}', "
                    f"the photo was encoded by '{photo.encoder}'.",
                    hint="Encode it with the captioner's own encoder.",
                )
        return torch.stack([photo.patches for photo in photos])


def _better(one: Hypothesis, other: Hypothesis | None, limits: Limits) -> Hypothesis:
    """The more probable of a greedy and a beam text; a greedy one must be allowed to count."""
    if other is None or (
        one.logprob >= other.logprob and (limits.allowed is None or limits.allowed(one.token_ids))
    ):
        return one
    return other


def _times(images: int, texts: int) -> int:
    if images == 0 or texts % images:
        raise ShapeError(f"{texts} texts cannot be shared out equally to {images} images.")
    return texts // images


def _spread(rows: Tensor, times: int) -> Tensor:
    if times == 1:
        return rows
    return rows.expand(times, *rows.shape[1:]) if len(rows) == 1 else rows.repeat_interleave(times, 0)
