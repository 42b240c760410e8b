"""A hub on the loopback interface, asked by the real hub library; as a program it prints outcomes as JSON.

python -m tests.encoders.loopback_hub FOLDER
"""

import hashlib
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40
OLDER = "a" * 40
CONTENT: dict[str, bytes] = {}
"""Of every repository but those in `OWN`."""
OWN: dict[tuple[str, str], dict[str, bytes]] = {}
"""(owner, commit) -> files."""
ASKED: list[str] = []


def files_of(owner, commit):
    files = OWN.get((owner, commit), CONTENT)
    return {name: data for name, data in files.items() if owner != "empty" or name == "config.json"}


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
            return self.tell(owner.removesuffix("-t5"), verb, revision)
        owner, _, _, revision, file = path.strip("/").split("/", 4)
        owner = owner.removesuffix("-t5")
        commit = OLDER if revision == OLDER else COMMIT
        if owner == "gated":
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        if owner == "closed":
            return self.answer(403, b"")
        content = files_of(owner, commit)[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return self.answer(200, content, headers)

    def tell(self, owner, verb, revision):
        refusals = {"private": (401, "RepoNotFound"), "missing": (404, "RepoNotFound"), "broken": (501, "")}
        if owner in refusals:
            status, code = refusals[owner]
            return self.answer(status, b"{}", {"X-Error-Code": code} if code else {})
        if revision not in (COMMIT, "main") and (owner, revision) not in OWN:
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = files_of(owner, OLDER if revision == OLDER else COMMIT)
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
    fetch.read_card = lambda name: replace(card, revision="")
    found = fetch.fetch(["monet"], Path(folder) / "unpinned")
    outcomes["fetched unpinned"] = {
        "record": json.loads((found[0].folder / "dermaxai.json").read_text()),
        "given": found[0].revision,
        "read again": weights.resolve(card, found[0].folder).revision,
    }
    outcomes["by id"] = play_ids(Path(folder))
    outcomes["t5"] = play_t5(Path(folder))
    server.shutdown()
    server.server_close()
    attempt("down")
    outcomes["t5"] |= play_t5_without_hub()
    hub_was_asked = len(ASKED)
    os.environ["HF_HUB_OFFLINE"] = "1"
    attempt("offline")
    outcomes["t5"]["offline"] = ask_t5("flan-offline/tiny")
    outcomes["offline asked"] = len(ASKED) - hub_was_asked
    assert hub.is_offline()
    return outcomes


def serve(owner, folder, commit=COMMIT):
    OWN[owner, commit] = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def play_ids(folder):
    """An encoder by the id of a repository that no card knows."""
    from dermaxai.encoders import load_encoder
    from dermaxai.errors import DermaXAIError
    from tests.encoders import tiny

    tiny.open_clip_folder(folder / "clip")
    serve("nocard", folder / "clip")
    tiny.open_clip_folder(folder / "older clip", quick_gelu=True)
    serve("nocard", folder / "older clip", OLDER)
    outcomes = {}

    def attempt(name):
        before = len(ASKED)
        try:
            encoder = load_encoder(name)
        except DermaXAIError as error:
            outcomes[name] = {"error": type(error).__name__, "text": str(error)}
        else:
            card = encoder.card
            outcomes[name] = {"card": [card.name, card.repo_id, card.revision], "revision": encoder.revision}
        outcomes[name]["asked"] = len(ASKED) > before

    # The name without a revision comes last: its first use is what pins it.
    attempt(f"nocard/tiny@{OLDER}")
    attempt("nocard/tiny")
    outcomes["first"] = outcomes["nocard/tiny"]
    attempt("nocard/tiny")
    for name in ("missing/tiny", "gated/tiny", "good/tiny", f"nocard/tiny@{'d' * 40}"):
        attempt(name)
    return outcomes


def ask_t5(source, revision=""):
    from dermaxai.captioner.decoder import load_t5
    from dermaxai.errors import DermaXAIError

    try:
        base = load_t5(source, revision=revision)
    except DermaXAIError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"source": base.source, "revision": base.revision, "sha256": base.sha256}


def play_t5(folder):
    """Safetensors, the `.bin` of ruT5 and mT5, two revisions, refusals."""
    import torch
    from safetensors.torch import load_file

    from tests.captioner import tiny

    for kind in tiny.FORMATS:
        tiny.write_t5(folder / kind, kind)
    (folder / "flan" / "pytorch_model.bin").write_bytes(b"not wanted")
    state = load_file(folder / "mt5" / "model.safetensors")
    torch.save(state, folder / "mt5" / "pytorch_model.bin")
    (folder / "mt5" / "model.safetensors").unlink()
    (folder / "weightless").mkdir()
    (folder / "weightless" / "config.json").write_bytes((folder / "flan" / "config.json").read_bytes())
    for kind in (*tiny.FORMATS, "weightless"):
        serve(kind, folder / kind)
    tiny.write_t5(folder / "older", "t5")
    serve("flan", folder / "older", OLDER)
    outcomes = {kind: ask_t5(f"{kind}/tiny") for kind in (*tiny.FORMATS, "weightless")}
    outcomes["asked for"] = sorted({path.rpartition("/")[2] for path in ASKED if "flan/tiny/resolve" in path})
    outcomes["pinned"] = ask_t5("flan/tiny", OLDER)
    outcomes["pinned to the newest"] = ask_t5("flan/tiny", COMMIT)
    outcomes["no such revision"] = ask_t5("flan/tiny", "d" * 40)
    for owner in ("gated", "closed", "private", "missing", "broken"):
        outcomes[owner] = ask_t5(f"{owner}-t5/tiny")
    outcomes["impossible"] = ask_t5("a--b/tiny")
    return outcomes


def play_t5_without_hub():
    return {"down": ask_t5("flan-down/tiny"), "down but cached": ask_t5("flan/tiny", OLDER)}


if __name__ == "__main__":
    main(sys.argv[1])
