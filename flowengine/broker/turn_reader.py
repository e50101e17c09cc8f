"""Reads what is new in a queue and in the crowd behind it, in turns where there is something in both.

One command reads both, and blocks on both: without a crowd it costs no command more than the queue alone.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec.structs import replace

from flowengine.broker.streams.consumer_group import ConsumerGroup, RawEntry
from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.timing import Timing

Found: TypeAlias = "list[tuple[str, list[RawEntry]]]"
"""Lines, and what was read from each, in the order in which it is to begin."""

CROWD_SEEN_TO: Final = 4
"""Signs of life in a crowd, and looks for what has lapsed there, are so much rarer than in the queue."""


def seldom(timing: Timing) -> Timing:
    """How often a crowd is seen to."""
    return replace(
        timing,
        sign_every_s=CROWD_SEEN_TO * timing.sign_every_s,
        scan_every_s=CROWD_SEEN_TO * timing.scan_every_s,
    )


class TurnReader:
    """For the thread of one consumer. `crowd`: the line behind the queue; empty: there is none.

    With `exact`, no more is read than there is room for. Without, up to twice as much, where there is much of
    both: what does not begin soon is handed back.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        queue: str,
        crowd: str,
        sign: SignOfLife,
        timing: Timing,
        *,
        exact: bool = False,
    ) -> None:
        self._group = group
        self._queue = queue
        self._crowd = crowd
        self._sign = sign
        self._crowd_sign = SignOfLife(group, seldom(timing))
        self._exact = exact
        self._both = False
        self._crowd_first = False

    def prepare(self, *, reads_suffice: bool) -> None:
        """Enter the crowd before the queue: who sends must see that it is read. Raises redis.RedisError."""
        self._crowd_sign.reads_suffice = reads_suffice
        if self._crowd:
            self._group.create(self._crowd)
            self._group.sign(self._crowd)

    def stay_seen(self) -> None:
        """Nothing is read now. Raises redis.RedisError."""
        self._sign.give(self._queue)
        if self._crowd:
            self._crowd_sign.give(self._crowd)

    def read(self, most: int, block_ms: int) -> Found:
        """What is new, up to `most` entries of each. Waits for the first. Raises redis.RedisError."""
        self._sign.before_read(self._queue)
        if not self._crowd:
            found = self._group.read(self._queue, most, block_ms)
            self._sign.after_read(self._queue, found=bool(found))
            return [(self._queue, found)] if found else []
        # A read that finds something in the queue is no sign of life in the crowd.
        self._crowd_sign.give(self._crowd)
        if self._exact and most == 1:
            if one := self._read_one():
                return one
        elif self._exact or self._both:
            most = max(1, most // 2)
        return self._read_both(most, block_ms)

    def _read_both(self, most: int, block_ms: int) -> Found:
        read = self._group.read_lines((self._queue, self._crowd), most, block_ms)
        own, crowd = read.get(self._queue, []), read.get(self._crowd, [])
        self._sign.after_read(self._queue, found=bool(own))
        if crowd or not own:
            self._crowd_sign.after_read(self._crowd, found=bool(crowd))
        self._both = bool(own and crowd)
        found = [(line, entries) for line, entries in ((self._queue, own), (self._crowd, crowd)) if entries]
        if self._both:
            self._crowd_first = not self._crowd_first
        return found[::-1] if self._both and self._crowd_first else found

    def _read_one(self) -> Found:
        """One entry, of each in turn. Waits for none."""
        lines = (self._queue, self._crowd) if self._crowd_first else (self._crowd, self._queue)
        for line in lines:
            if found := self._group.read(line, 1, None):
                self._crowd_first = line == self._crowd
                return [(line, found)]
        return []
