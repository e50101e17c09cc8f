"""A server that answers as language-model services do: byte for byte, in pieces, with silences between them.

    with model_server() as server:
        server.answers(whole({"choices": [...]}), streamed(chunk("Hel"), 2.0, chunk("lo"), done=True))
        ...
        assert server.asked == [{"model": "m", ...}]

Answers are given in turn, the last one again and again, whatever the path.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from tests.support.servers.threaded_server import ThreadedServer

Part: TypeAlias = bytes | float
"""Bytes to send, or seconds to send nothing."""

JSON: Final = {"Content-Type": "application/json"}
EVENTS: Final = {"Content-Type": "text/event-stream; charset=utf-8"}


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, sent in chunks. `breaks_off`: the connection is closed without the end of the body."""

    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: JSON)
    parts: tuple[Part, ...] = ()
    breaks_off: bool = False


def whole(value: object, status: int = 200, **headers: str) -> ModelReply:
    """One JSON document; text and bytes are sent as they are. `_` in a header's name stands for `-`."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    body = value.encode() if isinstance(value, str) else value
    return ModelReply(
        status=status,
        headers={**JSON, **given},
        parts=(body if isinstance(body, bytes) else json.dumps(body).encode(),),
    )


def streamed(*parts: object, done: bool = True, breaks_off: bool = False) -> ModelReply:
    """Server-sent events: objects become `data:` events, bytes are sent as they are, numbers are silences."""
    made = tuple(part if isinstance(part, bytes | float) else event(part) for part in parts)
    end = (b"data: [DONE]\n\n",) if done else ()
    return ModelReply(headers=EVENTS, parts=made + end, breaks_off=breaks_off)


def event(value: object) -> bytes:
    """One event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(
    text: str | None = None, finish: object = None, usage: object = None, **delta: object
) -> dict[str, Any]:
    """A chunk of a streamed completion, with one choice."""
    content = {} if text is None else {"content": text}
    made: dict[str, Any] = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "m-2030",
        "choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish}],
    }
    return made if usage is None else {**made, "usage": usage}


def completion(
    content: object = "Hello", finish: object = "stop", usage: object = None, **message: object
) -> dict[str, Any]:
    """A completion in one piece."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "model": "m-2030",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"total_tokens": 3} if usage is None else usage,
    }


class ModelServer(ThreadedServer):
    """A running server. Make one with `model_server`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.at: list[float] = []
        self.decide: Callable[[dict[str, Any]], ModelReply] = self._planned
        self._lock = threading.Lock()
        self._replies: list[ModelReply] = []
        super().__init__("127.0.0.1", _Request)

    def base_url(self, path: str = "/v1") -> str:
        """What LLM_BASE_URL is to be."""
        return f"http://127.0.0.1:{self.port}{path}"

    def answers(self, *replies: ModelReply) -> None:
        """Answer with these, in turn; the last one stays."""
        self._replies = list(replies)

    def reply_to(self, path: str, headers: dict[str, str], body: bytes) -> ModelReply:
        """Note the call; what to answer it with."""
        with self._lock:
            self.paths.append(path)
            self.headers.append(headers)
            self.asked.append(json.loads(body))
            self.at.append(time.monotonic())
            return self.decide(self.asked[-1])

    def _planned(self, asked: dict[str, Any]) -> ModelReply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


class _Request(BaseHTTPRequestHandler):
    owner: ClassVar[ModelServer]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.owner.reply_to(self.path, headers, body)
        silence = next(iter(reply.parts), None)
        if isinstance(silence, float):
            self.owner.stopping.wait(silence)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in reply.parts[1:] if isinstance(silence, float) else reply.parts:
            if isinstance(part, float):
                self.owner.stopping.wait(part)
            elif part:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if reply.breaks_off:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `asked`, not at lines on stderr."""


@contextlib.contextmanager
def model_server() -> Iterator[ModelServer]:
    """A server for the length of a with block."""
    server = ModelServer()
    try:
        yield server
    finally:
        server.stop()
