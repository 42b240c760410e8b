from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from dermaxai.cases import save_case
from dermaxai.errors import NotFound
from dermaxai.scores import scores_by_map
from dermaxai.store.cases import add_waiting, find_case
from dermaxai.store.indexing import STAMP, index_case, search_words, stamp_of
from dermaxai.store.tables import MapRow
from dermaxai.types import Agreement, Score, Target
from tests.sample_case import make_case

NAN = float("nan")


def index(store, case, case_id="abc"):
    with store.write() as session:
        return index_case(session, case_id, case)


def maps_of(store, case_id="abc"):
    with store.read() as session:
        wanted = select(MapRow).where(MapRow.case_id == case_id).order_by(MapRow.position)
        return session.scalars(wanted).all()


def agree(*questions):
    """One agreement per list of the correlations of three methods' pairs."""
    return tuple(
        Agreement(Target("word", "dark", place), ("a", "b", "c"), (1, one, two, one, 1, three, two, three, 1))
        for place, (one, two, three) in enumerate(questions)
    )


def score(metric, of, value, baseline, verdict=""):
    return Score(metric, value, value, value, 1, of, baseline, verdict=verdict)


def test_a_case_is_indexed(store):
    case = make_case()
    row = index(store, case)
    assert (row.state, row.revision, row.folder) == ("ready", 1, "abc")
    assert (row.language, row.caption) == ("en", case.caption.text)
    assert (row.width, row.height, row.sha256) == (400, 300, "7f3a" * 16)
    assert (row.maps, row.outside) == (len(case.maps), True)
    assert row.facts["methods"] == ["grad_eclip", "evidence"]
    assert row.facts["concepts"] == ["irregular streaks", "dark brown colour", "ruler"]
    assert row.facts["removed"] == ["GPSInfo", "DateTime"]
    assert row.facts["languages"] == ["en", "ru"]


def test_its_maps_are_indexed(store):
    case = make_case()
    index(store, case)
    rows = maps_of(store)
    assert [(row.method, row.text, row.word) for row in rows] == [
        (heat.method, heat.target.text, heat.target.word) for heat in case.maps
    ]
    judged = scores_by_map(case)
    assert [row.deletion for row in rows] == [scores["deletion"].value for scores in judged]
    assert rows[0].verdict == "no"
    assert rows[-1].kind == "query"
    assert all(row.peak is not None and 0 <= row.share <= 1 for row in rows)


def test_again_replaces_maps_and_raises_the_revision(store):
    case = make_case()
    index(store, case)
    row = index(store, replace(case, maps=case.maps[:2]))
    assert (row.revision, row.maps) == (2, 2)
    assert [entry.position for entry in maps_of(store)] == [0, 1]


def test_a_row_that_waits_keeps_what_only_it_knows(store):
    case = make_case()
    with store.write() as session:
        waiting = add_waiting(session, "abc", case.image, name="Родинка.jpg", owner="anna")
    row = index(store, case)
    assert (row.name, row.owner, row.created) == ("Родинка.jpg", "anna", waiting.created)
    assert "родинка.jpg" in row.words
    assert row.revision == 1


def test_the_stamp_is_that_of_the_folder(store):
    case = make_case()
    folder = save_case(case, store.folder / "abc")
    assert index(store, case).facts[STAMP] == stamp_of(folder) != ""
    assert index(store, case, "other").facts[STAMP] == stamp_of(store.folder / "nowhere") == ""


def test_an_id_that_is_none_is_refused(store):
    with pytest.raises(NotFound):
        index(store, make_case(), "../abc")


@pytest.mark.parametrize(
    ("questions", "wanted"),
    [
        ([], None),
        ([(1, 1, 1)], 0.0),
        ([(0.5, 0.2, 0.2)], 0.7),
        ([(-1, -1, -1)], 2.0),
        ([(1, 1, 1), (0, 0, 0)], 0.5),
        ([(NAN, NAN, NAN)], None),
        ([(NAN, 0.4, NAN), (0.8, 0.8, 0.8)], 0.4),
    ],
)
def test_disagreement(store, questions, wanted):
    row = index(store, replace(make_case(), agreements=agree(*questions)))
    assert row.disagreement == (None if wanted is None else pytest.approx(wanted))


def test_faithfulness_is_that_of_the_worst_map_and_its_worse_metric(store):
    case = make_case()
    scores = (
        score("deletion", "grad_eclip/1", 0.2, 0.5, "yes"),  # 0.3 better: a deletion is better when lower
        score("insertion", "grad_eclip/1", 0.9, 0.5, "yes"),  # 0.4 better
        score("deletion", "grad_eclip/2", 0.45, 0.5, "no"),  # 0.05 better
        score("insertion", "grad_eclip/2", 0.4, 0.5, "no"),  # 0.1 worse
        score("agreement", "grad_eclip/3", -1, 0.5, "no"),  # no judged metric
    )
    row = index(store, replace(case, scores=scores))
    assert row.faithfulness == pytest.approx(-0.1)
    assert row.unfaithful == 1


def test_what_was_not_measured_has_no_faithfulness(store):
    case = make_case()
    scores = (score("deletion", "grad_eclip/1", 0.2, None), score("deletion", "grad_eclip/2", NAN, 0.5))
    row = index(store, replace(case, scores=scores))
    assert (row.faithfulness, row.unfaithful) == (None, 0)
    assert [entry.deletion for entry in maps_of(store)][:2] == [0.2, None]


def test_maps_without_values_are_indexed_too(store):
    case = make_case()
    broken = replace(case.maps[0], values=np.full((7, 7), np.nan, np.float32))
    empty = replace(case.maps[1], values=np.zeros((7, 7), np.float32))
    index(store, replace(case, maps=(broken, empty), scores=()))
    first, second = maps_of(store)
    assert (first.peak, first.region, first.share) == (None, "", None)
    assert (second.peak, second.region, second.share) == (0.0, "", 0.0)


def test_a_concept_is_found_by_its_russian_name(store):
    index(store, make_case())
    with store.read() as session:
        assert search_words(["тёмно-коричнев"]) in find_case(session, "abc").words


def test_words_are_searched_in_one_spelling():
    assert search_words(["Чёрная", "BLUE-WHITE", "и\u0306од\0"]) == "черная blue white йод"
