"""The model card's figures: captions of held-out lesions against what was labelled and measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int

from dermaxai.captioner import Captioner
from dermaxai.embedded.captioner import Views, describe_views
from dermaxai.embedded.clip import MEAN, STD
from dermaxai.embedded.language import LANGUAGES
from dermaxai.embedded.lesions import DIAGNOSES
from dermaxai.embedded.photos import Measured
from dermaxai.encoders.base import AbstractEncoder
from dermaxai.measure.intervals import Rows, Statistic, interval
from dermaxai.statements import MEASURED_SLOTS, TERMS, Facts, Slot, is_whole, read_facts
from dermaxai.training.validation import own_words

SAME, WHOLE, REPEATED = "same facts in both languages", "whole sentences", "repeated 3-grams"
REPLACED = (SAME, WHOLE, REPEATED)
"""Figures that replacing captions changes."""


def balanced(right: Bool[np.ndarray, "rows"], labels: Rows) -> float:
    """Mean over the classes present of the share of right answers."""
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def measure_captions(captioner: Captioner, test: Views, train: Sequence[Facts]) -> dict[str, Any]:
    """Greedy captions of the test photos, judged as `judge_captions` does, and the decoder's own beside them.

    The own ones are what the decoder writes before a broken or disagreeing caption is replaced.
    """
    figures = judge_captions(describe_views(captioner, test), test.facts, train)
    with own_words(captioner):
        own = judge_captions(describe_views(captioner, test), test.facts, train)
    return {**figures, "before replacement": {name: own[name] for name in REPLACED}}


def judge_captions(
    texts: dict[str, list[str]], truth: Sequence[Facts], train: Sequence[Facts]
) -> dict[str, Any]:
    """Accuracy per kind of fact and language, majority baseline, agreement of the languages, whole sentences.

    Args: captions by language, one per fact of `truth`; `train` gives the majority answer of each fact.
    """
    said = {language: [read_facts(text, language) for text in texts[language]] for language in LANGUAGES}
    every = [(text, language) for language in LANGUAGES for text in texts[language]]
    same = np.array([one == other for one, other in zip(said["en"], said["ru"], strict=True)])
    return {
        "photos": len(truth),
        **{language: _judge_language(said[language], truth, train) for language in LANGUAGES},
        SAME: _row(len(same), _share_of(same), None),
        WHOLE: float(np.mean([is_whole(text, language) for text, language in every])),
        REPEATED: float(np.mean([repeated(text) for text, _ in every])),
    }


def _judge_language(said: Sequence[Facts], truth: Sequence[Facts], train: Sequence[Facts]) -> dict[str, Any]:
    right, labels = _compare(said, truth, "diagnosis")
    table = {
        "diagnosis, balanced": _row(len(right), lambda i: balanced(right[i], labels[i]), 1 / len(DIAGNOSES)),
        "diagnosis": _row(len(right), _share_of(right), _majority(truth, "diagnosis", train)),
    }
    for slot in MEASURED_SLOTS:
        table[slot] = _slot_row(said, truth, slot, train)
    names = sorted({fact.diagnosis for fact in truth if fact.diagnosis})
    recalls = {name: float(right[labels == index].mean()) for index, name in enumerate(names)}
    return {"facts": table, "recall": recalls}


def _slot_row(
    said: Sequence[Facts], truth: Sequence[Facts], slot: Slot, train: Sequence[Facts]
) -> dict[str, Any]:
    """Only photos whose outline is trusted count: elsewhere nothing was measured to agree with."""
    right, labels = _compare(said, truth, slot)
    row = _row(len(right), _share_of(right), _majority(truth, slot, train))
    return {**row, "balanced": balanced(right, labels), "classes": len(np.unique(labels))}


def _compare(
    said: Sequence[Facts], truth: Sequence[Facts], slot: Slot
) -> tuple[Bool[np.ndarray, "known"], Int[np.ndarray, "known"]]:
    """Where a fact is known: whether it was said, and its class as a number in alphabetical order."""
    pairs = [
        (one.value(slot), fact) for one, other in zip(said, truth, strict=True) if (fact := other.value(slot))
    ]
    names = sorted({fact for _, fact in pairs})
    return np.array([one == fact for one, fact in pairs]), np.array([names.index(fact) for _, fact in pairs])


def _share_of(right: Bool[np.ndarray, "rows"]) -> Statistic:
    return lambda rows: float(right[rows].mean())


def _row(count: int, statistic: Statistic, baseline: float | None) -> dict[str, Any]:
    value, low, high = interval(count, statistic)
    return {"value": value, "low": low, "high": high, "n": count, "baseline": baseline}


def _majority(truth: Sequence[Facts], slot: Slot, train: Sequence[Facts]) -> float:
    """How often the most frequent answer of the training photos is right."""
    most = Counter(value for fact in train if (value := fact.value(slot))).most_common(1)[0][0]
    known = [value for fact in truth if (value := fact.value(slot))]
    return float(np.mean([value == most for value in known]))


def measure_zero_shot(encoder: AbstractEncoder, data: Measured, chosen: Sequence[int]) -> dict[str, Any]:
    """Diagnosis by the nearest text, the card's templates averaged: accuracy and balanced accuracy."""
    templates, names = encoder.card.templates or ("{}",), TERMS["diagnosis"]
    texts = [
        encoder.encode_text([form.format(names[name]["en"]) for form in templates]) for name in DIAGNOSES
    ]
    directions = torch.stack([text.mean(dim=0) for text in texts])
    pixels = [data.photos[list(chosen[start : start + 64])] for start in range(0, len(chosen), 64)]
    pooled = torch.cat([encoder.forward((part.float() / 255 - MEAN) / STD).pooled for part in pixels])
    labels = np.array([DIAGNOSES.index(data.rows[i].diagnosis) for i in chosen])
    right = (pooled @ directions.T).argmax(dim=1).numpy() == labels
    return {
        "balanced": _row(len(right), lambda rows: balanced(right[rows], labels[rows]), 1 / len(DIAGNOSES)),
        "accuracy": _row(len(right), _share_of(right), None),
    }


def repeated(text: str, size: int = 3) -> float:
    """Share of a text's word n-grams that have stood in it before.

    >>> repeated("a b c a b c")
    0.25
    """
    words = text.lower().split()
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def write_figures(figures: dict[str, Any], folder: Path) -> None:
    """`figures.json` and the Markdown table that goes into the model card."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
    (folder / "figures.json").write_text(text, encoding="utf-8")
    (folder / "figures.md").write_text(to_markdown(figures), encoding="utf-8")


def to_markdown(figures: dict[str, Any]) -> str:
    """The figures as a table, values with 95 % intervals."""
    lines = ["| fact | English | Russian | baseline |", "|---|---|---|---|"]
    for name in figures["en"]["facts"]:
        cells = [figures[language]["facts"][name] for language in LANGUAGES]
        shown = " | ".join(map(_shown, cells))
        lines.append(f"| {name} (n {cells[0]['n']}) | {shown} | {cells[0]['baseline']:.3f} |")
    lines += ["", _sentence("As shown", figures)]
    if "before replacement" in figures:
        lines.append(_sentence("As the decoder wrote them", figures["before replacement"]))
    lines += [
        "",
        "| recall | " + " | ".join(DIAGNOSES) + " |",
        "|---" * (len(DIAGNOSES) + 1) + "|",
    ]
    for language in LANGUAGES:
        recalls = figures[language]["recall"]
        cells = [f"{recalls[name]:.2f}" if name in recalls else "–" for name in DIAGNOSES]
        lines.append(f"| {language} | " + " | ".join(cells) + " |")
    if "zero-shot" in figures:
        scores = ", ".join(f"{name} {_shown(row)}" for name, row in figures["zero-shot"].items())
        lines += ["", f"Encoder alone, zero-shot diagnosis: {scores}."]
    return "\n".join(lines) + "\n"


def _sentence(which: str, figures: dict[str, Any]) -> str:
    return (
        f"{which}: {SAME} {_shown(figures[SAME])}, {WHOLE} {figures[WHOLE]:.4f}, "
        f"{REPEATED} {figures[REPEATED]:.4f}."
    )


def _shown(row: dict[str, Any]) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
