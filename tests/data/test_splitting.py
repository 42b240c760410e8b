"""One part for a whole cluster, the strictest that anybody asks for."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from dermaxai.data.grouping import join, number_keys, same_photo
from dermaxai.data.published import published_split
from dermaxai.data.samples import PARTS
from dermaxai.data.splitting import (
    Overlap,
    Overruled,
    SplitOptions,
    report_joins,
    split,
    to_places,
)
from dermaxai.errors import SettingError

PLAIN = SplitOptions()


def placed(groups, official=None, options=PLAIN, datasets=None):
    """Parts by name, and the report."""
    datasets = datasets or ["a"] * len(groups)
    names = list(dict.fromkeys(datasets))
    ids = pa.array([f"id/{place}" for place in range(len(groups))], pa.string())
    keys = number_keys(pa.array(groups, pa.list_(pa.string())), ids)
    files = pa.array([""] * len(groups), pa.string())
    clusters = join(keys, files, np.zeros((0, 2), np.int64))
    told = to_places(pa.array(official or [None] * len(groups), pa.string()))
    all_placed = told, names, np.array([names.index(name) for name in datasets])
    parts = split(clusters, keys, ids, all_placed, options)
    report = report_joins(clusters, parts, same_photo(keys, files), all_placed)
    return [PARTS[place] for place in parts.of], report


def test_the_strictest_wins():
    groups = [["k/x/1"]] * 3 + [["k/x/2"]] * 2 + [["k/x/3"]]
    official = ["train", "test", "validation", "train", "validation", "train"]
    found, report = placed(groups, official)
    assert found == ["test"] * 3 + ["validation"] * 2 + ["train"]
    assert report.overruled == (
        Overruled("a", "train", "validation", 1),
        Overruled("a", "train", "test", 1),
        Overruled("a", "validation", "test", 1),
    )


def test_pins_that_a_cluster_overrules_are_told():
    groups = [["k/x/1", "k/1"], ["k/x/1", "k/2"], ["k/3"]]
    pins = {"k/1": "train", "k/2": "test", "k/3": "train"}
    found, report = placed(groups, options=SplitOptions(pinned=pins))
    assert found == ["test", "test", "train"]
    assert (report.pinned, report.pinned_elsewhere) == (2, 1)


def test_a_split_that_is_not_kept_is_told_as_such():
    _, report = placed([["k/x/1"]], ["train"], SplitOptions(honour_official=False, fractions=(0, 0, 1)))
    assert report.overruled == (Overruled("a", "train", "test", 1, "not kept"),)


def test_validation_is_drawn_from_training_where_a_publisher_has_none():
    groups = [[f"k/x/{place}"] for place in range(200)]
    official = ["train"] * 150 + ["test"] * 50
    found, report = placed(groups, official)
    assert set(found[:150]) == {"train", "validation"}
    assert set(found[150:]) == {"test"}
    validating = found.count("validation")
    assert 5 < validating < 35
    assert report.parts == {"train": 150 - validating, "validation": validating, "test": 50}
    assert report.overruled == (Overruled("a", "train", "validation", validating, "no validation"),)
    assert "validation" not in placed(groups, official, SplitOptions(fractions=(0, 0, 1)))[0]


def test_training_stays_where_a_publisher_also_validates_or_a_pin_says_so():
    groups = [[f"k/x/{place}"] for place in range(100)]
    found, _ = placed(groups, ["train"] * 99 + ["validation"])
    assert found == ["train"] * 99 + ["validation"]
    pins = {f"k/x/{place}": "train" for place in range(100)}
    assert set(placed(groups, ["train"] * 100, SplitOptions(pinned=pins))[0]) == {"train"}


def test_official_parts_count_only_if_honoured():
    groups = [[f"k/x/{place}"] for place in range(60)]
    official = ["test"] * 60
    assert set(placed(groups, official)[0]) == {"test"}
    free, _ = placed(groups, official, SplitOptions(honour_official=False))
    assert free == placed(groups)[0] != ["test"] * 60


def test_a_leaking_split_is_not_honoured():
    groups = [[f"k/x/{place}"] for place in range(60)]
    datasets = ["dermnet"] * 30 + ["isic2019"] * 30
    found, report = placed(groups, ["test"] * 60, SplitOptions(leaking=frozenset({"dermnet"})), datasets)
    assert set(found[:30]) > {"train"}
    assert set(found[30:]) == {"test"}
    assert {one.dataset for one in report.overruled} == {"dermnet"}


def test_pinned_by_key_or_by_id():
    options = SplitOptions(pinned={"k/x/1": "test", "id/2": "validation", "id/3": "train", "gone": "test"})
    found, report = placed([["k/x/1"], ["k/x/1"], ["k/x/2"], ["k/x/3"]], None, options)
    assert found == ["test", "test", "validation", "train"]
    assert report.pinned == 4


def test_the_published_split_pins_whole_md5_sums():
    key = "fitzpatrick17k/5e82a45bc5d78bd24ae9202d194423f8"
    part = published_split("skincap")[key]
    found, _ = placed([[key], ["ddi/000001"]], None, SplitOptions(pinned=published_split("skincap")))
    assert found == [part, published_split("skincap")["ddi/000001"]]


def test_parts_are_drawn_by_seed_and_name():
    groups = [[f"k/x/{place}"] for place in range(4000)]
    found, _ = placed(groups)
    shares = [found.count(part) / len(found) for part in PARTS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    name = hashlib.sha256(b"k/x/7").hexdigest()[:16]
    draw = int.from_bytes(hashlib.sha256(f"0:{name}".encode()).digest()[:8], "big") / 2**64
    assert found[7] == ("train" if draw < 0.8 else "validation" if draw < 0.9 else "test")
    assert placed(groups, None, SplitOptions(seed=1))[0] != found
    assert placed(groups[:100])[0] == found[:100]


def test_everything_may_go_to_one_part():
    found, _ = placed([[f"k/x/{place}"] for place in range(50)], None, SplitOptions(fractions=(0, 0, 1)))
    assert set(found) == {"test"}


def test_what_datasets_share():
    groups = [["isic/1", "h/lesion/1"], ["h/lesion/1"], ["isic/1"], ["h/lesion/1"], ["z/x/1"]]
    _, report = placed(groups, datasets=["ham10000", "ham10000", "isic2019", "isic2019", "ddi"])
    assert report.overlaps == (Overlap("ham10000", "isic2019", 1, 2), Overlap("isic2019", "ham10000", 1, 2))
    assert (report.photos, report.clusters, report.largest, report.repeated) == (5, 2, 4, 1)


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.1, -0.1, 0.0), (1.0,)])
def test_fractions_must_sum_to_one(fractions):
    with pytest.raises(SettingError, match="sum to 1"):
        SplitOptions(fractions=fractions)


def test_parts_must_be_known():
    with pytest.raises(SettingError, match="holdout"):
        SplitOptions(pinned={"a": "holdout"})
