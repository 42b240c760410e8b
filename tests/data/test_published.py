"""The published split: whole, fixed, in shares, and what its rule makes."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from dermaxai.data.published import (
    ID_LENGTH,
    known_duplicates,
    main,
    make_split,
    published_split,
    skincap_strata,
    write_split,
)
from dermaxai.data.samples import PARTS
from dermaxai.errors import DataError, UnknownName

DATA = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2] / "../shared/data"))
TABLE = DATA / "metadata" / "fitzpatrick17k.csv"
FILE = Path(__file__).parents[2] / "src" / "dermaxai" / "data" / "splits" / "skincap.csv"
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}

with_table = pytest.mark.skipif(
    not TABLE.is_file(), reason="the table of Fitzpatrick17k is not beside the repository"
)


def shares_of(parts) -> dict[str, float]:
    parts = list(parts)
    return {part: count / len(parts) for part, count in Counter(parts).items()}


def test_every_source_photo_is_there_once():
    split = published_split("skincap")
    assert len(split) == 16_577 + 656 == len(FILE.read_text().splitlines()) - 1
    assert {f"ddi/{number:06}" for number in range(1, 657)} <= set(split)
    md5 = [key for key in split if not key.startswith("ddi/")]
    assert all(re.fullmatch(rf"fitzpatrick17k/[0-9a-f]{{{ID_LENGTH}}}", key) for key in md5)
    assert set(split.values()) == set(PARTS)


def test_whole_keys_are_asked_for():
    split = published_split("skincap")
    # The first photo of SkinCon's table.
    key = "fitzpatrick17k/eb0cbb277ba6b206c5fafc66ab8c46f9"
    assert key in split
    assert split[key] == split[key[: len("fitzpatrick17k/") + ID_LENGTH]]
    assert split.get("fitzpatrick17k/" + "0" * 32) is None
    assert split.get("ddi/000657") is None
    assert "isic/ISIC_0000001" not in split


def test_shares():
    split = published_split("skincap")
    for dataset in ("fitzpatrick17k/", "ddi/"):
        shares = shares_of(part for key, part in split.items() if key.startswith(dataset))
        assert shares == pytest.approx(SHARES, abs=0.01)


def test_duplicates_stand_on_one_side():
    split = published_split("skincap")
    clusters = known_duplicates()
    assert len(clusters) == 2_297 + 6
    assert sum(map(len, clusters)) == 5_005 + 12
    assert all(len(set(cluster)) == len(cluster) > 1 for cluster in clusters)
    assert all(len({split[key] for key in cluster}) == 1 for cluster in clusters)


@pytest.mark.shared
@with_table
def test_the_file_is_what_the_rule_makes():
    parts = make_split(skincap_strata(TABLE), known_duplicates())
    assert write_split(parts) == FILE.read_text(encoding="utf-8")


@pytest.mark.shared
@with_table
def test_shares_in_every_stratum():
    strata, split = skincap_strata(TABLE), published_split("skincap")
    assert strata.keys() == set(split)
    for stratum in set(strata.values()):
        shares = shares_of(split[key] for key in strata if strata[key] == stratum)
        assert shares == pytest.approx(SHARES, abs=0.01), stratum


def test_clusters_that_share_a_photo_are_one():
    strata = {f"ddi/{number:06}": "ddi" for number in range(100)}
    chain = [[f"ddi/{number:06}", f"ddi/{number + 1:06}"] for number in range(40)]
    parts = make_split(strata, chain)
    assert parts.keys() == strata.keys()
    assert len({parts[f"ddi/{number:06}"] for number in range(41)}) == 1
    assert make_split(dict(reversed(strata.items())), reversed(chain)) == parts


def test_each_stratum_has_its_shares():
    strata = {f"fitzpatrick17k/{number:012}": f"label {number % 3}" for number in range(300)}
    parts = make_split(strata, [])
    for stratum in set(strata.values()):
        counts = Counter(parts[key] for key in strata if strata[key] == stratum)
        assert counts == {"train": 70, "validation": 10, "test": 20}


def write_table(root, *md5):
    table = root / "fitzpatrick17k.csv"
    table.write_text("\n".join(("md5hash,nine_partition_label", *(f"{each},inflammatory" for each in md5))))
    return table


def test_md5_sums_that_begin_alike_are_refused(tmp_path):
    table = write_table(tmp_path, "0" * 32, "0" * 31 + "1")
    with pytest.raises(DataError, match="1 md5 sums begin like another's"):
        skincap_strata(table)


def test_an_unknown_name():
    with pytest.raises(UnknownName, match="Did you mean 'skincap'"):
        published_split("skin_cap")


def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    table = tmp_path / "fitzpatrick17k.csv"
    table.write_text("md5,label\n")
    monkeypatch.setattr("sys.argv", ["published", str(table)])
    assert main() == 1
    assert "lacks the columns md5hash, nine_partition_label" in capsys.readouterr().err


@pytest.mark.shared
@with_table
def test_the_command_writes_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["published", str(TABLE), "-o", str(tmp_path / "skincap.csv")])
    assert main() == 0
    assert (tmp_path / "skincap.csv").read_bytes() == FILE.read_bytes()
    monkeypatch.setattr("sys.argv", ["published", str(TABLE)])
    assert main() == 0
    assert capsys.readouterr().out == FILE.read_text(encoding="utf-8")
