"""Nodes of async handlers wait without a thread, a thousand in one process, through whatever befalls it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowengine.queues import WORKER_QUEUE, async_line, crowd_line, stream_key
from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import node, same, workflow
from tests.support.rigs.stack_processes import START_S, Process, Stack, running_stack
from tests.support.waiting import wait_until

PARTS = {"early": 100, "away": 200, "late": 700}
NODES = sum(PARTS.values())
GRACE_S = 3
WORKER = ("--threads", "2", "--concurrency", str(NODES), "--grace", str(GRACE_S))
LINES = [stream_key(line) for line in (async_line(WORKER_QUEUE), crowd_line(async_line(WORKER_QUEUE)))]
SETTINGS = {"FLOWENGINE_HANDLERS": ODD_HANDLERS, "FLOWENGINE_LEASE_SECONDS": "3"}
WITHIN_S = 60.0
"""A machine that is busy with other tests takes its time."""


@pytest.mark.proves(
    "waiting-nodes",
    "waiting-nodes-stopped",
    "waiting-nodes-killed",
    "waiting-nodes-frozen",
    "waiting-nodes-outage",
    "stop-without-redis",
)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_nodes_that_wait_survive_whatever_befalls_their_worker(tmp_path: Path) -> None:
    """One worker of two threads runs all of them at once, and a node that needs a thread beside them. A stop,
    a restart of the server, a worker that stands still for longer than its lease, one that is killed: all
    nodes end, each once."""
    with running_stack(workers=0, persistent=True, settings=SETTINGS) as stack:
        story = Story(stack, tmp_path)
        first = story.worker()
        wait_until(stack.serves, within_s=START_S, what="a stack that serves")
        execution = stack.start(
            workflow(
                *(
                    node(f"{part}{at}", "test_wait_for", timeout=300, path=str(tmp_path / part))
                    for part, number in PARTS.items()
                    for at in range(number)
                )
            )
        )
        story.wait_until_held_by(first, NODES)
        assert stack.run(workflow(same("quick", 1)), within_s=20).results == {"quick": {"result": [1]}}
        assert _threads_of(first) < 40
        story.wait_until_shown(first, NODES)

        # What ends within the grace is reported, the rest is handed back, uncounted.
        first.terminate()
        story.release("early")
        assert first.wait(within_s=WITHIN_S) == 0
        assert not first.records("process.killed"), "it took longer than its grace and three seconds"
        assert story.statuses(execution) == {"completed": 100, "queued": 900}
        assert {count for _, count in story.pending()} == {0}

        # The server restarts, and some nodes end meanwhile.
        second = story.worker()
        story.wait_until_held_by(second, 900)
        # What is still on its way to it would be lost with the server, and come back to another one.
        story.wait_until_shown(second, 900)
        stack.valkey.kill()
        story.release("away")
        stack.valkey.start()
        wait_until(lambda: story.statuses(execution)["completed"] == 300, within_s=WITHIN_S, what="200 more")
        assert story.holders() == {second.children()[0]: 700}

        # It stands still for longer than its lease: another takes over, and what it held stops.
        (frozen,) = second.children()
        os.kill(frozen, signal.SIGSTOP)
        third = story.worker()
        story.wait_until_held_by(third, 700)
        os.kill(frozen, signal.SIGCONT)
        wait_until(
            lambda: len(second.records("node.lease_lost")) == 700, within_s=WITHIN_S, what="the word to stop"
        )
        story.wait_until_shown(second, 0)

        # That one is killed. What was delivered twice begins one by one, in the two that are left.
        (killed,) = third.children()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: third.children() not in ([], [killed]), within_s=WITHIN_S, what="its successor")
        left = {frozen, *third.children()}
        wait_until(lambda: story.holders().keys() >= left, within_s=WITHIN_S, what="one each")
        assert story.held_by(second, third) == 2
        story.release("late")
        ended = stack.ended(execution, within_s=WITHIN_S)
        assert len(ended.results) == NODES
        assert {each["attempt"] for each in ended.status["nodes"]} == {1}
        second.terminate()
        second.wait(within_s=WITHIN_S)

        # It is told to stop while the server does not answer, and a thread of a handler's does not end.
        waits = node("waits", "test_wait_for", path=str(tmp_path / "never"))
        sleeps = node("sleeps", "test_wait_for", path=str(tmp_path / "never"), blocks_s=60)
        held = stack.start(workflow(waits, sleeps))
        story.wait_until_held_by(third, 2)
        stack.valkey.freeze()
        third.terminate()
        third.wait(within_s=WITHIN_S)
        stack.valkey.thaw()
        assert not third.records("process.killed"), "it waited for the server, or for the thread"
        stack.cancel(held)
        story.worker()


class Story:
    """One stack, its workers, and what its nodes wait for."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder

    def worker(self) -> Process:
        """One more worker, for all of the nodes."""
        return self.stack.start_service("worker", *WORKER)

    def release(self, part: str) -> None:
        """Let the nodes of this part end."""
        (self.folder / part).touch()

    def pending(self) -> list[tuple[str, int]]:
        """Of each node in the line and the crowd behind it: who holds it, and how often it was delivered."""
        with self.stack.valkey.connect() as server:
            found: Any = [server.execute_command(b"XPENDING", line, "fe", "-", "+", NODES) for line in LINES]
        return [(row[1].decode(), int(row[3])) for rows in found for row in rows]

    def holders(self) -> dict[int, int]:
        """How many nodes each process holds."""
        return dict(Counter(int(name.split("-")[-2]) for name, _ in self.pending() if "nobody" not in name))

    def held_by(self, *workers: Process) -> int:
        """How many nodes these hold together."""
        holders = self.holders()
        return sum(holders.get(pid, 0) for worker in workers for pid in worker.children())

    def wait_until_held_by(self, worker: Process, number: int) -> None:
        """Until a worker holds so many nodes."""
        what = f"{number} nodes in one process"
        wait_until(lambda: self.held_by(worker) == number, within_s=WITHIN_S, what=what)

    def wait_until_shown(self, worker: Process, number: int) -> None:
        """Until the API shows that a worker runs so many nodes."""

        def shows() -> bool:
            items = self.stack.client.get("/workers").json()["items"]
            shown = [each for each in items if each["pid"] in worker.children()]
            return [(each["async_running"], each["concurrency"]) for each in shown] == [(number, NODES)]

        wait_until(shows, within_s=WITHIN_S, what=f"{number} nodes in /workers")

    def statuses(self, execution: str) -> Counter[str]:
        """How many nodes are in each status; those that run count as queued."""
        found = Counter(each["status"] for each in self.stack.status(execution)["nodes"])
        running = found.pop("running", 0)
        return found + Counter(queued=running)


def _threads_of(process: Process) -> int:
    return len(os.listdir(f"/proc/{process.children()[0]}/task"))
