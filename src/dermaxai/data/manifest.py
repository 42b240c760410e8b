"""The manifest: one Parquet file with every sample of every dataset, its split and what its photo told.

Columns (a row is one photo of one dataset; `?` may be null):

| column | type | holds |
| --- | --- | --- |
| `id`, `dataset`, `place`, `licence` | string | as in `Sample` |
| `path` | string? | the photo, below the root of its dataset; the file's metadata holds the roots |
| `captions` | list of (language, field, sentences: list of (text, source)) | real and composed ones |
| `diagnosis`, `site`, `sex`, `skin_type`, `modality`, `official_split` | string? | as in `Sample` |
| `label`, `source_malignancy`, `site_text` | string | as in `Sample` |
| `other_diagnoses`, `present`, `absent`, `groups` | list of string | as in `Sample` |
| `age` | double? | years |
| `votes` | list of (diagnosis, count) | as in `Sample` |
| `sha256` | string | of the photo's file, 64 hex digits; '' where there is no file |
| `width`, `height` | int32 | pixels, upright; 0 where the photo was not read |
| `phash` | 32 bytes? | perceptual hash (`hashing`) |
| `appearance` | (area, …, colours: list of (colour, share))? | as in `Appearance` |
| `cluster` | string | what no split cuts through: 16 hex digits (`grouping`) |
| `split` | string | train, validation or test, one for the cluster in all datasets |
| `duplicate_of` | string | id of the first row that shows the same photo; '' for that row itself |
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from dermaxai.data.appearance import Appearance
from dermaxai.data.rows import Batch, Column, File, arrow, read_appearances, to_samples
from dermaxai.data.samples import PARTS, Part, Sample
from dermaxai.data.writing import FORMAT, KEY, hash_rows
from dermaxai.data.writing import ManifestWriter as ManifestWriter
from dermaxai.data.writing import manifest_schema as manifest_schema
from dermaxai.errors import DataError, UsageError
from dermaxai.registry import check_name


@dataclass(frozen=True, slots=True)
class ManifestSample:
    """One row of a manifest."""

    sample: Sample
    split: Part
    cluster: str
    duplicate_of: str
    """Id of the first row that shows the same photo; '' for that row itself."""
    width: int
    """Pixels, upright."""
    height: int
    appearance: Appearance | None


@final
class Manifest:
    """A manifest on disk; opening reads its footer only, columns are read when they are asked for."""

    def __init__(self, path: Path, file: File, notes: Mapping[str, Any], roots: Mapping[str, Path]) -> None:
        self.path = path
        self.roots = dict(roots)
        """Folder of each dataset."""
        self.sha256: str = notes["sha256"]
        """Of the rows, whatever the roots; recorded when written."""
        self._file = file
        self._columns: dict[str, Any] = {}

    @classmethod
    def open(cls, path: Path | str, *, roots: Mapping[str, Path | str] | None = None) -> Manifest:
        """A manifest, with other folders for datasets that were moved.

        Raises: DataError for a file that is none or a later format; UnknownName for a dataset it lacks.
        """
        place = Path(path)
        file, notes = _open_parquet(place)
        told = {name: Path(root) for name, root in notes["roots"].items()}
        for name in roots or {}:
            check_name("dataset in the manifest", name, list(told))
        moved = {name: Path(root) for name, root in (roots or {}).items()}
        return cls(place, file, notes, told | moved)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self.roots)

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._file.schema_arrow.names)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets in it, in the order in which they were given."""
        return tuple(self.roots)

    def arrow_column(self, name: str) -> Column:
        """A column as Arrow holds it, in one piece, read once. Raises: UnknownName."""
        check_name("column", name, list(self.columns))
        if name not in self._columns:
            self._columns[name] = _one_piece(self._file.read(columns=[name]).column(name))
        return self._columns[name]

    def column(self, name: str) -> np.ndarray | list[Any]:
        """A column as a numpy array, null as None (NaN for `age`); lists and structs as a list.

        Raises: UnknownName.
        """
        found = self.arrow_column(name)
        if arrow().types.is_nested(found.type):
            return list(found.to_pylist())
        return np.asarray(found.to_numpy(zero_copy_only=False))

    def rows(
        self, split: Part | None = None, datasets: Sequence[str] | None = None, *, unique: bool = True
    ) -> Int64[np.ndarray, " n"]:
        """Numbers of the rows of a split and of some datasets, in order.

        With `unique` a photo that several of these rows show counts once, by the first of them.
        Raises: UsageError for another split, UnknownName for another dataset.
        """
        kept = np.ones(len(self), bool)
        if split is not None:
            if split not in PARTS:
                raise UsageError(f"No split is called '{split}'.", hint=f"There are {', '.join(PARTS)}.")
            kept &= self._is_in("split", [split])
        if datasets is not None:
            for name in datasets:
                check_name("dataset in the manifest", name, list(self.datasets))
            kept &= self._is_in("dataset", list(datasets))
        found = np.flatnonzero(kept)
        if unique:
            _, first = np.unique(self._photos[found], return_index=True)
            found = found[np.sort(first)]
        return found

    def _is_in(self, name: str, values: list[str]) -> np.ndarray:
        pa = arrow()
        found = pa.compute.is_in(self.arrow_column(name), value_set=pa.array(values, pa.string()))
        return np.asarray(found.to_numpy(zero_copy_only=False))

    @cached_property
    def _photos(self) -> Int64[np.ndarray, " n"]:
        """One number per photo: the same for all rows that show it."""
        pc, again = arrow().compute, self.arrow_column("duplicate_of")
        first = pc.if_else(pc.equal(again, ""), self.arrow_column("id"), again)
        return np.asarray(first.dictionary_encode().indices.to_numpy(), np.int64)

    @cached_property
    def _batches(self) -> list[Batch]:
        """All rows in memory, in as few pieces as Arrow's offsets allow."""
        return list(self._file.read().combine_chunks().to_batches())

    def samples(self, rows: Sequence[int] | Int64[np.ndarray, " n"]) -> list[ManifestSample]:
        """Rows in the order asked for. The first call reads the manifest into memory.

        Raises: UsageError for a row that is not there.
        """
        wanted = np.asarray(rows, np.int64).reshape(-1)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise UsageError(
                f"Rows are 0 to {len(self) - 1}; {wanted.min()} to {wanted.max()} were asked for."
            )
        starts = list(accumulate((len(batch) for batch in self._batches), initial=0))
        home = np.array([bisect_right(starts, row) - 1 for row in wanted.tolist()], np.int64)
        found: list[ManifestSample | None] = [None] * len(wanted)
        for index in np.unique(home):
            asked = np.flatnonzero(home == index)
            batch = self._batches[index].take(arrow().array(wanted[asked] - starts[index]))
            for position, sample in zip(asked.tolist(), self._read(batch), strict=True):
                found[position] = sample
        return [sample for sample in found if sample is not None]

    def batches(self, size: int = 4096) -> Iterator[list[ManifestSample]]:
        """All rows in order, without holding more than one row group."""
        for batch in self._file.iter_batches(batch_size=size):
            yield self._read(batch)

    def _read(self, batch: Batch) -> list[ManifestSample]:
        names = ("split", "cluster", "duplicate_of", "width", "height")
        plain = [batch.column(name).to_pylist() for name in names]
        samples, appearances = to_samples(batch, self.roots), read_appearances(batch.column("appearance"))
        return list(map(ManifestSample, samples, *plain, appearances))

    def verify(self) -> None:
        """Raises: DataError where the rows are not those that were written."""
        if (found := hash_rows(self.path)) != self.sha256:
            raise DataError(
                f"'{self.path}' was changed: its rows hash to {found[:12]}, not {self.sha256[:12]}.",
                hint="Build it again.",
            )


def _reopen(path: Path, roots: Mapping[str, Path]) -> Manifest:
    return Manifest.open(path, roots=roots)


def _open_parquet(path: Path) -> tuple[File, dict[str, Any]]:
    pa = arrow()
    try:
        file = pa.parquet.ParquetFile(path, memory_map=True)
        notes = json.loads(file.metadata.metadata[KEY])
    except FileNotFoundError:
        raise DataError(
            f"There is no manifest '{path}'.", hint="Make it with `dermaxai data build`."
        ) from None
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"'{path}' is no manifest of this program.", hint="Make it with `dermaxai data build`."
        ) from error
    if notes.get("format") != FORMAT:
        raise DataError(
            f"'{path}' is a manifest of format {notes.get('format')}; {FORMAT} is read.",
            hint="Build it again.",
        )
    return file, notes


def _one_piece(column: Column) -> Column:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
