"""What operators see and do over HTTP, on the shared stack: real processes, a real dead letter."""

from __future__ import annotations

from typing import Any

import httpx

from flowengine.queues import stream_key
from tests.e2e.documents import node, workflow
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


def test_statistics_count_what_has_ended(stack: Stack) -> None:
    """One execution more, in this hour, under its name."""
    before = stack.client.get("/stats").json()
    stack.run({**workflow(node("one", "set", value=1)), "name": "counted once"})
    after = stack.client.get("/stats").json()
    assert after["last_day"]["completed"] == before["last_day"]["completed"] + 1
    assert after["last_day"]["durations"]["p50_s"] > 0
    assert len(after["hours"]) == 24
    (mine,) = [found for found in after["definitions"] if found["name"] == "counted once"]
    assert (mine["completed"], mine["failed"], mine["cancelled"]) == (1, 0, 0)


def test_every_process_serves_what_it_has_counted(stack: Stack) -> None:
    """The API on its own port, the others on ports of their own; a node is in all three."""
    stack.run(workflow(node("one", "set", value=1)))
    api = stack.client.get("/metrics").text
    assert 'flowengine_executions{status="completed"}' in api
    assert 'flowengine_queue_consumers{queue="worker"} 1.0' in api
    assert 'flowengine_http_requests_total{method="POST",route="/workflow",status="201"}' in api
    worker, orchestrator = (metrics_of(stack, service) for service in ("worker", "orchestrator"))
    assert 'flowengine_node_attempts_total{handler="set",outcome="completed"}' in worker
    assert 'flowengine_node_run_seconds_bucket{handler="set",le="1.0"}' in worker
    assert "flowengine_threads 16.0" in worker
    assert 'flowengine_nodes_ended_total{handler="set",status="completed"}' in orchestrator
    assert "flowengine_executions_ended_total{" in orchestrator


def metrics_of(stack: Stack, service: str) -> str:
    """The metrics of a service's only process, from the port that its log names."""
    (served,) = stack.only(service).records("metrics.served")
    return httpx.get(f"http://127.0.0.1:{served['port']}/metrics", trust_env=False).text


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
