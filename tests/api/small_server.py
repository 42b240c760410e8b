"""A server with few routes behind the real gate, and requests written byte for byte."""

import json
from dataclasses import dataclass, field

import anyio
from fastapi import FastAPI, Request

from dermaxai.api.access import admin_only, check_seen, current_actor, signed_in
from dermaxai.api.errors import answer_errors
from dermaxai.api.readers import router
from dermaxai.api.safety import protect
from dermaxai.api.state import ServeOptions, ServerState
from dermaxai.store.opening import open_store
from dermaxai.store.readers import add_reader, issue_token

HERE = (b"host", b"127.0.0.1:8000")


@dataclass
class Answered:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    sent: list = field(default_factory=list)

    def header(self, name):
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else (found or None)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


def small_server(folder, **options):
    """An app with routes that say who is asking, behind `protect`."""
    app = FastAPI(redirect_slashes=False)
    options = ServeOptions(cases=folder, **options)
    app.state.server = ServerState(options, open_store(folder))
    answer_errors(app)
    app.include_router(router)
    for path in ("/", "/healthz", "/version", "/web/{name}", "/web/{version}/{name}", "/docs"):
        app.add_api_route(path, lambda: {"page": True}, methods=["GET", "HEAD"])

    @app.get("/api/who")
    def who(request: Request):
        actor = current_actor(request)
        return {"name": actor.name, "role": actor.role, "reader": actor.reader, "by": actor.by}

    @app.get("/api/named")
    def named(request: Request):
        return {"reader": signed_in(request).reader}

    @app.get("/api/admin")
    def admin(request: Request):
        return {"name": admin_only(request).name}

    @app.get("/api/cases/{case_id}")
    def case(request: Request, case_id: str):
        state = app.state.server
        with state.store.read() as session:
            check_seen(session, state, current_actor(request), case_id)
        return {"id": case_id}

    @app.post("/api/cases")
    @app.post("/api/anything")
    async def body(request: Request):
        return {"bytes": len(await request.body())}

    @app.get("/api/broken")
    def broken():
        raise RuntimeError("the patient Ivanov")

    protect(app, options)
    return app


def token_of(app, name="reader-1", role="reader", days=30):
    """A token of a new reader."""
    with app.state.server.store.write() as session:
        return issue_token(session, add_reader(session, name, role, actor="local"), days=days, actor="local")


def bearer(token):
    return ("Authorization", f"Bearer {token}")


def ask(app, method, path, *headers, body=(b"",), host="127.0.0.1:8000", **scope):
    """One request, with exactly these headers; `body`: the pieces in which it comes."""
    return anyio.run(lambda: ask_inside(app, method, path, *headers, body=body, host=host, **scope))


async def ask_inside(app, method, path, *headers, body=(b"",), host="127.0.0.1:8000", **scope):
    """The same from inside an event loop."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    told = [(b"host", host.encode())] if host is not None else []
    told += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    target, _, query = path.partition("?")
    asked = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": told,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    asked.update(scope)
    messages = [
        {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]
    answered = Answered(0, [])

    async def receive():
        if not messages:
            await anyio.sleep_forever()
        message = messages.pop(0)
        if message["body"] is None:
            await anyio.sleep_forever()
        answered.sent.append(message)
        return message

    async def send(message):
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
        else:
            answered.body += message.get("body", b"")

    await app(asked, receive, send)
    return answered
