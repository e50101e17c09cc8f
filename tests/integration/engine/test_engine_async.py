"""Nodes of async handlers over a real server: begun together, reported together, each applied once."""

from __future__ import annotations

import pytest

from flowengine.execution.events import decode_events
from flowengine.plugin import Context, HandlerError
from flowengine.store import keys
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import LINE, Harness, diamond, plan_of

BOTH = ("b", "c")


def completed(harness: Harness, execution: str) -> list[str]:
    """The nodes that the events say have completed, in order."""
    entries = harness.client.xrange(keys.of().events(execution))
    found = [event for _, fields in entries for value in fields.values() for event in decode_events(value)]
    return [event.node or "" for event in found if event.kind == "node_completed"]


def test_nodes_that_need_no_thread_wait_in_their_line_and_end_in_one_transaction(harness: Harness) -> None:
    """Their callbacks are sent as their messages are acknowledged; what is below them goes on."""
    execution = harness.begin(plan_of(diamond(), waiting=BOTH))
    harness.start_executions()
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    tasks = harness.waiting(LINE)
    assert len(tasks) == 2
    assert harness.client.xlen("fe:q:worker") == 0
    assert harness.deliver(harness.workers[0], *tasks)
    assert harness.waiting(LINE) == []
    assert len(harness.callbacks()) == 2
    harness.drain()
    assert harness.results(execution) == {"a": 1, "b": 2, "c": 2, "d": 5}
    assert sorted(completed(harness, execution)) == ["a", "b", "c", "d"]
    check_everything(harness.client)


@pytest.mark.parametrize("again", [1, 2])
def test_a_node_that_is_delivered_again_counts_once(harness: Harness, again: int) -> None:
    """Its worker was cut off, and told how it ended when another had: of two reports one is applied."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}, waiting=("a",)))
    harness.start_executions()
    (task,) = harness.waiting(LINE)
    for _ in range(again):
        harness.deliver(harness.workers[0], task)
    harness.drain()
    assert harness.results(execution) == {"a": 1, "b": 2}
    assert completed(harness, execution) == ["a", "b"]


def test_one_that_fails_keeps_no_other_from_its_end(harness: Harness) -> None:
    """They were begun together, and are told of together."""

    def script(context: Context) -> None:
        if context.node_id == "b":
            raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of(diamond(), waiting=("a", "b", "c", "d")))
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "failed", "c": "completed", "d": "failed"}
