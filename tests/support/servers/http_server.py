"""A real HTTP server on a free loopback port, told by each test what to answer, that counts its calls.

    with serving() as server:
        server.answers("/jobs", Reply(status=500), Reply(body=b"done"))
        ...
        assert server.count("/jobs") == 2

Answers of a path are given in turn, the last one again and again. A path without answers echoes the
request as JSON: method, path, query, headers (lower-cased) and body.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tests.support.servers.threaded_server import ThreadedServer

LOOK_EVERY_S = 0.02
"""At whether it is to stop, while an answer is held back."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer, and how badly.

    `delay_s` passes before the first byte, and however long it takes until `until` is set. `drip_s`
    passes between the bytes of the body, or of the whole answer with `drip_head`. `cut` closes the
    connection instead of answering; `announced` is the Content-Length to claim where it is not the truth.
    """

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    delay_s: float = 0.0
    until: threading.Event | None = None
    drip_s: float = 0.0
    drip_head: bool = False
    cut: bool = False
    announced: int | None = None


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """An answer that says it is JSON, and is."""
    return Reply(
        status=status,
        headers={"Content-Type": "application/json", **headers},
        body=json.dumps(value).encode(),
    )


def gzip_reply(body: bytes) -> Reply:
    """A compressed answer."""
    return Reply(headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"}, body=gzip.compress(body))


def gzip_bomb(megabytes: int) -> Reply:
    """A small answer that becomes that many megabytes of zeros, made without ever holding them."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(megabytes)) + packer.flush()
    return Reply(headers={"Content-Encoding": "gzip"}, body=body)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that arrived. `at` is on `time.monotonic`; header names are lower-cased."""

    method: str
    path: str
    query: dict[str, str]
    query_text: str
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> object:
        """The request's body."""
        value: object = json.loads(self.body)
        return value


class HttpServer(ThreadedServer):
    """A running server. Make one with `serving`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self._answers: dict[str, list[Reply]] = defaultdict(list)
        super().__init__(host, _Request)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The address of a path of this server."""
        return f"http://{host}:{self.port}{path}"

    def answers(self, path: str, *replies: Reply) -> None:
        """Answer calls of `path` with these, in turn; the last one stays."""
        with self._lock:
            self._answers[path] = list(replies)

    def called(self, path: str) -> list[Call]:
        """The calls of `path`, oldest first."""
        with self._lock:
            return [call for call in self.calls if call.path == path]

    def count(self, path: str) -> int:
        """How often `path` was called."""
        return len(self.called(path))

    def reply_to(self, call: Call) -> Reply:
        """Note the call; what to answer it with."""
        with self._lock:
            self.calls.append(call)
            planned = self._answers.get(call.path, [])
            if not planned:
                return json_reply(_echo(call))
            return planned.pop(0) if len(planned) > 1 else planned[0]


class _Request(BaseHTTPRequestHandler):
    owner: ClassVar[HttpServer]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            query_text=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
            at=time.monotonic(),
        )
        reply = self.owner.reply_to(call)
        self.owner.stopping.wait(reply.delay_s)
        while reply.until is not None and not reply.until.wait(LOOK_EVERY_S):
            if self.owner.stopping.is_set():
                break
        if reply.cut:
            self.close_connection = True
            return
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        length = len(reply.body) if reply.announced is None else reply.announced
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers_into_buffer()
        head, body = self.head, reply.body if self.command != "HEAD" else b""
        if reply.announced is not None:
            self.close_connection = True
        self._write(head, reply.drip_s if reply.drip_head else 0.0)
        self._write(body, reply.drip_s)

    def end_headers_into_buffer(self) -> None:
        """Keep the head instead of sending it, so that it can be sent slowly."""
        buffer: list[bytes] = self._headers_buffer  # type: ignore[attr-defined]  # set by send_header
        self.head = b"".join([*buffer, b"\r\n"])
        buffer.clear()

    def _write(self, data: bytes, drip_s: float) -> None:
        if not drip_s:
            self.wfile.write(data)
            return
        for position in range(len(data)):
            if self.owner.stopping.wait(drip_s):
                return
            self.wfile.write(data[position : position + 1])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `calls`, not at lines on stderr."""


def _echo(call: Call) -> dict[str, object]:
    return {
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "headers": call.headers,
        "body": call.body.decode(errors="replace"),
    }


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[HttpServer]:
    """A server for the length of a with block."""
    server = HttpServer(host)
    try:
        yield server
    finally:
        server.stop()
