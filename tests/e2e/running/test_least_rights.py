"""Services whose users have just the rights that each start asks for: enough for whatever they do later."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from flowengine.queues import own_queues_key
from flowengine.store.committing.iteration_commands import KEPT_ATTEMPTS
from flowengine.store.server_checks.needed_commands import (
    NEEDED,
    SERVICES,
    TRANSACTIONS,
    Service,
    grants,
    name_of,
)
from tests.e2e.documents import add, node, same, workflow
from tests.support.rigs.stack_processes import FLOWENGINE, START_S, Stack
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

SETTINGS = {
    "FLOWENGINE_LEASE_SECONDS": "2",
    "FLOWENGINE_SWEEP_SECONDS": "0.5",
    "FLOWENGINE_HANDLERS": "tests.e2e.odd_handlers",
}
DONE_WITHOUT = {"info", "client|id", "client|unblock"}
MANY = 20
"""Inputs of one node: their sizes are asked for before they are read."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Each service is a user of its own."""
    server = Valkey(persistent=True)
    with Stack(server, SETTINGS) as made:
        server.start()
        for service in SERVICES:
            with server.connect() as client:
                rules = grants(map(name_of, [*TRANSACTIONS, *NEEDED[service]])).split()
                client.execute_command("ACL", "SETUSER", service, "on", ">secret", "~fe:*", *rules)
        made.start_service("orchestrator", REDIS_URL=url_of(server, "orchestrator"))
        made.start_service("worker", REDIS_URL=url_of(server, "worker"))
        made.start_api(REDIS_URL=url_of(server, "api"))
        wait_until(lambda: made.checks()["worker (worker)"] == "ok", within_s=START_S, what="a worker")
        wait_until(lambda: made.checks()["orchestrator"] == "ok", within_s=START_S, what="an orchestrator")
        yield made


def url_of(server: Valkey, service: Service) -> str:
    """As that service's user."""
    return server.url.replace("://", f"://{service}:secret@")


@pytest.mark.proves("redis-forbids")
def test_least_rights_are_enough_for_a_life_of_each_service(stack: Stack) -> None:
    """Runs, failures, retries, a killed worker, an older one, sweeps, and an end in good order."""
    parents = [add(f"p{place}", place, 1) for place in range(MANY)]
    inputs = [f"{{{{ p{place}.result }}}}" for place in range(MANY)]
    names = [parent["id"] for parent in parents]
    whole = node("all", "aggregate", after=names, aggregate_type="sum", inputs=inputs)
    wide = workflow(*parents, whole)
    ran = stack.run(wide)
    assert ran.results["all"]["result"] == sum(range(1, MANY + 1))
    shown = stack.client.get(f"/workflows/{ran.status['execution_id']}/nodes/all").json()
    assert shown["config"]["inputs"] == list(range(1, MANY + 1))
    loop = {**add("loop", "{{ iteration }}", 1), "repeat": {"until": "{{ iteration == 3 }}", "collect": True}}
    assert stack.run(workflow(loop)).results["loop"] == {"result": [2, 3, 4], "iterations": 3}
    failed = stack.run(
        workflow(node("a", "compute", operation="divide", a=1, b=0), same("b", "{{ a.result }}", after=["a"]))
    )
    assert failed.status["status"] == "failed"
    execution = failed.status["execution_id"]
    for run in range(2, KEPT_ATTEMPTS + 3):  # the oldest tries are forgotten
        stack.trigger(execution)
        assert stack.ended(execution).status["run"] == run
    (before,) = stack.only("worker").children()
    os.kill(before, signal.SIGKILL)
    assert stack.run(workflow(add("a", 1, 2))).results == {"a": {"result": 3}}
    url, say = url_of(stack.valkey, "worker"), node("s", "test_say")
    older = stack.launch("older", [FLOWENGINE, "worker"], REDIS_URL=url, FLOWENGINE_HANDLERS="")
    with stack.valkey.connect() as client:
        client.zadd(own_queues_key(), {f"worker@{execution}": 1})
        wait_until(lambda: not client.exists(own_queues_key()), within_s=START_S, what="a hand-over")
        wait_until(
            lambda: older.records("broker.tasks_passed_on") or stack.run(workflow(say)) is None,
            within_s=START_S,
            what="a task that the older worker passes on",
        )
    for service in ("worker", "orchestrator"):
        stack.only(service).terminate()
        assert stack.only(service).wait() == 0
    use_keys(stack)
    assert stack.valkey.denied() - DONE_WITHOUT == set()
    assert stack.client.get("/health").json()["checks"]["redis"] == "ok"


def use_keys(stack: Stack) -> None:
    """Make a key as the API's user, sign in with it, look at keys and the audit, and revoke it."""
    url = url_of(stack.valkey, "api")
    made = stack.launch("key", [FLOWENGINE, "key", "new", "ci"], REDIS_URL=url)
    assert made.wait() == 0
    key = next(line for line in made.lines if line.startswith("key:")).split()[1]
    signed_in = stack.client.post("/session", json={"key": key})
    assert signed_in.status_code == 201, signed_in.text
    headers = {"Authorization": f"Bearer {key}"}
    for path in ("/me", "/keys", "/audit", "/settings"):
        assert stack.client.get(path, headers=headers).status_code == 200
    assert stack.client.get("/me").json()["key"] == "ci", "by the cookie"
    assert stack.client.delete("/session").json() == {"ended": True}
    assert stack.client.delete("/keys/ci", headers=headers).status_code == 200
    assert stack.client.get("/me", headers=headers).status_code == 401
