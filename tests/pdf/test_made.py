import dataclasses

from dermaxai.i18n import catalogue
from dermaxai.pdf.made import made_lines
from tests.sample_case import make_case


def lines(language="en", notes=(), **made):
    case = make_case()
    case = dataclasses.replace(
        case,
        image=dataclasses.replace(case.image, notes=notes),
        made_by=dataclasses.replace(case.made_by, **made),
    )
    return dict(made_lines(case, catalogue(language), longest=200, commands=9))


def test_notes_on_the_photo_are_said_in_the_language_of_the_page():
    notes = ("16 bit scaled to 8", "Nobody has ever said this.")
    assert lines(notes=notes)["notes"] == "16 bit scaled to 8; Nobody has ever said this."
    assert lines("ru", notes=notes)["notes"] == "16 бит приведены к 8; Nobody has ever said this."


def test_what_is_not_known_has_no_row():
    assert {"notes", "licence", "command"}.isdisjoint(lines(licence="", command=""))
