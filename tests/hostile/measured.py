"""Runs something hostile and holds it to its bounds: one second of CPU, 50 MB of memory.

A second is one of a machine that takes `NORMAL_S` for a fixed piece of work. What this one takes for it is
measured beside each act, so that a slow or busy machine has its own second.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

CPU_SECONDS = 1.0
MEMORY_BYTES = 50 * 1024 * 1024
TRIES = 6
NORMAL_S = 0.1
_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def bounded(
    act: Callable[[], T],
    *,
    clock: Callable[[], float] = time.thread_time,
    cpu_s: float = CPU_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> T:
    """The result of `act`. Fails if `act` takes more than `cpu_s` or `memory_bytes`.

    Memory is measured once more where the first run takes too much, as that may be what it loads.

    `cpu_s` is compared with the best of a few tries, because other processes slow the machine down, each by
    the second that the machine has just then.
    The clock counts this thread's CPU; `time.process_time` counts that of all threads, for work that other
    threads do.
    """
    result, peak, seconds = _measured(act, clock)
    if peak >= memory_bytes:
        # What the first run of all loads is not its own. What it has freed must not hide what the next takes.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        peak = _measured(act, clock)[1]
    assert peak < memory_bytes, f"took {peak / 1e6:.0f} MB"
    if seconds >= cpu_s:
        seconds /= second()
    for _ in range(TRIES - 1):
        if seconds < cpu_s:
            break
        seconds = min(seconds, _measured(act, clock)[2] / second())
    assert seconds < cpu_s, f"took {seconds:.2f} s of CPU"
    return result


def second() -> float:
    """How long a second is on this machine just now; never less than one."""
    began = time.thread_time()
    counts: dict[str, int] = {}
    for number in range(300_000):
        key = f"k{number % 1000}"
        counts[key] = counts.get(key, 0) + len(key)
    return max(1.0, (time.thread_time() - began) / NORMAL_S)


def _measured(act: Callable[[], T], clock: Callable[[], float]) -> tuple[T, int, float]:
    before = _reset_peak()
    started = clock()
    result = act()
    seconds = clock() - started
    return result, _resident("VmHWM") - before, seconds


def _reset_peak() -> int:
    """Make the kernel forget the highest resident size (proc(5), clear_refs); returns the present one."""
    if not _CLEAR_REFS.exists():
        pytest.skip("memory is measured through Linux's /proc")
    _CLEAR_REFS.write_text("5")
    return _resident("VmRSS")


def _resident(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name} in {_STATUS}")
