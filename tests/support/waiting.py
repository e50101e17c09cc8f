"""Wait on a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.05
GROWS_BY: Final = 1.2
"""Looks may cost a request each, which takes the time of what is waited for: the longer, the fewer."""


def wait_until(
    condition: Callable[[], object],
    *,
    within_s: float = 30.0,
    what: str = "the condition",
    every_s: float | None = None,
) -> None:
    """Return once `condition()` is true; AssertionError naming `what` when it is not within `within_s`.

    A wait ends when its condition is true: the limit is there for what never comes, on a busy machine too.

    `every_s`: the pause between two looks; if not told, it grows from 5 to 50 ms.
    """
    deadline = time.monotonic() + within_s
    pause = FIRST_PAUSE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s} s")
        time.sleep(pause if every_s is None else every_s)
        pause = min(LONGEST_PAUSE_S, pause * GROWS_BY)
