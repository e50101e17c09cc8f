"""Says once a second under the consumer's name that its process lives, where nothing else has said so.

What a consumer gets or claims is noted by the server, and so is a read that finds nothing, from Redis 7.2 on.
A sign of its own is due on older servers, and while all threads are busy, so that nothing is read. Busy
consumers that read and get something never send one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.timing import TIMING, Timing


class SignOfLife:
    """The signs of one consumer in the groups of its queue and of the lines beside it. Not thread-safe."""

    def __init__(self, group: ConsumerGroup, timing: Timing = TIMING) -> None:
        self._group = group
        self._every_s = timing.sign_every_s
        self._due: dict[str, float] = {}
        self._none_due_until = 0.0
        """Before that, `give_all` need not ask for any line."""
        self.reads_suffice = False
        """Whether the server notes a read that finds nothing."""

    def noted(self, line: str) -> None:
        """The server has just noted this consumer in the group of this line."""
        self._due[line] = time.monotonic() + self._every_s

    def before_read(self, line: str) -> None:
        """Give a sign if one is due and the read that follows is none. Raises redis.RedisError."""
        if not self.reads_suffice:
            self.give(line)

    def after_read(self, line: str, *, found: bool) -> None:
        """A read has ended."""
        if found or self.reads_suffice:
            self.noted(line)

    def give_all(self, lines: Sequence[str]) -> None:
        """Give those signs that are due: always of the same lines. Raises redis.RedisError."""
        if time.monotonic() < self._none_due_until:
            return
        for line in lines:
            self.give(line)
        self._none_due_until = min((self._due[line] for line in lines), default=0.0)

    def give(self, line: str) -> None:
        """Give a sign if one is due. Raises redis.RedisError."""
        if self._due.get(line, 0.0) <= time.monotonic():
            self._group.sign(line)
            self.noted(line)
