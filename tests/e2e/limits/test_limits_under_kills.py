"""Limits while workers and orchestrators are killed: no more at once than may be, and no place is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest

from flowengine.execution.history.live import StatusChange
from flowengine.store import keys
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply

EXECUTIONS, KEYS, LIMIT = 200, 10, 2
CALL_S = 0.25
LEASE_S = 2.0
KILLS, PAUSE_S = 8, 0.7
SEED = 20261130


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Two of each service, which notice soon that one has died."""
    settings = {"FLOWENGINE_LEASE_SECONDS": str(LEASE_S), "FLOWENGINE_MAX_DELIVERIES": "50"}
    with running_stack(workers=2, settings=settings) as stack:
        stack.start_service("orchestrator")
        yield stack


@contextmanager
def kills(stack: Stack) -> Iterator[list[int]]:
    """Kills one after the other while the block runs; says whom."""
    drawn, over = random.Random(SEED), threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < KILLS and not over.wait(PAUSE_S):
            services = [*stack.named("worker"), *stack.named("orchestrator")]
            running = [pid for service in services for pid in service.children()]
            with suppress(ProcessLookupError):
                killed.append(drawn.choice(running))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill, name="kills", daemon=True)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def document(service: HttpServer, key: int, number: int) -> dict[str, Any]:
    """An execution that calls the service once, under a limit on its key."""
    made = workflow(
        node("call", "http_request", url=service.url("/under_kills"), params={"key": key, "n": number})
    )
    return {**made, "concurrency": {"key": f"key-{key}", "limit": LIMIT, "shared": True}}


def most_at_once(calls: list[tuple[float, int]]) -> int:
    """How many executions called together at most. One that calls again after a kill is still one."""
    return max(len({number for at, number in calls if at <= moment < at + CALL_S}) for moment, _ in calls)


def as_begun(stack: Stack) -> list[str]:
    """The executions in the order in which they began: the server's, and not that of the clocks."""
    with stack.valkey.connect() as client:
        entries = client.xrange(keys.of().changes)
    told = [msgspec.json.decode(fields[b"c"], type=StatusChange) for _, fields in entries]
    return [change.execution for change in told if change.status == "running"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.proves("line-crash")
def test_kills_cost_no_place_and_let_no_one_in_too_soon(stack: Stack, service: HttpServer) -> None:
    """Two hundred executions over ten keys all end, in order within their key, at most two at once."""
    service.answers("/under_kills", Reply(delay_s=CALL_S, body=b"{}"))
    of_key: dict[int, list[str]] = defaultdict(list)
    with kills(stack) as killed:
        for number in range(EXECUTIONS):
            key = number % KEYS
            of_key[key].append(stack.start(document(service, key, number)))
        ended = {each: stack.ended(each, within_s=90).status for found in of_key.values() for each in found}
        begun = time.monotonic()
        while len(killed) < KILLS and time.monotonic() < begun + 2 * KILLS * PAUSE_S:
            time.sleep(PAUSE_S / 10)
    assert len(killed) >= KILLS // 2
    assert {each["status"] for each in ended.values()} == {"completed"}
    called: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for call in service.called("/under_kills"):
        called[call.query["key"]].append((call.at, int(call.query["n"])))
    assert len(called) == KEYS
    assert max(most_at_once(calls) for calls in called.values()) <= LIMIT
    ran = as_begun(stack)
    for found in of_key.values():
        assert [each for each in ran if each in found] == found
    assert stack.client.get("/limits").json()["items"] == []
