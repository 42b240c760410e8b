"""An ISIC Archive on the loopback interface, which can be as unreliable as a real one."""

import io
import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from PIL import Image


def photo_bytes(number: int, side: int = 24) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (200, 120 + number % 100, 110)).save(buffer, "JPEG")
    return buffer.getvalue()


class LoopbackArchive:
    """Photos, their metadata, and what goes wrong with each: a list of mishaps per path, used up in order."""

    def __init__(self, count: int) -> None:
        self.photos = {f"ISIC_{number:07d}": photo_bytes(number) for number in range(count)}
        self.sizes: dict[str, int] = {}
        self.metadata: dict[str, dict] = defaultdict(dict)
        self.mishaps: dict[str, list[str]] = defaultdict(list)
        self.asked: list[tuple[str, str]] = []
        """(path with query, Range)."""
        self.address = ""

    def entry(self, isic_id: str) -> dict:
        size = self.sizes.get(isic_id, len(self.photos[isic_id]))
        url = f"{self.address}/files/{isic_id}.jpg?signature=x"
        licence = "CC-0" if int(isic_id[-1]) % 2 else "CC-BY-NC"
        return {
            "isic_id": isic_id,
            "public": True,
            "copyright_license": licence,
            "attribution": "Hospital, Город",
            "files": {"full": {"url": url, "size": size}, "thumbnail_256": {"url": url, "size": 1}},
            "metadata": {
                "acquisition": {"pixels_x": 24, "pixels_y": 24, "image_type": "dermoscopic"},
                "clinical": {"sex": None, "melanocytic": True, **self.metadata[isic_id]},
            },
        }

    def page(self, query: dict[str, list[str]]) -> dict:
        start, size = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        names = sorted(self.photos)
        following = start + size
        more = f"{self.address}/api/v2/images/search/?cursor={following}&limit={size}"
        return {
            "count": len(names),
            "next": more if following < len(names) else None,
            "previous": None,
            "results": [self.entry(name) for name in names[start:following]],
        }


@contextmanager
def serve(archive: LoopbackArchive):
    """The archive at `archive.address` as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_):
            pass

        def do_GET(self):
            parts = urlsplit(self.path)
            archive.asked.append((self.path, self.headers.get("Range", "")))
            mishap = archive.mishaps[parts.path].pop(0) if archive.mishaps[parts.path] else ""
            if mishap.isdecimal():
                return self.answer(int(mishap), b"", {"Retry-After": "7"} if mishap == "429" else {})
            if parts.path == "/api/v2/images/search/":
                body = (
                    b"<html>"
                    if mishap == "strange"
                    else json.dumps(archive.page(parse_qs(parts.query))).encode()
                )
                return self.answer(200, body)
            whole = archive.photos[parts.path.removeprefix("/files/").removesuffix(".jpg")]
            return self.send(whole, mishap)

        def send(self, whole, mishap):
            begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            if mishap == "no range":
                begin = 0
            status = 206 if begin else 200
            body = whole[begin:]
            sent = body[: len(body) // 2] if mishap == "cut" else body
            return self.answer(status, sent, {}, length=len(body))

        def answer(self, status, body, headers=None, length=None):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    archive.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
