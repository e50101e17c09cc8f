"""Limits as a service sees them that is called under them, by two orchestrators and two workers."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

KEYS, EACH = 2, 6
CALL_S = 0.1
STARTS, PER_MS = 10, 1000
CLOCKS_APART_MS = 50
"""Each worker notes a start by its own idea of the server's clock."""


@pytest.fixture(scope="module")
def pairs() -> Iterator[Stack]:
    """Two of each service."""
    with running_stack(workers=2) as stack:
        stack.start_service("orchestrator")
        yield stack


def limited(url: str, limit: int = 2, on_limit: str = "queue") -> dict[str, Any]:
    """An execution that calls a service once, under a limit on its key."""
    return {
        "name": "limited",
        "inputs": {"key": {"type": "string"}, "number": {"type": "integer", "default": 0}},
        "concurrency": {"key": "{{ inputs.key }}", "limit": limit, "on_limit": on_limit},
        "nodes": [
            {
                "id": "call",
                "handler": "http_request",
                "config": {"url": url, "params": {"key": "{{ inputs.key }}", "n": "{{ inputs.number }}"}},
            }
        ],
    }


def start(stack: Stack, document: object, **inputs: object) -> httpx.Response:
    """Post it, to start at once."""
    body = {"workflow": document, "inputs": inputs, "trigger": True}
    return httpx.post(f"{stack.url}/workflow", json=body, trust_env=False)


def ask(stack: Stack, path: str) -> Any:
    """What the API answers."""
    return httpx.get(f"{stack.url}{path}", trust_env=False).json()


def most_at_once(times: Sequence[float], lasts: float) -> int:
    """How many of these, which last so long each, there were together at most."""
    return max(sum(0 <= at - other < lasts for other in times) for at in times)


@pytest.mark.proves("line-in-order")
def test_executions_of_a_key_run_in_order_and_no_more_than_may(pairs: Stack, service: HttpServer) -> None:
    """By what the service has seen; all have run."""
    service.answers("/lined", Reply(delay_s=CALL_S, body=b"{}"))
    url = service.url("/lined")
    found = []
    for number in range(EACH):
        for key in range(KEYS):
            answer = start(pairs, limited(url), key=f"k{key}", number=number)
            assert answer.status_code == 202, answer.text
            found.append(answer.json()["execution_id"])
    for execution in found:
        assert pairs.ended(execution).status["status"] == "completed"
    seen: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for call in service.called("/lined"):
        seen[call.query["key"]].append((int(call.query["n"]), call.at))
    for calls in seen.values():
        assert sorted(number for number, _ in calls) == list(range(EACH))
        assert most_at_once([at for _, at in calls], CALL_S) <= 2
        assert all(after - before >= -1 for (before, _), (after, _) in pairwise(calls))
    assert ask(pairs, "/limits")["items"] == []


@pytest.mark.proves("line-reject")
def test_one_that_waits_says_so_and_one_that_does_not_is_refused(pairs: Stack, service: HttpServer) -> None:
    """Over HTTP: `waiting_for`, 409 for another trigger, 429 with `Retry-After`, who holds and who waits."""
    goes_on = threading.Event()
    service.answers("/held", Reply(until=goes_on, body=b"{}"))
    url = service.url("/held")
    first = start(pairs, limited(url, limit=1), key="x").json()
    second = start(pairs, limited(url, limit=1), key="x").json()
    assert (first["status"], second["status"]) == ("running", "pending")
    waits = ask(pairs, f"/workflows/{second['execution_id']}")["waiting_for"]
    assert (waits["kind"], waits["key"], waits["place"], waits["limit"]) == ("turn", "x", 2, 1)
    again = httpx.post(f"{pairs.url}/workflow/trigger/{second['execution_id']}", trust_env=False)
    assert (again.status_code, again.json()["code"]) == (409, "already_triggered")
    refused = start(pairs, limited(url, limit=1, on_limit="reject"), key="x")
    assert (refused.status_code, refused.json()["code"]) == (429, "concurrency_limit")
    assert int(refused.headers["Retry-After"]) > 0
    (limit,) = ask(pairs, "/limits")["items"]
    assert [each["execution_id"] for each in limit["holders"]] == [first["execution_id"]]
    assert [each["execution_id"] for each in limit["waiters"]] == [second["execution_id"]]
    wrong = start(pairs, limited(url), key="")
    assert (wrong.status_code, wrong.json()["problems"][0]["pointer"]) == (422, "/concurrency/key")
    goes_on.set()
    for each in (first, second):
        assert pairs.ended(each["execution_id"]).status["status"] == "completed"


@pytest.mark.proves("starts-in-a-window", "turn-in-order")
def test_nodes_start_no_more_often_and_no_more_at_once_than_they_may(
    pairs: Stack, service: HttpServer
) -> None:
    """By the starts that their workers have noted, and by what the service has seen at once."""
    service.answers("/rated", Reply(delay_s=CALL_S, body=b"{}"))
    limits = {
        "rate_limit": {"key": "rated", "limit": STARTS, "per_seconds": PER_MS / 1000},
        "concurrency": {"key": "rated", "limit": 4},
    }
    call = {"handler": "http_request", "config": {"url": service.url("/rated")}, **limits}
    document = {"name": "rated", "nodes": [{"id": f"n{number}", **call} for number in range(12)]}
    found = [pairs.start(document) for _ in range(2)]
    for execution in found:
        assert pairs.ended(execution).status["status"] == "completed"
    starts = sorted(at for execution in found for at in started_at(pairs, execution))
    assert len(starts) == 24
    assert most_at_once(starts, PER_MS - CLOCKS_APART_MS) <= STARTS
    assert most_at_once([each.at for each in service.called("/rated")], CALL_S) <= 4
    wait_until(lambda: ask(pairs, "/limits")["items"] == [], within_s=10, what="the limits to be left")


def started_at(stack: Stack, execution: str) -> list[float]:
    """When its nodes have started, in milliseconds, by its events."""
    items = ask(stack, f"/workflows/{execution}/events?limit=500")["items"]
    told = [each["at"] for each in items if each["kind"] == "node_started"]
    return [1000 * datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() for at in told]
