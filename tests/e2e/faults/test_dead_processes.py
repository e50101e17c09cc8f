"""Processes killed, told to stop, or stuck: the node runs again elsewhere, or fails within a bound."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from flowengine.queues import GROUP, stream_key
from tests.e2e.documents import add, node, workflow
from tests.e2e.faults.conftest import QUICK
from tests.support.rigs.stack_processes import START_S, Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply
from tests.support.waiting import wait_until

FOREVER = Reply(delay_s=60)
BUSY_S = 8.0
"""A machine that is busy with other tests may be late by this much."""


@pytest.mark.proves("worker-killed")
@pytest.mark.slow
def test_node_of_a_killed_worker_runs_elsewhere_within_15_seconds(own_service: HttpServer) -> None:
    """The default settings give a lease of 12 s, and 3 s to notice that it has lapsed.

    Both calls carry the same idempotency key.
    """
    own_service.answers("/work", FOREVER, json_reply("done"))
    document = workflow(
        node("call", "http_request", url=own_service.url("/work")),
        add("after", 1, "{{ call.status_code }}", after=["call"]),
    )
    with running_stack() as stack:
        execution = stack.start(document)
        wait_until(lambda: own_service.count("/work") == 1, what="the node's start")
        stack.start_service("worker")
        killed_at = time.monotonic()
        stack.named("worker")[0].close()
        wait_until(lambda: own_service.count("/work") == 2, within_s=30, what="the node's second start")
        ended = stack.ended(execution)
    assert own_service.called("/work")[1].at - killed_at < 15 + BUSY_S
    assert ended.status["status"] == "completed"
    assert ended.results["after"] == {"result": 201}
    first, second = own_service.called("/work")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.proves("node-kills-workers")
def test_node_that_kills_its_worker_each_time_fails_after_three_starts(
    quick_stack: Stack, tmp_path: Path
) -> None:
    """Three starts and no fourth; the worker goes on serving others meanwhile and afterwards."""
    stack = quick_stack
    execution = stack.start(
        workflow(
            node("killer", "test_die", folder=str(tmp_path)),
            add("below", 1, 1, after=["killer"]),
            add("beside", 20, 1),
            add("next", "{{ beside.result }}", 21, after=["beside"]),
        )
    )
    wait_until(lambda: list(tmp_path.iterdir()), what="the first start")
    bystander = stack.run(workflow(add("sum", 1, 1)), within_s=60)
    ended = stack.ended(execution, within_s=60)
    assert bystander.results == {"sum": {"result": 2}}
    assert ended.errors["killer"]["code"] == "worker_lost"
    assert "3" in ended.errors["killer"]["message"]
    assert ended.errors["killer"]["attempts"] == 3
    assert ended.errors["below"]["caused_by"] == "killer"
    assert ended.results["next"] == {"result": 42}
    assert sorted(note.name for note in tmp_path.iterdir()) == ["1", "2", "3"]
    assert len({note.read_text() for note in tmp_path.iterdir()}) == 1
    assert stack.run(workflow(add("sum", 1, 1))).status["status"] == "completed"
    assert stack.only("worker").exit_code is None


def test_node_that_kills_its_worker_twice_completes(quick_stack: Stack, tmp_path: Path) -> None:
    """The third start still counts."""
    ended = quick_stack.run(workflow(node("killer", "test_die", folder=str(tmp_path), deaths=2)), within_s=30)
    assert ended.results["killer"] == {"result": 3}
    assert ended.node("killer")["attempt"] == 1


@pytest.mark.proves("quick-handler-slow")
def test_quick_handler_that_lasts_for_once_is_seen_and_stopped(quick_stack: Stack) -> None:
    """Its start is not noted at first: it still shows as running, and fails at its deadline."""
    stack = quick_stack
    get_quick(stack)
    execution = stack.start(workflow(node("lasts", "test_hang", timeout=8, seconds=8.6)))
    wait_until(stack.node_is(execution, "lasts", "running"), within_s=7.5, what="it is shown as running")
    ended = stack.ended(execution, within_s=60)
    assert ended.errors["lasts"]["code"] == "timeout"
    assert 8.0 <= ended.seconds_of("lasts") < 30.0


@pytest.mark.proves("worker-killed-at-unnoted-node")
def test_quick_handlers_node_runs_elsewhere_when_its_worker_is_killed(quick_stack: Stack) -> None:
    """Its message comes back when the lease lapses, whether the start was noted or not."""
    stack = quick_stack
    get_quick(stack)
    wait_until(lambda: len(stack.only("worker").children()) == 1, what="the worker")
    (victim,) = stack.only("worker").children()
    execution = stack.start(workflow(node("lasts", "test_hang", timeout=30, seconds=0.4)))
    # By now the node has begun, but its start is not yet noted.
    time.sleep(0.2)
    os.kill(victim, signal.SIGKILL)
    ended = stack.ended(execution, within_s=20)
    assert ended.results["lasts"] == {"result": 0.4}
    assert ended.node("lasts")["attempt"] == 1


@pytest.mark.proves("worker-gone")
@pytest.mark.slow
def test_node_whose_worker_is_gone_fails_by_the_orchestrators_timer(own_service: HttpServer) -> None:
    """No worker is left to keep the deadline: the backstop fires a lease and five seconds later."""
    own_service.answers("/endless", FOREVER)
    # No worker is left to remove the task from its queue.
    with running_stack(settings=QUICK, settles=False) as stack:
        execution = stack.start(
            workflow(node("call", "http_request", timeout=10, url=own_service.url("/endless")))
        )
        wait_until(lambda: own_service.count("/endless") == 1, what="the node's start")
        stack.only("worker").close()
        ended = stack.ended(execution, within_s=60)
    assert ended.errors["call"]["code"] == "timeout"
    assert "gone" in ended.errors["call"]["message"]


@pytest.mark.proves("service-stopped")
def test_sigterm_lets_what_runs_finish_and_hands_the_rest_back(own_service: HttpServer) -> None:
    """All three services are told to stop in the middle: nothing runs twice, nothing is lost."""
    own_service.answers("/slow", Reply(delay_s=5.0), Reply(delay_s=5.0), Reply())
    names = [f"n{at}" for at in range(8)]
    document = workflow(
        *(node(name, "http_request", url=own_service.url("/slow")) for name in names),
        node("join", "aggregate", after=names, aggregate_type="count", inputs=names),
    )
    with running_stack(worker_options=["--concurrency", "2"]) as stack:
        execution = stack.start(document)
        wait_until(lambda: own_service.count("/slow") == 2, what="two nodes that run")
        stopping = [stack.only("worker"), stack.only("orchestrator"), stack.only("api")]
        for process in stopping:
            process.terminate()
        assert [process.wait(30) for process in stopping] == [0, 0, 0]
        assert own_service.count("/slow") == 2
        stack.start_service("orchestrator")
        stack.start_service("worker")
        stack.start_api()
        ended = stack.ended(execution, within_s=30)
    assert ended.status["status"] == "completed"
    assert ended.results["join"] == {"result": 8}
    assert own_service.count("/slow") == 8


@pytest.mark.proves("grace-exceeded")
def test_what_outlasts_the_grace_is_handed_back_at_once(own_service: HttpServer) -> None:
    """The process ends within the grace; the start does not count as a crash, of which one is allowed."""
    own_service.answers("/long", FOREVER, json_reply("done"))
    settings = {"FLOWENGINE_LEASE_SECONDS": "3", "FLOWENGINE_MAX_DELIVERIES": "1"}
    with running_stack(worker_options=["--grace", "1"], settings=settings) as stack:
        execution = stack.start(workflow(node("call", "http_request", url=own_service.url("/long"))))
        wait_until(lambda: own_service.count("/long") == 1, what="the node's start")
        stack.start_service("worker")
        first = stack.named("worker")[0]
        first.terminate()
        first.wait(20)
        assert stack.ended(execution, within_s=30).results["call"]["data"] == "done"


@pytest.mark.proves("orchestrator-killed")
def test_killed_orchestrator_loses_nothing(quick_stack: Stack) -> None:
    """SIGKILL in the middle of a chain, three times: the chain adds up, each node once."""
    stack = quick_stack
    first = add("n0", 0, 1)
    rest = [add(f"n{at}", f"{{{{ n{at - 1}.result }}}}", 1, after=[f"n{at - 1}"]) for at in range(1, 150)]
    execution = stack.start(workflow(first, *rest))
    killed: set[int] = set()
    for done in (10, 60, 110):
        wait_until(lambda done=done: _completed(stack, execution) >= done, within_s=60)  # type: ignore[misc]
        wait_until(lambda: set(stack.only("orchestrator").children()) - killed, what="an orchestrator")
        (victim,) = stack.only("orchestrator").children()
        killed.add(victim)
        os.kill(victim, signal.SIGKILL)
    ended = stack.ended(execution, within_s=30)
    assert [ended.results[f"n{at}"]["result"] for at in range(150)] == list(range(1, 151))
    assert {item["attempt"] for item in ended.status["nodes"]} == {1}


@pytest.mark.proves("orchestrator-killed")
def test_what_a_killed_orchestrator_held_another_takes_over(quick_stack: Stack) -> None:
    """One of two is killed with its supervisor while it holds a callback. It is not started again."""
    stack = quick_stack
    survivor = stack.only("orchestrator")
    with stack.valkey.connect() as server:
        present = set(_held_by(server))
        doomed = stack.start_service("orchestrator")
        wait_until(lambda: set(_held_by(server)) - present, within_s=START_S, what="another orchestrator")
        (name,) = set(_held_by(server)) - present
        (child,) = doomed.children()
        executions: list[str] = []

        def stopped_with_a_message() -> bool:
            """Whether it was stopped while it waited for messages: only then does Redis give it one."""
            os.kill(child, signal.SIGSTOP)
            begun = len(executions)
            executions.extend(
                stack.start(workflow(add("sum", at, 1), add("other", at, 2)))
                for at in range(begun, begun + 5)
            )
            if _held_by(server)[name]:
                return True
            os.kill(child, signal.SIGCONT)
            return False

        wait_until(stopped_with_a_message, within_s=60, every_s=0.1, what="a message in its hands")
        stack.processes.remove(doomed)
        doomed.close()
    for at, execution in enumerate(executions):
        ended = stack.ended(execution, within_s=60)
        assert ended.results == {"sum": {"result": at + 1}, "other": {"result": at + 2}}
    assert stack.only("orchestrator") is survivor
    assert survivor.records("broker.messages_taken_over")


def _held_by(server: redis.Redis) -> dict[bytes, int]:
    """How many messages each orchestrator process holds."""
    consumers: Any = server.xinfo_consumers(stream_key("orchestrator"), GROUP)
    return {consumer["name"]: int(consumer["pending"]) for consumer in consumers}


@pytest.mark.proves("api-killed")
def test_killed_api_does_not_stop_an_execution(own_service: HttpServer) -> None:
    """Another API process reports on it."""
    own_service.answers("/slow", Reply(delay_s=0.5))
    with running_stack() as stack:
        execution = stack.start(workflow(node("call", "http_request", url=own_service.url("/slow"))))
        stack.only("api").close()
        stack.start_api()
        assert stack.ended(execution).status["status"] == "completed"
    assert own_service.count("/slow") == 1


def get_quick(stack: Stack) -> None:
    """Have the worker learn that this handler takes no time."""
    ended = stack.run(workflow(*(node(f"n{at}", "test_hang", seconds=0) for at in range(20))))
    assert ended.status["status"] == "completed"


def _completed(stack: Stack, execution: str) -> int:
    return int(stack.status(execution)["counts"]["completed"])
