"""The calls of a running server from Python; no model is loaded here.

    from dermaxai.client import Client

    with Client("http://127.0.0.1:8000") as server:
        case = server.describe("lesion.jpg", methods=["evidence", "grad_eclip"])
        print(case.caption)
        case = server.contrast(case, "irregular", "regular")
        for heat in server.maps(case):
            print(heat.method, heat.target.text, heat.values.shape)
        server.report(case, "lesion.html")

What the server refuses is raised as the same error that the command line would show.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, final

from dermaxai.client.connection import Connection
from dermaxai.client.views import CaseSummary, CaseView, JobView, done, heat_map, job_of, view
from dermaxai.errors import StoreUnreachable
from dermaxai.types import HeatMap, Language, TargetKind

if TYPE_CHECKING:
    import httpx2

__all__ = ["CaseSummary", "CaseView", "Client", "JobView"]

LOCAL = "http://127.0.0.1:8000"
TRIES = 3
"""How often a stream that broke off is taken up again without having told anything."""
PAUSE = 0.5
"""Seconds before it is taken up again."""
PAGE = 100
"""Cases that are asked for at once."""

Case = CaseView | CaseSummary | str
"""A case or its id."""
Heard = Callable[[JobView], None]


@final
class Client:
    """A connection to one server; closed at the end of its `with` block."""

    def __init__(
        self, url: str = LOCAL, token: str = "", *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        """`token`: as `dermaxai readers add` printed it; none is needed on the server's own machine."""
        self._to = Connection(url, token, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._to.close()

    # ---- cases ------------------------------------------------------------------------------

    def describe(
        self,
        photo: Path | str | bytes,
        *,
        model: str = "",
        methods: str | Sequence[str] = (),
        lang: Language = "en",
        queries: str | Sequence[str] = (),
        on_progress: Heard | None = None,
    ) -> CaseView:
        """A photo as a case, when it is made. `model`: by default the server's first; `methods`: 'evidence'.

        Sent twice because the connection broke, it is described once.
        Raises: ImageError, UnknownName, NotSupported, QueueFull, and whatever else stopped its job.
        """
        name, data = (
            ("photo", photo) if isinstance(photo, bytes) else (Path(photo).name, Path(photo).read_bytes())
        )
        form = {"model": model, "methods": _listed(methods), "lang": lang, "queries": _listed(queries)}
        told = self._to.ask("/api/cases", data=form, files={"file": (name, data)})
        return self._finished(told, on_progress)

    def again(
        self,
        case: Case,
        *,
        model: str = "",
        methods: str | Sequence[str] = (),
        lang: Language | None = None,
        on_progress: Heard | None = None,
    ) -> CaseView:
        """The same photo, pixel by pixel, described by another served model: a case of its own.

        Raises: NotFound where the photo is gone; as `describe`.
        """
        asked = {"model": model, "methods": _listed(methods), "lang": lang}
        told = self._to.ask(f"/api/cases/{_id(case)}/again", json=asked)
        return self._finished(told, on_progress)

    def case(self, case: Case) -> CaseView:
        """A case as it is now, also while it is made. Raises: NotFound, ReadingFirst."""
        told = self._to.json("GET", f"/api/cases/{_id(case)}")
        return view(CaseView, told | {"page": told["page"] or {}})

    def cases(
        self, text: str = "", *, sort: str = "created", descending: bool = True, unread: bool = False
    ) -> Iterator[CaseSummary]:
        """All cases that fit, part by part; `sort`: created, disagreement, faithfulness, caption or name.

        `unread`: only those that you have not read, as they are at the beginning.
        """
        asked = {"text": text, "sort": sort, "descending": str(descending).lower(), "limit": str(PAGE)}
        if unread:
            # Whoever reads them one by one must not move the parts that are still to be asked for.
            yield from list(self._stretches({**asked, "unread": "true"}))
        else:
            yield from self._stretches(asked)

    def _stretches(self, asked: Mapping[str, str]) -> Iterator[CaseSummary]:
        after = 0
        while rows := self._to.json("GET", "/api/cases", params={**asked, "after": str(after)})["cases"]:
            yield from (view(CaseSummary, row) for row in rows)
            after += len(rows)

    def delete(self, case: Case) -> None:
        """Delete a case with everything that was made of it. Raises: NotFound, NotAllowed."""
        self._to.send("DELETE", f"/api/cases/{_id(case)}")

    def maps(self, case: Case) -> list[HeatMap]:
        """All maps with their raw values, as the server's own. Raises: NotFound, Conflict, ReadingFirst."""
        import numpy as np

        place = f"/api/cases/{_id(case)}"
        facts = self._to.json("GET", f"{place}/maps")["maps"]
        with np.load(
            io.BytesIO(self._to.send("GET", f"{place}/maps.npz").content), allow_pickle=False
        ) as arrays:
            return [heat_map(fact, arrays[f"{index:04d}"]) for index, fact in enumerate(facts)]

    def report(self, case: Case, path: Path | str, lang: Language | None = None) -> Path:
        """Save the report: one HTML file, or two printed pages where `path` ends in .pdf."""
        target = Path(path)
        kind = "report.pdf" if target.suffix.lower() == ".pdf" else "report"
        params = {"lang": lang} if lang else {}
        target.write_bytes(self._to.send("GET", f"/api/cases/{_id(case)}/{kind}", params=params).content)
        return target

    # ---- questions --------------------------------------------------------------------------

    def query(
        self,
        case: Case,
        text: str,
        *,
        kind: TargetKind = "query",
        against: str | None = None,
        method: str | None = None,
    ) -> CaseView:
        """The case with one more map: where the photo matches a text. Raises: UsageError."""
        return self._ask(case, "query", {"text": text, "kind": kind, "against": against, "method": method})

    def contrast(self, case: Case, word: str, against: str, *, method: str | None = None) -> CaseView:
        """The case with one more, signed map: why `word` rather than `against`. Raises: UsageError."""
        return self._ask(case, "contrast", {"word": word, "against": against, "method": method})

    def concepts(self, case: Case, *, method: str | None = None) -> CaseView:
        """The case with the clinical concepts that stand for its image."""
        return self._ask(case, "concepts", {"method": method})

    def measure(self, case: Case, metrics: str | Sequence[str] = ()) -> CaseView:
        """The case with scores of its maps, each beside what random maps get."""
        return self._ask(case, "measure", {"metrics": _listed(metrics)})

    def sanity(self, case: Case, methods: str | Sequence[str] = ()) -> CaseView:
        """The case with its sanity checks."""
        return self._ask(case, "sanity", {"methods": _listed(methods)})

    def explain(self, case: Case, methods: str | Sequence[str]) -> CaseView:
        """The case with its words explained by further methods."""
        return self._ask(case, "methods", {"methods": _listed(methods)})

    # ---- jobs -------------------------------------------------------------------------------

    def job(self, job: JobView | int) -> JobView:
        """A job as it is now. Raises: NotFound."""
        return job_of(self._to.json("GET", f"/api/jobs/{_number(job)}"))

    def wait(self, job: JobView | int, on_progress: Heard | None = None) -> JobView:
        """Until the job is done; `on_progress` hears of every change.

        Raises: what stopped the job; Conflict where it was cancelled.
        """
        silent = 0
        while silent < TRIES:
            silent += 1
            with suppress(StoreUnreachable):
                for heard in self._to.follow(_number(job)):
                    silent = 0
                    if on_progress is not None:
                        on_progress(heard)
                    if heard.has_ended:
                        return done(heard)
            time.sleep(PAUSE)
        return done(self.job(job))

    def cancel(self, job: JobView | int) -> JobView:
        """Stop a job, before its next step where it runs. Raises: NotFound, NotAllowed, Conflict."""
        return job_of(self._to.json("DELETE", f"/api/jobs/{_number(job)}"))

    # ---- reading ----------------------------------------------------------------------------

    def sign_in(self, pseudonym: str) -> None:
        """Under which feedback is kept, on the server's own machine; elsewhere the token says it."""
        told = self._to.json("POST", "/api/session", json={"pseudonym": pseudonym})
        self._to.carry("X-CSRF-Token", told["csrf"])

    def feedback(
        self,
        case: Case,
        answer: Literal["agree", "wrong_place", "wrong_word"],
        *,
        word: int | None = None,
        regions: Sequence[Mapping[str, Any]] = (),
        comment: str = "",
    ) -> dict[str, Any]:
        """Say what you think of one word of the caption, or of the whole; regions as docs/api.md tells.

        Raises: NotSignedIn without a pseudonym, Conflict where the caption is another by now.
        """
        seen = case if isinstance(case, CaseView) and case.page else self.case(case)
        said = {"answer": answer, "caption": seen.caption, "word": word, "comment": comment}
        body = {**said, "regions": [dict(region) for region in regions]}
        return self._to.json("POST", f"/api/cases/{seen.id}/feedback", json=body)

    # ---- inside -----------------------------------------------------------------------------

    def _ask(self, case: Case, question: str, asked: Mapping[str, Any]) -> CaseView:
        body = {name: value for name, value in asked.items() if value is not None}
        return self._finished(self._to.ask(f"/api/cases/{_id(case)}/{question}", json=body), None)

    def _finished(self, told: Mapping[str, Any], on_progress: Heard | None) -> CaseView:
        self.wait(job_of(told["job"]), on_progress)
        return self.case(str(told["case"]))


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _id(case: Case) -> str:
    return case if isinstance(case, str) else case.id


def _number(job: JobView | int) -> int:
    return job if isinstance(job, int) else job.id
