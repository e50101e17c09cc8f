"""Many calls that wait: how long they take, what they cost, and what becomes of quick nodes beside them.

One system at a time, each with a worker process of its own and the same service to call.
"""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from tests.benchmarks import processes
from tests.benchmarks.environments import NotInstallableError
from tests.benchmarks.findings import Findings, Flood, Waiting
from tests.benchmarks.sizes import WARM_NODES, Sizes
from tests.benchmarks.stack import Stack, WorkloadFailedError
from tests.benchmarks.systems import System
from tests.benchmarks.waiting.called import URL
from tests.benchmarks.waiting.systems import waiting_systems
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until

BEGUN_WITHIN_S = 2.0
"""So long after they were sent, all calls have begun."""


class _Peak:
    """The most memory that the processes of a stack's worker were seen with."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.rss = 0

    def look(self) -> None:
        """Now."""
        self.rss = max(self.rss, self._stack.worker_usage().rss)


def measure_waiting(sizes: Sizes, findings: Findings, say: Callable[[str], None]) -> None:
    """Each system that can be had."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.waiting.service", str(port)]
        service = processes.start(command, {}, log=Path(folder, "service.log"))
        try:
            wait_until(lambda: _listens(port), within_s=10, what="the service")
            for name, system in waiting_systems(sizes.calls).items():
                say(f"calls that wait: {name}")
                url = f"http://127.0.0.1:{port}"
                try:
                    findings.waiting[name] = _measured(_calling(system(), url), sizes)
                except (NotInstallableError, WorkloadFailedError, subprocess.SubprocessError) as error:
                    say(f"{name} could not do it: {error}")
                    findings.failures[f"{name}/waiting"] = str(error)
        finally:
            processes.stop([service])


def measure_flood(sizes: Sizes, findings: Findings, say: Callable[[str], None]) -> None:
    """Whether a node of one execution waits for many of another. Ours alone."""
    say(f"a single node beside {sizes.flood} of another execution")
    stack = Stack(waiting_systems(sizes.calls)["flowengine"]())
    try:
        stack.start()
        stack.ask("chain", nodes=WARM_NODES)
        idle = [stack.ask("single")["latencies"][0] for _ in range(WARM_NODES)]
        found = stack.ask("flood", nodes=sizes.flood)
        findings.flood = Flood(sizes.flood, found["seconds"][0], found["latencies"], idle)
    except WorkloadFailedError as error:
        findings.failures["flowengine/flood"] = str(error)
    finally:
        stack.close()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _calling(system: System, url: str) -> System:
    return replace(system, environment={**system.environment, URL: url})


def _measured(system: System, sizes: Sizes) -> Waiting:
    stack = Stack(system)
    try:
        stack.start()
        stack.ask("chain", nodes=WARM_NODES)
        stack.ask("calls", count=WARM_NODES, seconds=0)
        idle = _hops(stack, sizes)
        peak = _Peak(stack)
        before = stack.worker_usage()
        stack.send("calls", count=sizes.calls, seconds=1)
        took = stack.answer(peak.look)["seconds"][0]
        cpu_s = stack.worker_usage().cpu_s - before.cpu_s
        mapped = None
        if "mapped_calls" in system.workloads:
            mapped = stack.ask("mapped_calls", count=sizes.calls, seconds=1)["seconds"][0]
        stack.ask("begin", count=sizes.beside, seconds=sizes.beside_s)
        time.sleep(BEGUN_WITHIN_S)
        beside = _hops(stack, sizes)
        stack.ask("end")
        return Waiting(
            calls=sizes.calls,
            seconds=took,
            cpu_ms=cpu_s * 1000 / sizes.calls,
            rss=peak.rss,
            idle_hops=idle,
            beside_hops=beside,
            mapped_seconds=mapped,
        )
    finally:
        stack.close()


def _hops(stack: Stack, sizes: Sizes) -> list[float]:
    """Seconds a node of short chains, one after another."""
    found = []
    for _ in range(sizes.short_chains):
        took = stack.ask("chain", nodes=sizes.short_chain)["seconds"]
        found += [seconds / sizes.short_chain for seconds in took]
    return found
