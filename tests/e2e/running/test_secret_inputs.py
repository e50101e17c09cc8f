"""A secret input goes to a service and comes back: nothing but its own key in Redis has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from flowengine.store import keys
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, serving

TOKEN = "canary-8f14e45f-ceea167a"
DOCUMENT: dict[str, Any] = {
    "name": "Secret input",
    "inputs": {"token": {"type": "string", "secret": True}},
    "nodes": [],
}


@pytest.fixture(scope="module")
def service() -> Iterator[HttpServer]:
    """A service that echoes what it is sent."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Services that log at debug."""
    with running_stack(settings={"FLOWENGINE_LOG_LEVEL": "debug"}) as running:
        yield running


@pytest.mark.proves("secret-input-shown")
def test_a_secret_input_reaches_the_service_and_nothing_else(stack: Stack, service: HttpServer) -> None:
    """It is in no view, no event, no record and no log line of any process."""
    echo, failing = service.url("/echo"), "http://127.0.0.1:1/{{ inputs.token }}"
    headers = {"Authorization": "Bearer {{ inputs.token }}"}
    nodes = [
        {"id": "sent", "handler": "http_request", "config": {"url": echo, "headers": headers}},
        {
            "id": "again",
            "handler": "http_request",
            "config": {"url": echo, "method": "POST", "body": "{{ sent.result }}"},
            "dependencies": ["sent"],
        },
        {
            "id": "failing",
            "handler": "http_request",
            "config": {"url": failing},
            "retry": {"max_attempts": 1},
        },
    ]
    created = stack.client.post(
        "/workflow", json={"workflow": {**DOCUMENT, "nodes": nodes}, "inputs": {"token": TOKEN}}
    )
    assert created.status_code == 201, created.text
    execution = created.json()["execution_id"]
    stack.trigger(execution)
    ended = stack.ended(execution)
    assert service.called("/echo")[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert ended.status["inputs"] == {"token": "***"}
    assert ended.results["sent"]["data"]["headers"]["authorization"] == "Bearer ***"
    assert "http://127.0.0.1:1/***" in ended.errors["failing"]["message"]
    for path in (f"/workflows/{execution}", f"/workflows/{execution}/results"):
        assert TOKEN not in stack.client.get(path).text
    server: Any = redis.Redis.from_url(stack.valkey.url)
    having = [name.decode() for name in server.keys("fe:*") if TOKEN.encode() in _content(server, name)]
    assert having == [keys.of().inputs(execution)]
    assert [line for line in stack.lines() if TOKEN in line] == []


def _content(server: Any, name: bytes) -> bytes:
    match server.type(name):
        case b"hash":
            return repr(server.hgetall(name)).encode()
        case b"stream":
            return repr(server.xrange(name)).encode()
        case b"string":
            return bytes(server.get(name) or b"")
        case _:
            return repr(server.zrange(name, 0, -1)).encode()
