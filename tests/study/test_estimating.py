import math

from dermaxai.study.estimating import Estimate, TaskEstimate


def task(**given):
    told = {"name": "maps/demo/some", "photos": 10, "missing": 6, "setup": 1.0, "pace": 2.0, "busy": 2.0}
    return TaskEstimate(**{**told, "bytes_each": 1000.0, "apart": True, **given})


def test_processes_share_photos_but_not_the_setup():
    assert task().seconds(1) == 1 + 6 * 2
    assert task().seconds(2) == 1 + 3 * 2
    assert task().seconds(4) == 1 + 2 * 2, "the slowest process decides"
    assert task(apart=False).seconds(4) == 1 + 6 * 2
    assert task(missing=0).seconds(1) == 0


def test_what_is_not_known_is_said_and_counts_nothing():
    unknown = task(name="other", pace=math.nan, setup=math.nan, busy=math.nan)
    whole = Estimate((task(), unknown), 1, 10**10)
    assert whole.seconds == 13
    assert "the time of a photo could not be measured" in whole.lines()[1]
    assert (
        whole.lines()[2]
        == "2 tasks, 12 photos to do: about 13 s with 1 process, 0.0 MB of 10.0 GB that are free."
    )


def test_a_busy_machine_is_said():
    whole = Estimate((task(busy=0.5),), 2, 10**10)
    assert whole.lines()[0].endswith("6 missing at 2.00 s each (0.50 s if nothing else ran)")
    assert "about 7 s with 2 processes (about 2 s if nothing else ran)" in whole.lines()[1]


def test_nothing_to_do():
    assert Estimate((task(missing=0),), 1, 1).lines() == [
        "maps/demo/some: 10 photos, 10 in the cache",
        "1 tasks, 0 photos to do.",
    ]
