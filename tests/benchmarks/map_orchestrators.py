"""`python -m tests.benchmarks.map_orchestrators [ITEMS]`: a map's reports, at one orchestrator and at two.

A map with a worker is bound by the worker. So none runs here: all ITEMS (10,000) items of a map have been
sent, and their reports are written into the queue while the orchestrators stand still (SIGSTOP). Then they go
on. What is timed is their part alone, from the first report of an item to the end of the map. Two stacks take
turns, one with one orchestrator and one with two.

Prints each round, with the transactions that the server was sent (two orchestrators that refused each
other's would send more), the CPU time of the server, and that of the busiest orchestrator. The map takes at
least that long: where others keep the cores busy, its ratio says more than that of the times.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any, Final

import msgspec

from flowengine.bootstrap import build_sweep_state
from flowengine.execution.messages import Callback, ItemTry
from flowengine.execution.records import UNTOUCHED, NodeRecord
from flowengine.execution.reports import ByDelivery, Completed, Expanded, Outcome
from flowengine.settings import Settings
from flowengine.store.worker_state import RedisWorkerState
from tests.benchmarks import processes
from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack
from tests.support.waiting import wait_until

ROUNDS: Final = 5
WITHIN_S: Final = 300.0
TOGETHER: Final = 8
"""So many reports a quick group of a worker sends in one transaction."""
POLL_S: Final = 0.002


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.map_orchestrators", description=__doc__)
    parser.add_argument("items", nargs="?", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    took: dict[int, list[_Taken]] = {1: [], 2: []}
    with ExitStack() as stacks:
        measured = {
            count: _Reports(
                stacks.enter_context(running_stack(workers=0, persistent=True, settles=False)), count
            )
            for count in took
        }
        for reports in measured.values():
            reports.measure(options.items // 10)  # the first map finds connections and plans to make
        for number in range(options.rounds):
            for count in sorted(took, reverse=bool(number % 2)):
                found = measured[count].measure(options.items)
                took[count].append(found)
                sys.stdout.write(
                    f"{options.items} reports, orchestrators: {count}, {found.wall_s:.2f} s, "
                    f"CPU of the busiest {found.busiest_s:.2f} s, of the server {found.server_s:.2f} s, "
                    f"transactions: {found.transactions}\n"
                )
    wall = _ratio([each.wall_s for each in took[2]], [each.wall_s for each in took[1]])
    busiest = _ratio([each.busiest_s for each in took[2]], [each.busiest_s for each in took[1]])
    sys.stdout.write(
        f"two take {wall:.2f} times the time of one, and the busiest {busiest:.2f} times the CPU time, "
        f"by the middle of {options.rounds} each\n"
    )
    return 0


def _ratio(two: Sequence[float], one: Sequence[float]) -> float:
    return statistics.median(two) / statistics.median(one)


class _Taken(msgspec.Struct, frozen=True):
    """What the reports of a map took: until its end, CPU of the busiest orchestrator and of the server."""

    wall_s: float
    busiest_s: float
    server_s: float
    transactions: int


class _Reports:
    """A stack with so many orchestrators, and the worker that this process plays for it."""

    def __init__(self, stack: Stack, orchestrators: int) -> None:
        for _ in range(1, orchestrators):
            stack.start_service("orchestrator")
        self._stack = stack
        wait_until(lambda: self._serving() == orchestrators, within_s=WITHIN_S, what="all orchestrators")
        self._state = build_sweep_state(Settings(redis_url=stack.valkey.url))
        self._worker = RedisWorkerState(self._state)
        self._orchestrators = [processes.tree(each.pid) for each in stack.named("orchestrator")]
        self._server = [int(self._info("server")["process_id"])]

    def measure(self, items: int) -> _Taken:
        """What the reports of a new map of so many items take."""
        each = node("each", "set", value="{{ item }}")
        said = {"items": f"{{{{ range({items}) }}}}", "max_concurrent": items}
        execution = self._stack.start(workflow(each | {"map": said}))
        self._until(lambda: self._record(execution).status == "queued", "the map's task")
        values = tuple([msgspec.Raw(b"%d" % index) for index in range(items)])
        self._report(execution, [(None, Expanded(values, at_once=items))])
        self._until(lambda: self._sent(execution) == items, "all items sent")
        outcomes = [(ItemTry(index), Completed(msgspec.Raw(b'{"result":1}'))) for index in range(items)]
        self._signal(signal.SIGSTOP)
        try:
            self._report(execution, outcomes)
            before, of_server = self._cpu_s(), processes.usage(self._server).cpu_s
            sent = self._transactions()
            began = time.perf_counter()
        finally:
            self._signal(signal.SIGCONT)
        while (status := self._status(execution)) == "running":
            time.sleep(POLL_S)
        took = time.perf_counter() - began
        assert status == "completed", status
        busiest_s = max(after - cpu_s for after, cpu_s in zip(self._cpu_s(), before, strict=True))
        of_server = processes.usage(self._server).cpu_s - of_server
        return _Taken(took, busiest_s, of_server, self._transactions() - sent)

    def _report(self, execution: str, outcomes: Sequence[tuple[ItemTry | None, Outcome]]) -> None:
        now = self._state.clock.now()
        callbacks = [
            Callback(
                execution=execution,
                run=1,
                node="each",
                dispatch=1,
                attempt=1,
                by=ByDelivery(1, now, noted=False),
                finished_at=now,
                outcome=outcome,
                correlation_id="bench",
                item=item,
            )
            for item, outcome in outcomes
        ]
        for first in range(0, len(callbacks), TOGETHER):
            self._worker.report(callbacks[first : first + TOGETHER], lambda sink: None)

    def _record(self, execution: str) -> NodeRecord:
        return self._state.read_nodes(execution, ["each"]).get("each", UNTOUCHED)

    def _sent(self, execution: str) -> int:
        return self._state.map_numbers(execution, ["each"])["each"].sent

    def _status(self, execution: str) -> str:
        found = self._state.read_execution(execution)
        return "gone" if found is None else found.control.status

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, within_s=WITHIN_S, what=what)

    def _serving(self) -> int:
        listed = self._stack.client.get("/workers").json()["items"]
        return sum(each["service"] == "orchestrator" for each in listed)

    def _transactions(self) -> int:
        return int(self._info("commandstats")["cmdstat_exec"]["calls"])

    def _info(self, section: str) -> dict[str, Any]:
        with self._stack.valkey.connect() as client:
            found: dict[str, Any] = client.info(section)
            return found

    def _cpu_s(self) -> list[float]:
        return [processes.usage(pids).cpu_s for pids in self._orchestrators]

    def _signal(self, number: signal.Signals) -> None:
        for pid in chain.from_iterable(self._orchestrators):
            os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
