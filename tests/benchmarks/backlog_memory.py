"""`python -m tests.benchmarks.backlog_memory [COUNT]`: memory of each process while executions wait.

COUNT executions (10,000) of five nodes are accepted and started over HTTP while no worker runs; then
two workers drain them. Prints resident memory of every process: idle, with everything waiting, the
highest while draining, and afterwards. It must not grow with the number that wait.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import redis

from tests.support.rigs.stack_processes import FLOWENGINE, Process, Stack, running_stack
from tests.support.waiting import wait_until

CLIENTS: Final = 8
WITHIN_S: Final = 600.0
MIB: Final = 1024 * 1024

Figures = Mapping[str, int]


def document() -> dict[str, Any]:
    """One node, three that depend on it, one that depends on those."""
    return {
        "name": "backlog",
        "nodes": [
            _add("first", 1),
            *(_add(f"middle{at}", "{{ first.result }}", "first") for at in range(3)),
            _add("last", "{{ middle0.result }}", "middle0", "middle1", "middle2"),
        ],
    }


def _add(name: str, value: object, *parents: str) -> dict[str, Any]:
    config = {"operation": "add", "a": value, "b": 1}
    return {"id": name, "handler": "compute", "config": config, "dependencies": list(parents)}


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backlog_memory", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    count: int = parser.parse_args(arguments).count
    with running_stack(workers=0, persistent=True, settles=False) as stack, stack.valkey.connect() as db:
        _measure(stack, db, count)
    return 0


def _measure(stack: Stack, db: redis.Redis, count: int) -> None:
    idle = resident(stack, db)
    began = time.monotonic()
    start_many(stack, document(), count)
    accepted_s = time.monotonic() - began
    wait_until(lambda: db.xlen("fe:q:orchestrator") == 0, within_s=WITHIN_S, what="everything dispatched")
    waiting = resident(stack, db)
    for _ in range(2):
        stack.launch("worker", [FLOWENGINE, "worker"])
    began = time.monotonic()
    peak = dict(waiting)
    while db.zcard("fe:index:running"):
        for name, size in resident(stack, db).items():
            peak[name] = max(peak.get(name, 0), size)
        time.sleep(0.25)
        if time.monotonic() - began > WITHIN_S:
            raise TimeoutError("the backlog was not drained")
    drained_s = time.monotonic() - began
    after = resident(stack, db)
    sys.stdout.write(
        f"{count} executions of 5 nodes, accepted and started in {accepted_s:.0f} s, "
        f"drained in {drained_s:.0f} s ({5 * count / drained_s:.0f} nodes/s); resident MiB\n"
        f"{'':32}{'idle':>8}{'waiting':>9}{'draining':>10}{'after':>8}\n"
    )
    for name in peak:
        columns = (idle.get(name), waiting.get(name), peak[name], after.get(name))
        shown = ["" if size is None else f"{size / MIB:.1f}" for size in columns]
        sys.stdout.write(f"{name:32}{shown[0]:>8}{shown[1]:>9}{shown[2]:>10}{shown[3]:>8}\n")


def start_many(stack: Stack, document: dict[str, Any], count: int) -> None:
    """Accept and start so many executions over HTTP, several at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: stack.start(document), range(count)))


def resident(stack: Stack, db: redis.Redis) -> Figures:
    """Resident bytes by the name of a process."""
    server: dict[str, Any] = db.info("server")
    found = {"server": _bytes(server["process_id"])}
    for number, process in enumerate(stack.processes):
        found |= _of(process, number)
    return found


def _of(process: Process, number: int) -> Figures:
    name = f"{process.name} {number}"
    children = {f"{name}, what it supervises": _bytes(pid) for pid in process.children()}
    return {name: _bytes(process.pid), **children}


def _bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
