"""Splits that come with the package, so that figures of different people can be compared.

`skincap`: about 70 / 10 / 20 % by source image, over every photo of Fitzpatrick17k and DDI, and so over
every subset of SkinCAP, SkinCon and both datasets that anybody has. `splits/README.md` tells the rule;
`python -m dermaxai.data.published fitzpatrick17k.csv` makes the file again from the publisher's table.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import final

from dermaxai.data.samples import PARTS, Part
from dermaxai.data.tables import read_table
from dermaxai.errors import DataError, DermaXAIError
from dermaxai.registry import check_name

PUBLISHED = {"skincap": "skincap.csv"}
DATASETS = ("fitzpatrick17k", "ddi")
"""Columns of the file, and the namespaces of the group keys."""
ID_LENGTH = 12
"""Characters of an id that are written; they tell all md5 sums of Fitzpatrick17k apart."""
DDI_PHOTOS = 656
_SALT = "dermaxai skincap split 1"
_DUPLICATES = "duplicates.txt"


@final
class PublishedSplit(Mapping[str, Part]):
    """Parts by group key: 'fitzpatrick17k/<md5>' or 'ddi/<number>'.

    Whole md5 sums are asked for; what is gone through are their first twelve characters.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, key: str) -> Part:
        return self._parts[_cut(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


@cache
def published_split(name: str) -> Mapping[str, Part]:
    """The part of each group key of a published split. Raises: UnknownName.

    >>> published_split("skincap")["ddi/000001"] in ("train", "validation", "test")
    True
    """
    check_name("published split", name, PUBLISHED)
    rows = csv.DictReader(io.StringIO(_text_of(PUBLISHED[name])))
    return PublishedSplit({f"{dataset}/{image}": part for dataset, image, part in map(_read_row, rows)})


def make_split(strata: Mapping[str, str], clusters: Iterable[Sequence[str]]) -> dict[str, Part]:
    """Parts of all keys of `strata`: whole clusters, the same shares in every stratum.

    A cluster belongs to the stratum of its smallest key. Within a stratum clusters are ordered by the hash
    of that key; the first fifth of the photos is for testing, the next tenth for validation.
    """
    by_stratum = defaultdict(list)
    for cluster in _join(strata, clusters):
        by_stratum[strata[cluster[0]]].append(cluster)
    parts: dict[str, Part] = {}
    for members in by_stratum.values():
        total, before = sum(map(len, members)), 0
        for cluster in sorted(members, key=lambda cluster: _hash(cluster[0])):
            parts.update(dict.fromkeys(cluster, _part(10 * before // total)))
            before += len(cluster)
    return parts


def _part(tenth: int) -> Part:
    return "test" if tenth < 2 else "validation" if tenth < 3 else "train"


def _hash(key: str) -> str:
    return hashlib.sha256(f"{_SALT}/{key}".encode()).hexdigest()


def _join(keys: Iterable[str], clusters: Iterable[Sequence[str]]) -> list[list[str]]:
    """All keys in clusters, sorted; clusters that share a key are one."""
    root = {key: key for key in keys}

    def find(key: str) -> str:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for first, *others in clusters:
        for other in others:
            low, high = sorted((find(first), find(other)))
            root[high] = low
    found = defaultdict(list)
    for key in sorted(root):
        found[find(key)].append(key)
    return list(found.values())


def known_duplicates() -> list[list[str]]:
    """Clusters of group keys whose photos were published as duplicates of each other."""
    lines = (line.split() for line in _text_of(_DUPLICATES).splitlines() if not line.startswith("#"))
    return [[f"{dataset}/{image}" for image in images] for dataset, *images in lines]


def skincap_strata(table: Path) -> dict[str, str]:
    """The stratum of each source image: `nine_partition_label` of Fitzpatrick17k's table, and DDI as one.

    Raises: DataError where the table is not the publisher's, or two md5 sums begin alike.
    """
    rows = list(read_table(table).require("md5hash", "nine_partition_label"))
    strata = {_cut(f"fitzpatrick17k/{row['md5hash']}"): row["nine_partition_label"] for row in rows}
    if len(strata) != len(rows):
        raise DataError(f"{table.name}: {len(rows) - len(strata)} md5 sums begin like another's.")
    return strata | {f"ddi/{number:06}": "ddi" for number in range(1, DDI_PHOTOS + 1)}


def write_split(parts: Mapping[str, Part]) -> str:
    """The split as the text of its file, sorted by dataset and id."""
    lines = [",".join((*DATASETS, "part"))]
    for column, dataset in enumerate(DATASETS):
        for key in sorted(key for key in parts if key.startswith(f"{dataset}/")):
            image = key.partition("/")[2]
            lines.append(f"{image if column == 0 else ''},{image if column == 1 else ''},{parts[key]}")
    return "\n".join(lines) + "\n"


def _read_row(row: Mapping[str, str]) -> tuple[str, str, Part]:
    dataset = next(name for name in DATASETS if row[name])
    return dataset, row[dataset], next(part for part in PARTS if part == row["part"])


def _cut(key: str) -> str:
    dataset, _, image = key.partition("/")
    return f"{dataset}/{image[:ID_LENGTH]}"


def _text_of(name: str) -> str:
    return (files("dermaxai.data") / "splits" / name).read_text(encoding="utf-8")


def main() -> int:
    """Make the file of the split again."""
    parser = argparse.ArgumentParser(prog="python -m dermaxai.data.published", description=main.__doc__)
    parser.add_argument("table", type=Path, help="fitzpatrick17k.csv as its publisher ships it")
    parser.add_argument("-o", "--output", type=Path, help="where to write; standard output if not given")
    arguments = parser.parse_args()
    try:
        text = write_split(make_split(skincap_strata(arguments.table), known_duplicates()))
    except DermaXAIError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
