"""Workers of an older deployment beside newer ones, as in the middle of a rolling upgrade."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import START_S, Process, Stack, running_stack
from tests.support.waiting import wait_until

SETTINGS = {
    "FLOWENGINE_HANDLERS": ODD_HANDLERS,
    "FLOWENGINE_LEASE_SECONDS": "1",
    "FLOWENGINE_SWEEP_SECONDS": "1",
}
NODES = 12


@pytest.fixture
def upgraded() -> Iterator[Stack]:
    """A stack of new services, without a worker."""
    with running_stack(workers=0, settings=SETTINGS) as stack:
        yield stack


def old_worker(stack: Stack, *, patience_s: int) -> Process:
    """A worker that does not know the handlers of the tests."""
    settings = {"FLOWENGINE_HANDLERS": "", "FLOWENGINE_UNKNOWN_HANDLER_SECONDS": str(patience_s)}
    return stack.start_service("worker", **settings)


def wait_for_workers(stack: Stack, count: int) -> None:
    """Until so many workers serve the queue."""
    wait_until(
        lambda: stack.client.get("/health").json()["queues"]["worker"]["consumers"] == count,
        within_s=START_S,
        what=f"{count} workers",
    )


def document() -> dict[str, object]:
    """A node that the old workers know, and many that they do not know."""
    new = [node(f"n{number}", "test_say") for number in range(NODES)]
    return workflow(add("known", 1, 1), *new)


@pytest.mark.proves("handler-unknown")
def test_nodes_wait_for_a_worker_that_knows_their_handlers(upgraded: Stack) -> None:
    """/health names the handler meanwhile. The new worker gets all of them, beside the two old ones."""
    old = [old_worker(upgraded, patience_s=100) for _ in range(2)]
    wait_for_workers(upgraded, 2)
    execution = upgraded.start(document())
    wait_until(upgraded.node_is(execution, "known", "completed"), what="the node that they know")
    wait_until(lambda: upgraded.checks()["handlers"] != "ok", what="the handler is named")
    assert upgraded.checks()["handlers"] == f"no worker knows 'test_say' ({NODES} waiting)"
    assert upgraded.client.get("/health").json()["status"] == "degraded"
    new = upgraded.start_service("worker")
    ended = upgraded.ended(execution)
    assert ended.status["status"] == "completed"
    assert {ended.node(f"n{number}")["attempt"] for number in range(NODES)} == {1}
    passed = [record for process in old for record in process.records("broker.tasks_passed_on")]
    assert sum(record["count"] for record in passed) == NODES, "each is passed on once"
    wait_until(lambda: upgraded.checks()["handlers"] == "ok", what="nothing is missing")
    assert not [line for line in upgraded.only("orchestrator").lines if "sweep.repaired" in line]
    assert {process.exit_code for process in (*old, new)} == {None}


@pytest.mark.proves("handler-known-by-nobody")
def test_nodes_whose_handler_nobody_knows_fail_in_the_end(upgraded: Stack) -> None:
    """After the time that the workers' setting gives. A trigger runs them again, once a worker knows it."""
    old_worker(upgraded, patience_s=4)
    ended = upgraded.run(document())
    assert ended.status["status"] == "failed"
    assert ended.errors["n0"]["code"] == "unknown_handler"
    assert ended.errors["n0"]["message"].startswith("no worker has known the handler 'test_say' for ")
    assert set(ended.results) == {"known"}
    upgraded.start_service("worker")
    wait_for_workers(upgraded, 2)
    upgraded.trigger(ended.status["execution_id"])
    assert upgraded.ended(ended.status["execution_id"]).status["status"] == "completed"
