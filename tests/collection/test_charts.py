import math
import re

from dermaxai.collection.charts import count_bins, histogram, span
from dermaxai.i18n import catalogue
from dermaxai.measure.estimates import Estimate


def test_bins_hold_every_number():
    values = [-1.0, -0.999, 0.0, 0.05, 0.999, 1.0, 7.0, math.nan]
    counts = count_bins(values, -1.0, 1.0)
    assert sum(counts) == 7
    assert (counts[0], counts[10], counts[-1]) == (2, 2, 3)


def test_a_histogram_says_its_counts_and_needs_no_style():
    drawn = histogram([0.1, 0.12, -0.6], -1.0, 1.0, 'How "many"', catalogue("en"))
    assert 'aria-label="How &#34;many&#34;"' in drawn
    assert re.findall(r"<title>(.*?)</title>", drawn) == ["−0.60 … −0.50: 1", "0.10 … 0.20: 2"]
    heights = [float(one) for one in re.findall(r'height="([\d.]+)"/>', drawn)]
    assert heights[1] == 2 * heights[0]
    assert "style" not in drawn
    assert "<rect" not in histogram([math.nan], -1.0, 1.0, "none", catalogue("en"))
    assert re.findall(r">([−\d,.]+)</text>", histogram([0.1], -1.0, 1.0, "", catalogue("ru")))[1:4] == [
        "−1,0", "−0,5", "0,0",
    ]  # fmt: skip


def test_a_span_lies_where_its_numbers_are():
    assert span(Estimate(math.nan, math.nan, math.nan, 0)) == ""
    drawn = span(Estimate(0.5, 0.25, 0.75, 40))
    assert re.search(r'class="range" x1="26.0" x2="74.0"', drawn)
    assert 'cx="50.0"' in drawn
    alone = span(Estimate(2.0, math.nan, math.nan, 1))
    assert 'cx="98.0"' in alone
