"""Manifests of a few rows, written without a build."""

from pathlib import Path

import pyarrow as pa

from dermaxai.data.appearance import Appearance
from dermaxai.data.hashing import Signature
from dermaxai.data.manifest import ManifestWriter, manifest_schema
from dermaxai.data.rows import scan_columns, to_columns
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.scanning import Scan

APPEARANCE = Appearance(0.2, 0.1, 1.2, (("dark brown", 0.7), ("black", 0.2)), 31.5, 0.0)


def caption(text, source="author", *, language="en", field="caption"):
    return SampleCaption(language, (Sentence(text, source),), field)


def sample(number, root, dataset="ham10000", **changes):
    values = {
        "id": f"{dataset}/{number}",
        "dataset": dataset,
        "path": Path(root) / "photos" / f"{number}.jpg",
        "place": f"table.csv, line {number}",
        "sha256": f"{number:064x}",
    }
    return Sample(**values | changes)


def write(path, samples, roots, *, scans=None, splits=None, clusters=None, repeats=None, size=4):
    """A manifest in batches of `size`; the `sha256` of its rows."""
    scans = scans or [
        Scan(one.sha256, 600, 450, Signature(bytes(32), bytes(256)), APPEARANCE) for one in samples
    ]
    count = len(samples)
    added = {
        "cluster": clusters or [f"{place:016x}" for place in range(count)],
        "split": splits or ["train"] * count,
        "duplicate_of": repeats or [""] * count,
    }
    with ManifestWriter(path, roots) as writer:
        for start in range(0, count, size):
            some = slice(start, start + size)
            texts = [pa.array(values[some], pa.string()) for values in added.values()]
            columns = [*to_columns(samples[some], roots).columns, *scan_columns(scans[some]), *texts]
            writer.write(pa.record_batch(columns, schema=manifest_schema()))
        return writer.finish()
