"""A server on this machine that speaks as much of the hub's wire form as a download needs. Its models are folders."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HIDDEN = "owner/hidden"  # is not there, as the hub says it to somebody without a token
GATED = "owner/gated"  # may be asked about, and not be fetched


class Hub:
    """What the server has, what was asked of it, and what goes wrong next."""

    def __init__(self) -> None:
        self.models: dict[str, Path] = {}
        self.commits: dict[str, dict[str, str]] = {}  # model -> revision -> commit
        self.asked: list[tuple[str, str, str]] = []  # method, path, Range
        self.cut = ""  # the end of the name of a file whose next download breaks off half-way
        self.slow = 0.0  # seconds before each MiB of a file
        self.address = ""

    def add(self, repo: str, folder: Path, **revisions: str) -> None:
        self.models[repo] = folder
        self.commits[repo] = {"main": "a" * 40} | revisions

    def commit(self, repo: str, revision: str) -> str | None:
        known = self.commits[repo]
        return revision if revision in known.values() else known.get(revision)

    def paths(self, method: str) -> list[str]:
        return [path for verb, path, _ in self.asked if verb == method]


def handler_for(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.write(body)

        def fault(self, status: int, code: str) -> None:
            self.answer(status, b"{}", X_Error_Code=code, X_Error_Message=code)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path, self.headers.get("Range", "")))
            if path.startswith("/api/models/"):
                self.about(path.removeprefix("/api/models/"))
            else:
                repo, _, rest = path[1:].partition("/resolve/")
                revision, _, name = rest.partition("/")
                self.file(repo, revision, name) if repo in hub.models else self.fault(404, "EntryNotFound")

        def about(self, asked: str) -> None:
            repo, rest = "/".join(asked.split("/")[:2]), asked.split("/")[2:]
            if repo not in hub.models:
                return self.fault(401, "RepoNotFound")
            commit = hub.commit(repo, "/".join(rest[1:]) if rest else "main")
            if commit is None:
                return self.fault(404, "RevisionNotFound")
            files = {p.relative_to(hub.models[repo]).as_posix(): p for p in hub.models[repo].rglob("*") if p.is_file()}
            if rest[:1] == ["tree"]:
                tree = [
                    {"type": "file", "path": n, "size": p.stat().st_size, "oid": "0" * 40} for n, p in files.items()
                ]
                return self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
            siblings = [{"rfilename": n, "size": p.stat().st_size, "blobId": "0" * 40} for n, p in files.items()]
            told = {"id": repo, "sha": commit, "siblings": siblings, "gated": "manual" if repo == GATED else False}
            self.answer(200, json.dumps(told).encode(), Content_Type="application/json")

        def file(self, repo: str, revision: str, name: str) -> None:
            if repo == GATED:
                return self.fault(403, "GatedRepo")
            path, commit = hub.models[repo] / name, hub.commit(repo, revision)
            if commit is None or not path.is_file():
                return self.fault(404, "EntryNotFound")
            data = path.read_bytes()
            begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-").split("-")[0])
            headers = {
                "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X_Repo_Commit": commit,
                "Accept_Ranges": "bytes",
            }
            if begin:
                headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            if self.command == "GET" and hub.cut and name.endswith(hub.cut):
                hub.cut = ""
                self.send_response(200)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.answer(206 if begin else 200, data[begin:], **headers)

        def write(self, body: bytes) -> None:
            try:
                for begin in range(0, len(body), 2**20):
                    time.sleep(hub.slow)
                    self.wfile.write(body[begin : begin + 2**20])
            except (BrokenPipeError, ConnectionResetError):  # whoever asked does not wait any longer
                self.close_connection = True

    return Handler


@contextmanager
def serving() -> Iterator[Hub]:
    """The server, until the end of the block; `address` is what HF_ENDPOINT is to be."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(hub))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
