"""Figures for paper and slides: one map with its colour bar, or all words of a caption side by side.

matplotlib is imported when the first figure is drawn. The same case gives the same file, byte for byte.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from dermaxai.errors import UsageError
from dermaxai.i18n import Catalogue, catalogue, prior_key
from dermaxai.overlay import (
    OPACITY,
    Range,
    account_for,
    colour_table,
    draw_layer,
    is_empty,
    is_signed,
    own_range,
)
from dermaxai.types import Case, HeatMap, Language, Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
DOTS = 200
"""Per inch, for PNG."""
LINE = 90
"""Signs of small print on one line below the title of a map."""
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
        lines = _notes(case, heat, texts)
        panel.set_title(_question(heat, texts), loc="left", fontsize=14, color=_INK, pad=16 + 9 * len(lines))
        panel.text(
            0, 1.03, "\n".join(lines), transform=panel.transAxes, fontsize=7, color=_MUTED, va="bottom"
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

    Words that are not from the image, and words without a map of `method` (by default that of the first map
    of a word), show the greyed photo.

    Raises: UsageError if the case has no word, or the ending is not .png, .svg or .pdf.
    """
    target, texts = _check_suffix(path), catalogue(language)
    words = case.caption.words
    if not words:
        raise UsageError("The caption of this case has no words to draw.")
    chosen = method or next((heat.method for heat in case.maps if _is_plain_word(heat.target)), "")
    maps = {
        heat.target.word: heat for heat in case.maps if heat.method == chosen and _is_plain_word(heat.target)
    }
    prior = {entry.word: prior_key(entry, "figure") for entry in case.evidence if entry.prior}
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
            note = texts.text(prior.get(index, "figure.no_map"))
            note = _span(case, heat, texts) if heat else note
            panel.text(0, -0.03, note, transform=panel.transAxes, fontsize=7, color=_MUTED, va="top")
        figure.suptitle(texts.name("method", chosen), x=0.01, ha="left", fontsize=9, color=_MUTED)
        return _write(figure, target, texts)


def save_figure(
    case: Case,
    path: Path | str,
    *,
    text: str | None = None,
    method: str | None = None,
    language: Language = "en",
) -> Path:
    """The map of the word or query `text`, or without a text all words side by side.

    `method` is by default that of the first map of `text`, or of the first map of a word.

    Raises: UsageError where there is no such map, or as `save_map` and `save_words`.
    """
    if text is None:
        known = dict.fromkeys(heat.method for heat in case.maps if _is_plain_word(heat.target))
        if method is not None and method not in known:
            raise UsageError(f"'{method}' has no maps of words. There are: {', '.join(known) or 'none'}.")
        return save_words(case, path, method=method, language=language)
    there = (heat.method for heat in case.maps if heat.target.text.casefold() == text.casefold())
    heat = case.map(text, method or next(there, "any method"))
    return save_map(case, heat, path, language=language)


def save_figures(
    case: Case, folder: Path | str, *, suffix: str = ".png", language: Language | None = None
) -> list[Path]:
    """Every figure of a case as a file of `folder`: per method a sheet of all words, then each map by itself.

    In the caption's language unless another is given. Maps with values that are not finite are left out, as
    in the report. Files of the same names are replaced.

    Raises: UsageError for another `suffix` than .png, .svg or .pdf.
    """
    home, spoken = Path(folder), language or case.caption.language
    _check_suffix(home / f"any{suffix}")
    sound = dataclasses.replace(
        case, maps=tuple(heat for heat in case.maps if np.isfinite(heat.values).all())
    )
    sheets = dict.fromkeys(heat.method for heat in sound.maps if _is_plain_word(heat.target))
    made = [
        save_words(sound, home / f"words-{name}{suffix}", method=name, language=spoken) for name in sheets
    ]
    for number, heat in enumerate(sound.maps, 1):
        file = f"{number:03}-{heat.method}-{_file_name(heat.target)}{suffix}"
        made.append(save_map(sound, heat, home / file, language=spoken))
    return made


def _file_name(target: Target) -> str:
    """A target as a part of a file name: letters and digits of any language, at most 60.

    >>> _file_name(Target("query", "blue/white veil?"))
    'blue-white-veil'
    """
    text = f"{target.text} not {target.against}" if target.against else target.text
    return re.sub(r"\W+", "-", text)[:60].strip("-")


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


def _span(case: Case, heat: HeatMap, texts: Catalogue) -> str:
    """The values of a map in a few signs, and in a few words where they account for too little."""
    largest = f"{heat.values.max():.3g}"
    span = f"{heat.values.min():.3g} … {largest}" if is_signed(heat) else f"≤ {largest}"
    account = account_for(case, heat)
    doubt = texts.text(f"figure.{account.doubt}") if account and account.doubt else ""
    return " · ".join(filter(None, ["0" if is_empty(heat) else span, doubt]))


def _notes(case: Case, heat: HeatMap, texts: Catalogue) -> list[str]:
    """Lines of small print: how the map was made, what it adds up to, a caution where that is little."""
    account, said = account_for(case, heat), [_made(heat, texts)]
    if account is not None:
        told, nats = f"{account.told:.2g}", f"{account.nats:.2g}"
        doubt = texts.text(f"map.{account.doubt}") if account.doubt else ""
        said.append(f"{texts.text('map.account', told=told, nats=nats)} {doubt}")
    return [line for text in said for line in textwrap.wrap(text, LINE, break_on_hyphens=False)]


def _is_plain_word(target: Target) -> bool:
    """Whether a map says why a word was said, not why rather than another."""
    return target.kind == "word" and target.against is None


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
    method, scalar = texts.name("method", heat.method), texts.name("scalar", heat.scalar)
    parts = method, heat.variant, scalar, texts.name("layer", heat.layer)
    return " · ".join(part for part in parts if part)


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
    bar.set_label(texts.name("scalar", heat.scalar), fontsize=8, color=_MUTED)


def _write(figure: Figure, target: Path, texts: Catalogue) -> Path:
    """Save without a date, below the notice that belongs on every output."""
    figure.supxlabel(texts.text("notice"), fontsize=7, color=_MUTED, x=0.01, ha="left")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        target,
        dpi=DOTS,
        facecolor="white",
        bbox_inches="tight",
        pad_inches=0.1,
        metadata=_NO_DATE[target.suffix.lower()],
    )
    return target
