"""The command that serves the page and the API."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dermaxai.commands.console import say, talk
from dermaxai.commands.options import grouped
from dermaxai.errors import SettingError, UsageError

if TYPE_CHECKING:
    from dermaxai.api.state import ServedModel, ServeOptions
    from dermaxai.jobs.supervisor import Supervisor
    from dermaxai.store.opening import Store

PATIENCE = 0.7
"""Seconds for which a stopped server waits for its worker."""
MODELS, DOOR, KEEPING = "Models", "Who may come in", "What is kept"


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where cases are, and for how long."""

    cases: Annotated[
        Path, typer.Option(help="Folder of cases; made where missing.", rich_help_panel=KEEPING)
    ] = Path("cases")
    store: Annotated[
        str,
        typer.Option(
            help="Address of a database, postgresql+psycopg://….",
            rich_help_panel=KEEPING,
            show_default="a file in the folder",
        ),
    ] = ""
    keep_days: Annotated[
        int,
        typer.Option(
            help="Delete cases after so many days.", min=0, rich_help_panel=KEEPING, show_default="never"
        ),
    ] = 0
    queue: Annotated[
        int, typer.Option(help="Jobs that may wait.", min=1, max=10_000, rich_help_panel=KEEPING)
    ] = 64


@dataclass(frozen=True, slots=True)
class Served:
    """Which models photos can be given to, and on which device."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of 'models list', or folder; may be repeated.",
            rich_help_panel=MODELS,
            show_default="demo",
        ),
    ] = None
    source: Annotated[
        str, typer.Option(help="Folder or file of the encoder's weights.", rich_help_panel=MODELS)
    ] = ""
    captioner: Annotated[
        str, typer.Option(help="Folder of a captioner trained on this encoder.", rich_help_panel=MODELS)
    ] = ""
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Show cases only; needs no weights.", rich_help_panel=MODELS)
    ] = False
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=MODELS, show_default="auto")
    ] = ""
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Of the weights.", rich_help_panel=MODELS, show_default="float32"),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of the worker; 0 leaves the choice.", rich_help_panel=MODELS),
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Of whatever draws random numbers.", rich_help_panel=MODELS)
    ] = None
    beams: Annotated[
        int | None,
        typer.Option(help="Width of the caption search.", rich_help_panel=MODELS, show_default="1, greedy"),
    ] = None
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network.", rich_help_panel=MODELS)] = (
        False
    )

    def models(self) -> tuple[ServedModel, ...]:
        """What is served. Raises: UsageError, UnknownName, WeightsMissing, SettingError."""
        from dermaxai.api.state import ServedModel

        if self.no_model:
            self._check_alone()
            return ()
        names = tuple(dict.fromkeys(self.model or ["demo"]))
        parts = {"source": self.source, "captioner": self.captioner}
        given = tuple((name, value) for name, value in parts.items() if value)
        if given and len(names) > 1:
            raise UsageError(
                "--source and --captioner belong to one model.",
                hint="Give one --model, or folders that hold both.",
            )
        for name in names:
            self._check_there(name)
        return tuple(ServedModel(name, given) for name in names)

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Changes of `Settings` for the worker. Raises: SettingError."""
        from dermaxai.settings import read_settings

        names = ("device", "dtype", "threads", "seed", "beams", "offline")
        values = {name: getattr(self, name) for name in names}
        given = {
            name: value for name, value in values.items() if value not in (None, "") and value is not False
        }
        read_settings(**given)
        return tuple((name, str(value)) for name, value in given.items())

    def _check_alone(self) -> None:
        if self.model or self.source or self.captioner:
            raise UsageError("--no-model leaves nothing to load.", hint="Leave out --no-model, or the model.")

    def _check_there(self, name: str) -> None:
        """Found before the server starts, not when the first photo has come."""
        from dermaxai.commands.models import find_weights, missing_weights
        from dermaxai.commands.options import Choice
        from dermaxai.encoders.cards import card_names, read_card, short_name

        Choice(model=name, source=self.source, captioner=self.captioner).check()
        if Path(name).is_dir() or self.source or short_name(name) not in card_names():
            return
        card = read_card(name)
        if find_weights(card) is None:
            raise missing_weights(card)


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in, and how."""

    host: Annotated[
        str,
        typer.Option(help="Address to listen at; any but this machine's needs tokens.", rich_help_panel=DOOR),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(help="0: any that is free.", min=0, max=65535, rich_help_panel=DOOR)
    ] = 8000
    blind: Annotated[
        bool, typer.Option("--blind", help="Own reading first, then the machine's.", rich_help_panel=DOOR)
    ] = False
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name of this server; may be repeated.", rich_help_panel=DOOR),
    ] = None
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate, PEM; with --tls-key.", rich_help_panel=DOOR)
    ] = None
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.", rich_help_panel=DOOR)] = None
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="A proxy on this machine ends TLS.", rich_help_panel=DOOR),
    ] = False
    open: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.", rich_help_panel=DOOR)
    ] = False

    def tls(self) -> tuple[Path, Path] | None:
        """Certificate and key. Raises: UsageError for one without the other, SettingError for a bad one."""
        if self.tls_cert is None and self.tls_key is None:
            return None
        if self.tls_cert is None or self.tls_key is None:
            raise UsageError("A certificate and its key go together.", hint="Give --tls-cert and --tls-key.")
        import ssl

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise SettingError(
                f"The certificate '{self.tls_cert}' cannot be used: {error}.", hint="Both files are PEM."
            ) from error
        return self.tls_cert, self.tls_key


@grouped
def serve(keeping: Keeping, served: Served, door: Door) -> None:
    """Serve the page: drop a photo, read its description, see where each word comes from."""
    from dermaxai.api.state import ServeOptions

    options = ServeOptions(
        cases=keeping.cases,
        url=keeping.store,
        host=door.host,
        hosts=tuple(door.allow_host or ()),
        models=served.models(),
        settings=served.settings(),
        blind=door.blind,
        queue=keeping.queue,
        keep_days=keeping.keep_days,
        tls=door.tls(),
        proxied=door.behind_proxy,
    )
    door_socket = listen(door.host, door.port)
    with door_socket:
        run(replace(options, port=door_socket.getsockname()[1]), door_socket, browse=door.open)


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises: UsageError where it is taken, not allowed, or not this machine's."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        door = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"'{host}' is no address of this machine.", hint="Try --host 127.0.0.1.") from error
    try:
        if sys.platform != "win32":
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
    except (OSError, OverflowError) as error:
        door.close()
        raise UsageError(
            f"{host}, port {port} cannot be used: {getattr(error, 'strerror', error)}.",
            hint="Stop what runs there, or choose another port: --port 0 takes a free one.",
        ) from error
    return door


def run(options: ServeOptions, door: socket.socket, *, browse: bool = False) -> None:
    """Serve until told to stop; the worker ends with the server. Raises: StoreError."""
    from dermaxai.api.app import create_app
    from dermaxai.api.request_log import log_to_stderr
    from dermaxai.api.serving import PageServer
    from dermaxai.api.state import ServerState
    from dermaxai.store.opening import open_store

    store = open_store(options.cases, options.url)
    worker = _start_worker(options)
    try:
        state = ServerState(options, store)
        if worker is not None:
            state.wake, state.worker = worker.wake, worker.state
        log_to_stderr()
        greet(options, store)
        server = PageServer(create_app(options, state), options, lambda: _announce(options, browse=browse))
        # A service manager says stop in another way than a terminal; both end alike.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[door])
    finally:
        if worker is not None:
            _stop_worker(worker)
        store.close()
    talk("Stopped.")
    # On its way out the interpreter would look through every object once more, for a second.
    gc.freeze()


def _start_worker(options: ServeOptions) -> Supervisor | None:
    """Its model loads while the page is there already."""
    if not options.has_model:
        return None
    from dermaxai.jobs.supervisor import Supervisor

    worker = Supervisor(options)
    worker.start()
    return worker


def _stop_worker(worker: Supervisor) -> None:
    """It stops in the middle of its job; whoever pressed Ctrl-C does not wait for long."""
    stopping = Thread(target=worker.stop, daemon=True)
    stopping.start()
    stopping.join(PATIENCE)
    if stopping.is_alive():
        talk("The worker ends by itself in a moment.")


def address_of(options: ServeOptions) -> str:
    """What to type into the browser.

    >>> from dermaxai.api.state import ServeOptions
    >>> address_of(ServeOptions(host="::1", port=8123))
    'http://[::1]:8123/'
    """
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(options.host, options.host)
    named = options.hosts[0] if options.hosts and options.is_open else host
    if options.proxied and options.hosts:
        return f"https://[{named}]/" if ":" in named else f"https://{named}/"
    scheme = "https" if options.tls else "http"
    return f"{scheme}://[{named}]:{options.port}/" if ":" in named else f"{scheme}://{named}:{options.port}/"


def _announce(options: ServeOptions, *, browse: bool) -> None:
    """The page is there: its address on stdout."""
    say(address_of(options))
    if browse:
        import webbrowser

        Thread(target=webbrowser.open, args=(address_of(options),), daemon=True).start()


def greet(options: ServeOptions, store: Store) -> None:
    """The notice in every language, and what to know about this way of serving; on stderr."""
    from dermaxai.i18n import LANGUAGES, catalogue

    for language in LANGUAGES:
        talk(f"DermaXAI: {catalogue(language).text('notice')}.")
    for hint in hints(options, store):
        talk(hint)


def hints(options: ServeOptions, store: Store) -> list[str]:
    """What whoever starts the server should know, one sentence or two each. Raises: StoreError."""
    from dermaxai.store.readers import list_readers

    told = [f"Cases are in '{options.cases}'. Ctrl-C stops."]
    if not options.has_model:
        told.append("No model: cases are shown, none is made.")
    if options.keep_days:
        told.append(f"Cases older than {options.keep_days} days are deleted.")
    if not options.is_open:
        return told
    told.append("Other machines can reach this server: whoever comes in needs a token.")
    with store.read() as session:
        if not list_readers(session):
            told.append("There is no reader yet, so nobody can: dermaxai readers add NAME --role admin")
    if options.tls is None and not options.proxied:
        told.append(
            "Photos and tokens travel in clear text: give --tls-cert and --tls-key, or --behind-proxy where "
            "a proxy on this machine ends TLS."
        )
    return told
