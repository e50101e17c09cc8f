"""Redis's clock, the only one that several machines share.

Every reply that carries TIME sets it; between replies the process's monotonic clock carries it on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def milliseconds(reply: Sequence[bytes | int]) -> int:
    """The reply of TIME in milliseconds since the epoch."""
    return int(reply[0]) * 1000 + int(reply[1]) // 1000


OLD_S = 10.0


class Clock:
    """Milliseconds since the epoch as Redis counts them."""

    def __init__(self, ask: Callable[[], Sequence[bytes | int]]) -> None:
        self._ask = ask
        self._offset: float | None = None
        self._seen_at = 0.0

    @property
    def is_old(self) -> bool:
        """Whether no reply of TIME has come for a while: who talks to the server anyway should ask."""
        return time.monotonic() - self._seen_at > OLD_S

    def now(self) -> int:
        """The time by the newest reply. Asks the server only if none has been seen yet."""
        if self._offset is None:
            return self.seen(self._ask())
        return int(time.monotonic() * 1000 + self._offset)

    def seen(self, reply: Sequence[bytes | int]) -> int:
        """Set the clock by a reply of TIME; returns it in milliseconds."""
        now = milliseconds(reply)
        self._seen_at = time.monotonic()
        self._offset = now - self._seen_at * 1000
        return now
