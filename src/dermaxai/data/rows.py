"""Samples as Arrow columns, and back: what the manifest and the spool of a build are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dermaxai.data.appearance import Appearance
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.scanning import Scan
from dermaxai.errors import MissingExtra

_PLAIN = (
    "id", "dataset", "place", "licence", "diagnosis", "label", "source_malignancy", "site", "site_text",
    "age", "sex", "skin_type", "modality", "official_split", "sha256",
)  # fmt: skip
_LISTS = ("other_diagnoses", "present", "absent", "groups")
_NUMBERS = ("area", "asymmetry", "irregularity", "contrast", "touches")
_Any = TypeVar("_Any")

Column = Any
"""An Arrow array; its type lives in an optional library."""
Batch = Any
"""An Arrow record batch."""
Schema = Any
"""An Arrow schema or type."""
File = Any
"""An open file of Arrow or Parquet."""


def arrow() -> ModuleType:
    """Pyarrow, with its modules for computing and for Parquet. Raises: MissingExtra."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("Manifests need pyarrow.", hint="pip install 'dermaxai[data]'") from None
    found: ModuleType = pyarrow
    return found


def sample_schema() -> Schema:
    """The columns of a sample, in order, as in `manifest`."""
    pa = arrow()
    text, texts = pa.string(), pa.list_(pa.string())
    sentences = pa.list_(pa.struct([("text", text), ("source", text)]))
    captions = pa.list_(pa.struct([("language", text), ("field", text), ("sentences", sentences)]))
    return pa.schema(
        [
            ("id", text), ("dataset", text), ("path", text), ("place", text), ("licence", text),
            ("captions", captions), ("diagnosis", text), ("label", text), ("other_diagnoses", texts),
            ("source_malignancy", text), ("present", texts), ("absent", texts), ("site", text),
            ("site_text", text), ("age", pa.float64()), ("sex", text), ("skin_type", text),
            ("modality", text), ("groups", texts), ("official_split", text),
            ("votes", pa.list_(pa.struct([("diagnosis", text), ("count", pa.int64())]))), ("sha256", text),
        ]
    )  # fmt: skip


def scan_schema() -> Schema:
    """The columns that reading the photo adds."""
    pa = arrow()
    shares = pa.list_(pa.struct([("colour", pa.string()), ("share", pa.float64())]))
    measured = pa.struct([*((name, pa.float64()) for name in _NUMBERS), ("colours", shares)])
    columns = [("width", pa.int32()), ("height", pa.int32()), ("phash", pa.binary(32))]
    return pa.schema([*columns, ("appearance", measured)])


def to_columns(samples: Sequence[Sample], roots: Mapping[str, Path]) -> Batch:
    """A record batch; paths are kept relative to the root of the sample's dataset.

    Raises: ValueError for a path outside its root.
    """
    schema = sample_schema()
    columns = {name: _plain(samples, name, schema) for name in _PLAIN}
    columns |= {name: _lists([getattr(sample, name) for sample in samples], _texts) for name in _LISTS}
    columns["path"] = _array([_relative(sample, roots) for sample in samples], schema.field("path").type)
    columns["captions"] = captions_column([sample.captions for sample in samples])
    columns["votes"] = _lists([sample.votes for sample in samples], _pairs(schema.field("votes").type))
    return arrow().record_batch([columns[name] for name in schema.names], schema=schema)


def _relative(sample: Sample, roots: Mapping[str, Path]) -> str | None:
    if sample.path is None:
        return None
    return sample.path.relative_to(roots[sample.dataset]).as_posix()


def _array(values: Sequence[object], kind: Schema) -> Column:
    return arrow().array(values, kind)


def _plain(samples: Sequence[Sample], name: str, schema: Schema) -> Column:
    return _array([getattr(sample, name) for sample in samples], schema.field(name).type)


def _texts(values: Sequence[str]) -> Column:
    return _array(values, arrow().string())


def _lists(values: Sequence[Sequence[_Any]], make: Callable[[list[_Any]], Column]) -> Column:
    """One list per row; `make` turns the items of all rows into one array."""
    pa = arrow()
    starts = list(accumulate(map(len, values), initial=0))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), make(list(chain.from_iterable(values))))


def _pairs(kind: Schema) -> Callable[[list[tuple[str, Any]]], Column]:
    """Makes structs of two fields, those of the items of the list type `kind`."""
    first, second = kind.value_type

    def make(pairs: list[tuple[str, Any]]) -> Column:
        columns: list[list[Any]] = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
        arrays = [_array(values, one.type) for values, one in zip(columns, (first, second), strict=True)]
        return arrow().StructArray.from_arrays(arrays, fields=[first, second])

    return make


def captions_column(captions: Sequence[Sequence[SampleCaption]]) -> Column:
    """The `captions` of many rows."""
    return _lists(captions, _captions)


def _captions(captions: Sequence[SampleCaption]) -> Column:
    sentences = [[(one.text, one.source) for one in caption.sentences] for caption in captions]
    fields = list(sample_schema().field("captions").type.value_type)
    columns = [
        _texts([caption.language for caption in captions]),
        _texts([caption.field for caption in captions]),
        _lists(sentences, _pairs(fields[2].type)),
    ]
    return arrow().StructArray.from_arrays(columns, fields=fields)


def scan_columns(scans: Sequence[Scan]) -> list[Column]:
    """The columns of `scan_schema`."""
    schema = scan_schema()
    plain: dict[str, list[Any]] = {
        "width": [scan.width for scan in scans],
        "height": [scan.height for scan in scans],
        "phash": [scan.signature and scan.signature.phash for scan in scans],
    }
    arrays = [_array(values, schema.field(name).type) for name, values in plain.items()]
    return [*arrays, _appearances([scan.appearance for scan in scans], schema.field("appearance").type)]


def _appearances(found: Sequence[Appearance | None], kind: Schema) -> Column:
    pa = arrow()
    numbers = [_array([getattr(one, name, None) for one in found], pa.float64()) for name in _NUMBERS]
    colours = _lists([one.colours if one else () for one in found], _pairs(kind.field("colours").type))
    absent = _array([one is None for one in found], pa.bool_())
    return pa.StructArray.from_arrays([*numbers, colours], fields=list(kind), mask=absent)


def to_samples(batch: Batch, roots: Mapping[str, Path]) -> list[Sample]:
    """The samples of a record batch, paths below the roots."""
    plain = {name: batch.column(name).to_pylist() for name in (*_PLAIN, "path")}
    plain |= {name: [tuple(values) for values in batch.column(name).to_pylist()] for name in _LISTS}
    plain["captions"] = _read_lists(batch.column("captions"), _read_captions)
    plain["votes"] = _read_lists(batch.column("votes"), _read_pairs)
    plain["path"] = [
        None if path is None else roots[dataset] / path
        for dataset, path in zip(plain["dataset"], plain["path"], strict=True)
    ]
    return [Sample(**dict(zip(plain, row, strict=True))) for row in zip(*plain.values(), strict=True)]


def _read_lists(column: Column, read: Callable[[Column], Iterable[_Any]]) -> list[tuple[_Any, ...]]:
    """Per row a tuple of what `read` makes of the items of all rows."""
    items = list(read(column.flatten()))
    lengths = arrow().compute.list_value_length(column).to_pylist()
    return [tuple(items[start:stop]) for start, stop in pairwise(accumulate(lengths, initial=0))]


def _read_pairs(items: Column) -> Iterator[tuple[Any, Any]]:
    return zip(*(items.field(index).to_pylist() for index in (0, 1)), strict=True)


def _read_captions(items: Column) -> Iterator[SampleCaption]:
    language, field = (items.field(name).to_pylist() for name in ("language", "field"))
    sentences = _read_lists(items.field("sentences"), _read_sentences)
    return map(SampleCaption, language, sentences, field)


def _read_sentences(items: Column) -> Iterator[Sentence]:
    return (Sentence(text, source) for text, source in _read_pairs(items))


def read_appearances(column: Column) -> list[Appearance | None]:
    """Of the `appearance` column."""
    return [_read_appearance(row) for row in column.to_pylist()]


def _read_appearance(row: dict[str, Any] | None) -> Appearance | None:
    if row is None:
        return None
    colours = tuple((one["colour"], one["share"]) for one in row["colours"])
    return Appearance(**{name: row[name] for name in _NUMBERS}, colours=colours)
