"""What the API is asked about a case that is there, one model per kind of question."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from dermaxai.api.schemas import Given, Name, Text
from dermaxai.types import Language, TargetKind


class Again(Given):
    """How the photo of a case is to be described anew."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"methods": ["evidence"]}]})

    model: Annotated[str, StringConstraints(max_length=500)] = ""
    """One of the served models; by default the first."""
    methods: list[Name] = Field(default_factory=list, max_length=32)
    """Names of `/api/methods`, or 'all'; empty: 'evidence'."""
    lang: Language | None = None
    """Language of the explained caption; by default that of the case."""


class Query(Given):
    """A text, to see where the photo matches it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "blue-white veil"}]})

    text: Text
    """English; or a word of the caption for the kinds 'word' and 'phrase'."""
    kind: TargetKind = "query"
    """What the text is."""
    against: Text | None = None
    """What it is compared with."""
    method: Name | None = None
    """A name of `/api/methods`; by default one that fits the kind."""


class Contrast(Given):
    """A word of the caption, to see why it was said rather than another."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"word": "irregular", "against": "regular"}]})

    word: Text
    """A word of the caption, or several that follow each other."""
    against: Text
    """The word it is compared with."""
    method: Name | None = None
    """A name of `/api/methods`; by default 'evidence'."""


class Concepts(Given):
    """Who shall find the clinical concepts that stand for the image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"method": "splice"}]})

    method: Name | None = None
    """A method that finds concepts; by default 'splice', the only one there is."""


class Measure(Given):
    """By which metrics the maps are compared with random ones."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metrics": ["deletion", "insertion"]}]})

    metrics: list[Name] = Field(default_factory=list, max_length=32)
    """Names of `/api/metrics`, family 'map'; empty: deletion and insertion."""


class Sanity(Given):
    """Whose maps are checked: random weights, wrong word, blank photo, mirrored photo."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"methods": ["evidence"]}]})

    methods: list[Name] = Field(default_factory=list, max_length=32)
    """Names of `/api/methods`; empty: all that the case has."""


class Methods(Given):
    """More methods for the caption's words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"methods": ["grad_eclip", "rollout"]}]})

    methods: list[Name] = Field(min_length=1, max_length=32)
    """Names of `/api/methods`, or 'all'."""
