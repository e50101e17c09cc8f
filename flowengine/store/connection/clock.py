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
"""Seconds for which the best estimate is kept; then the next reply counts, whatever it says."""


class Clock:
    """Milliseconds since the epoch as Redis counts them. `here` counts this machine's seconds.

    A reply is late by its way back, so each sets the clock slow by that: of those within `OLD_S` the one
    that was least late counts.
    """

    def __init__(
        self, ask: Callable[[], Sequence[bytes | int]], here: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._here = here
        self._offset: float | None = None
        self._set_at = 0.0

    @property
    def is_old(self) -> bool:
        """Whether the clock was set long ago: who talks to the server anyway should ask for TIME."""
        return self._here() - self._set_at > OLD_S

    def now(self) -> int:
        """The time by the best reply. Asks the server only if none has been seen yet."""
        if self._offset is None:
            return self.seen(self._ask())
        return int(self._here() * 1000 + self._offset)

    def seen(self, reply: Sequence[bytes | int]) -> int:
        """Set the clock by a reply of TIME; returns it in milliseconds."""
        here = self._here()
        offset = int(reply[0]) * 1000 + int(reply[1]) / 1000 - here * 1000
        if self._offset is None or offset > self._offset or self.is_old:
            self._offset, self._set_at = offset, here
        return milliseconds(reply)
