"""Figures for paper and slides: one map with its colour bar, or all words of a caption side by side.

matplotlib is imported when the first figure is drawn. The same case gives the same file, byte for byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from dermaxai.errors import UsageError
from dermaxai.i18n import Catalogue, catalogue
from dermaxai.overlay import OPACITY, Range, colour_table, draw_layer, is_empty, is_signed, own_range
from dermaxai.types import Case, HeatMap, Language

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
DOTS = 200
"""Per inch, for PNG."""
_INK, _MUTED = "#1f1e1b", "#6b6862"
_STYLE = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "dermaxai",
    "pdf.fonttype": 42,
}
_NO_DATE: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "DermaXAI"},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": "DermaXAI", "Producer": None},
}


def save_map(
    case: Case,
    heat: HeatMap,
    path: Path | str,
    *,
    opacity: float = OPACITY,
    value_range: Range | None = None,
    language: Language = "en",
) -> Path:
    """One map over its photo, with word, method, scalar and a numbered colour bar; .png, .svg or .pdf.

    The map layer in SVG and PDF is a picture, everything else vector with real text.

    Raises: UsageError for another ending; ShapeError, DataError as `overlay.draw_overlay`.
    """
    target, texts = _check_suffix(path), catalogue(language)
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure, axes = _blank(
            columns=1, rows=1, ratio=case.image.pixels.shape[0] / case.image.pixels.shape[1]
        )
        panel = axes[0]
        _show(panel, case, draw_layer(case.image, heat, opacity=opacity, value_range=value_range), target)
        panel.set_title(_question(heat, texts), loc="left", fontsize=14, color=_INK, pad=26)
        panel.text(
            0, 1.03, _made(heat, texts), transform=panel.transAxes, fontsize=8, color=_MUTED, va="bottom"
        )
        _colour_bar(figure, panel, heat, value_range, texts)
        return _write(figure, target, texts)


def save_png(case: Case, heat: HeatMap, path: Path | str, *, language: Language = "en") -> Path:
    """`save_map` as PNG, whatever the ending of `path`."""
    return save_map(case, heat, Path(path).with_suffix(".png"), language=language)


def save_svg(case: Case, heat: HeatMap, path: Path | str, *, language: Language = "en") -> Path:
    """`save_map` as SVG, whatever the ending of `path`."""
    return save_map(case, heat, Path(path).with_suffix(".svg"), language=language)


def save_words(
    case: Case, path: Path | str, *, method: str | None = None, columns: int = 5, language: Language = "en"
) -> Path:
    """One panel per word of the explained caption, each map in its own range.

    Words of language prior, and words without a map of `method` (by default that of the first map), show the
    greyed photo.

    Raises: UsageError if the case has no word, or the ending is not .png, .svg or .pdf.
    """
    target, texts = _check_suffix(path), catalogue(language)
    words = case.caption.words
    if not words:
        raise UsageError("The caption of this case has no words to draw.")
    chosen = method or (case.maps[0].method if case.maps else "")
    maps = {
        heat.target.word: heat for heat in case.maps if heat.method == chosen and heat.target.kind == "word"
    }
    prior = {entry.word for entry in case.evidence if not entry.from_image}
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        columns = min(columns, len(words))
        ratio = case.image.pixels.shape[0] / case.image.pixels.shape[1]
        figure, axes = _blank(columns=columns, rows=-(-len(words) // columns), ratio=ratio)
        for index, (panel, word) in enumerate(zip(axes, words, strict=False)):
            heat = None if index in prior else maps.get(index)
            layer = _veil(case) if heat is None else draw_layer(case.image, heat)
            _show(panel, case, layer, target)
            panel.set_title(word.text, loc="left", fontsize=11, color=_INK if heat else _MUTED, pad=4)
            note = texts.text("figure.prior" if index in prior else "figure.no_map")
            note = _span(heat) if heat else note
            panel.text(0, -0.03, note, transform=panel.transAxes, fontsize=7, color=_MUTED, va="top")
        figure.suptitle(texts.name("method", chosen), x=0.01, ha="left", fontsize=9, color=_MUTED)
        return _write(figure, target, texts)


def _show(panel: Axes, case: Case, layer: UInt8[np.ndarray, "height width 4"], target: Path) -> None:
    """Photo and map as two pictures, at their own resolution where the file is vector."""
    smoothing = "antialiased" if target.suffix.lower() == ".png" else "none"
    panel.imshow(case.image.pixels, interpolation=smoothing)
    panel.imshow(layer, interpolation=smoothing)


def _veil(case: Case) -> UInt8[np.ndarray, "height width 4"]:
    """A layer that leaves a pale grey photo."""
    veil = np.full((*case.image.pixels.shape[:2], 4), 255, np.uint8)
    veil[..., :3] = case.image.pixels.mean(axis=-1, keepdims=True) * 0.35 + 255 * 0.65
    return veil


def _span(heat: HeatMap) -> str:
    """The values of a map in a few signs."""
    if is_empty(heat):
        return "0"
    largest = f"{heat.values.max():.3g}"
    return f"{heat.values.min():.3g} … {largest}" if is_signed(heat) else f"≤ {largest}"


def _check_suffix(path: Path | str) -> Path:
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"A figure ends in {', '.join(SUFFIXES)}, not '{target.suffix}'.")
    return target


def _blank(*, columns: int, rows: int, ratio: float) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels without axes; `ratio` is height by width of one panel."""
    from matplotlib.figure import Figure

    wide = 5.6 if columns == 1 else 2.1
    figure = Figure(
        figsize=(columns * wide, rows * (wide * ratio + (1.1 if rows == 1 else 0.55))), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in axes:
        panel.axis("off")
    return figure, list(axes)


def _question(heat: HeatMap, texts: Catalogue) -> str:
    if heat.target.against:
        return texts.text("figure.against", word=heat.target.text, other=heat.target.against)
    return texts.text("figure.word", word=heat.target.text)


def _made(heat: HeatMap, texts: Catalogue) -> str:
    """Method, variant, scalar and layer on one line."""
    method = texts.name("method", heat.method)
    return " · ".join(part for part in (method, heat.variant, heat.scalar, heat.layer) if part)


def _colour_bar(
    figure: Figure, panel: Axes, heat: HeatMap, value_range: Range | None, texts: Catalogue
) -> None:
    """Numbers of the range used, or the sentence that there is nothing to colour."""
    if is_empty(heat):
        panel.text(
            0, -0.03, texts.text("map.none"), transform=panel.transAxes, fontsize=9, color=_INK, va="top"
        )
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    signed = is_signed(heat)
    low, high = value_range or own_range(heat, signed=signed)
    if signed:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    table = ListedColormap(colour_table("diverging" if signed else "viridis") / 255)
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, high), table), ax=panel, orientation="horizontal", aspect=40, pad=0.03
    )
    bar.set_ticks([low, (low + high) / 2, high])
    bar.set_ticklabels([f"{value:.3g}" for value in (low, (low + high) / 2, high)])
    bar.ax.tick_params(labelsize=8, colors=_MUTED, length=0)
    bar.outline.set_visible(False)
    bar.set_label(heat.scalar, fontsize=8, color=_MUTED)


def _write(figure: Figure, target: Path, texts: Catalogue) -> Path:
    """Save without a date, below the notice that belongs on every output."""
    figure.supxlabel(texts.text("notice"), fontsize=7, color=_MUTED, x=0.01, ha="left")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=DOTS, facecolor="white", metadata=_NO_DATE[target.suffix.lower()])
    return target
