"""Photos with their samples in tar shards, in the form of WebDataset: written once, streamed from anywhere.

A shard holds, one after the other, the files of each photo under one key: `<key>.jpg` and `<key>.json`.
`index.json` beside the shards lists them with their counts, as the library `wids` has it; with the counts
known, any place of the stream can be reached without reading what lies before it.

Source: WebDataset format, https://github.com/webdataset/webdataset (README, "The WebDataset Format").
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dermaxai.errors import DataError, MissingExtra

INDEX = "index.json"
_FORMAT = "wids-shard-index-v1"


@dataclass(frozen=True, slots=True)
class ShardItem:
    """The files of one photo, by ending."""

    key: str
    """Unique in the set, without dots and slashes in its last part."""
    files: Mapping[str, bytes]
    """Ending without the leading dot ('jpg', 'json'), and content."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar file."""

    url: str
    """Path, or any address that fsspec opens: https://…, s3://…"""
    count: int
    """Photos in it."""


def write_shards(
    items: Iterable[ShardItem],
    folder: Path,
    *,
    per_shard: int = 1000,
    on_shard: Callable[[str], None] = lambda name: None,
) -> list[Shard]:
    """Write shards and their index; shards that a broken-off writing has finished are kept.

    The same items in the same order give the same bytes. Args: per_shard photos at most.
    Raises: DataError for a key that comes twice or cannot be one, or a folder with shards of other photos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[Shard] = []
    seen: set[str] = set()
    for batch in _batches(items, per_shard):
        for item in batch:
            _check_key(item.key, seen)
        name = f"shard-{len(shards):06d}.tar"
        if not _is_finished(folder / name, batch):
            _write_shard(batch, folder / name)
        shards.append(Shard(name, len(batch)))
        on_shard(name)
    entries = [{"url": shard.url, "nsamples": shard.count} for shard in shards]
    text = json.dumps({"__kind__": _FORMAT, "wids_version": 1, "shardlist": entries}, indent=1)
    _replace(folder / INDEX, text.encode())
    return shards


def _batches(items: Iterable[ShardItem], size: int) -> Iterator[list[ShardItem]]:
    batch: list[ShardItem] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _check_key(key: str, seen: set[str]) -> None:
    if not key or "." in PurePosixPath(key).name or key in seen:
        raise DataError(f"'{key}' cannot name a photo of a shard: empty, with a dot, or taken.")
    seen.add(key)


def _is_finished(path: Path, items: Iterable[ShardItem]) -> bool:
    """Whether this very shard was written before. Raises: DataError where another one has its name."""
    if not path.exists():
        return False
    with tarfile.open(path) as tar:
        sizes = {member.name: member.size for member in tar}
    if sizes != {f"{item.key}.{end}": len(content) for item in items for end, content in item.files.items()}:
        raise DataError(
            f"'{path.name}' holds other photos than would be written now.",
            hint="Give an empty folder, or delete the shards of the earlier writing.",
        )
    return True


def _write_shard(items: Iterable[ShardItem], path: Path) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for item in items:
                for ending, content in item.files.items():
                    member = tarfile.TarInfo(f"{item.key}.{ending}")
                    member.size, member.mode = len(content), 0o644
                    tar.addfile(member, io.BytesIO(content))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_index(url: str) -> list[Shard]:
    """The shards that an index lists, with addresses that can be opened.

    Args: url of the index, or a folder that holds `index.json`.
    Raises: DataError for what is no index, MissingExtra.
    """
    place = f"{url.rstrip('/')}/{INDEX}" if not url.endswith(".json") else url
    base = place.rpartition("/")[0]
    try:
        with open_url(place) as file:
            table: Any = json.load(file)
        entries = [(entry["url"], int(entry["nsamples"])) for entry in table["shardlist"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{place}' is no index of shards: {error}.", hint="Write shards with `dermaxai data shards`."
        ) from error
    shards = [Shard(name if "://" in name else f"{base}/{name}", count) for name, count in entries]
    if not shards or any(shard.count < 1 for shard in shards):
        raise DataError(f"'{place}' lists no shards, or empty ones.")
    return shards


def read_shard(shard: Shard) -> Iterator[ShardItem]:
    """The photos of one shard in their order, read as a stream.

    Raises: DataError for a shard that is damaged or holds another number of photos than the index says.
    """
    count = 0
    try:
        with open_url(shard.url) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for item in _items(tar):
                count += 1
                yield item
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"The shard '{shard.url}' cannot be read: {error}.", hint="Copy it again.") from error
    if count != shard.count:
        raise DataError(
            f"The shard '{shard.url}' holds {count} photos, its index says {shard.count}.",
            hint="Shards and index are of two writings, or the file is cut off.",
        )


def _items(tar: tarfile.TarFile) -> Iterator[ShardItem]:
    key, files = "", dict[str, bytes]()
    for member in tar:
        content = tar.extractfile(member)
        if content is None:
            continue
        path = PurePosixPath(member.name)
        stem, _, ending = path.name.partition(".")
        name = str(path.with_name(stem))
        if name != key and files:
            yield ShardItem(key, files)
            files = {}
        key = name
        files[ending] = content.read()
    if files:
        yield ShardItem(key, files)


def open_url(url: str) -> IO[bytes]:
    """A file of this machine, or of any system that fsspec knows, for reading.

    Raises: MissingExtra, OSError.
    """
    if "://" not in url:
        return Path(url).open("rb")
    try:
        import fsspec

        opened: IO[bytes] = fsspec.open(url, "rb").open()
    except ImportError as error:
        raise MissingExtra(
            f"'{url}' needs a package that is not here: {error}.", hint="pip install 'dermaxai[train]' first."
        ) from error
    return opened
