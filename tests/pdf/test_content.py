import dataclasses
import math

import pytest

from dermaxai.geometry import Placement
from dermaxai.i18n import catalogue
from dermaxai.overlay import account_for
from dermaxai.pdf import render_page
from dermaxai.pdf.content import DENSITIES, best_maps, choose_content
from dermaxai.pdf.trust import agreement_line, method_rows, words_check
from dermaxai.types import Agreement, Alternative, Score, Target
from tests.sample_case import FROM_LANGUAGE, HEIGHT, WIDTH, make_case

ROOMY, LEAST = DENSITIES[0], DENSITIES[-1]


@pytest.fixture(scope="module")
def case():
    return make_case()


def show(case, densities=(ROOMY, ROOMY), language="en", readings=()):
    return choose_content(case, densities, catalogue(language), readings)


def test_every_word_with_its_best_map(case):
    content = show(case)
    mapped = [word.text for word in case.caption.words if word.text not in FROM_LANGUAGE]
    assert [card.title for card in content.cards] == mapped
    # Only the first map of Grad-ECLIP is worse than random, and Grad-ECLIP's come first in the case.
    assert content.cards[0].method == "Word evidence"
    assert all(card.mark == "✓" for card in content.cards)
    assert content.unmapped == ["No map, because an average photo gives these words too: a, with, an."]
    assert all(card.title in card.alt for card in content.cards)


def score(metric, of, value, verdict):
    return Score(metric, value, value, value, 1, of, 0.5, 0.4, 0.6, verdict, "steps=20")


def test_best_is_by_verdict_then_by_gap_then_by_order(case):
    def methods(*rows):
        scores = tuple(
            score(metric, f"{method}/1", 0.5 + sign * gap / 2, verdict)
            for method, gap, verdict in rows
            for metric, sign in (("deletion", -1), ("insertion", 1))
        )
        found = best_maps(dataclasses.replace(case, scores=scores, evidence=()))
        return next(heat.method for heat, _ in found if heat.target.word == 1)

    assert methods(("grad_eclip", 0.9, "no"), ("evidence", 0.1, "yes")) == "evidence"
    assert methods(("grad_eclip", 0.1, "no")) == "evidence"
    assert methods(("grad_eclip", 0.1, "undecided")) == "grad_eclip"
    assert methods(("grad_eclip", 0.3, "yes"), ("evidence", 0.4, "yes")) == "evidence"
    assert methods() == "grad_eclip"


def test_a_map_with_a_caution_comes_after_its_equals(case):
    accounts = {heat.target.word: account_for(case, heat) for heat in case.maps if heat.method == "evidence"}
    doubtful = next(word for word, account in accounts.items() if account.doubt)
    wanted = [heat for heat in case.maps if heat.target.word == doubtful]
    wanted.sort(key=lambda heat: heat.method != "evidence")
    ((best, _),) = best_maps(dataclasses.replace(case, maps=tuple(wanted), scores=()))
    assert (wanted[0].method, best.method) == ("evidence", "grad_eclip")


def test_broken_and_common_maps_are_nobodys_best(case):
    broken = tuple(dataclasses.replace(heat, values=heat.values * math.nan) for heat in case.maps[:7])
    common = tuple(dataclasses.replace(heat, method="consensus") for heat in case.maps[7:])
    assert best_maps(dataclasses.replace(case, maps=broken + common, scores=())) == []


def test_less_is_shown_and_what_is_missing_is_said(case):
    crowded = dataclasses.replace(case, warnings=("One warning.",) * 9, concepts=case.concepts * 4)
    content = show(crowded, (LEAST, LEAST), readings=[{"pseudonym": "r1", "answer": "agree"}] * 3)
    assert content.left_out == ["1 other question", "8 concepts", "7 warnings", "1 reading"]
    assert (len(content.cards), content.columns, len(content.others)) == (7, 7, 0)
    assert show(crowded, language="ru").left_out == ["2 признака"]


def test_questions_of_somebody_come_before_the_words_as_texts(case):
    texts = (Target("query", "dark"), Target("query", "a mole"), Target("word", "dark", 3, "pale"))
    maps = tuple(dataclasses.replace(case.maps[0], target=target) for target in texts)
    others = show(dataclasses.replace(case, maps=(*case.maps[:7], *maps), scores=())).others
    assert [card.title for card in others] == ["dark rather than pale", "question: a mole", "question: dark"]


def test_what_the_model_saw_of_the_photo(case):
    assert show(case).seen == "The model saw 75 % of the photo."
    assert show(case, language="ru").seen == "Модель видела 75 % фото."
    whole = Placement(HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH)
    seen = tuple(dataclasses.replace(heat, placement=whole) for heat in case.maps)
    assert show(dataclasses.replace(case, maps=seen)).seen == ""
    assert show(dataclasses.replace(case, maps=())).seen == ""


def test_every_command_stands_on_its_own_line(case):
    told = ["dermaxai explain PHOTO", "A_B=2 dermaxai query CASE 'dark && large'", "dermaxai sanity CASE"]
    made = dataclasses.replace(case, made_by=dataclasses.replace(case.made_by, command=" && ".join(told)))
    assert dict(show(made).made)["command"].splitlines() == told
    few = dataclasses.replace(LEAST, commands=2)
    content = show(made, (LEAST, few))
    assert dict(content.made)["command"].splitlines() == [*told[:2], "…"]
    assert "1 command" in content.left_out


def test_the_words_that_owe_most_to_the_image_stay(case):
    few = dataclasses.replace(LEAST, words=2)
    nats = {entry.word: entry.nats for entry in case.evidence if entry.from_image}
    wanted = sorted(sorted(nats, key=lambda word: -nats[word])[:2])
    assert [card.title for card in show(case, (few, few)).cards] == [
        case.caption.words[word].text for word in wanted
    ]


def test_what_else_would_have_been_said(case):
    rivals = (Alternative(1, "small", math.log(0.2)), Alternative(1, "tiny", math.log(0.001)))
    cards = show(dataclasses.replace(case, alternatives=rivals)).cards
    assert [card.rival for card in cards[:2]] == ["or: small 20\N{NO-BREAK SPACE}%", ""]


def test_readings_in_words():
    reading = {
        "pseudonym": "r1",
        "text": "irregular",
        "answer": "wrong_place",
        "regions": [1, 2],
        "comment": "hair",
    }
    (row,) = show(make_case(), language="ru", readings=[reading]).readings
    assert row == {
        "who": "r1", "word": "irregular", "answer": "не то место", "comment": "отмечены 2 области; hair",
    }  # fmt: skip


def test_a_long_caption_is_cut(case):
    short = dataclasses.replace(ROOMY, caption=20)
    text = "".join(piece.text for piece in show(case, (short, short)).captions[0][1])
    assert text == "a large asymmetric …"


def test_methods_in_rows(case):
    rows, checks = method_rows(case, catalogue("en"))
    assert [(row.name, row.maps, row.better, row.undecided) for row in rows] == [
        ("Grad-ECLIP · corrected", 8, "6 of 8", 1),
        ("Word evidence · corrected", 7, "7 of 7", 0),
    ]
    assert [name for name, _ in checks] == [
        "random_weights",
        "wrong_question",
        "blank_photo",
        "mirrored_photo",
    ]
    assert all(row.checks == ("✗", "✓", "✓", "✓") for row in rows)
    assert all(math.isfinite(float(part.split(" (")[0])) for row in rows for part in row.scores)
    assert words_check(case, catalogue("ru")) == "Свидетельства чистой кожи: пройдено"


def test_nothing_measured(case):
    bare = dataclasses.replace(case, scores=())
    rows, checks = method_rows(bare, catalogue("en"))
    assert not checks
    assert {(row.better, row.scores) for row in rows} == {("", ("", ""))}
    assert words_check(bare, catalogue("en")) == ""
    assert agreement_line(bare, catalogue("en")) is None


def test_agreement_is_a_mean_of_means(case):
    told = (
        Agreement(
            Target("word", "dark", 3),
            ("a", "b", "c"),
            (1.0, 0.2, 0.4, 0.2, 1.0, math.nan, 0.4, math.nan, 1.0),
        ),
        Agreement(Target("word", "border", 9), ("a", "b"), (1.0, -0.1, -0.1, 1.0)),
    )
    line = agreement_line(dataclasses.replace(case, agreements=told), catalogue("en"))
    assert (line.mean, line.questions, line.lowest, line.least) == ("0.10", 2, "−0.10", "border")


def test_warnings_are_told_in_the_language_of_the_reader(case):
    known, unknown = "The map 'evidence / border' holds values that are no numbers.", "Nobody said this."
    warned = dataclasses.replace(case, warnings=(known, unknown))
    assert show(warned).warnings == [(known, "en"), (unknown, "en")]
    russian = "Карта «evidence / border» содержит значения, которые не являются числами."
    assert show(warned, language="ru").warnings == [(russian, "ru"), (unknown, "en")]
    page = render_page(warned, language="ru")
    assert f'<li lang="ru">{russian}</li>' in page
    assert f'<li lang="en">{unknown}</li>' in page
