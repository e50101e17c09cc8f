"""How many messages a process may hold at once that are suspected of killing their worker.

First one, alone: if it kills again, no other is suspected with it. Each one that ends well lets the process
hold one more, so that a thousand innocents do not follow one another: 1, 2, 4, 8 and so on at once. What is
taken beside others does not count as a delivery: a killer among them brings back all of them, and the next
process begins with one alone. Only what has killed alone comes to the limit of deliveries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from flowengine.broker.delivery import Entry
from flowengine.queues import is_at

FORGOTTEN_AFTER_S: Final = 10.0
"""When none was held for so long, the process begins with one again: what it saw says nothing of new ones."""


class Admission(NamedTuple):
    """How many may be taken now, and whether that one would be alone."""

    most: int
    alone: bool


class Suspects:
    """Those that one process holds. Not thread-safe. Unless it `grows`, it is one at a time."""

    def __init__(self, *, grows: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._grows = grows
        self._clock = clock
        self._held: set[Entry] = set()
        self._expected: set[bytes] = set()
        self._at_once = 1
        self._last_at = 0.0
        self.admitting: str | None = None
        """For which queue some were admitted, so that `end_admission` is to be called."""

    def admit(self, queue: str) -> Admission:
        """How many may be taken for a queue. None for another one until `end_admission`."""
        if self.admitting not in (None, queue):
            return Admission(0, alone=False)
        if not self._held and self._clock() - self._last_at > FORGOTTEN_AFTER_S:
            self._at_once = 1
        most = max(0, self._at_once - len(self._held))
        if most:
            self.admitting = queue
        return Admission(most, alone=self._at_once == 1)

    def expect(self, ids: Iterable[bytes]) -> None:
        """These are being taken."""
        self._expected.update(ids)

    def is_expected(self, entry: bytes) -> bool:
        """Whether this is one of them."""
        return entry in self._expected

    def end_admission(self, queue: str) -> None:
        """What was admitted for this queue, or for a line beside it, is held by now, or was not got."""
        if self.admitting is not None and is_at(self.admitting, queue):
            self.admitting = None
            self._expected.clear()

    def add(self, entry: Entry) -> None:
        """It is held."""
        self._held.add(entry)

    def discard(self, entry: Entry) -> None:
        """It is held no longer."""
        if entry in self._held:
            self._held.discard(entry)
            self._last_at = self._clock()
            # One that was not settled comes again, and shall count.
            self._at_once = self._at_once + 1 if self._grows and entry.acknowledged else 1
