"""What a running server knows: its options, its store, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dermaxai.api.answers import Shelf
from dermaxai.store.tables import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from dermaxai.store.opening import Store

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model that photos can be given to."""

    name: str
    """As `pipeline.load` takes it; also what the page shows."""
    options: tuple[tuple[str, str], ...] = ()
    """Further options of `pipeline.load`: source, captioner."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `dermaxai serve` was told."""

    cases: Path = Path("cases")
    url: str = ""
    """Of the database; '' for SQLite inside `cases`."""
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    """Names, besides `host`, under which this server may be asked (the Host header)."""
    models: tuple[ServedModel, ...] = (ServedModel("demo"),)
    """Empty: review only."""
    settings: tuple[tuple[str, str], ...] = ()
    """Changes of `Settings` for the worker: device, threads, dtype, seed."""
    blind: bool = False
    queue: int = 64
    """Jobs that may wait; the next one is refused."""
    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    per_minute: int = 600
    """Requests from one place; reading the page and its files is not counted."""
    keep_days: int = 0
    """Cases older than this are deleted; 0 keeps them."""
    tls: tuple[Path, Path] | None = None
    """Certificate and key."""
    proxied: bool = False
    """TLS ends at a proxy in front: cookies are Secure all the same."""

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it, by itself or through a proxy; then a token is needed."""
        return self.proxied or bool({self.host, *self.hosts} - set(LOOPBACK))

    @property
    def has_model(self) -> bool:
        """Whether photos can be described."""
        return bool(self.models)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking."""

    name: str
    """Pseudonym, or 'local' on loopback without a token."""
    role: Role
    reader: int | None = None
    """Id in `readers`; None until 'local' has chosen a pseudonym."""
    by: Literal["local", "session", "token"] = "local"

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.role == "admin"


@dataclass(slots=True)
class ServerState:
    """Kept in `app.state.server`."""

    options: ServeOptions
    store: Store
    wake: Callable[[], None] = lambda: None
    """Tells the worker that a job waits."""
    worker: Callable[[], dict[str, Any]] = lambda: {"state": "none"}
    """State of the worker for the page: 'none', 'starting', 'ready', 'failed', and why."""
    answers: Shelf = field(default_factory=Shelf)
    """Cases as they were sent last."""
