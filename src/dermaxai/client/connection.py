"""One HTTP connection to a server; what it refuses is raised as the error that it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast, final
from uuid import uuid4

from dermaxai.client.views import JobView, error_of, job_of
from dermaxai.errors import DermaXAIError, StoreUnreachable

if TYPE_CHECKING:
    import httpx2

PATIENCE = 60.0
"""Seconds without a byte after which a server counts as gone; a stream says every 15 that it is there."""


@final
class Connection:
    """Sends requests to one server."""

    def __init__(self, url: str, token: str, transport: httpx2.BaseTransport | None = None) -> None:
        import httpx2

        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The environment's proxies are not asked: photos go to this server and nowhere else.
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, timeout=PATIENCE, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Let go of it."""
        self._http.close()

    def carry(self, name: str, value: str) -> None:
        """Send this header with every request from now on."""
        self._http.headers[name] = value

    def send(self, method: str, path: str, **what: Any) -> httpx2.Response:  # noqa: ANN401 - as httpx2 takes it
        """The answer to one request. Raises: what the server refused with; StoreUnreachable."""
        with self._told():
            answer = self._http.request(method, path, **what)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise _error(answer)
        return answer

    def json(self, method: str, path: str, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - as httpx2 takes it
        """The same as a dictionary."""
        return cast(dict[str, Any], self.send(method, path, **what).json())

    def ask(self, path: str, **what: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as httpx2 takes it
        """Ask for a job; once more with the same key where the connection broke, so that it is done once."""
        key = {"Idempotency-Key": uuid4().hex}
        try:
            return self.json("POST", path, headers=key, **what)
        except StoreUnreachable:
            return self.json("POST", path, headers=key, **what)

    def follow(self, job_id: int) -> Iterator[JobView]:
        """What the stream of a job tells, until it ends or breaks off."""
        with self._told(), self._http.stream("GET", f"/api/jobs/{job_id}/events") as answer:
            if answer.status_code >= HTTPStatus.BAD_REQUEST:
                answer.read()
                raise _error(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield job_of(json.loads(line.removeprefix("data:")))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A connection that fails is an error of ours."""
        import httpx2

        try:
            yield
        except httpx2.TransportError as error:
            raise StoreUnreachable(
                f"The server at {self.url} does not answer ({type(error).__name__}).",
                hint="Start it with 'dermaxai serve', or check the address.",
            ) from error


def _error(answer: httpx2.Response) -> DermaXAIError:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if isinstance(told, dict) and "error" in told:
        return error_of(told)
    return DermaXAIError(
        f"The server answered {answer.status_code}, not as DermaXAI does.", hint="Check the address."
    )
