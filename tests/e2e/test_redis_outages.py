"""Redis gone, standing still, or nearly full; too much work waiting: told truthfully, and nothing is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
import redis

from tests.e2e.answers import assert_problem
from tests.e2e.documents import add, node, workflow
from tests.support.http_server import HttpServer, Reply, json_reply, serving
from tests.support.stack_processes import Stack, running_stack
from tests.support.waiting import wait_until

API_LIMIT_S = 2.0
SETTINGS = {
    "FLOWENGINE_LEASE_SECONDS": "2",
    "FLOWENGINE_SWEEP_SECONDS": "2",
    "FLOWENGINE_API_TIMEOUT_SECONDS": str(API_LIMIT_S),
}


@pytest.fixture(scope="module")
def persistent_stack() -> Iterator[Stack]:
    """A stack on a server that keeps an append-only file."""
    with running_stack(persistent=True, settings=SETTINGS) as stack:
        yield stack


@pytest.fixture
def own_service() -> Iterator[HttpServer]:
    """A server of the test's own."""
    with serving() as server:
        yield server


def chain(service: HttpServer, length: int) -> dict[str, object]:
    """A chain of calls that take a moment each, and the sum of what they answered."""
    service.answers("/step", Reply(delay_s=0.15, body=b"1", headers={"Content-Type": "application/json"}))
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
        assert time.monotonic() - begun < API_LIMIT_S + 1
    health = stack.client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "down"
    assert health.json()["checks"]["redis"] != "ok"


@contextlib.contextmanager
def limited_memory(stack: Stack) -> Iterator[redis.Redis]:
    """A client to set `maxmemory` with; afterwards there is no limit."""
    with stack.valkey.connect() as server:
        try:
            yield server
        finally:
            server.config_set("maxmemory", 0)


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
    ended = stack.ended(execution, within_s=60)
    assert ended.status["status"] == "completed"
    assert ended.results["n11"] == {"result": 11}
    stack.trigger(waiting)
    assert stack.ended(waiting).results == {"sum": {"result": 42}}
    assert [process.exit_code for process in stack.processes] == [None] * 3


@pytest.mark.slow
def test_server_that_stands_still_is_waited_for(persistent_stack: Stack, own_service: HttpServer) -> None:
    """It accepts and does not answer: the API keeps to its limit, and the execution goes on afterwards."""
    stack = persistent_stack
    execution = stack.start(chain(own_service, 8))
    wait_until(lambda: own_service.count("/step") >= 2, what="the middle of the chain")
    stack.valkey.freeze()
    try:
        assert_unavailable(stack, execution)
    finally:
        stack.valkey.thaw()
    wait_until(lambda: stack.client.get("/health").status_code == 200, within_s=10, what="recovery")
    assert stack.ended(execution, within_s=60).results["n7"] == {"result": 7}


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
        document = workflow(add("sum", 1, 1))
        wait_until(
            lambda: stack.client.post("/workflow", json=document).status_code == 503,
            what="the refusal of new work",
        )
        refusal = stack.client.post("/workflow", json=document)
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


def test_server_that_refuses_writes_for_lack_of_memory_loses_nothing(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """Every write is refused for a while (OOM): the execution stands still, then ends right."""
    stack = persistent_stack
    with limited_memory(stack) as server:
        execution = stack.start(chain(own_service, 6))
        wait_until(lambda: own_service.count("/step") >= 2, what="the middle of the chain")
        server.config_set("maxmemory", 1)
        refusal = stack.client.post("/workflow", json=workflow(add("sum", 1, 1)))
        assert_problem(refusal, 503, refusal.json()["code"])
        assert stack.client.get("/health").status_code == 503
        wait_until(
            lambda: [line for line in stack.only("worker").lines if "maxmemory" in line],
            within_s=10,
            what="a refused write",
        )
        server.config_set("maxmemory", 0)
        ended = stack.ended(execution, within_s=60)
        assert ended.status["status"] == "completed"
        assert ended.results["n5"] == {"result": 5}
        assert stack.client.get("/health").status_code == 200


@contextlib.contextmanager
def limited_api(stack: Stack, room: int) -> Iterator[None]:
    """Requests go to another API of the stack, which takes so many more unfinished executions."""
    with stack.valkey.connect() as server:
        unfinished = server.zcard("fe:index:pending") + server.zcard("fe:index:running")
    usual = stack.client.base_url
    api = stack.start_api(FLOWENGINE_MAX_UNFINISHED_EXECUTIONS=str(unfinished + room))
    try:
        yield
    finally:
        stack.client.base_url = usual
        stack.processes.remove(api)
        api.close()


def test_too_many_waiting_executions_are_answered_429(
    persistent_stack: Stack, own_service: HttpServer
) -> None:
    """At the limit new ones are refused until one has ended; the answer says when to come again."""
    stack = persistent_stack
    own_service.answers("/slow", Reply(delay_s=0.3), json_reply(1))
    document = workflow(node("call", "http_request", url=own_service.url("/slow")))
    with limited_api(stack, 3):
        waiting = [stack.create(document) for _ in range(3)]
        refusal = stack.client.post("/workflow", json=document)
        problem = assert_problem(refusal, 429, "too_many_executions")
        assert "FLOWENGINE_MAX_UNFINISHED_EXECUTIONS" in str(problem["detail"])
        assert int(refusal.headers["Retry-After"]) >= 1
        stack.trigger(waiting[0])
        assert stack.client.post("/workflow", json=document).status_code == 429
        stack.ended(waiting[0])
        assert stack.client.post("/workflow", json=document).status_code == 201
