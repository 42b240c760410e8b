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
from typing import TYPE_CHECKING, Any, Literal, TextIO

from dermaxai.errors import DataError, DermaXAIError, UsageError

if TYPE_CHECKING:
    from dermaxai.pipeline import Model
    from dermaxai.types import Blur, Case, Evidence, Language, Outside, SkinImage, Word

Row = dict[str, Any]
Kind = Literal["json", "csv", "text"]

COLUMNS = (
    "file", "sha256", "lang", "caption", "logprob", "outside", "outside_score", "outside_threshold",
    "outside_rule", "blur", "blur_threshold", "encoder_sha256", "captioner_sha256", "error", "kind",
)  # fmt: skip
"""Of a CSV file: everything of a row that is one value, under the same name."""
WEIGHTS = ("encoder_sha256", "captioner_sha256")
"""What must agree between the rows of one file."""
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
    """A described photo: caption, words with place and log-probability (nats), whether it is outside."""
    caption, evidence = case.caption, {entry.word: entry for entry in case.evidence}
    return {
        "sha256": case.image.sha256,
        "lang": caption.language,
        "caption": caption.text,
        "logprob": round(caption.logprob, DIGITS),
        "words": [_word(word) | _evidence(evidence.get(index)) for index, word in enumerate(caption.words)],
        **_outside(case.outside),
        **_blur(case.blur),
        "notes": list(case.image.notes),
        "warnings": list(case.warnings),
        **{name: getattr(case.made_by, name) for name in WEIGHTS},
    }


def _word(word: Word) -> Row:
    logprob = round(word.logprob, DIGITS)
    return {"text": word.text, "start": word.start, "stop": word.stop, "logprob": logprob}


def _evidence(entry: Evidence | None) -> Row:
    return {"evidence": round(entry.nats, DIGITS), "from_image": entry.from_image} if entry else {}


def _outside(found: Outside | None) -> Row:
    """The answer of the rule; every value is None where the model has no rule."""
    return {
        "outside": found.flag if found else None,
        "outside_score": round(found.score, DIGITS) if found else None,
        "outside_threshold": round(found.threshold, DIGITS) if found else None,
        "outside_rule": found.rule if found else None,
    }


def _blur(found: Blur | None) -> Row:
    """Percent of the shorter side; None where it was not looked at."""
    return {
        "blur": round(found.width, DIGITS) if found else None,
        "blur_threshold": found.threshold if found else None,
    }


def error_row(lang: Language, error: DermaXAIError) -> Row:
    """A photo that could not be used, and why; the keys of `case_row`, then `error` and `kind`."""
    return {
        "sha256": None,
        "lang": lang,
        "caption": None,
        "logprob": None,
        "words": [],
        **_outside(None),
        **_blur(None),
        "notes": [],
        "warnings": [],
        **dict.fromkeys(WEIGHTS),
        "error": str(error),
        "kind": type(error).__name__,
    }


def format_row(row: Row, kind: Kind) -> str:
    """A row as one line, without the line's end.

    >>> format_row({"file": "a.jpg", "lang": "en", "caption": "a mole", "outside": False}, "csv")
    'a.jpg,,en,a mole,,false,,,,,,,,,'
    """
    if kind == "json":
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    if kind == "text":
        return f"{row['file']}\t{'! ' + _one_line(row['error']) if 'error' in row else row['caption']}"
    return _csv_line([_one_line(row.get(name)) for name in COLUMNS])


def header_of(kind: Kind) -> str:
    """The first line of a file, '' where there is none."""
    return ",".join(COLUMNS) if kind == "csv" else ""


def _one_line(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else " ".join(str(value).splitlines())


def _csv_line(values: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()


class RowFile:
    """Rows in a file that survives an interruption: each is written whole, and finished ones are known.

    An existing file is continued only with `resume`: rows of failed photos and a last line cut short are
    taken out, so that those photos are tried again. A photo is known by its resolved path. Nothing is
    written before the first row.
    Raises: UsageError for an existing file without `resume`; DataError for one that holds something else.
    """

    def __init__(self, path: Path, kind: Kind, *, resume: bool) -> None:
        self.kind = kind
        self._path = path
        self._done: set[tuple[str, str]] = set()
        self._weights: set[tuple[str, ...]] = set()
        self._lines: list[str] = []
        self._file: TextIO | None = None
        if path.is_dir():
            raise UsageError(f"'{path}' is a folder; rows are written to a file.", hint="Name a file in it.")
        if path.exists() and path.stat().st_size:
            if not resume:
                raise UsageError(
                    f"'{path}' exists.", hint="Add --resume to continue it, or name another file."
                )
            self._lines = self._kept()

    def _kept(self) -> list[str]:
        """Whole lines of described photos."""
        try:
            text = self._path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"'{self._path}' is no text of 'describe'.", hint="Name another file.") from error
        whole = text[: text.rfind("\n") + 1].split("\n")[:-1]
        if self.kind == "csv" and whole[:1] != [header_of("csv")]:
            raise DataError(f"'{self._path}' is not a CSV file of 'describe'.", hint="Name another file.")
        kept = []
        for line in whole[1:] if self.kind == "csv" else whole:
            row = _parse(line, self.kind, self._path)
            if not row.get("error"):
                self._done.add((row["file"], str(row["lang"])))
                self._weights.add(tuple(str(row[name]) for name in WEIGHTS))
                kept.append(line)
        return kept

    def has(self, path: Path, lang: Language) -> bool:
        """Whether the photo is described already, in this language."""
        name = _resolved(path)
        printable = name.encode("utf-8", "backslashreplace").decode()
        return (name, lang) in self._done or (printable, lang) in self._done

    def check_weights(self, model: Model) -> None:
        """Raise UsageError where rows in the file were written with other weights than those of `model`."""
        own = (model.encoder.sha256, model.captioner.sha256 if model.captioner else "")
        if others := sorted(self._weights - {own}):
            raise UsageError(
                f"'{self._path}' was written with other weights: {_short(others[0])}, not {_short(own)}.",
                hint="Choose the model that wrote it, or name another file.",
            )

    def write(self, row: Row) -> None:
        """Add a row; it is on the disk's way before the next one is made."""
        if self._file is None:
            self._file = self._opened()
        self._file.write(format_row(row, self.kind) + "\n")
        self._file.flush()

    def _opened(self) -> TextIO:
        """The file with the header and the kept lines in it, put there in one step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        header = [header_of(self.kind)] if header_of(self.kind) else []
        fresh = self._path.with_name(f".{self._path.name}.new")
        lines = "".join(f"{line}\n" for line in header + self._lines)
        fresh.write_text(lines, "utf-8", "backslashreplace")
        os.replace(fresh, self._path)
        return self._path.open("a", encoding="utf-8", errors="backslashreplace")

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


def _short(weights: tuple[str, ...]) -> str:
    return "encoder {:.12}, captioner {:.12}".format(*weights)


def _resolved(path: Path | str) -> str:
    """One name for a file, however it was reached; a relative path starts at the working folder."""
    return os.path.realpath(path)


def _parse(line: str, kind: Kind, path: Path) -> Row:
    try:
        row = dict(zip(COLUMNS, next(csv.reader([line])), strict=True)) if kind == "csv" else json.loads(line)
        known = {name: row[name] for name in ("lang", *WEIGHTS)}
        return known | {"file": _resolved(str(row["file"])), "error": row.get("error")}
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(
            f"'{path}' holds a line that 'describe' did not write: {line[:60]!r}.", hint="Name another file."
        ) from error
