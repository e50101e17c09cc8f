"""What a run found, before anything is made of it."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from tests.benchmarks.drivers.lines import Samples
from tests.benchmarks.processes import Usage


class Idle(msgspec.Struct, frozen=True):
    """CPU of one core, in percent, that a stack and its server took while nothing was to do."""

    services_percent: float
    server_percent: float
    commands_per_s: float


class Memory(msgspec.Struct, frozen=True):
    """A warm stack that runs alone, and its server."""

    services: Usage
    server: Usage


class Backlog(msgspec.Struct, frozen=True):
    """Executions of five nodes that wait: bytes each in Redis, and what draining them took.

    `pss_peak`: of all services together while draining; `rss_peaks`: of each process by its name.
    `nodes_per_s`: from the first task on.
    """

    executions: int
    created_bytes: float
    triggered_bytes: float
    trigger_ms: float
    pss_peak: int
    rss_peaks: dict[str, int]
    server_bytes: int
    nodes_per_s: float


class Waiting(msgspec.Struct, frozen=True):
    """Calls that wait. `cpu_ms`: of the worker, a call; `rss`: its most, in bytes. Hops: seconds a quick node
    took in chains, on the idle stack and while calls waited. `mapped_seconds`: for the calls as the items of
    a map, of a system that has maps."""

    calls: int
    seconds: float
    cpu_ms: float
    rss: int
    idle_hops: list[float]
    beside_hops: list[float]
    mapped_seconds: float | None = None


class Flood(msgspec.Struct, frozen=True):
    """Many nodes of one execution that take so many seconds, and what a single node of another took beside
    them, and on the idle stack, in seconds."""

    nodes: int
    seconds: float
    beside: list[float]
    idle: list[float]


class Findings:
    """By system and workload; `failures` holds what a system could not do.

    `lateness`: by how many milliseconds our second tries came later than they were due, by what happened.
    """

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[Samples]] = defaultdict(list)
        self.idle: dict[str, Idle] = {}
        self.memory: dict[str, Memory] = {}
        self.backlog: Backlog | None = None
        self.lateness: dict[str, list[float]] = {}
        self.flood: Flood | None = None
        self.waiting: dict[str, Waiting] = {}
        self.failures: dict[str, str] = {}

    def seconds(self, system: str, workload: str) -> list[float]:
        """How long each round took."""
        return [found["seconds"][0] for found in self.samples.get((system, workload), ())]

    def latencies(self, system: str, workload: str) -> list[list[float]]:
        """From trigger to end, for each execution of each round."""
        return [found["latencies"] for found in self.samples.get((system, workload), ())]

    def as_json(self) -> bytes:
        """Everything, for other programs."""
        return msgspec.json.encode(
            {
                "samples": {"/".join(key): found for key, found in self.samples.items()},
                "idle": self.idle,
                "memory": self.memory,
                "backlog": self.backlog,
                "lateness": self.lateness,
                "waiting": self.waiting,
                "flood": self.flood,
                "failures": self.failures,
            }
        )
