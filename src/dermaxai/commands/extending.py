"""The command that adds maps of more methods to a case."""

from __future__ import annotations

from typing import Annotated

import typer

from dermaxai.commands.console import say_json
from dermaxai.commands.explaining import (
    CaseArgument,
    keep_case,
    model_of,
    places_of,
    read_case,
    read_methods,
    say_places,
)
from dermaxai.commands.options import CaseStyle, Choice, grouped
from dermaxai.commands.watching import shown


@grouped
def extend(
    choice: Choice,
    style: CaseStyle,
    case: CaseArgument,
    method: Annotated[
        list[str],
        typer.Option("--method", "-m", help="Methods, commas or repeated, or 'all'.", show_default=False),
    ],
) -> None:
    """Add the maps of more methods to a case: of its words, and of the texts it was asked about."""
    from dermaxai.commands.tables import explained_row, show_case, show_doubts

    methods = read_methods(method)
    before = read_case(case)
    model = model_of(choice, before, case)
    with shown():
        after = model.extend(before, methods)
    answer = style.of(before)
    places = places_of(keep_case(after, case, answer.lang))
    if answer.as_json:
        say_json(explained_row(after, answer.lang) | places)
        show_doubts(after, answer.lang)
        return
    show_case(after, answer.lang)
    say_places(places)
