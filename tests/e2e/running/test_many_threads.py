"""A worker process of hundreds of threads: it works, or says at its start why it cannot."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import FLOWENGINE, START_S, Stack, running_stack
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

THREADS = 512
LIMITED = (
    "import os, resource, sys\n"
    "soft, hard, *program = sys.argv[1:]\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard)))\n"
    "os.execv(program[0], program)\n"
)


def limited(soft: int, hard: int, *program: str) -> list[str]:
    """A program with these limits on the files that it may open."""
    return [sys.executable, "-c", LIMITED, str(soft), str(hard), *program]


@pytest.mark.proves("many-threads")
@pytest.mark.slow
def test_512_threads_run_quick_nodes_and_slow_ones_side_by_side() -> None:
    """Each thread has its connection, so nothing is handed back. A soft limit of 256 files is raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    quick = [same(f"quick{at}", at) for at in range(600)]
    slow = [node(f"slow{at}", "test_hang", seconds=4) for at in range(THREADS)]
    with running_stack(workers=0, settings={"FLOWENGINE_HANDLERS": ODD_HANDLERS}) as stack:
        worker = [FLOWENGINE, "worker", "--threads", str(THREADS)]
        process = stack.launch("worker", limited(256, hard, *worker))
        wait_until(stack.serves, within_s=START_S, what="a stack that serves")
        ended = stack.run(workflow(*quick), within_s=60)
        assert len(ended.results) == 600
        ended = stack.run(workflow(*slow), within_s=60)
        assert len(ended.results) == THREADS
        with stack.valkey.connect() as server:
            clients: dict[str, Any] = server.info("clients")
        # On a busy machine the first threads may be free again before the last ones get a node.
        assert int(clients["connected_clients"]) > THREADS / 2
        assert [record for record in process.records() if is_odd(record)] == []


def is_odd(record: Mapping[str, Any]) -> bool:
    """Whether a line of the log tells of a connection that was not to be had."""
    if record["event"] == "broker.messages_handed_back":  # as busy processes do
        return record["reason"] not in ("not begun", "not started in time")
    return record["level"] == "error" or record["event"] in ("broker.connection_lost", "process.exited")


@pytest.fixture
def small_stack() -> Iterator[Stack]:
    """A server that takes a hundred clients, and no service."""
    server = Valkey(config={"maxclients": "100"})
    with Stack(server, {}) as stack:
        server.start()
        yield stack


def refusal(stack: Stack, argv: Sequence[str], **settings: str) -> str:
    """What a service that cannot run says; it ends by itself."""
    process = stack.launch("refused", argv, **settings)
    assert process.wait(START_S) == 3
    return next(line for line in process.lines if line.startswith("error: "))


@pytest.mark.proves("many-threads")
@pytest.mark.parametrize(
    ("service", "needed", "fitting"), [("worker", 1528, 232), ("orchestrator", 1328, 298)]
)
def test_more_threads_than_files_are_refused_at_the_start(
    small_stack: Stack, service: str, needed: int, fitting: int
) -> None:
    """With what to do about it. A worker's nodes without a thread need files as well."""
    said = refusal(small_stack, limited(512, 1024, FLOWENGINE, service, "--threads", "400"))
    assert f"400 threads may need {needed} open files, and this process may have 1024" in said
    assert f"lower --threads to {fitting} and run more --processes" in said


@pytest.mark.proves("many-threads")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("", "the server's maxclients allows 100 connections"),
        ("?max_connections=50", "its option max_connections allows 50 connections"),
    ],
)
def test_more_threads_than_connections_are_refused_at_the_start(
    small_stack: Stack, options: str, reason: str
) -> None:
    """Some threads would never get one."""
    url = f"{small_stack.valkey.url}{options}"
    said = refusal(small_stack, [FLOWENGINE, "worker", "--threads", "200"], REDIS_URL=url)
    assert said.startswith(f"error: REDIS_URL: {reason}")
    assert "a process of 200 threads needs 208" in said
