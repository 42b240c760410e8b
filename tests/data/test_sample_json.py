from dataclasses import replace

import pytest

from dermaxai.data.appearance import Appearance
from dermaxai.data.sample_json import from_json, to_json
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.errors import DataError

SAMPLE = Sample(
    id="skincap/1",
    dataset="skincap",
    path=None,
    place="skincap.csv, line 2",
    captions=(
        SampleCaption("en", (Sentence("A plaque.", "author"), Sentence("Red.", "author")), "caption_en"),
        SampleCaption("ru", (Sentence("Бляшка.", "findings"),), "composed"),
    ),
    diagnosis="psoriasis",
    present=("plaque", "erythema"),
    age=45.0,
    groups=("fitzpatrick17k/abc",),
    official_split="test",
    votes=(("melanoma", 3),),
)
SEEN = Appearance(0.2, 0.1, 1.2, (("red", 0.6), ("pink", 0.3)), 20.0, 0.0)


@pytest.mark.parametrize("seen", [SEEN, None])
def test_a_sample_comes_back(seen):
    told = from_json(to_json(SAMPLE, seen), "x")
    assert told.sample == SAMPLE
    assert (told.appearance and told.appearance.colours) == (seen and seen.colours)


def test_no_path_leaves_the_machine(tmp_path):
    assert b"home" not in to_json(replace(SAMPLE, path=tmp_path / "home.jpg"), None)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"sample": {"id": "a"}, "appearance": null}'])
def test_what_is_no_sample(text):
    with pytest.raises(DataError, match=r"shard-1\.tar"):
        from_json(text, "shard-1.tar")
