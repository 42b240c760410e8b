from dermaxai.data.charts import BINS, MOST, charts_of
from dermaxai.data.samples import PARTS
from dermaxai.data.statistics import Count, Lengths, ManifestStatistics


def count(value, train=0, validation=0, test=0, dataset="ham10000"):
    return Count(dataset, value, dict(zip(PARTS, (train, validation, test), strict=True)))


def lengths(kind, histogram, language="en"):
    words = [number for number, _ in histogram]
    return Lengths("ham10000", language, kind, 9, 9, words[0], 1.0, 1.0, words[-1], tuple(histogram))


def charts(**given):
    empty = dict.fromkeys(
        ("splits", "diagnoses", "malignancies", "skin_types", "sites", "sexes", "ages", "modalities"), ()
    )
    counted = ManifestStatistics(
        **({"photos": 1, "repeated": 0, "sources": (), "lengths": ()} | empty | given)
    )
    return {chart.name: chart for chart in charts_of(counted)}


def test_datasets_are_counted_together_and_the_commonest_comes_first():
    found = charts(
        diagnoses=(count("melanoma", 3, 1, 1), count("scar", 1), count("melanoma", 2, dataset="bcn20000"))
    )["diagnoses"]
    assert found.series == PARTS
    assert found.rows == (("melanoma", (5, 1, 1)), ("scar", (1, 0, 0)))


def test_what_is_not_told_is_a_note_and_no_bar():
    found = charts(sites=(count("head_neck", 1), count("", 7, 1)))["sites"]
    assert found.rows == (("head and neck", (1, 0, 0)),)
    assert found.note == "not told of 8 photos"


def test_many_values_are_cut_and_that_is_said():
    found = charts(diagnoses=tuple(count(f"x{number}", 100 - number) for number in range(30)))["diagnoses"]
    assert len(found.rows) == MOST
    assert found.rows[0] == ("x0", (100, 0, 0))
    assert found.note == f"the {MOST} commonest of 30"


def test_scales_keep_their_order_and_their_gaps():
    found = charts(
        ages=(count("60-69", 5), count("30-39", 9), count("90+", 1)),
        skin_types=(count("56", 3), count("2", 9), count("1", 1)),
    )
    labels = [label for label, _ in found["ages"].rows]
    assert labels == ["30-39", "40-49", "50-59", "60-69", "70-79", "80-89", "90+"]
    assert [sum(counts) for _, counts in found["ages"].rows] == [9, 0, 0, 5, 0, 0, 1]
    assert [label for label, _ in found["skin_types"].rows] == ["1", "2", "56"]


def test_repeated_photos_are_told():
    assert charts(splits=(count("ham10000", 3),), repeated=1234)["datasets"].note == (
        "each photo once; 1,234 rows repeat one"
    )
    assert charts(splits=(count("ham10000", 3),))["datasets"].note == ""


def test_lengths_are_binned_by_language_and_kind():
    found = charts(
        lengths=(
            lengths("real", [(4, 2), (99, 1)]),
            lengths("weak", [(6, 5)]),
            lengths("weak", [(5, 1)], "ru"),
        )
    )["caption_lengths"]
    assert found.series == ("en, real", "en, weak", "ru, weak")
    assert found.rows[0] == ("0-4", (2, 0, 0))
    assert found.rows[1] == ("5-9", (0, 5, 1))
    assert found.rows[-1] == ("95-99", (1, 0, 0))
    assert len(found.rows) <= BINS
    assert found.total == 9


def test_short_captions_are_counted_word_by_word():
    found = charts(lengths=(lengths("weak", [(5, 2), (7, 1)]),))["caption_lengths"]
    assert found.rows == (("5", (2,)), ("6", (0,)), ("7", (1,)))


def test_nothing_counted_gives_empty_charts():
    assert all(
        chart.total == 0 and chart.rows == () for name, chart in charts().items() if name != "caption_lengths"
    )
    assert charts()["caption_lengths"].total == 0
