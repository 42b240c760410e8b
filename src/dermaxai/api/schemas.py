"""What the API sends and takes, one model per thing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from dermaxai.api.errors import Problem
from dermaxai.api.strict import one_line, only_known
from dermaxai.store.tables import CaseState, JobKind, JobState
from dermaxai.types import Language, TargetKind

CASE_ID = "^[A-Za-z0-9_-]{1,64}$"
CaseId = Annotated[str, Path(pattern=CASE_ID, description="Id of a case.", examples=["7f3a91c2b604"])]
JobId = Annotated[int, Path(ge=1, le=2**53, description="Id of a job.", examples=[17])]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300),
    AfterValidator(one_line),
]


class Sent(BaseModel):
    """Something the server sends."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class Given(BaseModel):
    """Something the server is given; a field it does not know is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: object) -> object:
        return only_known(given, cls.model_fields)


JOB: JsonDict = {
    "id": 17,
    "case": "7f3a91c2b604",
    "kind": "explain",
    "state": "running",
    "stages": [
        {"name": "caption", "state": "done", "seconds": 0.31, "note": ""},
        {"name": "evidence", "state": "running", "seconds": None, "note": ""},
    ],
    "content": 1,
    "ahead": 0,
    "error": None,
    "created": "2026-11-27T10:15:02.120000Z",
    "started": "2026-11-27T10:15:02.180000Z",
    "finished": None,
}
"""A job in the middle, as an example."""


class Stage(Sent):
    """One step of a job."""

    name: str
    """'caption', the name of a method, 'measure', …"""
    state: str
    """'waiting', 'running', 'done', 'failed' or 'skipped'."""
    seconds: float | None = None
    """How long it took."""
    note: str = ""
    """What to know about it, in English."""


class JobView(Sent):
    """Something a worker does, and how far it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB]})

    id: int
    """In the order of arrival."""
    case: str
    """Id of the case it is for."""
    kind: JobKind
    state: JobState
    stages: list[Stage]
    content: int
    """Raised whenever there is more of the case to show."""
    ahead: int = 0
    """Jobs that come first, while it waits."""
    error: Problem | None = None
    """Why it failed."""
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None


class Accepted(Sent):
    """A request that was taken: a worker will see to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job": JOB, "case": JOB["case"]}]})

    job: JobView
    case: str
    """Id of the case."""


class JobList(Sent):
    """Jobs, the newest first."""

    jobs: list[JobView]


class CaseSummary(Sent):
    """What the list of cases shows of one; in blind mode, of an unread case, without what the model said."""

    id: str
    state: CaseState
    revision: int
    name: str
    """Of the photo's file, as it was received; it stays on this server."""
    created: datetime
    changed: datetime
    owner: str
    """Pseudonym of who brought the photo."""
    width: int
    """Pixels."""
    height: int
    language: str | None = None
    """Of the caption."""
    caption: str | None = None
    encoder: str | None = None
    captioner: str | None = None
    maps: int | None = None
    """How many maps it has."""
    disagreement: float | None = None
    """1 - mean rank correlation of the methods' maps, 0 to 2."""
    faithfulness: float | None = None
    """Of the worst judged map: how far it is better than random maps."""
    unfaithful: int | None = None
    """Maps that are not better than random ones."""
    outside: bool | None = None
    """The photo is outside what the model knows."""
    hidden: bool = False
    """Blind mode: own reading first."""


class CaseList(Sent):
    """A stretch of the list of cases."""

    cases: list[CaseSummary]
    total: int
    """How many cases fit the search."""


class Size(Sent):
    """Pixels."""

    height: int
    width: int


class WordView(Sent):
    """One word of a caption."""

    start: int
    """First character in the caption's text."""
    stop: int
    """One behind the last character."""
    certainty: float | None
    """Probability of the word, given the image and the words before it."""


class CaptionView(Sent):
    """What the model said."""

    language: Language
    text: str
    words: list[WordView]


class MapView(Sent):
    """One map, small enough to travel: `cells` holds 12 bits per patch, in base64."""

    target: int
    """Index in `targets`."""
    method: int
    """Index in `methods`."""
    place: int
    """Index in `places`."""
    scalar: int
    """Index in `scalars`."""
    peak: float
    """Largest absolute value; a cell q means (q - 2048) / 2047 * peak."""
    signed: bool
    cells: str
    region: str
    """Where most of the positive energy is."""
    share: float
    """Of the positive energy in the hottest tenth of the area."""


class CasePage(Sent):
    """A case as the page reads it; `docs/api.md` says how to decode the maps."""

    photo: Size
    captions: list[CaptionView]
    evidence: dict[str, Any]
    """Word index -> by how many nats the image makes the word likelier."""
    methods: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    places: list[dict[str, float]]
    scalars: list[str]
    maps: list[MapView]
    concepts: list[dict[str, Any]]
    trust: list[dict[str, Any]]
    """Scores of maps, with verdicts and those of random maps."""
    sanity: dict[str, Any]
    warnings: list[str]


class CaseView(Sent):
    """A case: its page as far as it is made, and the job that works on it."""

    id: str
    state: CaseState
    revision: int
    """Raised with every change; part of the ETag."""
    name: str
    """Of the photo's file, as it was received; it stays on this server."""
    created: datetime
    owner: str
    """Pseudonym of who brought the photo."""
    language: Language
    """Of the explained caption."""
    job: JobView | None = None
    """The latest job of this case."""
    page: CasePage | None = None
    """None until there is something to show."""


class Question(Sent):
    """What a map answers."""

    kind: TargetKind
    text: str
    word: int | None
    """Index in the caption's words, for kinds 'word' and 'phrase'."""
    against: str | None
    """Contrast: why the text rather than this."""


class MapFacts(Sent):
    """What one map is of; its values are in `maps.npz`."""

    method: str
    variant: str
    target: Question
    placement: dict[str, Any]
    """How the encoder's square lies in the photo."""
    scalar: str
    """What was differentiated; the unit of the values."""
    layer: str
    """Where the method read the network."""


class MapList(Sent):
    """All maps of a case, in the order of the arrays '0000', '0001', … of `maps.npz`."""

    maps: list[MapFacts]


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
