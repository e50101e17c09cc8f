"""The correlation id: from the request to every log line and to the services that nodes call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack
from tests.support.servers.http_server import HttpServer, json_reply
from tests.support.waiting import wait_until


def lines_about(stack: Stack, service: str, correlation_id: str) -> list[Mapping[str, Any]]:
    """The log lines of one service that carry this id."""
    return [
        record for record in stack.only(service).records() if record.get("correlation_id") == correlation_id
    ]


def lines_of(stack: Stack, service: str, correlation_id: str, event: str) -> list[Mapping[str, Any]]:
    """Those of one event."""
    return [line for line in lines_about(stack, service, correlation_id) if line["event"] == event]


def await_lines(
    stack: Stack, service: str, correlation_id: str, event: str, *, count: int
) -> list[Mapping[str, Any]]:
    """Wait for `count` lines of one event. A line is written after what it reports."""
    wait_until(
        lambda: len(lines_of(stack, service, correlation_id, event)) >= count, what=f"{count} of {event}"
    )
    return lines_of(stack, service, correlation_id, event)


def identity(line: Mapping[str, Any]) -> tuple[str, str, int]:
    """Which attempt at which node of which execution a line is about."""
    return line["execution_id"], line["node_id"], line["attempt"]


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
    (line,) = await_lines(stack, "worker", given, "node.completed", count=1)
    assert (line["execution_id"], line["node_id"], line["attempt"]) == (execution, "call", 1)
    assert line["service"] == "worker"


def test_every_line_about_a_node_names_it(stack: Stack) -> None:
    """Orchestrator and worker, a handler's own line, sync or async: execution, node, attempt and id."""
    given = "order-4712"
    document = workflow(node("sync", "test_say"), node("async", "test_say_async"), node("bad", "test_raise"))
    execution = stack.start(document, correlation_id=given)
    stack.ended(execution)
    stack.trigger(execution)
    stack.ended(execution)

    said = [await_lines(stack, "worker", given, event, count=2) for event in ("say.said", "node.completed")]
    for lines in said:
        assert sorted(map(identity, lines)) == [(execution, "async", 1), (execution, "sync", 1)]
    for service in ("worker", "orchestrator"):
        failed = map(identity, await_lines(stack, service, given, "node.failed", count=2))
        assert sorted(failed) == [(execution, "bad", 1), (execution, "bad", 2)]
    assert all(line["node_id"] == line["own_node"] for line in said[0])


def test_every_line_about_an_execution_names_it(stack: Stack) -> None:
    """The orchestrator's, of each run, and the API's that has started it."""
    given = "order-4713"
    execution = stack.create(workflow(node("bad", "test_raise")))
    for _ in range(2):
        path = f"/workflow/trigger/{execution}"
        assert stack.client.post(path, headers={"X-Correlation-ID": given}).status_code == 202
        created = stack.ended(execution).status["correlation_id"]
    for event in ("execution.started", "execution.finished"):
        lines = await_lines(stack, "orchestrator", created, event, count=2)
        assert [(line["execution_id"], line["run"]) for line in lines] == [(execution, 1), (execution, 2)]
    assert [line["execution_id"] for line in lines_about(stack, "api", given)] == [execution] * 2


def test_nodes_that_run_together_are_told_apart(stack: Stack) -> None:
    """Several quick nodes come in one delivery. Each line names the node that it is about."""
    names = [f"n{at}" for at in range(40)]
    for given in ("together-1", "together-2"):
        stack.run(workflow(*(node(name, "test_say") for name in names)), correlation_id=given)
        lines = await_lines(stack, "worker", given, "say.said", count=len(names))
        assert sorted(line["node_id"] for line in lines) == sorted(names)
        assert [line["node_id"] for line in lines] == [line["own_node"] for line in lines]


def test_request_without_an_id_gets_one(stack: Stack, service: HttpServer) -> None:
    """A new id is generated, returned, stored and sent on."""
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
    """An id that is too long or holds control characters is not trusted."""
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
    """Where nobody watches, each line has an event, a level, a service and a time; ours are dotted. What a
    handler prints stands beside them as it is."""
    stack.run(workflow(node("raise", "test_raise")))
    printed = ("printed by", "complained")  # by the handlers of other tests on this stack
    records = [json.loads(line) for line in stack.lines() if not line.startswith(printed)]
    assert all({"event", "level", "service", "timestamp"} <= record.keys() for record in records)
    own = [record["event"] for record in records if "logger" not in record]
    assert [event for event in own if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", event)] == []
