"""Worst and best cases as linked pages that open from disk and ask for nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dermaxai.cases import find_place
from dermaxai.errors import DermaXAIError
from dermaxai.evaluate.groups import UNKNOWN, age_band, name_group
from dermaxai.evaluate.items import Evaluation, Item, Progress
from dermaxai.evaluate.layout import ARROWS
from dermaxai.evaluate.naming import Namer, key_of
from dermaxai.evaluate.rounding import decimals, show
from dermaxai.images import read_image
from dermaxai.measure.columns import Column
from dermaxai.measure.estimates import MEAN
from dermaxai.measure.scale import Scale

SIDE = 480
"""Longest side of a photo's copy, pixels."""
QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A picture made for the page of a photo, such as a map over it."""

    heading: str
    """Of the row that it stands in, with those that have the same; '': the row of the photo."""
    caption: str
    pixels: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the pages of cases show."""

    photos: bool = False
    """Copies of the photos, small and without anything but pixels, in the results folder. Not by default: a
    folder of results is passed on more lightly than photos of people may be."""
    most: int = 8
    """Photos at each end."""
    metrics: int = 3
    """The first so many metrics with a better direction, of each condition."""
    contestants: int = 4
    """The first so many contestants that are no baseline."""
    reports: Path | None = None
    """Folder of cases that `dermaxai explain` wrote; pages link to those that are there."""
    draw: Callable[[Item], Sequence[Drawing]] | None = None
    """Draws what the page of a photo shows beside it; asked with `photos` only."""
    tell: Progress | None = None
    """Hears how many pages, and figures where they are drawn before, are done."""


USUAL = PageOptions()


def write_pages(
    labels: Sequence[str],
    evaluations: Sequence[Evaluation],
    folder: Path,
    options: PageOptions = USUAL,
) -> list[Path]:
    """`index.html` in `folder`, a page per evaluation and condition, one per photo; all that was written.

    `labels` name the evaluations. A photo that cannot be read has a page without it.
    """
    return list(_Writer(folder, options).write(labels, evaluations))


@dataclass(frozen=True, slots=True)
class _Board:
    """One evaluation under one condition: the values of single photos."""

    title: str
    columns: tuple[Column, ...]
    values: tuple[Mapping[str, float], ...]
    """Of each column the rows that have one."""
    items: Mapping[str, Item]
    evaluation: Evaluation

    @property
    def scales(self) -> list[Scale]:
        return list({column.scale.name: column.scale for column in self.columns}.values())


@final
class _Writer:
    """Writes all pages of one results folder."""

    def __init__(self, folder: Path, options: PageOptions) -> None:
        from jinja2 import Environment, StrictUndefined

        self._folder, self._options = folder, options
        text = resources.files("dermaxai.evaluate").joinpath("cases.html.j2").read_text("utf-8")
        made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self._template = made.from_string(text)
        self._photos: dict[str, str] = {}
        self._shown: dict[str, Item] = {}

    def write(self, labels: Sequence[str], evaluations: Sequence[Evaluation]) -> Iterator[Path]:
        """Lists first, so that it is known which photos have a page."""
        boards = list(_boards(labels, evaluations))
        namer, pages = Namer(), []
        namer.name("index")
        for board in boards:
            sections = list(self._sections(board))
            if sections:
                name = f"{namer.name(board.title)}.html"
                metrics = ", ".join(dict.fromkeys(section["metric"] for section in sections))
                pages.append({"page": name, "title": board.title, "metrics": metrics})
                left_out = self._left_out(board)
                told = {"title": board.title, "sections": sections, "left_out": left_out}
                yield self._put(name, "list", told)
        for done, item in enumerate(list(self._shown.values()), 1):
            yield self._put(f"items/{key_of(item.id)}.html", "item", self._item(item, boards))
            if self._options.tell:
                self._options.tell("pages of photos", done, len(self._shown))
        yield from (self._folder / name for name in dict.fromkeys(self._photos.values()) if name)
        yield self._put("index.html", "index", {"pages": pages})

    def _put(self, place: str, kind: str, told: Mapping[str, Any]) -> Path:
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._template.render(told, kind=kind).strip() + "\n", "utf-8")
        return target

    def _left_out(self, board: _Board) -> str:
        names = list(dict.fromkeys(one.contestant for one in board.columns if not one.is_baseline))
        most = self._options.contestants
        return f"The first {most} of {len(names)} contestants." if len(names) > most else ""

    def _sections(self, board: _Board) -> Iterator[dict[str, Any]]:
        main = [scale.name for scale in board.scales if scale.better != "neither"][: self._options.metrics]
        own = list(dict.fromkeys(one.contestant for one in board.columns if not one.is_baseline))
        for metric in main:
            for column, values in zip(board.columns, board.values, strict=True):
                if column.scale.name == metric and column.contestant in own[: self._options.contestants]:
                    section = self._section(board, column, values)
                    if section:
                        yield section

    def _section(self, board: _Board, column: Column, values: Mapping[str, float]) -> dict[str, Any] | None:
        """Both ends of one metric of one contestant; no photo is at both. None without any."""
        scale = column.scale
        told = [(row, value) for row, value in values.items() if row in board.items]
        ranked = sorted(told, key=lambda pair: (scale.improvement(pair[1], 0.0), pair[0]))
        if not ranked:
            return None
        worst = ranked[: min(self._options.most, (len(ranked) + 1) // 2)]
        best = ranked[len(worst) :][-self._options.most :][::-1]
        return {
            "metric": scale.title,
            "contestant": column.contestant,
            "about": f"{scale.unit}, {scale.better} is better, {scale.range}; {len(ranked)} photos",
            "worst": [self._card(board.items[row], value) for row, value in worst],
            "best": [self._card(board.items[row], value) for row, value in best],
        }

    def _card(self, item: Item, value: float) -> dict[str, str]:
        self._shown.setdefault(item.id, item)
        page = f"{key_of(item.id)}.html"
        return {"page": page, "photo": self._photo(item.path), "value": _show(value), "name": item.id}

    def _photo(self, path: Path) -> str:
        """Where the copy lies below the folder, made when first asked for; '' where there is none."""
        if not self._options.photos:
            return ""
        key = str(path)
        if key not in self._photos:
            self._photos[key] = _copy(path, self._folder)
        return self._photos[key]

    def _item(self, item: Item, boards: Sequence[_Board]) -> dict[str, Any]:
        evaluations = list({id(board.evaluation): board.evaluation for board in boards}.values())
        more = [path for one in evaluations for path in one.pictures.get(item.id, ())]
        copies = [(self._photo(path), "") for path in dict.fromkeys((item.path, *more))]
        return {
            "name": item.id,
            "facts": _facts(item),
            "texts": list(dict.fromkeys(pair for one in evaluations for pair in one.texts.get(item.id, ()))),
            "rows": self._drawings(item, [copy for copy in copies if copy[0]]),
            "report": self._report(item),
            "tables": [table for board in boards if (table := _table(board, item.id))],
        }

    def _drawings(self, item: Item, copies: list[tuple[str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
        """Copies and, row by row, where each drawing lies, and what it shows.

        There is no drawing of a photo that cannot be read.
        """
        rows = {"": copies}
        if self._options.draw is not None and self._photo(item.path):
            for number, one in enumerate(self._options.draw(item), 1):
                name = f"photos/{key_of(item.id)}-{number:02d}.jpg"
                _save(one.pixels, self._folder / name)
                self._photos[name] = name
                rows.setdefault(one.heading, []).append((name, one.caption))
        return list(rows.items())

    def _report(self, item: Item) -> str:
        """The way from an item's page to the report of its case; '' where there is none."""
        if self._options.reports is None:
            return ""
        place = find_place(self._options.reports, item.sha256) / "report.html"
        here = self._folder / "items"
        return Path(os.path.relpath(place, here)).as_posix() if place.is_file() else ""


def _boards(labels: Sequence[str], evaluations: Sequence[Evaluation]) -> Iterator[_Board]:
    for label, one in zip(labels, evaluations, strict=True):
        items = {item.id: item for item in one.items}
        means = [column for column in one.columns if column.statistic is MEAN]
        for condition in dict.fromkeys(column.condition for column in means):
            columns = tuple(column for column in means if column.condition == condition)
            values = tuple(_values(column) for column in columns)
            yield _Board(f"{label}, {condition}", columns, values, items, one)


def _values(column: Column) -> dict[str, float]:
    """Of the rows that have one."""
    found = column.parts[:, 1] != 0
    values = np.divide(column.parts[:, 0], column.parts[:, 1], out=np.zeros(len(found)), where=found)
    told = zip(column.rows, values.tolist(), found.tolist(), strict=True)
    return {row: value for row, value, known in told if known}


def _table(board: _Board, row: str) -> dict[str, Any] | None:
    """All metrics of all contestants for one photo."""
    held = {
        (one.contestant, one.scale.name): values[row]
        for one, values in zip(board.columns, board.values, strict=True)
        if row in values
    }
    if not held:
        return None
    names = {one.contestant: one.is_baseline for one in board.columns}
    rows = [
        {
            "name": name,
            "baseline": names[name],
            "cells": [_show(held.get((name, scale.name), math.nan)) for scale in board.scales],
        }
        for name in sorted(names, key=lambda name: names[name])
    ]
    heads = [f"{scale.title} {ARROWS[scale.better]}".strip() for scale in board.scales]
    return {"title": board.title, "heads": heads, "rows": rows}


def _show(value: float) -> str:
    return show(value, decimals(math.nan, value))


def _facts(item: Item) -> list[tuple[str, str]]:
    sample = item.sample
    told = {
        "dataset": sample.dataset,
        "diagnosis": name_group("diagnosis", sample.diagnosis or ""),
        "site": name_group("site", sample.site or ""),
        "age": "" if age_band(sample.age) == UNKNOWN else age_band(sample.age),
        "sex": sample.sex or "",
        "skin type": name_group("skin_type", sample.skin_type or ""),
        "photo": sample.modality or "",
        "licence": sample.licence,
        "sha256": item.sha256[:16],
    }
    return [(key, value) for key, value in told.items() if value]


def _copy(path: Path, folder: Path) -> str:
    try:
        image = read_image(path)
    except DermaXAIError:
        return ""
    name = f"photos/{image.sha256[:16]}.jpg"
    _save(image.pixels, folder / name)
    return name


def _save(pixels: UInt8[np.ndarray, "height width 3"], target: Path) -> None:
    """Small, and nothing but pixels."""
    target.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    picture.save(target, "JPEG", quality=QUALITY)
