"""What operators see and do over HTTP, on the shared stack: real processes, a real dead letter."""

from __future__ import annotations

from typing import Any

from flowengine.queues import stream_key
from tests.support.rigs.stack_processes import Stack
from tests.support.waiting import wait_until


def test_processes_are_listed_as_they_are(stack: Stack) -> None:
    """Two services with their queues, threads and pids, seen a moment ago."""
    found = stack.client.get("/workers").json()["items"]
    assert [process["service"] for process in found] == ["orchestrator", "worker"]
    children = [stack.only(process["service"]).children() for process in found]
    assert [[process["pid"]] for process in found] == children
    assert [(process["threads"], process["queues"]) for process in found] == [
        (2, ["orchestrator"]),
        (16, ["worker"]),
    ]


def test_queues_are_listed_with_who_serves_them(stack: Stack) -> None:
    """As /health counts them."""
    found = {item["queue"]: item for item in stack.client.get("/queues").json()["items"]}
    health = stack.client.get("/health").json()["queues"]
    assert {name: item["consumers"] for name, item in found.items()} == {
        name: queue["consumers"] for name, queue in health.items()
    }


def test_a_message_that_nobody_can_read_is_listed_retried_and_deleted(stack: Stack) -> None:
    """A retry sends it again, so that it is set aside once more."""
    with stack.valkey.connect() as client:
        client.xadd(stream_key("worker"), {"a": "run_node", "p2": "no JSON"})
    first = _only_letter(stack)
    assert (first["reason"], first["retry"], first["queue"]) == ("undecodable", "send", "worker")
    answer = stack.client.post(f"/dead-letters/{first['id']}/retry")
    assert (answer.status_code, answer.json()) == (202, {"id": first["id"], "done": "sent"})
    again = _only_letter(stack)
    assert again["id"] != first["id"]
    assert stack.client.post(f"/dead-letters/{first['id']}/retry").status_code == 404
    assert stack.client.delete(f"/dead-letters/{again['id']}").status_code == 200
    assert stack.client.delete(f"/dead-letters/{again['id']}").status_code == 404
    assert stack.client.get("/dead-letters").json() == {"items": [], "next_cursor": None}


def _only_letter(stack: Stack) -> dict[str, Any]:
    """The one dead letter, once it is there."""
    wait_until(lambda: len(stack.client.get("/dead-letters").json()["items"]) == 1, what="a dead letter")
    letter: dict[str, Any] = stack.client.get("/dead-letters").json()["items"][0]
    return letter
