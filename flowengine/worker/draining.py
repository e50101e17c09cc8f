"""How a worker process ends in which a handler's thread is lost: it takes nothing new, and the others finish.

The supervisor starts another process at once, and waits for this one as long as it was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog

from flowengine.broker.broker import StreamsBroker

log = structlog.stdlib.get_logger()


class Draining:
    """What the watchdog begins and looks at. `announce` tells the supervisor for how many seconds at most."""

    def __init__(self, broker: StreamsBroker, announce: Callable[[float], None]) -> None:
        self._broker = broker
        self._announce = announce
        self._until = 0.0

    def begin(self, deadlines: Iterable[float], grace_s: float) -> None:
        """Take no more messages. `deadlines` are those of the nodes that run, in monotonic seconds."""
        self._broker.stop_fetching()
        now = time.monotonic()
        within_s = max((at - now for at in deadlines), default=0.0)
        self._until = now + max(0.0, within_s) + grace_s
        log.warning("worker.draining", within_s=round(self._until - now, 1))
        self._announce(self._until - now)

    def is_over(self) -> bool:
        """Whether the outcome of everything in hand is reported, or the time is over."""
        return time.monotonic() > self._until or not any(
            delivery.unacknowledged
            for queue in self._broker.get_declared_queues()
            for delivery in self._broker.held_messages.all(queue)
        )
