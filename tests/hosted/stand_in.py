"""A server on this machine that answers as the three providers do, well or badly, as the prompt says."""

import base64
import gzip
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from playground.hosted.configuration import HostedModel, read

KEY = "sk-test-0123456789-abcdefgh"
SLOW = 3.0  # seconds
KINDS = ("huggingface", "openai", "stability")
STATUSES = {"unknown key": 401, "no credit": 402, "forbidden": 403, "too often": 429, "broken down": 503, "wrong": 400}
STATUSES |= {"moderated": 400, "echo": 400}


@dataclass
class Provider:
    """What was asked of it."""

    asked: list[dict[str, Any]] = field(default_factory=list)  # path, key, and what was sent
    address: str = ""
    elsewhere: list[str] = field(default_factory=list)  # paths that only a followed redirect leads to


def picture(width: int, height: int, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 40 + seed % 100, 60)).save(buffer, "PNG")
    return buffer.getvalue()


@lru_cache
def huge() -> bytes:
    """A small file with 81 megapixels in it."""
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def sent_by(kind: str, headers: Any, body: bytes) -> dict[str, Any]:
    """A request's fields, as that provider reads them."""
    if kind != "stability":
        return json.loads(body)
    form = message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in form.get_payload()
    }


def handler_for(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, body: bytes, kind: str = "application/json", **heads: str) -> None:
            self.send_response(status)
            for name, value in heads.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            provider.elsewhere.append(self.path)
            self.answer(200, picture(64, 64), "image/png")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kind = self.path.split("/")[1]
            sent = sent_by(kind, self.headers, body)
            words = sent["inputs"] if kind == "huggingface" else sent["prompt"]
            provider.asked.append({"path": self.path, "key": self.headers["authorization"], **sent})
            try:
                self.respond(kind, words, sent)
            except (BrokenPipeError, ConnectionResetError):  # whoever asked does not wait any longer
                self.close_connection = True

        def respond(self, kind: str, words: str, sent: dict[str, Any]) -> None:
            if words == "slow":
                time.sleep(SLOW)
            if words == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                for _ in range(int(10 * SLOW)):
                    self.wfile.write(b" ")
                    time.sleep(0.1)
                self.close_connection = True
            elif words == "redirected":
                self.answer(302, b"", location=f"http://localhost:{self.server.server_port}/secret")
            elif words in STATUSES:
                self.answer(STATUSES[words], self.fault(kind, words), retry_after="7")
            elif words == "endless":
                self.answer(200, b"x" * 14_000_000, "image/png")
            elif words == "packed":
                self.answer(200, gzip.compress(picture(64, 64)), "image/png", content_encoding="gzip")
            elif words == "nonsense":
                self.answer(200, b"<html>", "text/html")
            elif words == "blurred" and kind == "stability":
                self.answer(200, picture(64, 64), "image/png", finish_reason="CONTENT_FILTERED")
            elif words == "damaged":
                self.picture(kind, picture(64, 64)[:60])
            elif words == "huge":
                self.picture(kind, huge())
            elif words == "address" and kind == "openai":
                self.answer(200, json.dumps({"data": [{"url": f"{provider.address}/secret"}]}).encode())
            else:
                self.picture(kind, picture(*self.size(kind, sent), int(sent.get("seed", 0))))

        def size(self, kind: str, sent: dict[str, Any]) -> tuple[int, int]:
            if kind == "openai":
                width, height = sent["size"].split("x")
                return int(width), int(height)
            if kind == "huggingface":
                return sent["parameters"]["width"], sent["parameters"]["height"]
            return 96, 96  # a size of its own

        def picture(self, kind: str, data: bytes) -> None:
            if kind == "openai":
                inside = {"data": [{"b64_json": base64.b64encode(data).decode()}]}
                self.answer(200, json.dumps(inside).encode())
            else:
                self.answer(200, data, "image/png", finish_reason="SUCCESS")

        def fault(self, kind: str, words: str) -> bytes:
            message = f"You sent {self.headers['authorization']}." if words == "echo" else f"It was {words}."
            if kind == "openai":
                code = {"moderated": "moderation_blocked", "no credit": "insufficient_quota"}.get(words, "some")
                return json.dumps({"error": {"code": code, "message": message, "type": "image"}}).encode()
            name = "content_moderation" if words == "moderated" else "bad_request"
            if kind == "stability":
                return json.dumps({"id": "1", "name": name, "errors": [message]}).encode()
            return json.dumps({"error": message, "code": name}).encode()

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # who gives up waiting is what some tests are about
            super().handle_error(request, client_address)


@contextmanager
def standing_in() -> Iterator[Provider]:
    provider = Provider()
    server = Server(("127.0.0.1", 0), handler_for(provider))
    provider.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def written(path: Path, provider: Provider, **changes: Any) -> Path:
    """A file of three models, of which each asks the server in another form."""
    tables = []
    for kind in KINDS:
        model = {"name": f"by-{kind}", "kind": kind, "model": "core", "key": "TEST_KEY", "sizes": ["64x64"]}
        tables.append(model | {"url": f"{provider.address}/{kind}", "seconds": 1} | changes)
    path.write_text(json.dumps({"model": tables}))
    return path


def models(path: Path, provider: Provider, **changes: Any) -> dict[str, HostedModel]:
    """By kind."""
    read_in = read(written(path, provider, **changes), print, {"TEST_KEY": KEY})
    return {model.kind: model for model in read_in}
