"""What a manifest holds as tables that can be printed and drawn alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dermaxai.data.drawing import Chart
from dermaxai.data.samples import PARTS
from dermaxai.data.statistics import AGE_STEP, OLDEST, UNTOLD, Count, Lengths, ManifestStatistics
from dermaxai.vocabulary import diagnoses, sites

MOST = 20
"""Values shown of a property that has many."""
BINS = 24
"""Bins of a histogram at most."""
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def charts_of(counted: ManifestStatistics) -> tuple[Chart, ...]:
    """One for each property that `statistics` counts; the last is the histogram of caption lengths."""
    once = f"each photo once; {counted.repeated:,} rows repeat one" if counted.repeated else ""
    return (
        _chart("datasets", "Photos per dataset", counted.splits, note=once),
        _chart("diagnoses", "Diagnosis", counted.diagnoses, name_of=_diagnosis),
        _chart("malignancy", "Malignancy", counted.malignancies, name_of=_spaced),
        _chart("skin_types", "Fitzpatrick skin type", counted.skin_types, order=sorted),
        _chart("sites", "Body site", counted.sites, name_of=_site),
        replace(_chart("ages", "Age, years", counted.ages, order=_by_age), is_scale=True),
        _chart("sexes", "Sex", counted.sexes),
        _chart("modalities", "Kind of photo", counted.modalities),
        _chart(
            "sources",
            "What captions rest on",
            counted.sources,
            "of every row; it counts once for each source",
        ),
        _lengths(counted.lengths),
    )


def _chart(
    name: str,
    title: str,
    counts: Iterable[Count],
    note: str = "",
    *,
    name_of: Callable[[str], str] = str,
    order: Callable[[Iterable[str]], Sequence[str]] | None = None,
) -> Chart:
    """All datasets together, the commonest value first unless another `order` is asked for."""
    by_value: dict[str, Counter[str]] = {}
    for count in counts:
        by_value.setdefault(count.value, Counter()).update(count.parts)
    untold = by_value.pop(UNTOLD, Counter()).total()
    common = sorted(by_value, key=lambda value: (-by_value[value].total(), value))
    shown = order(common) if order else common[:MOST]
    rows = tuple(
        (name_of(value), tuple(by_value.get(value, Counter())[part] for part in PARTS)) for value in shown
    )
    cut = f"the {len(shown)} commonest of {len(common)}" if len(shown) < len(common) else ""
    lacking = f"not told of {untold:,} photos" if untold else ""
    return Chart(name, title, PARTS, rows, "; ".join(filter(None, (note, cut, lacking))))


def _diagnosis(name: str) -> str:
    return diagnoses()[name].name["en"] if name in diagnoses() else name


def _site(name: str) -> str:
    return sites()[name].name["en"] if name in sites() else name


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _by_age(told: Iterable[str]) -> list[str]:
    """Every band from the youngest to the oldest that is told."""
    bands = [f"{start}-{start + AGE_STEP - 1}" for start in range(0, OLDEST, AGE_STEP)] + [f"{OLDEST}+"]
    places = [bands.index(band) for band in told]
    return bands[min(places) : max(places) + 1] if places else []


def _lengths(lengths: Sequence[Lengths]) -> Chart:
    """Captions by their number of words, stacked by language and kind."""
    series = tuple(dict.fromkeys(f"{one.language}, {one.kind}" for one in lengths))
    shortest = min((one.least for one in lengths), default=0)
    longest = max((one.most for one in lengths), default=0)
    step = next((step for step in _STEPS if (longest - shortest) // step < BINS - 1), _STEPS[-1])
    starts = range(shortest // step * step, longest + 1, step)
    table = {start: Counter[str]() for start in starts}
    for one in lengths:
        for words, count in one.histogram:
            table[words // step * step][f"{one.language}, {one.kind}"] += count
    rows = tuple(
        (f"{start}" if step == 1 else f"{start}-{start + step - 1}", tuple(found[name] for name in series))
        for start, found in table.items()
    )
    return Chart("caption_lengths", "Words in a caption", series, rows, is_scale=True)
