"""The primary moves to another server under load: what was accepted goes on, with the same processes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.documents import add, workflow
from tests.support.rigs.stack_processes import START_S, Stack
from tests.support.servers.tcp_proxy import TcpProxy, proxying
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

ACCEPTED_FIRST = 30
ACCEPTED_AFTERWARDS = 30
SETTINGS = {"FLOWENGINE_LEASE_SECONDS": "2", "FLOWENGINE_SWEEP_SECONDS": "2"}
CHAIN = workflow(add("a", 1, 2), add("b", "{{ a.result }}", 1, after=["a"]))


class Pair:
    """A primary and its replica, and the address that follows the primary."""

    def __init__(self, primary: Valkey, replica: Valkey, proxy: TcpProxy) -> None:
        self.primary = primary
        self.replica = replica
        self.proxy = proxy

    def fail_over(self) -> None:
        """As operating.md plans it, and then the address leads to the new primary."""
        with self.primary.connect() as client:
            client.execute_command("FAILOVER", "TO", "127.0.0.1", self.replica.port, "TIMEOUT", 10_000)
        with self.replica.connect() as client:
            wait_until(lambda: client.info("replication")["role"] == "master", what="the replica's promotion")
        self.proxy.lead_to(self.replica.port)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as opened:
        servers = [Valkey(persistent=True) for _ in range(2)]
        for server in servers:
            opened.callback(server.close)
            server.start()
        primary, replica = servers
        with replica.connect() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield Pair(primary, replica, opened.enter_context(proxying(primary.port)))


class Caller(threading.Thread):
    """Posts and triggers one workflow after the other, until it is told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.refused = 0
        self._url = url
        self._stopped = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._stopped.is_set():
                self._start_one(client)

    def _start_one(self, client: httpx.Client) -> None:
        created = client.post("/workflow", json=CHAIN)
        if created.status_code == 201:
            execution = created.json()["execution_id"]
            # A trigger that was answered 503 may have been applied: 409 says so.
            while (answer := client.post(f"/workflow/trigger/{execution}")).status_code == 503:
                self.refused += 1
            assert answer.status_code in (202, 409), answer.text
            self.accepted.append(execution)
        else:
            assert created.status_code == 503, created.text
            self.refused += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)


@pytest.mark.proves("primary-moves")
def test_planned_fail_over_loses_nothing(pair: Pair) -> None:
    """Each execution that was accepted completes on the new primary."""
    with Stack(pair.primary, {**SETTINGS, "REDIS_URL": f"redis://127.0.0.1:{pair.proxy.port}/0"}) as stack:
        stack.start_service("orchestrator")
        stack.start_service("worker")
        stack.start_api()
        wait_until(stack.serves, within_s=START_S, what="a stack that serves")
        children = [stack.only(name).children() for name in ("orchestrator", "worker")]
        caller = Caller(stack.url)
        caller.start()
        wait_until(lambda: len(caller.accepted) >= ACCEPTED_FIRST, within_s=60)
        pair.fail_over()
        moved_at = len(caller.accepted)
        wait_until(lambda: len(caller.accepted) >= moved_at + ACCEPTED_AFTERWARDS, within_s=60)
        caller.stop()
        for execution in caller.accepted:
            assert stack.ended(execution).status["status"] == "completed"
        assert [stack.only(name).children() for name in ("orchestrator", "worker")] == children
