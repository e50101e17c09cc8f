"""Isolated handlers on a whole stack: they die, hang and are cancelled, and nothing else is touched."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.documents import add, node, workflow
from tests.e2e.faults.conftest import QUICK
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.waiting import wait_until

SETTINGS = {
    **QUICK,
    "FLOWENGINE_HANDLERS": f"{QUICK['FLOWENGINE_HANDLERS']},tests.e2e.isolated_handlers",
    "FLOWENGINE_SECRET_HORSE": "correct-horse-battery",
}


@pytest.mark.proves("isolated-crash", "isolated-hangs", "isolated-cancelled", "isolated-orphan")
def test_isolated_handlers_die_alone(tmp_path: Path) -> None:
    """Crashes, a hang and a cancel; then the worker is killed, and then stopped, while a handler hangs."""
    with running_stack(settings=SETTINGS) as stack:
        worker = stack.only("worker")
        (process,) = worker.children()
        ended = stack.run(
            workflow(
                node("segfault", "isolated_end", how="segfault"),
                node("exits", "isolated_end", how="exit"),
                node("hangs", "isolated_hang", timeout=1, how="keeps all"),
                node("speaks", "isolated_speak", given="{{ secrets.HORSE }}"),
                node("waits", "test_wait", seconds=2),
                add("below", 1, 1, after=["speaks"]),
            )
        )
        assert {name: error["code"] for name, error in ended.errors.items()} == {
            "segfault": "handler_crashed",
            "exits": "handler_crashed",
            "hangs": "timeout",
        }
        assert ended.results["speaks"]["result"] == "***"
        assert set(ended.results) == {"speaks", "waits", "below"}
        assert {each["attempt"] for each in ended.status["nodes"]} == {1}
        assert worker.children() == [process], "the worker's own process has ended"
        assert _said(stack, ended.status["execution_id"], "segfault") == ["last words"]
        spoken = _said(stack, ended.status["execution_id"], "speaks")
        assert spoken == ["speak.logged", "from a library", "printed by speaks", "complained", "***"]

        asks = stack.start(
            workflow(node("asks", "isolated_ask"), node("hangs", "isolated_hang", how="sleeps"))
        )
        wait_until(lambda: _said(stack, asks, "asks") == ["asks"], within_s=20, what="a handler that asks")
        stack.cancel(asks)
        cancelled = stack.ended(asks)
        assert cancelled.status["status"] == "cancelled"
        assert "ask.told" in _said(stack, asks, "asks")
        assert worker.children() == [process]

        killed = _hanging(stack, tmp_path / "killed")
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: not _runs(killed[0]), within_s=10, what="an end of the killed worker's child")
        os.kill(killed[1], signal.SIGKILL)  # what a handler has started is nobody's then
        wait_until(lambda: worker.children() not in ([], [process]), within_s=20, what="a new process")

        stopped = _hanging(stack, tmp_path / "stopped")
        worker.terminate()
        worker.wait()
        assert not any(map(_runs, stopped)), "what the stopped worker has started goes on"
        stack.start_service("worker")
        for execution in stack.client.get("/workflows?status=running").json()["items"]:
            stack.cancel(execution["execution_id"])


def _hanging(stack: Stack, folder: Path) -> list[int]:
    """The processes of a node that hangs: its handler's and one that this has started."""
    folder.mkdir()
    stack.start(workflow(node("hangs", "isolated_hang", how="keeps all", folder=str(folder))))
    wait_until((folder / "pids").exists, within_s=60, what="a handler that hangs")
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _said(stack: Stack, execution: str, name: str) -> list[str]:
    page = stack.client.get(f"/workflows/{execution}/nodes/{name}/logs").json()
    return [line["message"] for line in page["items"]]
