"""Whose turn it is: a fair order of the jobs that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

QUESTIONS_IN_A_ROW = 4
"""After so many questions about ready cases one photo is described, if one waits."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the order of a job depends on."""

    id: int
    """Order of arrival."""
    owner: str
    case_id: str
    is_photo: bool
    """A photo to be described; otherwise a question about a case that is there."""


def line_up(waiting: Iterable[Turn], past: Sequence[Turn]) -> Iterator[Turn]:
    """The jobs that wait, in the order in which one worker takes them; `past` has begun, the newest last.

    Of one case in order of arrival. Questions come before photos, yet no more than `QUESTIONS_IN_A_ROW`
    while a photo waits. Among each of the two, turns go round between owners: next is who was served longest
    ago, who was never served comes first, and an owner's own jobs are taken in order of arrival.

    >>> jobs = [Turn(1, "a", "x", True), Turn(2, "a", "y", True), Turn(3, "b", "z", True)]
    >>> [turn.id for turn in line_up(jobs, past=[])]
    [1, 3, 2]
    """
    left = sorted(waiting, key=lambda turn: turn.id)
    served: dict[tuple[bool, str], int] = {}
    in_a_row = 0
    for place, turn in enumerate(past):
        served[turn.is_photo, turn.owner] = place
        in_a_row = 0 if turn.is_photo else in_a_row + 1
    place = len(past)
    while left:
        first = _first_of_each_case(left)
        photos = [turn for turn in first if turn.is_photo]
        questions = [turn for turn in first if not turn.is_photo]
        rivals = photos if photos and (not questions or in_a_row >= QUESTIONS_IN_A_ROW) else questions
        chosen = min(rivals, key=lambda turn: (served.get((turn.is_photo, turn.owner), -1), turn.id))
        yield chosen
        left.remove(chosen)
        served[chosen.is_photo, chosen.owner] = place
        in_a_row = 0 if chosen.is_photo else in_a_row + 1
        place += 1


def _first_of_each_case(turns: Sequence[Turn]) -> list[Turn]:
    first: dict[str, Turn] = {}
    for turn in turns:
        first.setdefault(turn.case_id, turn)
    return list(first.values())
