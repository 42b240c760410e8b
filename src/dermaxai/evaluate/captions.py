"""Captions over a dataset: beside baselines, against what people wrote and what was composed, never mixed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dermaxai.encoders.weights import hash_file
from dermaxai.errors import DataError, SettingError
from dermaxai.evaluate.caption_baselines import BASELINES, MAJORITY, NEAREST, TEMPLATE, check_baselines
from dermaxai.evaluate.caption_columns import Condition, Contestant, columns_of, reliability_curves
from dermaxai.evaluate.caption_contestants import (
    Training,
    baseline_contestants,
    conditions_of,
    model_contestant,
)
from dermaxai.evaluate.caption_texts import texts_of
from dermaxai.evaluate.caption_writing import CaptionWriter
from dermaxai.evaluate.embeddings import Embedded, embed_items
from dermaxai.evaluate.items import Evaluation, Item, Progress
from dermaxai.evaluate.records import Records, failures, work_through
from dermaxai.measure.captions import CAPTION_METRICS
from dermaxai.measure.captions.cider import Frequencies
from dermaxai.measure.captions.written import Tools
from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.measure.clinical.calibration import BINS
from dermaxai.measure.clinical.concepts import HEDGED
from dermaxai.measure.clinical.judging import AGE_SLACK
from dermaxai.measure.columns import Column
from dermaxai.provenance import (
    captioner_name,
    chosen_settings,
    device_name,
    library_versions,
    repeat_command,
)
from dermaxai.registry import check_name
from dermaxai.types import Language

if TYPE_CHECKING:
    from dermaxai.encoders.base import AbstractEncoder
    from dermaxai.pipeline import Model

METRICS: tuple[str, ...] = (*CAPTION_METRICS, *CLINICAL_METRICS)
BERT_FILES = (".safetensors", ".bin", ".json", ".txt", ".model")
"""That a local text model is made of."""


@dataclass(frozen=True, slots=True)
class CaptionPlan:
    """What is asked of captions."""

    languages: tuple[Language, ...] = ("en",)
    metrics: tuple[str, ...] = METRICS
    """Rows of `CAPTION_METRICS` and `CLINICAL_METRICS`."""
    beams: int = 1
    """1 is greedy."""
    baselines: tuple[str, ...] = tuple(BASELINES)
    score_encoder: str | Path | None = None
    """Of CLIPScore: name of a card or folder; None leaves CLIPScore out."""
    bert: Path | None = None
    """Folder of BERTScore's model; None leaves BERTScore out."""
    compose: bool = True
    """Whether photos without a caption are judged against a composed one."""
    embeddings: Path | None = None
    """Folder where embeddings of photos are kept between runs; None keeps them nowhere."""
    frequencies: Path | None = None
    """File of words' frequencies (`measure.captions.cider.Frequencies.save`): adds CIDEr-D by these."""

    def __post_init__(self) -> None:
        """Raises: UnknownName, SettingError; DataError for a file that holds no frequencies."""
        for name in self.metrics:
            check_name("metric of captions", name, list(METRICS))
        check_baselines(self.baselines)
        if not self.languages or not self.metrics or self.beams < 1:
            raise SettingError(
                "A plan needs a language, a metric and at least one beam; "
                f"it has {len(self.languages)}, {len(self.metrics)} and {self.beams}."
            )
        if self.frequencies is not None:
            if "cider_d" not in self.metrics:
                raise SettingError(
                    "Frequencies of words are CIDEr-D's, which is not among the metrics.",
                    hint="Add cider_d, or leave the frequencies out.",
                )
            Frequencies.read(self.frequencies)


def captions_key(model: Model, plan: CaptionPlan) -> dict[str, str]:
    """What the captions in records depend on, for `Records.open`."""
    settings, encoder, captioner = model.settings, model.encoder, model.captioner
    return {
        "what": "captions",
        "encoder": f"{encoder.card.name} {encoder.sha256}",
        "captioner": f"{captioner_name(captioner)} {captioner.sha256 if captioner else ''}".strip(),
        "languages": ", ".join(plan.languages),
        "beams": str(plan.beams),
        "batch": str(settings.batch),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "device": device_name(encoder.device),
        "seed": str(settings.seed),
        "image limits": f"{settings.max_bytes} {settings.max_pixels} {settings.min_side}",
        "versions": ", ".join(f"{name} {number}" for name, number in library_versions().items()),
    }


def evaluate_captions(
    model: Model,
    items: Sequence[Item],
    plan: CaptionPlan,
    records: Records | None = None,
    tell: Progress | None = None,
    train: Sequence[Item] = (),
) -> Evaluation:
    """Captions of every photo, judged; `train` are the photos that baselines learn from.

    `records`: those of `captions_key`; what they hold is not described again. Captions that somebody wrote
    and captions that were composed are conditions of their own.
    Raises: NotSupported for a model that does not write a language; DataError where there are no photos.
    """
    for language in plan.languages:
        model.check_language(language)
    if not items:
        raise DataError("There is no photo to describe.", hint="Name a dataset or a folder of photos.")
    writer = CaptionWriter(model, items, plan.languages, plan.beams)
    documents = work_through(items, records, writer, tell, "captions")
    described = [pair for pair in zip(items, documents, strict=True) if "error" not in pair[1]]
    judged = [item for item, _ in described]
    scorer = _scorer(model, plan)
    pictures = embed_items(scorer, judged, plan.embeddings, tell) if scorer else None
    training = Training.of(train, judged)
    embedded = _embedded(model, judged, training, plan, tell)
    name = captioner_name(model.captioner)
    columns: list[Column] = []
    contest: list[tuple[Condition, tuple[Contestant, ...]]] = []
    tools = Tools(scorer, None, plan.bert, plan.frequencies)
    for condition in conditions_of(described, plan.languages, compose=plan.compose):
        own = model_contestant(name, described, condition.language)
        rivals = baseline_contestants(plan.baselines, condition, training, embedded)
        contest.append((condition, (own, *rivals)))
        for contestant in (own, *rivals):
            columns += columns_of(contestant, condition, plan.metrics, tools, pictures)
    notes = (*failures(items, documents), *_notes(model, plan, training, columns, scorer))
    return Evaluation(
        "captions",
        tuple(columns),
        tuple(judged),
        _settings(model, plan, items, training, scorer),
        _command(model, plan),
        notes,
        tuple(reliability_curves(columns)),
        texts=texts_of(contest),
    )


def _command(model: Model, plan: CaptionPlan) -> str:
    """Without the places of the photos, which the caller knows."""
    options: dict[str, str | Sequence[str]] = {
        "on": "PHOTOS",
        "lang": list(plan.languages),
        "metric": [] if plan.metrics == METRICS else list(plan.metrics),
        "baseline": [] if plan.baselines == tuple(BASELINES) else list(plan.baselines or ("none",)),
        "score-encoder": str(plan.score_encoder or ""),
        "bert": str(plan.bert or ""),
        "frequencies": str(plan.frequencies or ""),
        "beams": "" if plan.beams == 1 else str(plan.beams),
    }
    settings = {name: value for name, value in chosen_settings(model.settings).items() if name != "beams"}
    words = ["evaluate", "captions", *([] if plan.compose else ["--no-compose"])]
    return repeat_command(words, {**options, **model.origin}, settings)


def _scorer(model: Model, plan: CaptionPlan) -> AbstractEncoder | None:
    """The encoder of CLIPScore. Raises: as `load_encoder`."""
    if plan.score_encoder is None or "clip_score" not in plan.metrics:
        return None
    from dermaxai.pipeline import load

    return load(plan.score_encoder, settings=model.settings).encoder


def _embedded(
    model: Model, judged: Sequence[Item], training: Training, plan: CaptionPlan, tell: Progress | None
) -> tuple[Embedded, Embedded] | None:
    if NEAREST not in plan.baselines or not training.items:
        return None
    photos, others = (
        embed_items(model.encoder, some, plan.embeddings, tell) for some in (judged, training.items)
    )
    return photos, others


def _settings(
    model: Model,
    plan: CaptionPlan,
    items: Sequence[Item],
    training: Training,
    scorer: AbstractEncoder | None,
) -> Mapping[str, str]:
    key = captions_key(model, plan)
    del key["what"]
    return {
        "model": captioner_name(model.captioner),
        **key,
        "decoding": "greedy" if plan.beams == 1 else f"beam search, {plan.beams} beams",
        "photos": str(len(items)),
        "photos sha256": _digest(item.sha256 for item in items),
        "training photos of baselines": str(len(training.items)),
        "training photos sha256": _digest(one.sha256 for one in training.items),
        "metrics": ", ".join(plan.metrics),
        "baselines": ", ".join(plan.baselines) or "none",
        "CLIPScore": f"{scorer.card.name} {scorer.sha256}" if scorer else "left out",
        "BERTScore": _bert(plan) if "bert_score" in plan.metrics and plan.bert else "left out",
        "frequencies of CIDEr-D": _frequencies(plan),
        "references": "as published; composed where a photo has none" if plan.compose else "as published",
        "findings": f"'possible' beside 'stated' counts {HEDGED:g}",
        "age": f"right within {AGE_SLACK} years",
        "calibration": f"{BINS} bins, of equal width and of equal mass",
    }


def _bert(plan: CaptionPlan) -> str:
    """Name of the model's folder and a digest of its files."""
    assert plan.bert is not None, "asked for where there is one"
    files = sorted(path for path in plan.bert.iterdir() if path.suffix in BERT_FILES)
    hashes = []
    for path in files:
        with path.open("rb") as file:
            hashes.append(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}")
    return f"{plan.bert.name} {_digest(hashes)}"


def _frequencies(plan: CaptionPlan) -> str:
    own = "those of the judged references"
    if plan.frequencies is None:
        return own
    return f"{own}; fixed: {plan.frequencies.name} {hash_file(plan.frequencies)}"


def _digest(texts: Iterable[str]) -> str:
    """Of some texts, whatever their order; '' of none."""
    lines = sorted(texts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def _notes(
    model: Model,
    plan: CaptionPlan,
    training: Training,
    columns: Sequence[Column],
    scorer: AbstractEncoder | None,
) -> list[str]:
    found = []
    conditions = {column.condition for column in columns}
    if any("composed" in one for one in conditions):
        found.append(
            "Composed captions state label, annotation and measurement in this program's own sentences; "
            "scores against them say how well these are repeated, not how well a physician's words are met."
        )
    if TEMPLATE in plan.baselines:
        found.append(f"The baseline '{BASELINES[TEMPLATE]}' is told the true diagnosis of every photo.")
    needy = [name for name in (NEAREST, MAJORITY) if name in plan.baselines]
    if needy and not training.items:
        found.append(
            f"Without training photos there is no {' and no '.join(needy)}, and the label template says "
            "nothing but the label. Give the photos that the captioner learned from."
        )
    if training.left_out:
        found.append(
            f"{training.left_out} training photos share a file or a lesion with judged ones; "
            "no baseline saw them."
        )
    if "clip_score" in plan.metrics and scorer is None:
        found.append("CLIPScore is left out: it needs an encoder that is not the captioner's.")
    if scorer and scorer.sha256 == model.encoder.sha256:
        found.append("CLIPScore is that of the captioner's own encoder, which favours its captions.")
    if "bert_score" in plan.metrics and plan.bert is None:
        found.append("BERTScore is left out: it needs the folder of a local model.")
    return found
