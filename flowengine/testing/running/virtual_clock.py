"""A clock that stands still until somebody moves it. Waits, back-off and timeouts take no time by it."""

from __future__ import annotations

from collections.abc import Sequence

from flowengine.store.connection.clock import Clock


class VirtualClock(Clock):
    """Milliseconds since the epoch, from `now` on. What a server says of its time does not set it."""

    is_old = False

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """The time."""
        return self._now

    def seen(self, reply: Sequence[bytes | int]) -> int:
        """The time, whatever the reply says."""
        return self._now

    def move(self, to: int) -> None:
        """It is so late now. Time does not go back."""
        self._now = max(self._now, to)
