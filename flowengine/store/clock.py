"""Redis's clock, the only one that several machines share.

Every reply that carries TIME sets it; between replies the process's monotonic clock carries it on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def milliseconds(reply: Sequence[bytes | int]) -> int:
    """The reply of TIME in milliseconds since the epoch."""
    return int(reply[0]) * 1000 + int(reply[1]) // 1000


class Clock:
    """Milliseconds since the epoch as Redis counts them."""

    def __init__(self, ask: Callable[[], Sequence[bytes | int]]) -> None:
        self._ask = ask
        self._offset: float | None = None

    def now(self) -> int:
        """The time by the newest reply. Asks the server only if none has been seen yet."""
        if self._offset is None:
            return self.seen(self._ask())
        return int(time.monotonic() * 1000 + self._offset)

    def seen(self, reply: Sequence[bytes | int]) -> int:
        """Set the clock by a reply of TIME; returns it in milliseconds."""
        now = milliseconds(reply)
        self._offset = now - time.monotonic() * 1000
        return now
