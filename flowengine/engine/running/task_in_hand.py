"""One delivery of one node in a worker's hand: who reports it, and whether its start is noted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flowengine.engine.held import Held
from flowengine.engine.ports import Begun, RunningStore, Start
from flowengine.execution.history.spoken import Said
from flowengine.execution.messages import RunNode
from flowengine.observability.node_output import NodeOutput
from flowengine.plugin.context import Cancellation


class TaskInHand:
    """One delivery. Either the runner or the watchdog reports it: the one that comes first.

    `started_at` is milliseconds since the epoch; `began`, seconds of the monotonic clock, is set again when
    its handler begins.
    """

    def __init__(self, held: Held[RunNode], start: Start) -> None:
        self.held = held
        self.task = held.payload
        self.start = start
        self.delivery = held.delivery
        self.started_at = start.now
        self.began = time.monotonic()
        self.cancellation = Cancellation()
        """Its handler is asked to stop by this."""
        self.output = NodeOutput(start.now)
        """What its handler says."""
        self.speaking = threading.Lock()
        """Held by who writes down what it says: batches follow one another."""
        self.unsaid: list[Said] = []
        """What was taken from `output` and is not known to be written."""
        self.held_text = ""
        """The end of a text in which a secret may have begun."""
        self.entry: str | None = None
        """Under which what it gives is kept for other times."""
        self.given: bytes | None = None
        """What its handler has given, as JSON, in an iteration of a node that has a cache."""
        self.holds_thread = True
        """Whether a thread is lost with it if its handler does not return."""
        self._noted = start.noted
        self._tried_to_note = False
        self._guard = threading.Lock()
        self._taken = False

    @property
    def deadline(self) -> float:
        """When its time is over, in seconds of the monotonic clock."""
        task, time_ms = self.task, self.task.timeout_ms
        if task.until:
            time_ms = max(0, min(time_ms, task.until - self.started_at))
        return self.began + time_ms / 1000

    @property
    def waited_s(self) -> float:
        """How long its task had waited when it began, in seconds; its place begins with when it was sent."""
        sent = self.held.place.partition("-")[0]
        return max(0, self.started_at - int(sent)) / 1000 if sent.isdigit() else 0.0

    def take(self) -> bool:
        """True for the first caller only."""
        with self._guard:
            first, self._taken = not self._taken, True
            return first

    @property
    def taken(self) -> bool:
        """Whether someone has reported, or is about to."""
        return self._taken

    @property
    def noted(self) -> bool:
        """Whether its start may be written down. Final once it is taken."""
        return self._noted or self._tried_to_note

    def untake(self) -> None:
        """Reporting failed: someone may try again."""
        with self._guard:
            self._taken = False

    @property
    def may_lack_note(self) -> bool:
        """Whether its start may have to be noted yet."""
        return not self._noted and not self._taken

    @contextmanager
    def noting(self) -> Iterator[Begun | None]:
        """While the block notes its start; None if that has been done or its outcome is being reported.

        Nobody can report meanwhile: a start that is written after the outcome would stay.
        """
        with self._guard:
            if not self.may_lack_note:
                yield None
                return
            self._tried_to_note = True
            yield Begun(self.delivery, self.started_at, self.held.place)
            self._noted = True

    def forget_start(self, store: RunningStore) -> None:
        """Take back what was noted. Raises StoreUnavailableError."""
        if self.noted:
            store.forget_start(self.task)
