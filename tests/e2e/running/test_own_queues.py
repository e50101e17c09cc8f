"""Handlers with a queue of their own, and workers that serve only some queues."""

from __future__ import annotations

import pytest

from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import START_S, Stack, node_of
from tests.support.waiting import wait_until


@pytest.mark.proves("queue-unserved")
def test_node_waits_for_a_worker_of_its_queue(narrow_stack: Stack) -> None:
    """It stays queued beside an idle worker, /health says why; a worker of its queue runs it, once."""
    stack = narrow_stack
    execution = stack.start(
        workflow(
            node("render", "test_render"),
            add("before", 1, 1),
            add("after", 1, 1, after=["render", "before"]),
        )
    )
    wait_until(stack.node_is(execution, "before", "completed"), what="the node of the usual queue")
    bystander = stack.run(workflow(add("sum", 1, 1)))
    assert bystander.status["status"] == "completed"
    assert node_of(stack.status(execution), "render")["status"] == "queued"
    assert stack.checks()["worker (gpu)"] == "none is running"
    assert stack.checks()["worker (worker)"] == "ok"
    waiting = stack.client.get("/health").json()["queues"]["gpu"]
    assert waiting["length"] == 1
    assert waiting["oldest_age_s"] > 0

    gpu = stack.start_service("worker", "--queues", "gpu")
    ended = stack.ended(execution)
    assert [ended.results["render"]["result"]] == gpu.children()
    assert ended.node("render")["attempt"] == 1
    wait_until(lambda: gpu.records("node.completed"), what="the line about the node")
    assert [line["node_id"] for line in gpu.records("node.completed")] == ["render"]
    assert stack.checks()["worker (gpu)"] == "ok"
    assert stack.client.get("/health").json()["queues"]["gpu"]["length"] == 0


def test_unknown_queue_is_refused(narrow_stack: Stack) -> None:
    """A worker of a misspelled queue would wait for ever. The error names the queues that exist."""
    worker = narrow_stack.start_service("worker", "--queues", "worker,gpus")
    assert worker.wait(START_S) == 3
    said = "--queues: no handler uses the queue 'gpus'; the ones in use are gpu, worker"
    assert [line for line in worker.lines if said in line]
    assert not [line for line in worker.lines if "Traceback" in line]
