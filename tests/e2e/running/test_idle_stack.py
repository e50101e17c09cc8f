"""What /health says of a stack that has nothing to do, and of one that has much."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import ROOT, Stack, running_stack
from tests.support.waiting import wait_until

HANDLERS = {"FLOWENGINE_HANDLERS": "tests.e2e.run_handlers", "PYTHONPATH": str(ROOT)}
LOOKS = 32


def looks(stack: Stack) -> list[dict[str, Any]]:
    """/health, asked for some seconds: for longer than a process may be silent."""
    seen: list[dict[str, Any]] = []

    def looked() -> bool:
        seen.append(stack.client.get("/health").json())
        return len(seen) >= LOOKS

    wait_until(looked, within_s=90, every_s=0.15, what="looks at /health")
    return seen


@pytest.mark.proves("idle-consumer")
@pytest.mark.proves("nobody-serves")
@pytest.mark.proves("backlog-age")
def test_health_knows_who_works_who_waits_and_who_is_gone(tmp_path: Path) -> None:
    """Idle, with every thread busy, and after the only worker was killed."""
    gate = tmp_path / "gate"
    with running_stack(worker_options=("--threads", "1"), settings=HANDLERS, settles=False) as stack:
        assert {look["status"] for look in looks(stack)} == {"ok"}

        execution = stack.start(workflow(node("long", "test_name", file=str(gate))))
        wait_until(stack.node_is(execution, "long", "running"), what="a busy worker")
        busy = looks(stack)
        assert {look["status"] for look in busy} == {"ok"}
        assert {look["queues"]["worker"]["oldest_age_s"] for look in busy} == {None}

        worker = stack.only("worker")
        os.kill(worker.pid, signal.SIGSTOP)  # it starts no other
        for child in worker.children():
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: stack.checks()["worker (worker)"] == "none is running", what="it is missed")
        gone = stack.client.get("/health").json()
        assert gone["status"] == "degraded"
        assert gone["queues"]["worker"]["oldest_age_s"] > 0

        gate.touch()
        os.kill(worker.pid, signal.SIGCONT)
        assert stack.ended(execution).status["status"] == "completed"
        assert stack.serves()
