"""A small folder of cases, drawn."""

import dataclasses

from dermaxai.cases import save_case
from dermaxai.types import Agreement, Target
from tests.sample_case import draw_photo, make_case


def agreement(word, text, value):
    return Agreement(Target("word", text, word), ("grad_eclip", "evidence"), (1.0, value, value, 1.0))


def write_cases(home, count=5):
    """Cases with other photos and agreements: 0.0, 0.1, …; the first is outside, the last has a report."""
    places = []
    for number in range(count):
        image = dataclasses.replace(
            draw_photo(120, 160, (60.0 + number, 80.0)), sha256=f"{number:08x}" + "ab" * 28
        )
        made = make_case(outside=number == 0)
        placement = dataclasses.replace(
            made.maps[0].placement,
            height=120,
            width=160,
            top=0.0,
            left=20.0,
            covered_height=120.0,
            covered_width=120.0,
        )
        case = dataclasses.replace(
            made,
            image=image,
            maps=tuple(dataclasses.replace(heat, placement=placement) for heat in made.maps),
            agreements=(agreement(2, "asymmetric", 0.1 * number), agreement(3, "dark", 0.1 * number)),
            scores=tuple(
                dataclasses.replace(one, verdict="no") if number == 1 and one.verdict == "yes" else one
                for one in made.scores
            ),
        )
        places.append(save_case(case, home / f"case{number}"))
    (places[-1] / "report.html").write_text("a report", "utf-8")
    return places
