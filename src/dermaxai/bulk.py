"""Describing many photos: one row each, one bad file does not stop the rest, and a stop costs nothing done.

A row is a plain dictionary that fits on one line of JSON or CSV. Photos are read, described and forgotten in
batches, so that memory does not grow with their number.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dermaxai.errors import DataError, DermaXAIError, UsageError

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Case, Evidence, Language, SkinImage, Word

Row = dict[str, Any]
Kind = Literal["json", "csv", "text"]

COLUMNS = ("file", "lang", "caption", "logprob", "outside", "outside_score", "error")
"""Of a CSV file."""
DIGITS = 4
"""Behind the point: the last bits of a number may depend on the photos in the same batch."""


def describe_photos(model: Model, paths: Iterable[Path], *, lang: Language = "en") -> Iterator[Row]:
    """One row per path, in order; a photo that cannot be used gives a row with `error`.

    Raises: NotSupported when the model cannot describe at all.
    """
    model.check_language(lang)
    batch: list[tuple[Path, SkinImage | Row]] = []
    for path in paths:
        batch.append((path, _read(model, path, lang)))
        if len(batch) == model.settings.batch:
            yield from _describe(model, batch, lang)
            batch = []
    yield from _describe(model, batch, lang)


def _read(model: Model, path: Path, lang: Language) -> SkinImage | Row:
    try:
        return model.read(path)
    except DermaXAIError as error:
        return error_row(lang, error)


def _describe(model: Model, batch: Sequence[tuple[Path, SkinImage | Row]], lang: Language) -> Iterator[Row]:
    images = [image for _, image in batch if not isinstance(image, dict)]
    rows = iter(_rows_of(model, images, lang))
    for path, image in batch:
        row = image if isinstance(image, dict) else next(rows)
        yield {"file": str(path)} | row


def _rows_of(model: Model, images: Sequence[SkinImage], lang: Language) -> list[Row]:
    """Together; one by one where that fails, so that the photo at fault is found."""
    if not images:
        return []
    try:
        return [case_row(case) for case in model.describe(images, lang)]
    except DermaXAIError as error:
        if len(images) == 1:
            return [error_row(lang, error)]
    return [row for image in images for row in _rows_of(model, [image], lang)]


def case_row(case: Case) -> Row:
    """A described photo: caption, words with their place and log-probability (nats), and `outside`."""
    caption, evidence = case.caption, {entry.word: entry for entry in case.evidence}
    return {
        "sha256": case.image.sha256,
        "lang": caption.language,
        "caption": caption.text,
        "logprob": round(caption.logprob, DIGITS),
        "words": [_word(word) | _evidence(evidence.get(index)) for index, word in enumerate(caption.words)],
        "outside": outside_row(case),
        "notes": list(case.image.notes),
        "warnings": list(case.warnings),
    }


def _word(word: Word) -> Row:
    logprob = round(word.logprob, DIGITS)
    return {"text": word.text, "start": word.start, "stop": word.stop, "logprob": logprob}


def _evidence(entry: Evidence | None) -> Row:
    return {"evidence": round(entry.nats, DIGITS), "from_image": entry.from_image} if entry else {}


def outside_row(case: Case) -> Row | None:
    """The answer of the rule, None where the model has no rule."""
    if case.outside is None:
        return None
    found = case.outside
    return {
        "flag": found.flag,
        "score": round(found.score, DIGITS),
        "threshold": round(found.threshold, DIGITS),
        "rule": found.rule,
    }


def error_row(lang: Language, error: DermaXAIError) -> Row:
    """A photo that could not be used, and why."""
    return {"lang": lang, "error": str(error), "kind": type(error).__name__}


def format_row(row: Row, kind: Kind) -> str:
    """A row as one line, without the line's end.

    >>> format_row({"file": "a.jpg", "lang": "en", "caption": "a mole", "logprob": -1.5}, "csv")
    'a.jpg,en,a mole,-1.5,,,'
    """
    if kind == "json":
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    if kind == "text":
        return f"{row['file']}\t{row['caption'] if 'caption' in row else '! ' + _one_line(row['error'])}"
    outside = row.get("outside") or {}
    flat = {**row, "outside": outside.get("flag"), "outside_score": outside.get("score")}
    return _csv_line([_one_line(flat.get(name)) for name in COLUMNS])


def header_of(kind: Kind) -> str:
    """The first line of a file, '' where there is none."""
    return ",".join(COLUMNS) if kind == "csv" else ""


def _one_line(value: object) -> str:
    return "" if value is None else " ".join(str(value).splitlines())


def _csv_line(values: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()


class RowFile:
    """Rows in a file that survives an interruption: each is written whole, and finished ones are known.

    An existing file is continued only with `resume`: rows of failed photos and a last line cut short are
    taken out, so that those photos are tried again.
    Raises: UsageError for an existing file without `resume`; DataError for one that holds something else.
    """

    def __init__(self, path: Path, kind: Kind, *, resume: bool) -> None:
        self.kind = kind
        self._done: set[tuple[str, str]] = set()
        lines: list[str] = []
        if path.exists() and path.stat().st_size:
            if not resume:
                raise UsageError(
                    f"'{path}' exists.", hint="Add --resume to continue it, or name another file."
                )
            lines = self._kept(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = [header_of(kind)] if header_of(kind) else []
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text("".join(f"{line}\n" for line in header + lines), "utf-8", "backslashreplace")
        os.replace(fresh, path)
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def _kept(self, path: Path) -> list[str]:
        """Whole lines of described photos."""
        text = path.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1].split("\n")[:-1]
        if self.kind == "csv" and whole[:1] != [header_of("csv")]:
            raise DataError(f"'{path}' is not a CSV file of 'describe'.", hint="Name another file.")
        kept = []
        for line in whole[1:] if self.kind == "csv" else whole:
            row = _parse(line, self.kind, path)
            if not row.get("error"):
                self._done.add((str(row["file"]), str(row["lang"])))
                kept.append(line)
        return kept

    def has(self, path: Path, lang: Language) -> bool:
        """Whether the photo is described already, in this language."""
        name = str(path).encode("utf-8", "backslashreplace").decode()
        return (str(path), lang) in self._done or (name, lang) in self._done

    def write(self, row: Row) -> None:
        """Add a row; it is on the disk's way before the next one is made."""
        self._file.write(format_row(row, self.kind) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _parse(line: str, kind: Kind, path: Path) -> Row:
    try:
        row = dict(zip(COLUMNS, next(csv.reader([line])), strict=True)) if kind == "csv" else json.loads(line)
        return {"file": row["file"], "lang": row["lang"], "error": row.get("error")}
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(
            f"'{path}' holds a line that 'describe' did not write: {line[:60]!r}.", hint="Name another file."
        ) from error
