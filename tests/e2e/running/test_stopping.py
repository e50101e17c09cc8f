"""A stack that stops executions: cancelled, ended early, at their first failure, when their time is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.waiting import wait_until

LONG_S = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose workers have two seconds to stop, and a lease that is over soon."""
    settings = {
        "FLOWENGINE_HANDLERS": ODD_HANDLERS,
        "FLOWENGINE_STOP_SECONDS": "2",
        "FLOWENGINE_LEASE_SECONDS": "3",
    }
    with running_stack(settings=settings) as started:
        yield started
        started.check()


def started(stack: Stack, *nodes: str) -> str:
    """An execution whose first nodes run: one for each handler, and one behind each."""
    first = [node(name, name, seconds=LONG_S) for name in nodes]
    behind = [add(f"after_{name}", 1, 1, after=[name]) for name in nodes]
    execution = stack.start(workflow(*first, *behind))
    for name in nodes:
        wait_until(stack.node_is(execution, name, "running"), within_s=30, what=f"the start of {name}")
    return execution


@pytest.mark.proves("stop-node-runs")
def test_a_cancel_stops_what_runs(stack: Stack) -> None:
    """An async handler is cancelled, one that asks returns, and what it returns is kept; nothing follows."""
    execution = started(stack, "test_wait", "test_ask")
    assert stack.cancel(execution)["status"] == "cancelling"
    ended = stack.ended(execution, within_s=20)
    assert ended.status["status"] == "cancelled"
    assert [each["status"] for each in ended.status["nodes"]] == [
        "cancelled",
        "completed",
        "cancelled",
        "cancelled",
    ]
    assert ended.results == {"test_ask": {"result": True}}


@pytest.mark.proves("stop-node-runs")
def test_a_handler_that_does_not_stop_is_not_waited_for(stack: Stack) -> None:
    """Its node is cancelled when the time is over; its worker goes on with it, and serves others."""
    execution = stack.start(
        workflow(node("deaf", "test_hang", seconds=20), add("after", 1, 1, after=["deaf"]))
    )
    wait_until(stack.node_is(execution, "deaf", "running"), within_s=30, what="its start")
    stack.cancel(execution)
    ended = stack.ended(execution, within_s=20)
    assert (ended.status["status"], ended.node("deaf")["status"]) == ("cancelled", "cancelled")
    assert stack.run(workflow(add("sum", 1, 1))).results == {"sum": {"result": 2}}


def test_a_paused_execution_goes_on_when_it_is_told(stack: Stack, tmp_path: Path) -> None:
    """What runs ends; what follows waits for the resume."""
    go_on = tmp_path / "go_on"
    execution = stack.start(
        workflow(node("slow", "test_wait_for", path=str(go_on)), add("after", 1, 1, after=["slow"]))
    )
    wait_until(stack.node_is(execution, "slow", "running"), within_s=30, what="its start")
    assert stack.steer(execution, "pause")["status"] == "paused"
    go_on.touch()
    wait_until(stack.node_is(execution, "slow", "completed"), within_s=30, what="its end")
    held = stack.status(execution)
    assert (held["status"], held["nodes"][1]["status"]) == ("paused", "pending")
    assert stack.steer(execution, "resume")["status"] == "running"
    assert stack.ended(execution, within_s=20).status["status"] == "completed"


def test_a_cancelled_execution_cleans_up(stack: Stack) -> None:
    """Its `finally` runs after what ran has stopped, and reads how it has ended."""
    document = {
        **workflow(node("slow", "test_wait", seconds=LONG_S)),
        "finally": [
            {
                "id": "tidy",
                "handler": "set",
                "config": {"value": "{{ execution.status }} {{ statuses.slow }}"},
            }
        ],
    }
    execution = stack.start(document)
    wait_until(stack.node_is(execution, "slow", "running"), within_s=30, what="its start")
    stack.cancel(execution)
    assert stack.ended(execution, within_s=20).status["status"] == "cancelled"
    results = stack.client.get(f"/workflows/{execution}/results").json()
    assert results["hooks"]["results"] == {"tidy": {"result": "cancelled cancelled"}}


def test_the_time_of_an_execution_is_limited(stack: Stack) -> None:
    """It is stopped and has failed."""
    document = {**workflow(node("slow", "test_wait", seconds=LONG_S)), "timeout_seconds": 1}
    ended = stack.run(document)
    assert (ended.status["status"], ended.node("slow")["status"]) == ("failed", "cancelled")


def test_the_first_failure_stops_the_other_branches(stack: Stack) -> None:
    """If the workflow says so."""
    failing = node("bad", "compute", operation="divide", a=1, b=0)
    document = {**workflow(failing, node("slow", "test_wait", seconds=LONG_S)), "on_node_failure": "stop"}
    ended = stack.run(document)
    assert ended.status["status"] == "failed"
    assert ended.node("bad")["status"] == "failed"
    assert ended.node("slow")["status"] == "cancelled"


def test_an_end_is_the_verdict(stack: Stack) -> None:
    """And a cancelled execution goes on when it is triggered again."""
    document = workflow(node("slow", "test_wait", seconds=LONG_S), node("done", "end", outputs={"a": 1}))
    ended = stack.run(document)
    assert (ended.status["status"], ended.node("slow")["status"]) == ("completed", "cancelled")
    assert ended.results == {"done": {"result": {"a": 1}, "message": ""}}
    assert ended.outcome["outputs"] == {"a": 1}
    failed = stack.run(workflow(node("bad", "end", status="failed", message="enough", outputs={"a": 2})))
    assert (failed.status["status"], failed.status["error"]["message"]) == ("failed", "enough")
    assert (failed.outcome["outputs"], failed.results) == ({"a": 2}, {})


@pytest.mark.proves("stop-and-trigger")
def test_a_cancelled_execution_goes_on_when_it_is_triggered(stack: Stack) -> None:
    """What had completed stays."""
    execution = stack.start(
        workflow(add("first", 1, 1), node("ask", "test_ask", seconds=LONG_S, after=["first"]))
    )
    wait_until(stack.node_is(execution, "ask", "running"), within_s=30, what="its start")
    stack.cancel(execution)
    stack.ended(execution)
    stack.trigger(execution)
    again = stack.ended(execution)
    assert (again.status["status"], again.status["run"]) == ("completed", 2)
