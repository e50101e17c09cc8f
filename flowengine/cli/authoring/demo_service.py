"""A small service for trying workflows: HTTP answers, and chat completions, on this machine only.

It plays what the examples in `workflows/` call, so that each runs as it is. It keeps what it is told in
memory, and forgets it at its end.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from flowengine.errors import CannotRunError

HOST: Final = "127.0.0.1"
DEMO_PORT: Final = 8810
"""The examples in `workflows/` have it in the defaults of their inputs."""
MAX_BODY: Final = 1024 * 1024
MAX_JOBS: Final = 1000
REPLY_AFTER_S: Final = 1.0
REPLY_WITHIN_S: Final = 10.0
_LOCAL: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d{1,5}/")
_LOOKS: Final = 2
"""So often a job is said to be running before it is done."""
_PAGES: Final[dict[str | None, Any]] = {
    None: {"orders": [{"total": 40}, {"total": 25}], "next": "2"},
    "2": {"orders": [{"total": 70}], "next": "3"},
    "3": {"orders": [{"total": 15}, {"total": 30}], "next": None},
}
_TOPICS: Final = ("gardens", "old maps", "bread", "tides", "quiet trains")
_PATHS: Final = ("/users/1", "/posts", "/orders", "/jobs", "/echo", "/v1/chat/completions")
_NAMES: Final = ("Ada Berg", "Alan Lind", "Grace Holm")


class Answer(NamedTuple):
    """A status, and what is sent as JSON; a text is sent as an event stream."""

    status: int
    body: Any


class DemoService:
    """The service. A context manager: it answers while it is entered. `port` 0 takes a free one.

    Raises CannotRunError if it cannot listen.
    """

    def __init__(self, port: int = DEMO_PORT) -> None:
        self._jobs: dict[int, int] = {}
        self._lock = threading.Lock()
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            raise CannotRunError(
                f"the demo service cannot listen on {HOST}:{port}: {error.strerror}"
            ) from error
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="demo", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """What it answers."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = [part for part in parts.path.split("/") if part]
        match (method, *path):
            case ("GET",):
                return Answer(200, {"paths": _PATHS})
            case ("GET", "users", number) if number.isdecimal() and 1 <= int(number) <= len(_NAMES):
                return Answer(200, {"id": int(number), "name": _NAMES[int(number) - 1]})
            case ("GET", "posts"):
                return Answer(200, _posts(query.get("userId", "1")))
            case ("GET", "orders"):
                page = _PAGES.get(query.get("token"))
                return Answer(404, {"error": "no such page"}) if page is None else Answer(200, page)
            case ("POST", "jobs"):
                return self._new_job(_json(body))
            case ("GET", "jobs", number) if number.isdecimal():
                return self._job(int(number))
            case (_, "echo"):
                return Answer(200, {"method": method, "query": query, "body": _json(body)})
            case ("POST", "v1", "chat", "completions"):
                return _completion(_json(body))
        return Answer(404, {"error": f"the demo service has no {method} {parts.path}"})

    def _new_job(self, asked: Any) -> Answer:
        """A job; one that says `reply_to` is answered there a moment later, if that is on this machine."""
        reply_to = asked.get("reply_to") if isinstance(asked, dict) else None
        if isinstance(reply_to, str) and _LOCAL.match(reply_to):
            timer = threading.Timer(REPLY_AFTER_S, _reply, args=(reply_to,))
            timer.daemon = True
            timer.start()
        with self._lock:
            number = max(self._jobs, default=0) + 1
            self._jobs[number] = 0
            if len(self._jobs) > MAX_JOBS:
                del self._jobs[min(self._jobs)]
        return Answer(201, {"id": number})

    def _job(self, number: int) -> Answer:
        with self._lock:
            if number not in self._jobs:
                return Answer(404, {"error": "no such job"})
            self._jobs[number] += 1
            state = "running" if self._jobs[number] <= _LOOKS else "done"
        return Answer(200, {"id": number, "state": state})


def _reply(url: str) -> None:
    """Say that a job is done. Who has asked may be gone by now: then there is nobody to tell."""
    request = Request(url, json.dumps({"pages": 12}).encode(), {"Content-Type": "application/json"})
    with contextlib.suppress(OSError, ValueError), urlopen(request, timeout=REPLY_WITHIN_S):
        pass


def demo_environment(url: str) -> dict[str, str]:
    """The settings by which nodes that ask language models ask this service."""
    return {"LLM_BASE_URL": f"{url}/v1", "LLM_API_KEY": "", "LLM_API_KEY_FILE": ""}


def _posts(user: str) -> list[dict[str, Any]]:
    return [
        {"userId": int(user) if user.isdecimal() else 1, "id": number, "title": f"About {topic}"}
        for number, topic in enumerate(_TOPICS, 1)
    ]


def _completion(asked: Any) -> Answer:
    """A chat completion: it says how much it was told, and no more. As a stream, if that was asked for."""
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list):
        return Answer(400, {"error": {"message": "messages are missing", "type": "invalid_request_error"}})
    model = asked.get("model") if isinstance(asked.get("model"), str) else "demo"
    told = " ".join(str(each.get("content")) for each in asked["messages"] if isinstance(each, dict))
    words = len(told.split())
    text = f"This is the demo service and no model: it was told {words} words."
    usage = {"prompt_tokens": words, "completion_tokens": 12, "total_tokens": words + 12}
    head = {"id": "demo", "object": "chat.completion", "created": 0, "model": model}
    if not asked.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Answer(200, {**head, "choices": [choice], "usage": usage})
    head["object"] = "chat.completion.chunk"
    deltas: list[dict[str, Any]] = [
        {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    chunks = [{**head, "choices": [delta]} for delta in deltas] + [{**head, "choices": [], "usage": usage}]
    return Answer(200, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _handler(service: DemoService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _answer(self) -> None:
            length = self.headers.get("Content-Length", "0")
            size = int(length) if length.isdecimal() else MAX_BODY + 1
            if size > MAX_BODY:
                self.send_error(413)
                return
            answer = service.answer(self.command, self.path, self.rfile.read(size))
            is_stream = isinstance(answer.body, str)
            body = answer.body.encode() if is_stream else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/event-stream" if is_stream else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the workflow's own output is what is looked at."""

    return Handler
