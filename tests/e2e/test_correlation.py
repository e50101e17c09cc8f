"""The correlation id: from the request to every log line and to the services that nodes call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.documents import node, workflow
from tests.support.http_server import HttpServer, json_reply
from tests.support.stack_processes import Stack
from tests.support.waiting import wait_until


def lines_about(stack: Stack, service: str, correlation_id: str) -> list[Mapping[str, Any]]:
    """The log lines of one service that carry this id."""
    return [
        record for record in stack.only(service).records() if record.get("correlation_id") == correlation_id
    ]


def test_id_that_is_sent_is_everywhere(stack: Stack, service: HttpServer) -> None:
    """In the response, in the logs of all three services, and at the called HTTP service."""
    given = "order-4711 / retry 2"
    service.answers("/correlated", json_reply(1))
    url = service.url("/correlated")
    response = stack.client.post(
        "/workflow",
        content=f"name: x\nnodes:\n  - {{id: call, handler: http_request, config: {{url: '{url}'}}}}\n",
        headers={"Content-Type": "application/yaml", "X-Correlation-ID": given},
    )
    assert response.headers["X-Correlation-ID"] == given
    execution = response.json()["execution_id"]

    stack.trigger(execution)
    assert stack.ended(execution).status["correlation_id"] == given
    (call,) = service.called("/correlated")
    assert call.headers["x-correlation-id"] == given
    assert execution in call.headers["idempotency-key"]
    for name in ("api", "orchestrator", "worker"):
        wait_until(lambda name=name: lines_about(stack, name, given), what=f"a line of the {name}")  # type: ignore[misc]
    (line,) = [r for r in lines_about(stack, "worker", given) if r["event"] == "node.completed"]
    assert (line["execution_id"], line["node_id"], line["attempt"]) == (execution, "call", 1)
    assert line["service"] == "worker"


def test_request_without_an_id_gets_one(stack: Stack, service: HttpServer) -> None:
    """It is made up, returned, stored and sent on."""
    response = stack.client.post(
        "/workflow", json=workflow(node("call", "http_request", url=service.url("/made-up")))
    )
    made = response.headers["X-Correlation-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    stack.trigger(response.json()["execution_id"])
    assert stack.ended(response.json()["execution_id"]).status["correlation_id"] == made
    assert service.called("/made-up")[0].headers["x-correlation-id"] == made


@pytest.mark.parametrize("given", ["x" * 129, "a\tb", "caf\u00e9"])
def test_invalid_id_is_replaced(stack: Stack, given: str) -> None:
    """Too long, or with characters that a log line should not hold: not trusted."""
    response = stack.client.get("/health", headers={b"X-Correlation-ID": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Correlation-ID"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/health", 405), ("POST", "/workflow", 415)],
)
def test_refusals_carry_the_id_too(stack: Stack, method: str, path: str, status: int) -> None:
    """404, 405 and 415 are answered outside any handler, and still carry it."""
    response = stack.client.request(method, path, headers={"X-Correlation-ID": "refused-1"})
    assert (response.status_code, response.headers["X-Correlation-ID"]) == (status, "refused-1")


def test_every_log_line_is_one_json_object(stack: Stack) -> None:
    """Where nobody watches, each line has an event, a level, a service and a time; ours are dotted."""
    stack.run(workflow(node("raise", "test_raise")))
    records = [json.loads(line) for line in stack.lines()]
    assert all({"event", "level", "service", "timestamp"} <= record.keys() for record in records)
    own = [record["event"] for record in records if "logger" not in record]
    assert [event for event in own if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", event)] == []
