"""How a workload's last task says that it ran: it pushes a mark onto a list, and the driver waits there.

The same for every system, and cheaper than each one's own way of waiting, so that what is measured is
the system and not its client.
"""

from __future__ import annotations

import time
import uuid
from functools import cache

import redis

from tests.benchmarks.drivers.lines import redis_url

KEY = "bench:marks"
WITHIN_S = 120.0
CONNECTIONS = 10_000
"""A client allows a hundred by itself."""


@cache
def client() -> redis.Redis:
    """One client a process, for as many threads as leave marks at once."""
    return redis.Redis.from_url(redis_url(), protocol=2, max_connections=CONNECTIONS)


def fresh() -> str:
    """A mark that was never used."""
    return uuid.uuid4().hex


def leave(mark: str) -> None:
    """Called by the last task of an execution."""
    client().execute_command("RPUSH", KEY, mark)


def arrivals(marks: set[str], within_s: float = WITHIN_S) -> dict[str, float]:
    """When each mark arrived, on `time.perf_counter`. Raises TimeoutError."""
    missing = set(marks)
    found: dict[str, float] = {}
    deadline = time.monotonic() + within_s
    while missing:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{len(missing)} of {len(marks)} executions did not end within {within_s:g} s")
        popped = client().execute_command("BLPOP", KEY, min(1.0, left))
        if popped is None:
            continue
        more = client().execute_command("LPOP", KEY, 1000) or []
        now = time.perf_counter()
        for raw in (popped[1], *more):
            mark = raw.decode()
            if mark in missing:
                missing.discard(mark)
                found[mark] = now
    return found


def timed(mark: str, began: float) -> float:
    """Seconds from `began` to the arrival of one mark."""
    return arrivals({mark})[mark] - began
