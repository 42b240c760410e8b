"""Derm1M-AgentAug: the photos of Derm1M with captions rewritten, as two tables or as Parquet shards.

Shards hold the photos themselves; `unpack` writes them out under the names the tables give them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dermaxai.data.cleaning import clean
from dermaxai.data.grouped_rows import grouped_rows
from dermaxai.data.readers.derm1m import captions_of, find_photo, find_tables, is_inside, source_keys
from dermaxai.data.reading import DatasetFolder, Row
from dermaxai.data.samples import Part, Sample
from dermaxai.errors import DataError, MissingExtra

LICENCE = "CC BY-NC-ND 4.0"
TABLES: dict[str, Part] = {"MAGEN_train.csv": "train", "MAGEN_valid.csv": "validation"}
PREFIX = "data/pretrain/images/"
UNPACK = "`dermaxai data unpack` writes them out"
WHOLE = ("truncated_caption", "ontology_caption", "visual_concept_caption")
"""One mask of `knowledge_masks` each, in this order."""
PIECES = tuple(f"subcaption_{number}" for number in range(1, 9))
"""One mask of `sub_caption_mask` each."""


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """One sample per photo with all its captions, in the order of the tables, or of the shards without them.

    `ontology_label` is a number into a list that is not published, so no diagnosis is read from it.
    Raises: DataError where there is neither table nor shard, MissingExtra for shards without pyarrow.
    """
    seen: set[str] = set()
    packed = 0
    for table, rows in _groups(folder):
        name = rows[0]["filename"].strip()
        if not is_inside(name):
            folder.report("broken row", rows[0].place, f"{name!r} leads out of the folder.")
        elif name in seen:
            folder.report("repeated id", rows[0].place, f"{name!r} stands in an earlier shard; left out.")
        else:
            seen.add(name)
            sample = _sample(folder, table, name, rows)
            packed += sample.path is None and table.suffix == ".parquet"
            yield sample
    if packed:
        folder.report("missing photo", "*.parquet", f"{packed} photos are still in the shards; {UNPACK}.")


def _groups(folder: DatasetFolder) -> Iterator[tuple[Path, Sequence[Row]]]:
    shards = [] if _has_table(folder) else find_shards(folder)
    if not shards:
        tables = find_tables(folder, TABLES)
        for group in grouped_rows(tables, ("filename", WHOLE[0]), folder.report):
            yield group.table, group.rows
    for shard in shards:
        for row in _shard_rows(shard):
            yield shard, (row,)


def _has_table(folder: DatasetFolder) -> bool:
    try:
        folder.find_file(*TABLES)
    except DataError:
        return False
    return True


def find_shards(folder: DatasetFolder) -> list[Path]:
    """The Parquet files below the root, in order of paths."""
    return sorted(folder.root.rglob("*.parquet"))


def _sample(folder: DatasetFolder, table: Path, name: str, rows: Sequence[Row]) -> Sample:
    short = name.removeprefix(PREFIX)
    label = rows[0].known("ontology_label") or ""
    return Sample(
        id=f"derm1m_agentaug/{short}",
        dataset="derm1m_agentaug",
        path=find_photo(folder, table, name),
        place=rows[0].place,
        licence=LICENCE,
        captions=captions_of(text for row in rows for text in _texts(folder, row)),
        label="" if label in ("-1", "-1.0") else label,
        groups=source_keys(short),
        official_split="validation" if "valid" in table.name.casefold() else "train",
    )


def _texts(folder: DatasetFolder, row: Row) -> Iterator[tuple[str, str]]:
    """Field and cleaned text of what the masks let through."""
    for fields, column in ((WHOLE, "knowledge_masks"), (PIECES, "sub_caption_mask")):
        masks = _masks(row[column], len(fields))
        if masks is None:
            folder.report("broken row", row.place, f"{column}={row[column]!r}; {len(fields)} masks expected.")
            masks = [field == WHOLE[0] for field in fields]
        yield from ((field, clean(row[field])) for field, shown in zip(fields, masks, strict=True) if shown)


def _masks(text: str, count: int) -> list[bool] | None:
    """A list as text, '[1, 0, True]'; everything is shown where there is none."""
    if not text.strip():
        return [True] * count
    words = [word for word in re.split(r"[\s,;\[\]()]+", text.casefold()) if word]
    masks = [_MASKS[word] for word in words if word in _MASKS]
    return masks if len(masks) == len(words) == count else None


_MASKS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def _parquet() -> Any:  # noqa: ANN401 - an optional library without types
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("Parquet shards need pyarrow.", hint="pip install 'dermaxai[data]'") from None
    return pyarrow.parquet


def _batches(shard: Path, size: int, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Rows of a shard, with those of `columns` that it has; all but the photo where none is named."""
    library = _parquet()
    try:
        with library.ParquetFile(shard) as file:
            names = file.schema_arrow.names
            if "filename" not in names:
                raise DataError(f"{shard.name} lacks the column filename; it has {', '.join(names)}.")
            taken = [name for name in names if name in columns or (not columns and name != "image")]
            for batch in file.iter_batches(batch_size=size, columns=taken):
                yield batch.to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{shard.name} is no Parquet file: {error}.", hint="Get the shard again.") from error


def _shard_rows(shard: Path) -> Iterator[Row]:
    number = 0
    for batch in _batches(shard, 1024, ()):
        for cells in batch:
            number += 1
            values = {name: "" if cell is None else str(cell) for name, cell in cells.items()}
            yield Row(values, f"{shard.name}, row {number}")


def unpack(folder: DatasetFolder, out: Path) -> int:
    """Write the photos of all shards below `out` under their names; those already whole there are kept.

    Files appear whole or not at all, so that a broken run goes on where it stopped. Returns how many were
    written. Raises: DataError where there is no shard, MissingExtra without pyarrow.
    """
    shards = find_shards(folder)
    if not shards:
        raise DataError(
            f"'{folder.root}' holds no Parquet shard.", hint="See `dermaxai data how derm1m_agentaug`."
        )
    return sum(_unpack_shard(folder, shard, out) for shard in shards)


def _unpack_shard(folder: DatasetFolder, shard: Path, out: Path) -> int:
    written = number = 0
    for batch in _batches(shard, 64, ("filename", "image")):
        for cells in batch:
            number += 1
            name, data = (cells["filename"] or "").strip(), _bytes(cells.get("image"))
            if not name or not is_inside(name) or not data:
                folder.report("broken row", f"{shard.name}, row {number}", f"No photo to write for {name!r}.")
            else:
                written += _write(out / name, data)
    return written


def _bytes(image: object) -> bytes:
    """Of a plain column, or of the hub's pair of bytes and path."""
    data = image.get("bytes") if isinstance(image, dict) else image
    return data if isinstance(data, bytes) else b""


def _write(path: Path, data: bytes) -> bool:
    if path.is_file() and path.stat().st_size == len(data):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
    return True
