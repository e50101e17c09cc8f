"""Takes tasks out of the lines beside one queue whose handlers this process knows, for the queue's consumer.

A line is looked at once a second while it is there, and again at once while it gives something. What a dead
process held comes first, as in the queue itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import redis
import structlog

from flowengine.broker.leases.recoverer import Recoverer
from flowengine.broker.set_aside.handler_lines import HandlerLines
from flowengine.broker.streams.consumer_group import ConsumerGroup, RawEntry, is_missing_group
from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.timing import TIMING, Timing
from flowengine.queues import handler_line

log = structlog.stdlib.get_logger(__name__)


class Taken(NamedTuple):
    """What was taken from a line: each entry with its delivery count."""

    line: str
    entries: list[tuple[RawEntry, int]]


class LineReader:
    """For the thread of one consumer. `recoverer_of` makes what takes over a line's lapsed tasks."""

    def __init__(
        self,
        group: ConsumerGroup,
        queue: str,
        lines: HandlerLines,
        recoverer_of: Callable[[str], Recoverer],
        sign: SignOfLife,
        timing: Timing = TIMING,
    ) -> None:
        self._group = group
        self._queue = queue
        self._lines = lines
        self._recoverer_of = recoverer_of
        self._sign = sign
        self._every_s = timing.scan_every_s
        self._recoverers: dict[str, Recoverer] = {}
        self._next_look: dict[str, float] = {}
        self._not_before = 0.0

    def postpone(self, for_s: float | None = None) -> None:
        """Take nothing over for so long, a lease by default: the holders may have been cut off as well."""
        within_s = self._group.lease_ms / 1000 if for_s is None else for_s
        self._not_before = max(self._not_before, time.monotonic() + within_s)

    def take(self, most: int) -> Taken | None:
        """Up to `most` tasks of one line, or None. Raises redis.RedisError."""
        readable = self._lines.readable(self._queue)
        if not readable:
            return None
        for handler in sorted(readable, key=lambda handler: self._next_look.get(handler, 0.0)):
            now = time.monotonic()
            if self._next_look.get(handler, 0.0) > now:
                return None
            entries = self._take_from(handler, most)
            self._next_look[handler] = now if entries else now + self._every_s
            if entries:
                return Taken(handler_line(self._queue, handler), entries)
        return None

    def _take_from(self, handler: str, most: int) -> list[tuple[RawEntry, int]]:
        line = handler_line(self._queue, handler)
        try:
            taken = self._recovered(line, most) or self._read(line, most)
        except redis.ResponseError as error:
            if not is_missing_group(error):
                # It must not keep the queue itself from being read.
                log.warning("broker.line_not_read", line=line, error=str(error))
                return []
            if self._group.enter(line):
                return self._read(line, most)
            taken = []
        if not taken:
            self._lines.tidy(self._queue, handler)
        return taken

    def _read(self, line: str, most: int) -> list[tuple[RawEntry, int]]:
        self._sign.before_read(line)
        found = self._group.read(line, most, block_ms=None)
        self._sign.after_read(line, found=bool(found))
        return [(entry, 1) for entry in found]

    def stay_seen(self) -> None:
        """Nothing is read now: all threads are busy. Raises redis.RedisError."""
        for handler in self._lines.readable(self._queue):
            try:
                self._sign.give(handler_line(self._queue, handler))
            except redis.ResponseError as error:
                if not is_missing_group(error):
                    raise

    def _recovered(self, line: str, most: int) -> list[tuple[RawEntry, int]]:
        if time.monotonic() < self._not_before:
            return []
        recoverer = self._recoverers.get(line)
        if recoverer is None:
            recoverer = self._recoverers[line] = self._recoverer_of(line)
        return recoverer.take(most)
