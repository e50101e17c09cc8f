"""Redis is gone, stands still or is full, or too much work waits: the API says so, and nothing is lost.

The same processes of each service serve before and afterwards.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import httpx
import msgspec
import pytest
import redis

from tests.e2e.answers import assert_problem
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.servers.http_server import HttpServer, Reply, json_reply, serving
from tests.support.waiting import wait_until

API_LIMIT_S = 2.0
QUICK_LIMIT_S = 0.4
AT_ONCE_S = 4.0
"""Shows that the API's limit ended the wait: a connection to Redis gives up only after five seconds."""

LEASE_S: Final = 20
"""A worker tries to report for eight tenths of a lease. No outage in these tests lasts longer."""

SETTINGS = {
    "FLOWENGINE_LEASE_SECONDS": str(LEASE_S),
    "FLOWENGINE_SWEEP_SECONDS": "2",
    "FLOWENGINE_API_TIMEOUT_SECONDS": str(API_LIMIT_S),
}


@pytest.fixture(scope="module")
def persistent_stack() -> Iterator[Stack]:
    """A stack on a server that keeps an append-only file."""
    with running_stack(persistent=True, settings=SETTINGS) as stack:
        yield stack


@pytest.fixture(autouse=True)
def same_processes(persistent_stack: Stack) -> Iterator[None]:
    """No process of a service ends, or is replaced, while the test runs."""
    before = _pids(persistent_stack)
    assert all(before)
    yield
    assert _pids(persistent_stack) == before
    assert not [
        record for process in persistent_stack.processes for record in process.records("process.exited")
    ]
    assert [process.exit_code for process in persistent_stack.processes] == [None] * 3


def _pids(stack: Stack) -> list[list[int]]:
    """The pids of the orchestrator's and the worker's processes, by service."""
    return [stack.only(name).children() for name in ("orchestrator", "worker")]


@pytest.fixture
def own_service() -> Iterator[HttpServer]:
    """A server of the test's own."""
    with serving() as server:
        yield server


def chain(service: HttpServer, length: int, *, on: threading.Event | None = None) -> dict[str, object]:
    """A chain of calls that take a moment each, and the sum of what they answered.

    `on`: the third answer comes no sooner.
    """
    step = Reply(delay_s=0.15, body=b"1", headers={"Content-Type": "application/json"})
    service.answers("/step", step, step, msgspec.structs.replace(step, until=on), step)
    nodes = [add("n0", 0, 0)]
    for at in range(1, length):
        call = node(f"c{at}", "http_request", after=[f"n{at - 1}"], url=service.url("/step"))
        total = add(f"n{at}", f"{{{{ n{at - 1}.result }}}}", f"{{{{ c{at}.result }}}}", after=[f"c{at}"])
        nodes += [call, total]
    return workflow(*nodes)


def assert_unavailable(stack: Stack, execution: str) -> None:
    """Every route says so as a problem document, within the API's limit; /health as well."""
    routes = [
        ("POST", "/workflow"),
        ("GET", f"/workflows/{execution}"),
        ("GET", f"/workflows/{execution}/results"),
    ]
    for method, path in [*routes, ("POST", f"/workflow/trigger/{execution}")]:
        begun = time.monotonic()
        body = workflow(add("sum", 1, 1)) if path == "/workflow" else None
        response = stack.client.request(method, path, json=body)
        assert_problem(response, 503, "store_unavailable")
        assert int(response.headers["Retry-After"]) >= 1
        assert time.monotonic() - begun < AT_ONCE_S
    assert assert_down(stack) != "ok"


def assert_down(stack: Stack) -> str:
    """/health answers 503; returns what it says of Redis."""
    health = stack.client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "down"
    said: str = health.json()["checks"]["redis"]
    return said


def assert_still(count: Callable[[], int], *, for_s: float) -> None:
    """Fails if the count changes within `for_s`, which is long enough for the chain to go on."""
    before, until = count(), time.monotonic() + for_s
    wait_until(lambda: count() != before or time.monotonic() > until, within_s=for_s + 5)
    assert count() == before


@contextlib.contextmanager
def another_api(stack: Stack, **settings: str) -> Iterator[None]:
    """Requests go to another API of the stack, with these settings."""
    usual = stack.client.base_url
    api = stack.start_api(**settings)
    try:
        yield
    finally:
        stack.client.base_url = usual
        stack.processes.remove(api)
        api.close()


@contextlib.contextmanager
def limited_memory(stack: Stack) -> Iterator[redis.Redis]:
    """A client to set `maxmemory` with; afterwards there is no limit."""
    with stack.valkey.connect() as server:
        try:
            yield server
        finally:
            server.config_set("maxmemory", 0)
            # The API checks memory twice a second.
            wait_until(lambda: _post(stack).status_code == 201, what="the acceptance of new work")


def _post(stack: Stack) -> httpx.Response:
    """A new workflow."""
    return stack.client.post("/workflow", json=workflow(add("sum", 1, 1)))


@pytest.mark.proves("redis-killed")
def test_killed_server_comes_back_and_nothing_is_lost(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """SIGKILL in the middle of an execution, then a start from the append-only file."""
    stack = persistent_stack
    execution = stack.start(chain(own_service, 12))
    waiting = stack.create(workflow(add("sum", 40, 2)))
    wait_until(lambda: own_service.count("/step") >= 3, what="the middle of the chain")
    stack.valkey.kill()
    assert_unavailable(stack, execution)
    stack.valkey.start()
    wait_until(lambda: stack.client.get("/health").status_code == 200, within_s=10, what="recovery")
    ended = stack.ended(execution, within_s=90)
    assert ended.status["status"] == "completed"
    assert ended.results["n11"] == {"result": 11}
    stack.trigger(waiting)
    assert stack.ended(waiting).results == {"sum": {"result": 42}}


@pytest.mark.proves("redis-stalls")
def test_server_that_stands_still_is_waited_for(persistent_stack: Stack, own_service: HttpServer) -> None:
    """It accepts and does not answer: the API keeps to its limit, and the execution goes on afterwards.

    The node that ended meanwhile is reported then, not run again.
    """
    stack = persistent_stack
    execution = stack.start(chain(own_service, 8))
    with another_api(stack, FLOWENGINE_API_TIMEOUT_SECONDS=str(QUICK_LIMIT_S)):
        wait_until(lambda: own_service.count("/step") >= 2, what="the middle of the chain")
        stack.valkey.freeze()
        try:
            assert_unavailable(stack, execution)
        finally:
            stack.valkey.thaw()
        wait_until(lambda: stack.client.get("/health").status_code == 200, within_s=10, what="recovery")
    assert stack.ended(execution, within_s=90).results["n7"] == {"result": 7}
    assert own_service.count("/step") == 7


@pytest.mark.proves("redis-memory-low")
def test_new_work_is_refused_near_the_memory_limit_and_what_runs_ends(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """Above 85 % of `maxmemory`: 503 `store_full` for new workflows and triggers; room brings them back."""
    stack = persistent_stack
    with limited_memory(stack) as server:
        execution = stack.start(chain(own_service, 8))
        waiting = stack.create(workflow(add("sum", 1, 1)))
        wait_until(lambda: own_service.count("/step") >= 2, what="the middle of the chain")
        used = int(server.info("memory")["used_memory"])
        server.config_set("maxmemory", int(used / 0.87))
        wait_until(lambda: _post(stack).status_code == 503, what="the refusal of new work")
        refusal = _post(stack)
        assert_problem(refusal, 503, "store_full")
        assert int(refusal.headers["Retry-After"]) >= 1
        assert_problem(stack.client.post(f"/workflow/trigger/{waiting}"), 503, "store_full")
        health = stack.client.get("/health")
        assert "refused" in health.json()["checks"]["memory"]
        assert stack.ended(execution).results["n7"] == {"result": 7}
        server.config_set("maxmemory", 0)
        wait_until(
            lambda: stack.client.post(f"/workflow/trigger/{waiting}").status_code == 202,
            what="the acceptance of new work",
        )
        assert stack.ended(waiting).status["status"] == "completed"


@pytest.mark.proves("redis-memory-full")
def test_server_that_refuses_writes_for_lack_of_memory_loses_nothing(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """Every write is refused for a while (OOM): the execution stands still, then ends right."""
    stack = persistent_stack
    with limited_memory(stack) as server:
        waiting = stack.create(workflow(add("sum", 40, 2)))
        on = threading.Event()
        execution = stack.start(chain(own_service, 6, on=on))
        wait_until(lambda: own_service.count("/step") >= 3, what="the middle of the chain")
        server.config_set("maxmemory", 1)
        # The API checks memory twice a second. Until then, Redis refuses the transaction itself.
        assert _post(stack).json()["code"] in ("store_unavailable", "store_full")
        wait_until(lambda: _post(stack).json()["code"] == "store_full", what="the refusal of new work")
        assert_problem(_post(stack), 503, "store_full")
        assert_problem(stack.client.post(f"/workflow/trigger/{waiting}"), 503, "store_full")
        assert "refuses commands" in assert_down(stack)
        on.set()
        wait_until(
            lambda: [line for line in stack.only("worker").lines if "maxmemory" in line],
            within_s=30,
            what="a refused write",
        )
        server.config_set("maxmemory", 0)
        ended = stack.ended(execution, within_s=90)
        assert ended.status["status"] == "completed"
        assert ended.results["n5"] == {"result": 5}
        assert own_service.count("/step") == 5
        assert stack.client.get("/health").status_code == 200


@contextlib.contextmanager
def full_disk(stack: Stack) -> Iterator[None]:
    """The server cannot save and so refuses every write (MISCONF) until the block ends."""
    in_the_way = stack.valkey.folder / "dump.rdb" / "x"
    with stack.valkey.connect() as server:
        server.config_set("save", "1 1")
        in_the_way.mkdir(parents=True)
        try:
            wait_until(lambda: not _saves(server), what="the refusal of writes")
            yield
        finally:
            in_the_way.rmdir()
            in_the_way.parent.rmdir()
            wait_until(lambda: _saves(server), what="a server that writes again")
            server.config_set("save", "")


def _saves(server: redis.Redis) -> bool:
    """Ask the server to save, and return whether it takes writes."""
    with contextlib.suppress(redis.ResponseError):  # one save at a time
        server.bgsave()
    with contextlib.suppress(redis.ResponseError):
        return bool(server.set("fe:health", 1, ex=60))
    return False


@pytest.mark.proves("redis-disk-full")
def test_server_that_refuses_writes_for_lack_of_disk_loses_nothing(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """MISCONF: 503 for what would write, what is stored can still be read, nothing moves; then it goes on."""
    stack = persistent_stack
    waiting = stack.create(workflow(add("sum", 40, 2)))
    on = threading.Event()
    execution = stack.start(chain(own_service, 8, on=on))
    wait_until(lambda: own_service.count("/step") >= 3, what="the middle of the chain")
    with full_disk(stack):
        on.set()
        assert_problem(_post(stack), 503, "store_unavailable")
        assert_problem(stack.client.post(f"/workflow/trigger/{waiting}"), 503, "store_unavailable")
        assert "refuses commands" in assert_down(stack)
        assert stack.status(execution)["status"] == "running"
        assert stack.status(waiting)["status"] == "pending"
        assert stack.client.get(f"/workflows/{execution}/results").status_code == 200
        wait_until(
            lambda: [line for line in stack.only("worker").lines if "MISCONF" in line],
            what="a refused write",
        )
        assert_still(lambda: own_service.count("/step"), for_s=0.6)
        assert own_service.count("/step") < 7
    ended = stack.ended(execution, within_s=90)
    assert ended.status["status"] == "completed"
    assert ended.results["n7"] == {"result": 7}
    assert own_service.count("/step") == 7
    stack.trigger(waiting)
    assert stack.ended(waiting).results == {"sum": {"result": 42}}
    assert stack.client.get("/health").status_code == 200


@contextlib.contextmanager
def limited_api(stack: Stack, room: int) -> Iterator[None]:
    """Requests go to another API of the stack, which takes so many more unfinished executions."""
    with stack.valkey.connect() as server:
        unfinished = server.zcard("fe:index:pending") + server.zcard("fe:index:running")
    with another_api(stack, FLOWENGINE_MAX_UNFINISHED_EXECUTIONS=str(unfinished + room)):
        yield


@pytest.mark.proves("backlog-full")
def test_too_many_waiting_executions_are_answered_429(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """At the limit new ones are refused until one has ended; the answer says when to come again."""
    stack = persistent_stack
    refused = threading.Event()
    own_service.answers("/slow", Reply(until=refused), json_reply(1))
    document = workflow(node("call", "http_request", url=own_service.url("/slow")))
    with limited_api(stack, 3):
        waiting = [stack.create(document) for _ in range(3)]
        refusal = stack.client.post("/workflow", json=document)
        problem = assert_problem(refusal, 429, "too_many_executions")
        assert "FLOWENGINE_MAX_UNFINISHED_EXECUTIONS" in str(problem["detail"])
        assert int(refusal.headers["Retry-After"]) >= 1
        stack.trigger(waiting[0])
        assert stack.client.post("/workflow", json=document).status_code == 429
        refused.set()
        stack.ended(waiting[0])
        assert stack.client.post("/workflow", json=document).status_code == 201
