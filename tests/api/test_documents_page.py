"""The description as sections, calls and tables."""

import shlex

import pytest

from dermaxai.api.documents import describe
from dermaxai.api.documents_page import kind_of, prose, sections_of, shapes_of
from tests.api.whole_server import whole_server


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return describe(whole_server(tmp_path_factory.mktemp("cases")))


@pytest.fixture(scope="module")
def calls(document):
    return {(call.method, call.path): call for section in sections_of(document) for call in section.calls}


def test_every_call_is_shown_once(document, calls):
    wanted = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert set(calls) == wanted
    assert sum(len(section.calls) for section in sections_of(document)) == len(wanted)
    assert len({call.anchor for call in calls.values()}) == len(wanted)


def test_a_form_and_a_body_are_told_field_by_field(calls):
    form = {field.name: field for field in calls["POST", "/api/cases"].fields}
    assert (form["file"].place, form["file"].required, str(form["file"].kind)) == ("form", True, "file")
    assert form["Idempotency-Key"].place == "header"
    body = {field.name: field for field in calls["POST", "/api/cases/{case_id}/contrast"].fields}
    assert body["word"].required
    assert not body["method"].required
    assert "null" not in body["method"].kind


def test_commands_can_be_typed(calls):
    for call in calls.values():
        parts = shlex.split(call.curl)
        assert parts[0] == "curl"
        assert parts[-1].startswith("http://127.0.0.1:8000/")
        assert "{" not in parts[-1]
    assert "-N" in calls["GET", "/api/jobs/{job_id}/events"].curl
    assert calls["POST", "/api/cases"].curl == "curl -F file=@photo.jpg http://127.0.0.1:8000/api/cases"


def test_only_what_changes_nothing_is_tried(calls):
    tried = {call.method for call in calls.values() if call.can_try}
    assert tried == {"GET"}
    assert not calls["GET", "/api/jobs/{job_id}/events"].can_try


def test_shapes_have_their_fields(document):
    shapes = {shape.name: shape for shape in shapes_of(document)}
    assert [field.name for field in shapes["Problem"].fields] == ["error", "message", "hint", "said"]
    assert not any(name.startswith("Body_") for name in shapes)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "maxLength": 9}, "text, up to 9 characters"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, "whole number, 1 to 5"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
        ({"enum": ["a"]}, "<code>&#34;a&#34;</code>"),
        ({"$ref": "#/components/schemas/Job"}, '<a href="#schema-Job">Job</a>'),
        ({}, "anything"),
    ],
)
def test_kinds_in_words(schema, words):
    assert str(kind_of(schema)) == words


def test_prose_lets_nothing_through():
    assert str(prose("<script>`a<b`</script>")) == ("<p>&lt;script&gt;<code>a&lt;b</code>&lt;/script&gt;</p>")
