"""A stack that is a function: what the client sends is kept, what it is answered is told beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from flowengine.api.routes.executions import example_execution as example
from flowengine.client import Client

URL = "http://stack.test"


class Stack:
    """Answers each request with the next of its answers, the last of them again and again."""

    def __init__(self, *answers: object, status: int = 200) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)
        self._status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(self._status, content=msgspec.json.encode(answer))

    @property
    def asked(self) -> list[str]:
        """Method, path and query of each request."""
        return [f"{each.method} {each.url.raw_path.decode()}" for each in self.requests]

    def body(self, place: int = -1) -> Any:
        """The JSON that was sent."""
        return msgspec.json.decode(self.requests[place].content)


def client_of(answer: Callable[[httpx.Request], httpx.Response], *, key: str | None = None) -> Client:
    """A client of that stack."""
    return Client(URL, key=key, transport=httpx.MockTransport(answer))


def problem(status: int, code: str, detail: str, **others: object) -> httpx.Response:
    """A problem document, as the API answers it."""
    document = {"type": f"urn:flowengine:problem:{code}", "status": status, "code": code, "detail": detail}
    return httpx.Response(
        status,
        content=msgspec.json.encode({**document, "title": "", "correlation_id": "1", **others}),
        headers={"Content-Type": "application/problem+json"},
    )


def execution(status: str = "running") -> dict[str, Any]:
    """An execution without nodes."""
    counts = dict.fromkeys(
        ("total", "pending", "queued", "running", "waiting", "completed", "failed", "skipped", "cancelled"), 0
    )
    return {
        "execution_id": example.ID,
        "name": example.NAME,
        "status": status,
        "run": 1,
        "created_at": example.moment(0),
        "started_at": example.moment(1),
        "finished_at": None,
        "correlation_id": "c",
        "labels": {},
        "counts": counts,
        "nodes": [],
    }
