"""Fencing: a worker that was stopped for longer than its lease cannot overwrite what came after it."""

from __future__ import annotations

import os
import signal
import threading

import msgspec
import pytest

from tests.e2e.documents import add, node, workflow
from tests.support.checks.invariants import check_everything
from tests.support.rigs.stack_processes import running_stack
from tests.support.servers.http_server import json_reply, serving
from tests.support.waiting import wait_until

SETTINGS = {"FLOWENGINE_LEASE_SECONDS": "1", "FLOWENGINE_LOG_LEVEL": "info"}


@pytest.mark.proves("worker-frozen")
@pytest.mark.slow
def test_a_worker_stopped_for_longer_than_its_lease_overwrites_nothing() -> None:
    """SIGSTOP while its node calls a service, SIGCONT when another worker has done the work: its late
    answer is logged as stale, and results and events stay as they were."""
    with serving() as service, running_stack(settings=SETTINGS) as stack:
        stopped = threading.Event()
        service.answers(
            "/work",
            msgspec.structs.replace(json_reply("of the first"), until=stopped),
            json_reply("of the second"),
        )
        (slow,) = stack.only("worker").children()
        document = workflow(
            node("call", "http_request", url=service.url("/work")),
            add("after", 1, "{{ call.status_code }}", after=["call"]),
        )
        execution = stack.start(document)
        wait_until(lambda: service.count("/work") == 1, what="the node's start")
        os.kill(slow, signal.SIGSTOP)
        stopped.set()
        stack.start_service("worker")
        before = stack.ended(execution, within_s=30)
        with stack.valkey.connect() as client:
            events = client.xrange(f"fe:x:{execution}:events")
            os.kill(slow, signal.SIGCONT)
            orchestrator = stack.only("orchestrator")
            wait_until(lambda: orchestrator.records("callback.stale"), within_s=20, what="the late callback")
            (late,) = orchestrator.records("callback.stale")
            wait_until(lambda: not client.xlen("fe:q:orchestrator"), what="its acknowledgement")
            assert client.xrange(f"fe:x:{execution}:events") == events
            check_everything(client)
        assert (late["execution_id"], late["node_id"], late["delivery"]) == (execution, "call", 1)
        assert before.results["call"]["data"] == "of the second"
        assert stack.ended(execution) == before
