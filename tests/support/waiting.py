"""Wait on a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object],
    *,
    within_s: float = 15.0,
    what: str = "the condition",
    every_s: float = 0.005,
) -> None:
    """Return once `condition()` is true; AssertionError naming `what` when it is not within `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s")
        time.sleep(every_s)
