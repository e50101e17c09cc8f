"""`python -m tests.benchmarks.map_orchestrators [ITEMS]`: one map under one orchestrator, and under two.

A map of ITEMS (10,000) quick items runs by turns in a stack with one orchestrator and in one with two, three
times each, beside one worker. Prints how long each takes, from its start to its end, the CPU time of all
orchestrators, and how many times the time of one orchestrator two take.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tests.benchmarks import processes
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.waiting import wait_until

ROUNDS: Final = 3
WITHIN_S: Final = 300.0


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.map_orchestrators", description=__doc__)
    parser.add_argument("items", nargs="?", type=int, default=10_000)
    items: int = parser.parse_args(arguments).items
    took: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for orchestrators, seconds in took.items():
            wall_s, cpu_s = _measured(orchestrators, items)
            seconds.append(wall_s)
            sys.stdout.write(
                f"{items} items, orchestrators: {orchestrators}, {wall_s:.2f} s, "
                f"CPU of the orchestrators {cpu_s:.2f} s\n"
            )
    ratio = statistics.median(took[2]) / statistics.median(took[1])
    sys.stdout.write(f"two take {ratio:.2f} times the time of one, by the middle of {ROUNDS} each\n")
    return 0


def _measured(orchestrators: int, items: int) -> tuple[float, float]:
    each = node("each", "set", value="{{ item }}") | {"map": {"items": f"{{{{ range({items}) }}}}"}}
    with running_stack(persistent=True) as stack:
        for _ in range(1, orchestrators):
            stack.start_service("orchestrator")
        wait_until(lambda: _serving(stack) == orchestrators, within_s=WITHIN_S, what="all orchestrators")
        stack.run(workflow(node("first", "set", value=1)))
        pids = [pid for process in stack.named("orchestrator") for pid in processes.tree(process.pid)]
        before = processes.usage(pids).cpu_s
        ended = stack.run(workflow(each), within_s=WITHIN_S)
        cpu_s = processes.usage(pids).cpu_s - before
        assert ended.status["status"] == "completed", ended.status
        began, finished = (
            datetime.fromisoformat(ended.status[name]) for name in ("started_at", "finished_at")
        )
        return (finished - began).total_seconds(), cpu_s


def _serving(stack: Stack) -> int:
    return sum(each["service"] == "orchestrator" for each in stack.client.get("/workers").json()["items"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
