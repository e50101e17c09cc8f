"""How a worker process ends in which a handler's thread is lost: it takes nothing new, and the others finish.

The supervisor starts another process at once, and waits for this one as long as it was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Delivery
from flowengine.broker.streams.wire import UndecodablePayloadError
from flowengine.execution.messages import Payload, RunNode

DELIVERY_S: Final = 20.0

log = structlog.stdlib.get_logger()


class Draining:
    """What the watchdog begins and looks at. `announce` tells the supervisor for how many seconds at most."""

    def __init__(self, broker: StreamsBroker, announce: Callable[[float], None]) -> None:
        self._broker = broker
        self._announce = announce
        self._until = 0.0

    def begin(self, grace_s: float) -> None:
        """Take no more messages. What is held may take its whole time, and the grace after that."""
        self._broker.stop_fetching()
        within_s = max(map(_longest_s, self._unfinished()), default=0.0) + grace_s
        self._until = time.monotonic() + within_s
        log.warning("worker.draining", within_s=round(within_s, 1))
        self._announce(within_s)

    def is_over(self) -> bool:
        """Whether the outcome of everything in hand is reported, or the time is over."""
        return time.monotonic() > self._until or next(self._unfinished(), None) is None

    def _unfinished(self) -> Iterator[Delivery]:
        """What this process holds and has not reported: also what is about to begin, which no list of
        running nodes has yet."""
        for queue in self._broker.get_declared_queues():
            for delivery in self._broker.held_messages.all(queue):
                if delivery.unacknowledged:
                    yield delivery


def _longest_s(delivery: Delivery) -> float:
    """The most that one of its nodes may take, in seconds."""
    try:
        held = delivery.held() if delivery.engine else []
    except UndecodablePayloadError:  # it is about to be buried
        held = []
    return max((_takes_s(each.payload) for each in held), default=0.0)


def _takes_s(payload: Payload) -> float:
    """The most that this may take: a node its time, the sending of results less than its lease is long."""
    return payload.timeout_ms / 1000 if isinstance(payload, RunNode) else DELIVERY_S
