"""Removes consumers whose processes are gone: a list of thousands would cost everybody who looks at it.

One process at a time looks, and removes what it has found a few consumers at a time. Only a consumer that has
given no sign of life for minutes, and has nothing pending, is removed. One that lives after all is made
again by its next read, under its own name, and loses nothing. Names are never used again, so nobody else can
come in its place.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import redis
import structlog

from flowengine.broker.streams.consumer_group import ConsumerGroup, is_missing_group
from flowengine.broker.timing import TIMING, Timing
from flowengine.queues import NOBODY, janitor_key

AT_ONCE: Final = 100
"""So many consumers are removed in one turn."""

STRAYS_AT_ONCE: Final = 20

NAMES_LOGGED: Final = 3

log = structlog.stdlib.get_logger(__name__)


class Janitor:
    """For the queues of one process. Called by the thread that keeps its leases, with each renewal."""

    def __init__(self, group: ConsumerGroup, timing: Timing = TIMING) -> None:
        self._group = group
        self._silent_ms = timing.remove_silent_s * 1000
        self._every_s = min(timing.removal_check_s, timing.remove_silent_s / 2)
        self._next_look: dict[str, float] = {}
        self._gone: dict[str, deque[bytes]] = {}

    def turn(self, queue: str, *beside: str) -> None:
        """Remove some consumers that are gone, of a queue and of lines beside it.

        Raises redis.RedisError if the server cannot be reached.
        """
        line = queue
        try:
            looks = not self._gone.get(queue) and self._is_due(queue)
            for line in (queue, *beside):
                self._turn(line, looks=looks)
        except redis.exceptions.ReadOnlyError:
            raise
        except redis.ResponseError as error:
            self._gone.pop(line, None)
            if not is_missing_group(error):
                log.warning("broker.consumers_not_removed", queue=line, error=str(error))

    def _turn(self, queue: str, *, looks: bool) -> None:
        gone = self._gone.setdefault(queue, deque())
        if not gone and looks:
            gone.extend(self._silent(queue))
            if strays := self._group.adopt_strays(queue, STRAYS_AT_ONCE):
                log.error("broker.strays_found", queue=queue, entries=[each.decode() for each in strays[:3]])
        chosen = [gone.popleft() for _ in range(min(AT_ONCE, len(gone)))]
        if not chosen:
            return
        holders = set(self._group.holders(queue, chosen))
        removed = [consumer for consumer in chosen if consumer not in holders]
        for consumer in removed:
            self._group.remove_consumer(queue, consumer)
        shown = [consumer.decode(errors="replace") for consumer in removed[:NAMES_LOGGED]]
        log.info("broker.consumers_removed", queue=queue, count=len(removed), consumers=shown)

    def _is_due(self, queue: str) -> bool:
        now = time.monotonic()
        if now < self._next_look.setdefault(queue, now + self._every_s):
            return False
        self._next_look[queue] = now + self._every_s
        return self._group.takes_turn(
            janitor_key(queue, self._group.partition), max(1, int(self._every_s * 1000))
        )

    def _silent(self, queue: str) -> list[bytes]:
        """The consumers that have given no sign of life for long, and have nothing pending."""
        kept = (self._group.consumer, NOBODY.encode())
        return [
            consumer["name"]
            for consumer in self._group.consumers(queue)
            if consumer["idle"] >= self._silent_ms
            and not consumer["pending"]
            and consumer["name"] not in kept
        ]
