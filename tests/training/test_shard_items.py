import numpy as np
import pytest

from dermaxai.data.appearance import Appearance
from dermaxai.data.manifest import ManifestSample
from dermaxai.data.samples import Sample
from dermaxai.errors import DataError
from dermaxai.images import Limits, read_image, write_photo
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.training.shard_items import items_of, read_item, shuffled
from dermaxai.training.shards import ShardItem, read_index, read_shard, write_shards

SEEN = Appearance(0.2, 0.1, 1.2, (("red", 0.6),), 20.0, 0.0)


class Shelf:
    """What `items_of` asks of a manifest."""

    def __init__(self, entries):
        self.entries = entries

    def samples(self, rows):
        return [self.entries[row] for row in rows]


@pytest.fixture
def shelf(tmp_path):
    entries = []
    for number, plan in enumerate(sample_plans(3, seed=1)):
        path = tmp_path / f"photo {number}.JPG"
        write_photo(draw_phantom(plan, seed=number).image, path)
        sample = Sample(f"ham10000/ISIC.{number}", "ham10000", path, "row", diagnosis="melanoma")
        entries.append(ManifestSample(sample, "train", "c", "", 448, 448, SEEN))
    return Shelf(entries)


def test_photos_and_samples_travel_together(shelf, tmp_path):
    write_shards(items_of(shelf, np.array([2, 0, 1])), tmp_path / "shards", per_shard=2)
    items = [item for shard in read_index(str(tmp_path / "shards")) for item in read_shard(shard)]
    assert [item.key for item in items] == ["ham10000/ISIC_2", "ham10000/ISIC_0", "ham10000/ISIC_1"]
    for item, entry in zip(items, [shelf.entries[row] for row in (2, 0, 1)], strict=True):
        photo, told = read_item(item, Limits())
        assert np.array_equal(photo.pixels, read_image(entry.sample.path).pixels)
        assert told.sample.id == entry.sample.id
        assert told.sample.diagnosis == "melanoma"
        assert told.sample.path is None
        assert told.appearance.area == SEEN.area


def test_a_photo_that_is_gone_is_told(shelf):
    shelf.entries[1].sample.path.unlink()
    with pytest.raises(DataError, match=r"ISIC\.1"):
        list(items_of(shelf, np.array([0, 1])))


def test_items_of_others_are_told():
    with pytest.raises(DataError, match="one photo and one"):
        read_item(ShardItem("a", {"txt": b"", "jpg": b""}), Limits())


def test_rows_are_shuffled_alike_each_time():
    rows = np.arange(100)
    assert sorted(shuffled(rows)) == rows.tolist()
    assert shuffled(rows).tolist() == shuffled(rows).tolist() != rows.tolist()
