"""Handlers that hang: their nodes fail in time, and what runs beside them finishes or runs again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.documents import add, node, workflow
from tests.e2e.faults.conftest import QUICK
from tests.support.rigs.stack_processes import Process, Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply
from tests.support.waiting import wait_until

HANGS = node("hangs", "test_hang", timeout=1, seconds=60)


@pytest.fixture(scope="module")
def hanging_stack() -> Iterator[Stack]:
    """A stack with a short lease and a short grace."""
    with running_stack(settings=QUICK) as stack:
        yield stack


@pytest.mark.proves("handler-hangs")
def test_handler_that_hangs_fails_at_its_deadline(hanging_stack: Stack) -> None:
    """A sync handler cannot be stopped: its node fails in time, its process is replaced, others go on."""
    stack = hanging_stack
    before = stack.only("worker").children()
    ended = stack.run(
        workflow(
            node("hangs", "test_hang", timeout=1, seconds=30),
            add("below", 1, 1, after=["hangs"]),
            add("beside", 1, 1),
        )
    )
    assert ended.errors["hangs"]["code"] == "timeout"
    assert ended.errors["below"]["caused_by"] == "hangs"
    assert ended.results == {"beside": {"result": 2}}
    assert 1.0 <= ended.seconds_of("hangs") < 20.0
    wait_until(lambda: stack.only("worker").children() not in (before, []), within_s=15, what="a new process")
    assert stack.run(workflow(add("sum", 1, 1))).status["status"] == "completed"


@pytest.mark.proves("handler-hangs")
def test_nodes_beside_a_handler_that_hangs_finish_where_they_are(
    hanging_stack: Stack, own_service: HttpServer
) -> None:
    """They ran again and again, once for each handler that hung; each may have been dear.

    A second process takes over meanwhile. The old one ends after the last of them.
    """
    stack = hanging_stack
    worker = stack.only("worker")
    drained = len(worker.records("process.drained"))
    release = threading.Event()
    own_service.answers("/innocent", Reply(until=release))
    innocents = stack.start(
        workflow(
            node("sync", "http_request", url=own_service.url("/innocent")),
            node("waits", "test_wait", seconds=6),
            node("hangs", "test_hang", timeout=1, seconds=60),
        )
    )
    wait_until(lambda: len(worker.children()) == 2, within_s=20, what="a second process")
    again = stack.run(workflow(node("hangs", "test_hang", timeout=1, seconds=60), add("sum", 1, 1)))
    assert (again.results, again.errors["hangs"]["code"]) == ({"sum": {"result": 2}}, "timeout")
    wait_until(stack.node_is(innocents, "waits", "completed"), within_s=30, what="the end of one")
    assert stack.node_is(innocents, "sync", "running")()
    release.set()
    ended = stack.ended(innocents)
    assert set(ended.results) == {"sync", "waits"}
    assert own_service.count("/innocent") == 1
    wait_until(
        lambda: len(worker.records("process.drained")) == drained + 2, within_s=20, what="an end of both"
    )
    assert [record["exit_code"] for record in worker.records("process.drained")[drained:]] == [70, 70]
    wait_until(lambda: len(worker.children()) == 1, within_s=20, what="one process again")


@pytest.mark.proves("event-loop-blocked")
@pytest.mark.slow
def test_async_handlers_run_elsewhere_when_one_blocks_the_event_loop() -> None:
    """Its node fails in time. Those that came after it failed at their deadlines, one after another."""
    # The thread that waits for an async handler comes back two seconds after the deadline: it is not lost.
    with running_stack(settings={**QUICK, "FLOWENGINE_GRACE_SECONDS": "3"}) as stack:
        worker = stack.only("worker")
        blocks = node("blocks", "test_block", timeout=1, seconds=60)
        ended = stack.run(workflow(blocks, add("beside", 1, 1)))
        assert ended.errors["blocks"]["code"] == "timeout"
        assert ended.results == {"beside": {"result": 2}}
        wait_until(lambda: worker.records("worker.event_loop_lost"), within_s=20, what="a lost event loop")
        ended = stack.run(workflow(node("waits", "test_wait", timeout=30, seconds=0.1)))
        assert ended.results == {"waits": {"result": 0.1}}
        wait_until(lambda: worker.records("process.drained"), within_s=20, what="its end")


@pytest.mark.proves("handlers-hang")
@pytest.mark.slow
def test_of_many_processes_that_drain_the_oldest_hands_back_what_it_runs(own_service: HttpServer) -> None:
    """Handlers that hang one after another do not fill the machine with processes.

    What it runs goes on elsewhere, and the start does not count as a crash, of which one is allowed.
    """
    release = threading.Event()
    own_service.answers("/innocent", Reply(until=release))
    with running_stack(settings={**QUICK, "FLOWENGINE_MAX_DELIVERIES": "1"}) as stack:
        worker = stack.only("worker")
        innocents = []
        for turn in range(4):
            url = own_service.url("/innocent")
            innocents.append(stack.start(workflow(node("call", "http_request", url=url), HANGS)))
            wait_until(
                lambda turn=turn: len(worker.records("process.draining")) == turn + 1,  # type: ignore[misc]
                within_s=30,
                what="one more that drains",
            )
        wait_until(lambda: own_service.count("/innocent") == 5, within_s=20, what="the oldest's node again")
        wait_until(lambda: len(worker.records("process.drained")) == 1, within_s=20, what="the oldest's end")
        assert len(worker.children()) == 4
        release.set()
        ended = [stack.ended(execution) for execution in innocents]
        assert [list(each.results) for each in ended] == [["call"]] * 4
        assert [each.errors["hangs"]["code"] for each in ended] == ["timeout"] * 4
        wait_until(lambda: len(worker.children()) == 1, within_s=20, what="one process again")


def _drains(worker: Process) -> tuple[int, int]:
    """The process that drains and its successor, once there are both."""
    wait_until(lambda: worker.records("process.draining"), within_s=30, what="a process that drains")
    draining = int(worker.records("process.draining")[0]["pid"])
    wait_until(lambda: len(worker.children()) == 2, within_s=30, what="a successor")
    (successor,) = set(worker.children()) - {draining}
    return draining, successor


@pytest.mark.proves("killed-while-draining")
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["the one that drains", "its successor", "their supervisor"])
def test_what_is_killed_while_a_process_drains_loses_nothing(own_service: HttpServer, victim: str) -> None:
    """Each node ends once, with the right outcome, also if another process runs it in the end."""
    release = threading.Event()
    own_service.answers("/innocent", Reply(until=release))
    with running_stack(settings=QUICK) as stack:
        worker = stack.only("worker")
        execution = stack.start(
            workflow(
                node("call", "http_request", url=own_service.url("/innocent")),
                add("after", 1, "{{ call.status_code }}", after=["call"]),
                HANGS,
            )
        )
        draining, successor = _drains(worker)
        killed = {"the one that drains": draining, "its successor": successor}.get(victim, worker.pid)
        os.kill(killed, signal.SIGKILL)
        if victim == "their supervisor":
            worker.wait()
            stack.start_service("worker")
        starts = 1 if victim == "its successor" else 2
        wait_until(lambda: own_service.count("/innocent") >= starts, within_s=30, what="the node's start")
        other = stack.run(workflow(add("sum", 1, 1)))
        assert other.results == {"sum": {"result": 2}}
        release.set()
        ended = stack.ended(execution)
        assert ended.results["after"] == {"result": 201}
        assert ended.errors["hangs"]["code"] == "timeout"
        assert ended.errors["hangs"]["attempts"] == 1
        # An orphan may take the node over before it sees that it is one, and hand it back.
        at_most = 3 if victim == "their supervisor" else starts
        assert starts <= own_service.count("/innocent") <= at_most
