"""The memory of each process does not grow with the number of executions that wait."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.backlog_memory import resident, start_many
from tests.e2e.conftest import ODD_HANDLERS
from tests.e2e.documents import add, node, workflow
from tests.support.rigs.stack_processes import running_stack
from tests.support.waiting import wait_until

FIRST, MORE = 2_000, 4_000
GROWTH_BYTES = 12 * 1024 * 1024
"""The allowed growth of a process from 2,000 to 6,000 waiting executions. An orchestrator remembers which
plan belongs to which execution, for 10,000 at most. To keep a document, a plan or a message of each would
take at least twice as much."""
SERVER_BYTES = 10 * 1024
"""The allowed growth of the server for each waiting execution."""

WAITING = workflow(
    node("first", "test_wait", timeout=3600, seconds=3600),
    *(add(f"middle{at}", "{{ first.result }}", 1, after=["first"]) for at in range(3)),
    add("last", "{{ middle0.result }}", 1, after=["middle0", "middle1", "middle2"]),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures through Linux's /proc")
def test_memory_of_no_process_grows_with_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    """The API has accepted them, the orchestrator has dispatched them, and the worker is busy."""
    with running_stack(settings={"FLOWENGINE_HANDLERS": ODD_HANDLERS}, settles=False) as stack:
        with stack.valkey.connect() as server:
            taken = []
            for count in (FIRST, MORE):
                start_many(stack, WAITING, count)
                wait_until(lambda: not server.xlen("fe:q:orchestrator"), within_s=60, what="dispatching")
                taken.append(resident(stack, server))
            assert server.zcard("fe:index:running") == FIRST + MORE
            assert server.xlen("fe:q:worker:async") == FIRST + MORE
        children = [pid for name in ("orchestrator", "worker") for pid in stack.only(name).children()]
        assert len(children) == 2
    before, after = taken
    grown = {name: after[name] - before[name] for name in before}
    with capsys.disabled():
        told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in grown.items())
        sys.stdout.write(f"\n{MORE} more executions that wait, growth by process: {told}\n")
    assert before.keys() == after.keys()
    assert grown.pop("server") < MORE * SERVER_BYTES
    assert {name: size for name, size in grown.items() if size > GROWTH_BYTES} == {}
