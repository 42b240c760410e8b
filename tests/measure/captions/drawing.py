"""Captions that hypothesis draws: few words, so that they meet often; and one value per caption."""

from hypothesis import strategies as st

from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.estimates import evaluate_all

WORDS = ["a", "dark", "lesion", "lesions", "with", "border", "borders", "light-brown"]
words = st.lists(st.sampled_from(WORDS), max_size=9)
some_words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9)


def to_written(rows) -> list[Written]:
    return [
        Written(str(row), " ".join(caption), tuple(" ".join(words) for words in references))
        for row, (caption, references) in enumerate(rows)
    ]


captions = st.lists(
    st.tuples(words, st.lists(some_words, min_size=1, max_size=3)), min_size=1, max_size=6
).map(to_written)


def corpus(metric, written, tools=None) -> list[float]:
    return [evaluate_all(one.parts, one.statistic) for one in metric(written, tools or Tools())]


def each(scored) -> list[float]:
    """The value of every row by itself."""
    return [evaluate_all(scored.parts[row : row + 1], scored.statistic) for row in range(len(scored.parts))]
