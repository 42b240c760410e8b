"""Clusters of photos that no split may cut through, and photos that are one and the same.

Photos are joined by any group key they share ('ham10000/lesion/HAM_0000118', 'isic/ISIC_0027419'), by the
same file, and as near-duplicates; whatever dataset they are from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dermaxai.data.rows import Column, arrow


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """The clusters of n photos, numbered from 0 in the order of their first photos."""

    of: Int64[np.ndarray, " n"]
    """Cluster of each photo."""
    names: tuple[str, ...]
    """Of each cluster: 16 hex digits, of the SHA-256 of its smallest key; the same in any order of photos."""
    by_near: int
    """How many clusters fewer there are because of near-duplicates."""

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """Group keys of n photos, as numbers."""

    photo: Int64[np.ndarray, " k"]
    """For each use of a key the photo that has it."""
    key: Int64[np.ndarray, " k"]
    """For each use the key's number."""
    texts: Column
    """The keys themselves."""
    photos: int

    @property
    def is_photo(self) -> Bool[np.ndarray, " keys"]:
        """Keys that stand for one photo ('isic/ISIC_0027419'); others have a kind in between."""
        slashes = arrow().compute.count_substring(self.texts, "/")
        return np.asarray(slashes.to_numpy() == 1)


def number_keys(groups: Column, ids: Column) -> Keys:
    """Keys of photos from their lists of keys; a photo without any has its id for one."""
    pa = arrow()
    lengths = pa.compute.list_value_length(groups).to_numpy()
    alone = np.flatnonzero(lengths == 0)
    used = pa.chunked_array([groups.flatten(), ids.take(pa.array(alone))], pa.string()).combine_chunks()
    coded = used.dictionary_encode()
    photo = np.concatenate([np.repeat(np.arange(len(ids)), lengths), alone])
    return Keys(photo, coded.indices.to_numpy().astype(np.int64), coded.dictionary, len(ids))


def join(keys: Keys, sha256: Column, near: Int64[np.ndarray, "p 2"]) -> Clusters:
    """Clusters by keys, by file ('' is none) and by pairs of near-duplicates."""
    shared = _edges(keys.photo, keys.key), _edges(*_files(sha256))
    without = _components(keys.photos, *shared)
    found = _components(keys.photos, *shared, near.T) if len(near) else without
    fewer = int(without.max(initial=-1) - found.max(initial=-1))
    return Clusters(found, _name(found, keys), fewer)


def same_photo(keys: Keys, sha256: Column) -> Int64[np.ndarray, " n"]:
    """For each photo the first that is the same by key or by file, itself if none was before."""
    chosen = keys.is_photo[keys.key]
    found = _components(keys.photos, _edges(keys.photo[chosen], keys.key[chosen]), _edges(*_files(sha256)))
    _, first = np.unique(found, return_index=True)
    return np.asarray(first[found])


def _files(sha256: Column) -> tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"]]:
    """Photos with a file, and the file's number."""
    there = np.flatnonzero(arrow().compute.not_equal(sha256, "").to_numpy(zero_copy_only=False))
    return there, sha256.dictionary_encode().indices.to_numpy().astype(np.int64)[there]


def _edges(photo: Int64[np.ndarray, " k"], key: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "2 e"]:
    """Each photo joined to the next that has the same key."""
    order = np.lexsort((photo, key))
    same = key[order][1:] == key[order][:-1]
    return np.stack([photo[order][:-1][same], photo[order][1:][same]])


def _components(count: int, *edges: Int64[np.ndarray, "2 e"]) -> Int64[np.ndarray, " n"]:
    """The component of each photo, numbered in the order of their first photos."""
    ends = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(ends.shape[1], np.int8), (ends[0], ends[1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1] if count else np.zeros(0, np.int64)
    _, first, of = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[of])


def _name(clusters: Int64[np.ndarray, " n"], keys: Keys) -> tuple[str, ...]:
    order = arrow().compute.sort_indices(keys.texts).to_numpy().astype(np.int64)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    smallest = np.full(clusters.max(initial=-1) + 1, len(order), np.int64)
    np.minimum.at(smallest, clusters[keys.photo], rank[keys.key])
    texts = keys.texts.take(arrow().array(order[smallest])).to_pylist()
    return tuple(hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts)
