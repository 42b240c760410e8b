"""A server that really listens, in a thread of this process."""

import threading
from contextlib import contextmanager
from dataclasses import replace

from dermaxai.api.app import create_app
from dermaxai.api.serving import PageServer
from dermaxai.commands.serving import listen

PATIENCE = 60


@contextmanager
def listening(app):
    """The address of `app` while it is served."""
    door = listen("127.0.0.1", 0)
    port = door.getsockname()[1]
    state = app.state.server
    state.options = replace(state.options, port=port)
    app = create_app(state.options, state)
    ready = threading.Event()
    server = PageServer(app, state.options, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        door.close()
        assert not thread.is_alive()
