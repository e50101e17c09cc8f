"""One delivery of one node in a worker's hand: who reports it, and whether its start is noted."""

from __future__ import annotations

import threading
import time

from flowengine.engine.ports import Begun, Receipt, Sink, Start, StateStore
from flowengine.execution.records import RunNode


class Hand:
    """One delivery in hand. Whoever reports first, the runner or the watchdog, is the one who reports.

    `at` is its place among the payloads of its receipt. `started_at` is milliseconds since the epoch;
    `began`, seconds of the monotonic clock, is set again when its handler begins.
    """

    def __init__(self, task: RunNode, delivery: int, receipt: Receipt, start: Start, *, at: int = 0) -> None:
        self.task = task
        self.delivery = delivery
        self.receipt = receipt
        self.at = at
        self.started_at = start.now
        self.began = time.monotonic()
        self._noted = start.noted
        self._guard = threading.Lock()
        self._taken = False

    @property
    def deadline(self) -> float:
        """When its time is over, in seconds of the monotonic clock."""
        return self.began + self.task.timeout_ms / 1000

    def take(self) -> bool:
        """True for the first caller only."""
        with self._guard:
            first, self._taken = not self._taken, True
            return first

    @property
    def taken(self) -> bool:
        """Whether someone has reported, or is about to."""
        return self._taken

    def untake(self) -> None:
        """Reporting failed: someone may try again."""
        with self._guard:
            self._taken = False

    def note_start(self, store: StateStore) -> None:
        """Note its start, unless that has been done or its outcome is being reported.

        Nobody can report meanwhile: a start that is written after the outcome would stay.
        Raises StoreUnavailableError.
        """
        if self._noted:
            return
        with self._guard:
            if not self._taken:
                place = self.receipt.places[self.at]
                store.note_start(self.task, Begun(self.delivery, self.started_at, place))
                self._noted = True

    def forget_start(self, store: StateStore) -> None:
        """Take back what was noted. Raises StoreUnavailableError."""
        if self._noted:
            store.forget_start(self.task)

    def acknowledge(self, sink: Sink) -> None:
        """Queue the acknowledgement of this delivery alone."""
        self.receipt.acknowledge(sink, only=(self.at,))

    def confirm(self) -> None:
        """The transaction that acknowledged it has succeeded."""
        self.receipt.confirm(only=(self.at,))
