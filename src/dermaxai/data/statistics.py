"""What a manifest holds, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from dermaxai.data.manifest import Manifest
from dermaxai.data.rows import Column, arrow
from dermaxai.data.samples import PARTS, Part
from dermaxai.types import Language
from dermaxai.vocabulary import diagnoses

CaptionKind = Literal["real", "weak"]
UNTOLD = ""
"""The value of rows whose publisher says nothing."""
AGE_STEP = 10
"""Years in a band of ages."""
OLDEST = 90
"""Years at which the last, open band begins."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many photos of one dataset have one value, part by part."""

    dataset: str
    value: str
    """`UNTOLD` where nothing is told."""
    parts: Mapping[Part, int]

    @property
    def total(self) -> int:
        """In all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in words of the captions of one dataset, one language and one kind."""

    dataset: str
    language: Language
    kind: CaptionKind
    captions: int
    photos: int
    """That have such a caption."""
    least: int
    median: float
    mean: float
    most: int
    histogram: tuple[tuple[int, int], ...]
    """Words and how many captions have as many, ascending."""


@dataclass(frozen=True, slots=True)
class ManifestStatistics:
    """Counts of everything, and lengths of captions; rows that repeat a photo count once if unique.

    Captions count from every row: SkinCAP's stand in rows that repeat photos of Fitzpatrick17k.
    """

    photos: int
    repeated: int
    """Rows left out because they repeat a photo."""
    splits: tuple[Count, ...]
    """Values: the dataset itself."""
    diagnoses: tuple[Count, ...]
    """Values: ids in the vocabulary."""
    malignancies: tuple[Count, ...]
    skin_types: tuple[Count, ...]
    sites: tuple[Count, ...]
    sexes: tuple[Count, ...]
    ages: tuple[Count, ...]
    """Values: bands of ten years, '30-39', the last '90+'."""
    modalities: tuple[Count, ...]
    sources: tuple[Count, ...]
    """Values: sources of the facts in captions; a row counts once for each."""
    lengths: tuple[Lengths, ...]


def count_manifest(manifest: Manifest, *, unique: bool = True) -> ManifestStatistics:
    """Count the rows of a manifest, each photo once if `unique`, but for their captions."""
    rows = manifest.rows(unique=unique)
    counter = _Counter(manifest, rows)
    diagnosis = manifest.arrow_column("diagnosis")
    return ManifestStatistics(
        photos=len(rows),
        repeated=len(manifest) - len(rows),
        splits=counter.count(manifest.arrow_column("dataset")),
        diagnoses=counter.count(diagnosis),
        malignancies=counter.count(_malignancy(diagnosis)),
        skin_types=counter.count(manifest.arrow_column("skin_type")),
        sites=counter.count(manifest.arrow_column("site")),
        sexes=counter.count(manifest.arrow_column("sex")),
        ages=counter.count(_bands(manifest.arrow_column("age"))),
        modalities=counter.count(manifest.arrow_column("modality")),
        sources=counter.count_sources(manifest.arrow_column("captions")),
        lengths=_lengths(manifest),
    )


class _Counter:
    """Counts values per dataset and part over chosen rows."""

    def __init__(self, manifest: Manifest, rows: Int64[np.ndarray, " n"]) -> None:
        self._rows = rows
        self._datasets = manifest.datasets
        self._dataset = _places(manifest.arrow_column("dataset"), manifest.datasets)
        self._part = _places(manifest.arrow_column("split"), PARTS)

    def count(self, column: Column) -> tuple[Count, ...]:
        """Of one value per row."""
        return self._counted(column, self._rows)

    def count_sources(self, captions: Column) -> tuple[Count, ...]:
        """Of the sources of sentences, each once for a row, of all rows."""
        pc = arrow().compute
        caption, sentence = _owners(captions), _owners(captions.flatten().field("sentences"))
        sources = captions.flatten().field("sentences").flatten().field("source").dictionary_encode()
        owner, code = caption[sentence], sources.indices.to_numpy()
        once = np.unique(np.stack([owner, code]), axis=1)
        return self._counted(pc.take(sources.dictionary, arrow().array(once[1])), once[0], own=True)

    def _counted(
        self, column: Column, rows: Int64[np.ndarray, " n"], *, own: bool = False
    ) -> tuple[Count, ...]:
        """Per dataset the commonest value first; `own`: the column has one value for each of `rows`."""
        pc = arrow().compute
        coded = pc.fill_null(column, UNTOLD).dictionary_encode()
        values, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)
        codes = codes if own else codes[rows]
        shape = (len(self._datasets), max(len(values), 1), len(PARTS))
        flat = np.ravel_multi_index((self._dataset[rows], codes, self._part[rows]), shape)
        table = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
        found = [
            Count(dataset, values[value], dict(zip(PARTS, table[place, value].tolist(), strict=True)))
            for place, dataset in enumerate(self._datasets)
            for value in np.flatnonzero(table[place].sum(axis=1)).tolist()
        ]
        order = {dataset: place for place, dataset in enumerate(self._datasets)}
        return tuple(sorted(found, key=lambda one: (order[one.dataset], -one.total, one.value)))


def _places(column: Column, names: tuple[str, ...]) -> Int64[np.ndarray, " n"]:
    pa = arrow()
    return np.asarray(
        pa.compute.index_in(column, value_set=pa.array(names, pa.string())).to_numpy(), np.int64
    )


def _owners(lists: Column) -> Int64[np.ndarray, " k"]:
    """For each item of a column of lists the row it belongs to."""
    lengths = arrow().compute.list_value_length(lists).to_numpy()
    return np.repeat(np.arange(len(lengths)), lengths)


def _malignancy(diagnosis: Column) -> Column:
    pa = arrow()
    coded = diagnosis.dictionary_encode()
    known = diagnoses()
    told = [known[name].malignancy if name in known else None for name in coded.dictionary.to_pylist()]
    return pa.array(told, pa.string()).take(coded.indices)


def _bands(age: Column) -> Column:
    pa = arrow()
    bands = [f"{start}-{start + AGE_STEP - 1}" for start in range(0, OLDEST, AGE_STEP)] + [f"{OLDEST}+"]
    years = age.to_numpy(zero_copy_only=False)
    place = np.clip(np.nan_to_num(years) // AGE_STEP, 0, len(bands) - 1).astype(np.int64)
    return pa.array(bands, pa.string()).take(pa.array(place, mask=np.isnan(years)))


def _lengths(manifest: Manifest) -> tuple[Lengths, ...]:
    pc = arrow().compute
    captions = manifest.arrow_column("captions")
    items, owner = captions.flatten(), _owners(captions)
    sentences = items.field("sentences")
    words = _count_words(sentences.flatten().field("text"))
    length = np.bincount(_owners(sentences), weights=words, minlength=len(items)).astype(np.int64)
    weak = pc.equal(items.field("field"), "composed").to_numpy(zero_copy_only=False)
    language = items.field("language").to_numpy(zero_copy_only=False)
    dataset = np.asarray(manifest.column("dataset"))[owner]
    found = []
    for name in manifest.datasets:
        for spoken in sorted(set(language[dataset == name])):
            for kind in ("real", "weak"):
                own = (dataset == name) & (language == spoken) & (weak == (kind == "weak"))
                if own.any():
                    found.append(_summed(name, spoken, kind, length[own], owner[own]))
    return tuple(found)


def _count_words(texts: Column) -> Int64[np.ndarray, " k"]:
    """Runs of signs without space."""
    return np.asarray(arrow().compute.count_substring_regex(texts, r"\S+").to_numpy(), np.int64)


def _summed(
    dataset: str,
    language: Language,
    kind: CaptionKind,
    length: Int64[np.ndarray, " k"],
    owner: Int64[np.ndarray, " k"],
) -> Lengths:
    values, counts = np.unique(length, return_counts=True)
    return Lengths(
        dataset=dataset,
        language=language,
        kind=kind,
        captions=len(length),
        photos=len(np.unique(owner)),
        least=int(values[0]),
        median=float(np.median(length)),
        mean=float(length.mean()),
        most=int(values[-1]),
        histogram=tuple(zip(values.tolist(), counts.tolist(), strict=True)),
    )
