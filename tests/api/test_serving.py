"""The server process."""

import sys

import pytest

from dermaxai.api import serving


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
@pytest.mark.parametrize(
    ("limits", "asked"),
    [((256, 1024), (1024, 1024)), ((256, -1), (4000, -1)), ((100_000, 200_000), None), ((512, 512), None)],
)
def test_as_many_files_are_allowed_as_connections_may_need(monkeypatch, limits, asked):
    import resource

    told = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, pair: told.append(pair))
    serving.allow_connections()
    assert told == ([asked] if asked else [])
