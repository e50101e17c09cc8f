"""How long what could not be reported stays away before it runs again.

A server may let messages be fetched and refuse what settles them: it has no memory left, or the process has
no right. What is handed back at once would run again and again meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FORGOTTEN_AFTER: Final = 2
"""A failure that is so many times as long ago as the longest pause is one of another outage."""


class OutagePause:
    """As long as nothing could be reported, `most_s` at most. Any thread may call it."""

    def __init__(self, most_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_s = most_s
        self._clock = clock
        self._since: float | None = None
        self._last = 0.0

    def after_failure(self) -> float:
        """A report has failed: for how many seconds its messages stay away."""
        now, since = self._clock(), self._since
        if since is None or now - self._last > FORGOTTEN_AFTER * self._most_s:
            since = now
        self._since, self._last = since, now
        return min(self._most_s, now - since)

    def succeeded(self) -> None:
        """Something was reported."""
        self._since = None
