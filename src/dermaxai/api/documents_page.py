"""The description of the API as sections, calls and tables, ready for the template of `/docs`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from markupsafe import Markup, escape

Document = Mapping[str, Any]
HOME = "http://127.0.0.1:8000"
"""In examples."""
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a table: a parameter, or a field of a body or an answer."""

    name: str
    kind: Markup
    """Its type in words, with links to schemas."""
    text: Markup
    place: str = ""
    """'path', 'query', 'header', 'form'; '' for a field of a schema."""
    required: bool = False
    default: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One status that a call may answer with."""

    status: str
    text: str
    kind: Markup


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    title: str
    text: Markup
    fields: tuple[Field, ...]
    replies: tuple[Reply, ...]
    curl: str
    can_try: bool
    """Asking changes nothing, and the answer has an end."""


@dataclass(frozen=True, slots=True)
class Section:
    """The calls of one tag."""

    name: str
    text: Markup
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema by its name."""

    name: str
    text: Markup
    fields: tuple[Field, ...]


def sections_of(document: Document) -> list[Section]:
    """Every call under its tag, in the order of the tags."""
    calls: dict[str, list[Call]] = {tag["name"]: [] for tag in document.get("tags", ())}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["server"])[-1]
            calls.setdefault(tag, []).append(_call(document, path, method, operation))
    told = {tag["name"]: tag["description"] for tag in document.get("tags", ())}
    return [Section(name, prose(told.get(name, "")), tuple(found)) for name, found in calls.items() if found]


def shapes_of(document: Document) -> list[Shape]:
    """Every schema with its fields, by name."""
    schemas = document.get("components", {}).get("schemas", {})
    return [
        Shape(name, prose(schemas[name].get("description", "")), tuple(_fields_of(schemas[name])))
        for name in sorted(schemas)
        if not name.startswith("Body_")
    ]


def prose(text: str) -> Markup:
    """Paragraphs with `code` and **bold**; everything else is shown as it stands.

    >>> print(prose("Ask `/docs` & see."))
    <p>Ask <code>/docs</code> &amp; see.</p>
    """
    paragraphs = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
    return Markup("").join(Markup("<p>{}</p>").format(_inline(part)) for part in paragraphs)


def _inline(text: str) -> Markup:
    safe = str(escape(" ".join(text.split())))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))


def _call(document: Document, path: str, method: str, operation: Mapping[str, Any]) -> Call:
    anchor = re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-")
    fields = (*_parameters(operation), *_body_fields(document, operation))
    replies = tuple(_reply(status, told) for status, told in sorted(operation["responses"].items()))
    streams = "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    return Call(
        anchor,
        method.upper(),
        path,
        operation.get("summary", path),
        prose(operation.get("description", "")),
        fields,
        replies,
        _curl(document, path, method, operation),
        method == "get" and not streams,
    )


def _parameters(operation: Mapping[str, Any]) -> Iterator[Field]:
    for one in operation.get("parameters", ()):
        schema = one["schema"]
        yield Field(
            one["name"],
            kind_of(_given(schema)),
            _inline(one.get("description", "")),
            one["in"],
            one.get("required", False),
            _default(schema),
            _example_of(one, schema),
        )


def _example_of(one: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    known = one.get("examples") or schema.get("examples") or [one.get("example", "")]
    first = next(iter(known.values()))["value"] if isinstance(known, dict) else known[0]
    return str(first) if first is not None else ""


def _body_fields(document: Document, operation: Mapping[str, Any]) -> Iterator[Field]:
    kind, schema = _body(document, operation)
    if schema is not None:
        yield from _fields_of(schema, place="form" if kind in FORMS else "body")


def _body(document: Document, operation: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """Media type and schema of what is sent."""
    content = operation.get("requestBody", {}).get("content", {})
    for kind, told in content.items():
        return kind, _resolved(document, told["schema"])
    return "", None


def _resolved(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference leads to."""
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][_name_of(schema)]
    return found


def _name_of(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _fields_of(schema: Mapping[str, Any], place: str = "") -> Iterator[Field]:
    required = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        kind = kind_of(_given(told) if place else told)
        yield Field(name, kind, _inline(told.get("description", "")), place, name in required, _default(told))


def _given(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a value that may be left out: what it is where it is given."""
    several = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return several[0] if len(several) == 1 else schema


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    return "" if value in (None, "", [], {}) else json.dumps(value, ensure_ascii=False)


def kind_of(schema: Mapping[str, Any]) -> Markup:
    """The type of a value in words; a schema is named and linked.

    >>> print(kind_of({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}))
    list of text, or null
    """
    if "$ref" in schema:
        return Markup('<a href="#schema-{0}">{0}</a>').format(_name_of(schema))
    if several := schema.get("anyOf") or schema.get("oneOf"):
        kinds = dict.fromkeys(kind_of(one) for one in several)
        return Markup(", or ").join(kinds)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(json.dumps(value)) for value in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind_of(schema.get("items", {})))
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return Markup("object of {}").format(kind_of(schema["additionalProperties"]))
    return Markup("{}").format(_plain_kind(schema) + _bounds(schema))


def _plain_kind(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in ("binary",) or schema.get("contentMediaType"):
        return "file"
    if schema.get("format") == "date-time":
        return "time"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    kind = str(schema.get("type", ""))
    return names.get(kind, kind or "anything")


def _bounds(schema: Mapping[str, Any]) -> str:
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    unit = " characters" if schema.get("type") == "string" else ""
    if low is not None and high is not None:
        return f", {low} to {high}{unit}"
    if high is not None:
        return f", up to {high}{unit}"
    return f", from {low}{unit}" if low is not None else ""


def _reply(status: str, told: Mapping[str, Any]) -> Reply:
    content = told.get("content", {})
    kinds = [kind_of(one["schema"]) if one.get("schema") else Markup("") for one in content.values()]
    named = [str(escape(kind)) for kind in content if kind != "application/json"]
    parts = [*dict.fromkeys(part for part in kinds if part), *(Markup(name) for name in named)]
    text = told.get("description") or HTTPStatus(int(status)).phrase
    return Reply(status, text, Markup(", ").join(parts))


def _curl(document: Document, path: str, method: str, operation: Mapping[str, Any]) -> str:
    """A command that can be pasted into a shell."""
    examples = {one.name: one.example for one in _parameters(operation) if one.place == "path"}
    asked = re.sub(r"\{(\w+)\}", lambda found: examples.get(found[1]) or found[1].upper(), path)
    parts = ["curl"] if method == "get" else [f"curl -X {method.upper()}"]
    kind, schema = _body(document, operation)
    if schema is not None and kind in FORMS:
        parts = ["curl", "-F file=@photo.jpg" if "file" in schema["properties"] else "-d lang=en"]
    elif schema is not None:
        body = json.dumps(_sample(schema), ensure_ascii=False)
        parts = ["curl", "-H 'Content-Type: application/json'", f"-d '{body}'"]
    if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
        parts.append("-N")
    return " ".join([*parts, HOME + asked])


def _sample(schema: Mapping[str, Any]) -> object:
    """A small body that would be taken: the example of the schema, or what is required."""
    if schema.get("examples"):
        return schema["examples"][0]
    names = schema.get("required") or list(schema.get("properties", {}))[:1]
    return {name: _sample_value(name, schema["properties"][name]) for name in names}


def _sample_value(name: str, schema: Mapping[str, Any]) -> object:
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    kinds: dict[str, object] = {"array": [], "integer": 1, "number": 1.0, "boolean": True}
    return kinds.get(str(schema.get("type")), name)
