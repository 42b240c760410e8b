"""The model card's figures: captions of held-out lesions against what was labelled and measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dermaxai.captioner import Captioner
from dermaxai.data.ham10000 import DIAGNOSES
from dermaxai.data.weak_captions import Facts, is_whole, read_facts
from dermaxai.training.captioner import Views, describe_views
from dermaxai.training.language import LANGUAGES

RESAMPLES = 2000


def interval(count: int, statistic: Callable[[np.ndarray], float], seed: int = 0) -> tuple[float, float, float]:
    """A statistic over row indices with its 95 % percentile bootstrap interval over rows."""
    generator = np.random.default_rng(seed)
    draws = [statistic(generator.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return statistic(np.arange(count)), float(low), float(high)


def balanced(right: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes present of the share of right answers."""
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def measure_captions(captioner: Captioner, test: Views, train: Sequence[Facts]) -> dict[str, Any]:
    """Accuracy per kind of fact and language, majority baseline, agreement of the languages, whole sentences."""
    texts = describe_views(captioner, test)
    said = {language: [read_facts(text, language) for text in texts[language]] for language in LANGUAGES}
    labels = np.array(test.diagnosis)
    figures: dict[str, Any] = {"photos": len(labels)}
    for language in LANGUAGES:
        right = np.array([DIAGNOSES.index(f.diagnosis) if f.diagnosis else -1 for f in said[language]]) == labels
        table: dict[str, Any] = {
            "diagnosis, balanced": _row(len(right), lambda i, r=right: balanced(r[i], labels[i]), 1 / len(DIAGNOSES)),
            "diagnosis": _row(len(right), lambda i, r=right: float(r[i].mean()), _majority(test.facts, "diagnosis", train)),
        }  # fmt: skip
        for slot in ("size", "symmetry", "border", "colour"):
            table[slot] = _slot_row(said[language], test.facts, slot, train)
        recalls = {name: float(right[labels == i].mean()) for i, name in enumerate(DIAGNOSES) if (labels == i).any()}
        figures[language] = {"facts": table, "recall": recalls}
    same = np.array([a == b for a, b in zip(said["en"], said["ru"], strict=True)])
    figures["same facts in both languages"] = _row(len(same), lambda i: float(same[i].mean()), None)
    every = [(text, language) for language in LANGUAGES for text in texts[language]]
    figures["whole sentences"] = float(np.mean([is_whole(text, language) for text, language in every]))
    figures["repeated 3-grams"] = float(np.mean([repeated(text) for text, _ in every]))
    return figures


def _slot_row(said: Sequence[Facts], truth: Sequence[Facts], slot: Any, train: Sequence[Facts]) -> dict[str, Any]:  # noqa: ANN401
    known = [i for i, fact in enumerate(truth) if fact.value(slot)]
    right = np.array([said[i].value(slot) == truth[i].value(slot) for i in known])
    row = _row(len(right), lambda i: float(right[i].mean()), _majority([truth[i] for i in known], slot, train))
    names = sorted({truth[i].value(slot) or "" for i in known})
    labels = np.array([names.index(truth[i].value(slot) or "") for i in known])
    row["balanced"] = balanced(right, labels)
    row["classes"] = len(names)
    return row


def _row(count: int, statistic: Callable[[np.ndarray], float], baseline: float | None) -> dict[str, Any]:
    value, low, high = interval(count, statistic)
    return {"value": value, "low": low, "high": high, "n": count, "baseline": baseline}


def _majority(truth: Sequence[Facts], slot: Any, train: Sequence[Facts]) -> float:  # noqa: ANN401
    most = Counter(value for fact in train if (value := fact.value(slot))).most_common(1)[0][0]
    return float(np.mean([fact.value(slot) == most for fact in truth]))


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
    (folder / "figures.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "figures.md").write_text(to_markdown(figures), encoding="utf-8")


def to_markdown(figures: dict[str, Any]) -> str:
    """The figures as a table, values with 95 % intervals."""
    lines = ["| fact | English | Russian | baseline |", "|---|---|---|---|"]
    for name in figures["en"]["facts"]:
        cells = [figures[language]["facts"][name] for language in LANGUAGES]
        shown = [f"{cell['value']:.3f} ({cell['low']:.3f}–{cell['high']:.3f})" for cell in cells]
        lines.append(f"| {name} (n {cells[0]['n']}) | {shown[0]} | {shown[1]} | {cells[0]['baseline']:.3f} |")
    same = figures["same facts in both languages"]
    lines += [
        "",
        f"Same facts in both languages: {same['value']:.3f} ({same['low']:.3f}–{same['high']:.3f}). "
        f"Whole sentences: {figures['whole sentences']:.4f}. Repeated 3-grams: {figures['repeated 3-grams']:.4f}.",
        "",
        "| recall | " + " | ".join(DIAGNOSES) + " |",
        "|---" * (len(DIAGNOSES) + 1) + "|",
    ]
    for language in LANGUAGES:
        recalls = figures[language]["recall"]
        lines.append(f"| {language} | " + " | ".join(f"{recalls.get(name, float('nan')):.2f}" for name in DIAGNOSES) + " |")
    return "\n".join(lines) + "\n"
