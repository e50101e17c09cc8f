"""The order of a run: what is measured side by side, and what alone.

Throughput is measured in rounds in which the systems take turns, so that whatever else the machine does
falls on all of them; memory with one stack at a time, since stacks share pages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.benchmarks.environments import NotInstallableError
from tests.benchmarks.findings import Backlog, Findings, Idle, Memory
from tests.benchmarks.sizes import SETTLE_S, WARM_EXECUTIONS, WARM_NODES, Sizes
from tests.benchmarks.stack import Stack, WorkloadFailedError
from tests.benchmarks.systems import System, with_two_orchestrators
from tests.benchmarks.waiting.phase import measure_flood, measure_waiting

OURS = "flowengine"
MEMORY_AFTER_S = 1.0
KILLED_AFTER_S = 0.8
RUNNING = "two orchestrators"
KILLED = "one of two orchestrators killed"
SOON_OVER = frozenset({"chain", "wide_100", "wide_1000", "map_1000"})
Say = Callable[[str], None]


def workloads(sizes: Sizes) -> dict[str, tuple[str, dict[str, int]]]:
    """Label -> the driver's workload and its arguments, in the order of a round."""
    return {
        "chain": ("chain", {"nodes": sizes.chain}),
        "fan_out": ("fan_out", {"width": sizes.fan_out}),
        "bare": ("bare", {"nodes": sizes.fan_out + 2}),
        "many": ("many", {"count": sizes.many}),
        "many_chain": ("many_chain", {"count": sizes.many}),
        "many_group": ("many_group", {"count": sizes.many}),
        "payload": ("payload", {"nodes": sizes.payload_nodes, "size": sizes.payload_bytes}),
        "wide_100": ("fan_out", {"width": sizes.hundred - 2}),
        "wide_1000": ("fan_out", {"width": sizes.thousand - 2}),
        "map_1000": ("map", {"items": sizes.thousand - 2}),
        "map_10000": ("map", {"items": 10 * sizes.thousand}),
        "deep_1000": ("chain", {"nodes": sizes.thousand}),
    }


class Run:
    """One run of the benchmark. `only`: the labels and phases to do; empty: all."""

    def __init__(self, systems: Sequence[System], sizes: Sizes, only: frozenset[str], say: Say) -> None:
        self._systems = systems
        self._sizes = sizes
        self._only = only
        self._say = say
        self.findings = Findings()

    def all(self) -> None:
        """Every phase that was asked for."""
        work = {label: what for label, what in workloads(self._sizes).items() if self._wanted(label)}
        if work or self._wanted("idle") or self._wanted("single"):
            with self._stacks(self._systems) as stacks:
                if work:
                    self._rounds(stacks, work)
                if self._wanted("idle"):
                    self._idle(stacks)
                if self._wanted("single"):
                    self._single(stacks)
        if self._wanted("memory"):
            for system in self._systems:
                self._memory(system)
        ours = [system for system in self._systems if system.name == OURS]
        if ours and self._wanted("backlog"):
            self._backlog(ours[0])
        if ours and self._wanted("lateness"):
            self._lateness(ours[0])
        if self._wanted("waiting"):
            measure_waiting(self._sizes, self.findings, self._say)
        if ours and self._wanted("flood"):
            measure_flood(self._sizes, self.findings, self._say)

    def _wanted(self, label: str) -> bool:
        return not self._only or label in self._only

    @contextmanager
    def _stacks(self, systems: Sequence[System]) -> Iterator[list[Stack]]:
        """The systems, running and warm; those that cannot run are left out and noted."""
        stacks = [Stack(system) for system in systems]
        ready: list[Stack] = []
        try:
            for stack in stacks:
                self._say(f"starting {stack.system.title}")
                try:
                    stack.start()
                    self._warm(stack)
                    ready.append(stack)
                except (NotInstallableError, WorkloadFailedError) as error:
                    self._failed(stack.system, "start", error)
            yield ready
        finally:
            for stack in stacks:
                stack.close()

    def _warm(self, stack: Stack) -> None:
        stack.ask("single")
        stack.ask("chain", nodes=WARM_NODES)
        stack.ask("fan_out", width=WARM_NODES)
        if "many" in stack.system.workloads:
            stack.ask("many", count=WARM_EXECUTIONS)

    def _failed(self, system: System, what: str, error: Exception) -> None:
        self._say(f"{system.title} could not do {what}: {error}")
        self.findings.failures[f"{system.name}/{what}"] = str(error)

    def _rounds(self, stacks: Sequence[Stack], work: dict[str, tuple[str, dict[str, int]]]) -> None:
        for number in range(self._sizes.rounds):
            self._say(f"round {number + 1} of {self._sizes.rounds}")
            for label, (workload, arguments) in work.items():
                # Each round begins with another system, so that none is always first.
                shift = number % len(stacks) if stacks else 0
                turns = [*stacks[shift:], *stacks[:shift]]
                for _ in range(self._sizes.repeats if label in SOON_OVER else 1):
                    for stack in turns:
                        if label in stack.system.workloads and number < stack.system.rounds:
                            self._sample(stack, label, workload, arguments)

    def _sample(self, stack: Stack, label: str, workload: str, arguments: dict[str, int]) -> None:
        if f"{stack.system.name}/{label}" in self.findings.failures:
            return
        try:
            samples = stack.ask(workload, **arguments)
        except WorkloadFailedError as error:
            self._failed(stack.system, label, error)
        else:
            self.findings.samples[stack.system.name, label].append(samples)

    def _idle(self, stacks: Sequence[Stack]) -> None:
        self._say(f"idle for {self._sizes.idle_s:g} s")
        time.sleep(SETTLE_S)
        before = [(s.usage().cpu_s, s.server_usage().cpu_s, s.command_count()) for s in stacks]
        began = time.monotonic()
        time.sleep(self._sizes.idle_s)
        after = [(s.usage().cpu_s, s.server_usage().cpu_s, s.command_count()) for s in stacks]
        took = time.monotonic() - began
        for stack, was, now in zip(stacks, before, after, strict=True):
            services, server, commands = (b - a for a, b in zip(was, now, strict=True))
            self.findings.idle[stack.system.name] = Idle(
                services / took * 100, server / took * 100, commands / took
            )

    def _single(self, stacks: Sequence[Stack]) -> None:
        """One node at a time; each stack rests between its turns while the others have theirs."""
        self._say(f"one node on an idle stack, {self._sizes.single_samples} times")
        time.sleep(self._sizes.single_idle_s)
        for _ in range(self._sizes.single_samples):
            for stack in stacks:
                self._sample(stack, "single", "single", {})
                time.sleep(self._sizes.single_idle_s / len(stacks))

    def _memory(self, system: System) -> None:
        self._say(f"memory of {system.title} alone")
        with self._stacks([system]) as stacks:
            for stack in stacks:
                self._sample_quietly(stack)
                self.findings.memory[system.name] = Memory(stack.usage(), stack.server_usage())

    def _sample_quietly(self, stack: Stack) -> None:
        stack.ask("fan_out", width=self._sizes.fan_out)
        if "many" in stack.system.workloads:
            stack.ask("many", count=self._sizes.many)
        time.sleep(MEMORY_AFTER_S)

    def _backlog(self, system: System) -> None:
        count = self._sizes.backlog
        self._say(f"{count} executions waiting")
        stack = Stack(system)
        try:
            stack.start(services=False)
            stored = stack.ask("store", count=count)
            stack.start_services()
            stack.send("drain", count=count)
            peaks = _Peaks(stack)
            peaks.look()
            drained = stack.answer(peaks.look)
            self.findings.backlog = Backlog(
                executions=count,
                created_bytes=stored["created_bytes"][0],
                triggered_bytes=stored["triggered_bytes"][0],
                trigger_ms=stored["trigger_ms"][0],
                pss_peak=peaks.pss,
                rss_peaks=peaks.rss,
                server_bytes=stack.server_usage().rss,
                nodes_per_s=drained["nodes"][0] / drained["seconds"][0],
            )
        except WorkloadFailedError as error:
            self._failed(system, "backlog", error)
        finally:
            stack.close()

    def _lateness(self, system: System) -> None:
        """Nodes that fail once, with two orchestrators, of which one is then killed during the pauses."""
        count = self._sizes.tries
        self._say(f"{count} nodes that fail once, and are due again after a second")
        stack = Stack(with_two_orchestrators(system))
        try:
            stack.start()
            self._warm(stack)
            self.findings.lateness[RUNNING] = stack.ask("tries_again", count=count)["late_ms"]
            stack.send("tries_again", count=count)
            time.sleep(KILLED_AFTER_S)
            stack.kill_first_service()
            self.findings.lateness[KILLED] = stack.answer()["late_ms"]
        except WorkloadFailedError as error:
            self._failed(system, "lateness", error)
        finally:
            stack.close()


class _Peaks:
    """The most memory that a stack's services were seen with: PSS of all, RSS of each process."""

    def __init__(self, stack: Stack) -> None:
        self.pss = 0
        self.rss: dict[str, int] = {}
        self._stack = stack

    def look(self) -> None:
        self.pss = max(self.pss, self._stack.usage().pss)
        for name, size in self._stack.resident().items():
            self.rss[name] = max(size, self.rss.get(name, 0))
