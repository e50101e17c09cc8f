"""What something costs, on a machine that does other things beside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

TRIES: Final = 5
"""Others slow a machine down, and never speed it up: one try of these that is cheap shows what it costs."""


def least_cpu_s(
    act: Callable[[], object], *, below: float, clock: Callable[[], float] = time.thread_time
) -> float:
    """The seconds of CPU that it takes at best; no further try is made once they are `below` this.

    The clock counts this thread's CPU; `time.process_time` counts that of all threads.
    """
    least = float("inf")
    for _ in range(TRIES):
        began = clock()
        act()
        least = min(least, clock() - began)
        if least < below:
            break
    return least
