"""Nodes of async handlers wait without a thread, hundreds in one process, through stops and kills."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from flowengine.queues import WORKER_QUEUE, async_line, stream_key
from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import START_S, Process, Stack, running_stack
from tests.support.waiting import wait_until

NODES = 1000
WORKER = ("--threads", "2", "--concurrency", str(NODES), "--grace", "3")
LINE = stream_key(async_line(WORKER_QUEUE))
SETTINGS = {"FLOWENGINE_HANDLERS": ODD_HANDLERS, "FLOWENGINE_LEASE_SECONDS": "3"}


@pytest.mark.proves("waiting-nodes", "waiting-nodes-stopped", "waiting-nodes-killed")
@pytest.mark.slow
def test_a_thousand_nodes_wait_beside_quick_ones_and_survive_a_stop_and_a_kill() -> None:
    """One worker of two threads runs all of them at once, and a node that needs a thread beside them.

    What does not end within the grace is handed back, uncounted; what a killed worker held is taken over.
    """
    with running_stack(workers=0, settings=SETTINGS) as stack:
        worker = stack.start_service("worker", *WORKER)
        wait_until(stack.serves, within_s=START_S, what="a stack that serves")
        long = stack.start(workflow(*(node(f"w{at}", "test_wait", seconds=9) for at in range(NODES))))
        wait_until(_holds_all(stack, worker), within_s=30, what="all of them at once")

        begun = time.monotonic()
        assert stack.run(workflow(same("quick", 1)), within_s=20).results == {"quick": {"result": [1]}}
        assert time.monotonic() - begun < 5, "the quick node waited behind those that wait"
        assert _threads_of(worker) < 40

        asked = time.monotonic()
        worker.terminate()
        worker.wait(within_s=20)
        assert time.monotonic() - asked < 3 + 2 + 4, "the stop took longer than its grace"
        assert _is_handed_back(worker)

        second = stack.start_service("worker", *WORKER)
        wait_until(_holds_all(stack, second), within_s=40, what="all of them at once, again")
        os.kill(second.children()[0], signal.SIGKILL)
        ended = stack.ended(long, within_s=60)
        assert len(ended.results) == NODES
        assert {each["attempt"] for each in ended.status["nodes"]} == {1}


def _holds_all(stack: Stack, process: Process) -> Callable[[], bool]:
    """Whether a worker holds all of the nodes."""

    def holds_all() -> bool:
        with stack.valkey.connect() as server:
            consumers = server.xinfo_consumers(LINE, "fe")
        pids = [f"-{pid}-" for pid in process.children()]
        return any(
            each["pending"] == NODES and any(pid in each["name"].decode() for pid in pids)
            for each in consumers
        )

    return holds_all


def _threads_of(process: Process) -> int:
    return len(os.listdir(f"/proc/{process.children()[0]}/task"))


def _is_handed_back(process: Process) -> bool:
    return any(record["reason"] == "out of time" for record in process.records("broker.messages_handed_back"))
