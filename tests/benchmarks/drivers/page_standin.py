"""Stands in for the API before the web page: one execution of a thousand nodes, whose statuses change.

Its layout is the real one. Answers are kept small as the API keeps them: no results, no payloads.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from flowengine.layout.plan_drawing import draw
from flowengine.ui import FOLDER, MEDIA_TYPES, served_files
from tests.benchmarks.drawing_speed import shapes

SHAPE: Final = "random, 1 or 2 above"
_NEXT: Final = {"pending": "queued", "queued": "running", "running": "completed"}
_KINDS: Final = {"queued": "node_queued", "running": "node_started", "completed": "node_completed"}


class PageStandIn:
    """A server on a free port, while it is entered. `nodes`: what the execution says of each."""

    def __init__(self) -> None:
        plan = shapes()[SHAPE]
        self.drawing = msgspec.json.encode(draw(plan))
        names = [node.id for node in plan.nodes]
        parents = {node.id: [names[above] for above in node.parents] for node in plan.nodes}
        self.nodes: dict[str, dict[str, Any]] = {
            node.id: {
                "id": node.id, "handler": node.work.handler, "kind": "task", "status": "pending",
                "attempt": 0, "dependencies": parents[node.id], "queued_at": None, "started_at": None,
                "finished_at": None, "error": None,
            }
            for node in plan.nodes
        }  # fmt: skip
        self._streams: list[Any] = []
        self._lock = threading.Lock()
        self._sent = 0
        standin = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                standin.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.run_address = f"{self.url}/ui/runs/bench"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    def statuses(self) -> dict[str, str]:
        """What each node is."""
        return {name: str(node["status"]) for name, node in self.nodes.items()}

    def answers(self) -> dict[str, bytes]:
        """What the run's page asks for before it is drawn."""
        return {"execution": self._execution(), "graph": self.drawing}

    def change(self, a_second: int, seconds: float) -> int:
        """Change statuses at an even pace; how many were changed."""
        with self._lock:
            for node in self.nodes.values():
                node.update(status="pending", attempt=0, queued_at=None, started_at=None, finished_at=None)
        self._tell([{"kind": "node_reset", "node": name} for name in self.nodes])
        began = time.monotonic()
        count = int(a_second * seconds)
        names = list(self.nodes)
        for number in range(count):
            time.sleep(max(0.0, began + number / a_second - time.monotonic()))
            self._step(names[(number // 3 + 7 * (number % 3)) % len(names)])
        return count

    def _step(self, name: str) -> None:
        node = self.nodes[name]
        status = _NEXT.get(str(node["status"]))
        if status is None:
            status = "queued"
        with self._lock:
            node["status"] = status
            if status == "queued":
                node.update(attempt=int(str(node["attempt"])) + 1, started_at=None, finished_at=None)
            field = {"queued": "queued_at", "running": "started_at", "completed": "finished_at"}[status]
            node[field] = _now()
        self._tell([{"kind": _KINDS[status], "node": name, "attempt": node["attempt"]}])

    def _tell(self, events: list[dict[str, Any]]) -> None:
        text = ""
        for event in events:
            self._sent += 1
            data = {"id": f"{self._sent}-0.0", "at": _now(), **event}
            text += f"id: {self._sent}-0.0\nevent: event\ndata: {json.dumps(data)}\n\n"
        for stream in list(self._streams):
            try:
                stream.write(text.encode())
                stream.flush()
            except OSError:
                self._streams.remove(stream)

    def _execution(self) -> bytes:
        with self._lock:
            return json.dumps(
                {
                    "execution_id": "bench", "name": "bench", "status": "running", "run": 1,
                    "created_at": _now(), "started_at": _now(), "finished_at": None,
                    "correlation_id": "0" * 32, "labels": {}, "counts": {},
                    "nodes": list(self.nodes.values()),
                },
                separators=(",", ":"),
            ).encode()  # fmt: skip

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = request.path.partition("?")[0]
        file = served_files().get(path.removeprefix("/ui/static/"))
        if path.endswith("/events"):
            self._stream(request, path)
        elif file is not None:
            send(request, 200, file.read_bytes(), MEDIA_TYPES[file.suffix])
        elif path.startswith("/ui"):
            send(request, 200, (FOLDER / "index.html").read_bytes(), "text/html")
        elif path == "/workflows/bench":
            send(request, 200, self._execution(), "application/json")
        elif path == "/workflows/bench/graph":
            send(request, 200, self.drawing, "application/json")
        elif path == "/waiting":
            send(request, 200, b'{"items":[],"next_cursor":null}', "application/json")
        else:
            found = path == "/me"
            send(request, 200 if found else 404, b'{"key":null,"role":"admin"}', "application/json")

    def _stream(self, request: BaseHTTPRequestHandler, path: str) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        if path != "/events":
            self._streams.append(request.wfile)
        while True:
            time.sleep(10)
            try:
                request.wfile.write(b": alive\n\n")
                request.wfile.flush()
            except OSError:
                return


def send(request: BaseHTTPRequestHandler, status: int, data: bytes, media_type: str) -> None:
    """One answer, whole."""
    request.send_response(status)
    request.send_header("Content-Type", media_type)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
