"""What the API sends, one model per thing; the kinds of texts and names that it takes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from dermaxai.api.errors import Problem, Said
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
        {"name": "caption", "state": "done", "share": None, "seconds": 0.31, "note": ""},
        {"name": "convis", "state": "running", "share": 0.42, "seconds": None, "note": ""},
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
    """'waiting', 'running', 'done', 'failed', 'skipped', or 'cancelled' where it was stopped."""
    share: float | None = None
    """How much of it is done, 0 to 1, while it runs or where it was stopped; null where it does not tell."""
    seconds: float | None = None
    """How long it took."""
    note: str = ""
    """What to know about it, in English."""
    said: Said = Field(default_factory=dict)
    """The note in other languages, as far as it is known in them."""


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
    """In English."""
    said: dict[Language, dict[str, list[str | None]]]
    """`warnings`, `notes` on the photo, the `mean` image in other languages; null where unknown."""


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
