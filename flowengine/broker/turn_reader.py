"""Reads what is new in a queue and in the lines beside it that its processes read, in turns where there is
something in several.

One command reads all of them, and blocks on all: with nothing in the others it costs no command more than the
queue alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.broker.streams.consumer_group import ConsumerGroup, RawEntry
from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.timing import Timing

Found: TypeAlias = "list[tuple[str, list[RawEntry]]]"
"""Lines, and what was read from each, in the order in which it is to begin."""

BESIDE_SEEN_TO: Final = 4
"""Signs of life beside a queue, and looks for what has lapsed there, are so much rarer than in the queue."""

OTHERS_TO_ONE_LOW: Final = 9
HIGH_TO_ONE_OTHER: Final = 2
"""Where there is more of everything than can run: one in ten is of low priority, and a third of the others is
of normal priority."""


def seldom(timing: Timing) -> Timing:
    """How often the lines beside a queue are seen to."""
    return replace(
        timing,
        sign_every_s=BESIDE_SEEN_TO * timing.sign_every_s,
        scan_every_s=BESIDE_SEEN_TO * timing.scan_every_s,
    )


class Beside(msgspec.Struct, frozen=True):
    """The lines beside a queue, empty where there is none: the crowd behind it, and those of executions of
    high and of low priority."""

    crowd: str = ""
    high: str = ""
    low: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple([line for line in (self.crowd, self.high, self.low) if line])


class _Share:
    """Two that take turns: the second gets one for each `to_one` of the first. Only what is taken while both
    have something counts."""

    def __init__(self, to_one: int) -> None:
        self._to_one = to_one
        self.calm()

    def calm(self) -> None:
        """They have nothing to share."""
        self._both = False
        self._first = self._second = 0

    def is_of_second(self, *, first: bool, second: bool) -> bool:
        """Whose turn it is, of those that have something."""
        if not (first and second):
            self.calm()
            return second
        self._both = True
        return self._second * self._to_one < self._first

    def took(self, count: int, *, second: bool) -> None:
        """So many were taken of one of them."""
        if self._both and second:
            self._second += count
        elif self._both:
            self._first += count


class Turns:
    """Whose turn it is among the lines of one queue that have more than is read at a time. Pure: it counts
    entries, and knows no time."""

    def __init__(self, queue: str, beside: Beside) -> None:
        self._queue = queue
        self._beside = beside
        self._low = _Share(OTHERS_TO_ONE_LOW)
        self._high = _Share(HIGH_TO_ONE_OTHER)
        self._crowd = _Share(1)
        self._counting = False

    def next(self, full: Iterable[str]) -> str:
        """The line whose turn it is, of these: one at least."""
        self._counting = True
        there = frozenset(full)
        high, low = self._beside.high in there, self._beside.low in there
        own, crowd = self._queue in there, self._beside.crowd in there
        if self._low.is_of_second(first=high or own or crowd, second=low):
            return self._beside.low
        if not self._high.is_of_second(first=high, second=own or crowd):
            return self._beside.high
        return self._beside.crowd if self._crowd.is_of_second(first=own, second=crowd) else self._queue

    def calm(self) -> None:
        """No line has more than is read."""
        if self._counting:
            self._counting = False
            for share in (self._low, self._high, self._crowd):
                share.calm()

    def took(self, line: str, count: int) -> None:
        """So many entries of a line were read."""
        if not self._counting:
            return
        self._low.took(count, second=line == self._beside.low)
        if line == self._beside.low:
            return
        self._high.took(count, second=line != self._beside.high)
        if line != self._beside.high:
            self._crowd.took(count, second=line == self._beside.crowd)


class TurnReader:
    """For the thread of one consumer. `beside`: the lines beside the queue that it reads with it.

    With `exact`, no more is given than there is room for. Without, up to so much of each line, where there
    comes much in several at once: what does not begin soon is handed back.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        queue: str,
        beside: Beside,
        sign: SignOfLife,
        timing: Timing,
        *,
        exact: bool = False,
    ) -> None:
        self._group = group
        self._queue = queue
        self._beside = beside.lines
        # What is read of several lines begins in this order, but for what there is more of than was read.
        self._lines = tuple([line for line in (beside.high, queue, beside.crowd, beside.low) if line])
        self._sign = sign
        self._sign_beside = SignOfLife(group, seldom(timing))
        self._exact = exact
        self._low = beside.low
        self._turns = Turns(queue, beside)
        self._full: dict[str, None] = {}
        """The lines that had as much as was asked for when they were read last, and may have more."""

    def prepare(self, *, reads_suffice: bool) -> None:
        """Enter the lines before the queue: who sends must see who reads them. Raises redis.RedisError."""
        self._sign_beside.reads_suffice = reads_suffice
        for line in self._beside:
            self._group.create(line)
            self._group.sign(line)

    def stay_seen(self) -> None:
        """Nothing is read now. Raises redis.RedisError."""
        self._sign.give(self._queue)
        self._sign_beside.give_all(self._beside)

    def read(self, most: int, block_ms: int) -> Found:
        """What is new, up to `most` entries of a line. Waits for the first. Raises redis.RedisError."""
        self._sign.before_read(self._queue)
        if not self._beside:
            found = self._group.read(self._queue, most, block_ms)
            self._sign.after_read(self._queue, found=bool(found))
            return [(self._queue, found)] if found else []
        # A read that finds something in one line is no sign of life in the others.
        self._sign_beside.give_all(self._beside)
        if ready := self._read_at_once(most):
            return ready
        if not self._full:
            self._turns.calm()
        return self._read(self._in_turn(), most, block_ms)

    def _read_at_once(self, most: int) -> Found:
        """What is there where not all lines are read together. Nothing is waited for meanwhile: it might come
        in a line that is left out."""
        if self._exact and most < len(self._lines):
            # There is no room for an entry of each: one after the other has its turn.
            left = dict.fromkeys(self._lines)
            while left:
                line = self._turns.next(left)
                if found := self._read((line,), most, None):
                    return found
                del left[line]
        while len(self._full) > 1:
            if found := self._read(self._in_turn(), most, None):
                return found
        return []

    def _in_turn(self) -> tuple[str, ...]:
        """The line whose turn it is, and those of which all was read last, as they are to begin."""
        if not self._full:
            return self._lines
        chosen = self._turns.next(self._full)
        others = [line for line in self._lines if line not in self._full]
        return (chosen, *others) if chosen == self._lines[0] else (*others, chosen)

    def _read(self, lines: tuple[str, ...], most: int, block_ms: int | None) -> Found:
        """What is new in these lines, to begin in their order."""
        count = max(1, most // 2) if self._exact else most
        read = self._group.read_lines(lines, count, block_ms)
        # Of the others there is nothing to note: they had less than was asked for before as well.
        for line in read if read and not self._full else lines:
            self._note(line, read.get(line, []), count, nothing=not read)
        found = [(line, read[line]) for line in lines if read.get(line)]
        return self._within(found, most) if self._exact else found

    def _within(self, found: Found, most: int) -> Found:
        """As much as there is room for. What was read beyond that, where there was much in several lines at
        once, is handed back uncounted."""
        kept: Found = []
        for line, entries in found:
            fits, beyond = entries[: max(0, most)], entries[max(0, most) :]
            most -= len(fits)
            if fits:
                kept.append((line, fits))
            if beyond:
                self._group.hand_back(line, {entry[0]: 0 for entry in beyond}, lapses_in_ms=0)
        return kept

    def _note(self, line: str, found: Sequence[RawEntry], count: int, *, nothing: bool) -> None:
        # What is of low priority takes turns as soon as there is any: else some would begin with each read.
        if len(found) >= (1 if line == self._low else count):
            self._full[line] = None
        else:
            self._full.pop(line, None)
        if found:
            self._turns.took(line, len(found))
        if found or nothing:
            sign = self._sign if line == self._queue else self._sign_beside
            sign.after_read(line, found=bool(found))
