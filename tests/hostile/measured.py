"""Runs something hostile and holds it to its bounds: one second of CPU, 50 MB of memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CPU_SECONDS = 1.0
MEMORY_BYTES = 50 * 1024 * 1024
TRIES = 3


def bounded(act: Callable[[], T]) -> T:
    """What `act` returns; fails when it takes more than its bounds.

    Time is the best of a few tries, of this thread's CPU: other processes slow the machine down, not the
    code. Memory is measured in a run of its own, because measuring it takes time.
    """
    tracemalloc.start()
    try:
        result = act()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_BYTES, f"took {peak / 1e6:.0f} MB"
    taken: list[float] = []
    for _ in range(TRIES):
        started = time.thread_time()
        act()
        taken.append(time.thread_time() - started)
        if taken[-1] < CPU_SECONDS:
            return result
    raise AssertionError(f"took {min(taken):.2f} s of CPU")
