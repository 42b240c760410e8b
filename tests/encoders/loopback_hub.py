"""A hub on the loopback interface, asked by the real hub library; as a program it prints outcomes as JSON."""

import hashlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40
CONTENT: dict[str, bytes] = {}
ASKED: list[str] = []


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # a kept connection would outlive the server

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        ASKED.append(self.path)
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            owner, _, verb, revision = path.removeprefix("/api/models/").split("/")[:4]
            return self.tell(owner, verb, revision)
        owner, _, _, _, file = path.strip("/").split("/", 4)
        if owner == "gated":
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        if owner == "closed":
            return self.answer(403, b"")
        content = CONTENT[file]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return self.answer(200, content, headers)

    def tell(self, owner, verb, revision):
        refusals = {"private": (401, "RepoNotFound"), "missing": (404, "RepoNotFound"), "broken": (501, "")}
        if owner in refusals:
            status, code = refusals[owner]
            return self.answer(status, b"{}", {"X-Error-Code": code} if code else {})
        if revision not in (COMMIT, "main"):
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = {name: data for name, data in CONTENT.items() if owner != "empty" or name == "config.json"}
        reply = self.siblings(owner, files) if verb == "revision" else self.tree(files)
        return self.answer(200, json.dumps(reply).encode(), {"Content-Type": "application/json"})

    def siblings(self, owner, files):
        listed = []
        for name, data in files.items():
            sha256 = "0" * 64 if owner == "lying" else hashlib.sha256(data).hexdigest()
            lfs = {"sha256": sha256, "size": len(data), "pointerSize": 1}
            listed.append({"rfilename": name, "size": len(data), "blobId": "b" * 40, "lfs": lfs})
        return {
            "id": f"{owner}/tiny",
            "modelId": f"{owner}/tiny",
            "sha": COMMIT,
            "siblings": listed,
            "tags": [],
        }

    def tree(self, files):
        return [
            {"type": "file", "path": name, "size": len(data), "oid": "b" * 40} for name, data in files.items()
        ]

    def answer(self, status, content, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def main(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    os.environ |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": f"{folder}/hf",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    for name in (
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "DERMAXAI_OFFLINE",
        "HF_HUB_CACHE",
        "HTTP_PROXY",
        "http_proxy",
    ):
        os.environ.pop(name, None)
    os.environ["NO_PROXY"] = "127.0.0.1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(play(folder, server)))


def play(folder, server):
    from dataclasses import replace
    from pathlib import Path

    import torch
    from safetensors.torch import save

    from dermaxai.encoders import cards, fetch, hub, weights
    from dermaxai.errors import DermaXAIError

    CONTENT["model.safetensors"] = save({"w": torch.arange(3.0)})
    CONTENT["pytorch_model.bin"] = b"not wanted"
    CONTENT["config.json"] = b"{}"
    CONTENT["tokenizer.json"] = b"{}"
    CONTENT["README.md"] = b"not wanted"
    monet = replace(cards.read_card("monet"), revision=COMMIT)
    outcomes = {}

    def attempt(name, **changes):
        card = replace(monet, repo_id=f"{name.partition(' ')[0]}/tiny", **changes)
        try:
            found = weights.resolve(card)
        except DermaXAIError as error:
            outcomes[name] = {"error": type(error).__name__, "text": str(error)}
        else:
            there = sorted(path.name for path in found.folder.iterdir())
            outcomes[name] = {"files": there, "sha256": found.sha256, "revision": found.revision}

    attempt("good")
    before = len(ASKED)
    attempt("good again")
    outcomes["asked again"] = len(ASKED) - before
    attempt("newest", revision="")
    before = len(ASKED)
    attempt("newest again", revision="")
    outcomes["newest asked again"] = len(ASKED) - before
    for name in ("gated", "closed", "private", "missing", "empty", "lying", "broken"):
        attempt(name)
    attempt("good revision", revision="d" * 40)
    target = Path(folder) / "carried"
    reports = []
    card = replace(monet, repo_id="good/tiny")
    fetch.read_card = lambda name: card
    found = fetch.fetch(["monet"], target, lambda card, name, size: reports.append([card.name, name, size]))
    outcomes["fetched"] = {
        "reports": reports,
        "folder": str(found[0].folder.relative_to(folder)),
        "record": json.loads((found[0].folder / "dermaxai.json").read_text()),
    }
    server.shutdown()
    server.server_close()
    attempt("down")
    hub_was_asked = len(ASKED)
    os.environ["HF_HUB_OFFLINE"] = "1"
    attempt("offline")
    outcomes["offline asked"] = len(ASKED) - hub_was_asked
    assert hub.is_offline()
    return outcomes


if __name__ == "__main__":
    main(sys.argv[1])
