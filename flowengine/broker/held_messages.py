"""What this process holds, and how much more it may take.

Decides when to fetch and how much; refuses to know Redis. Lives in the broker and not in a consumer,
because Dramatiq replaces consumers after an error while their messages go on. Times are seconds of
the monotonic clock.

A fetched message should start at once. Only where messages are quick are a few more fetched for each
thread that is turning them over, so that threads need not wait for a round trip (measured: 16,000
instead of 10,000 empty messages a second). A thread stuck in a long message does not count, so that
nothing waits behind it while another process is idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Condition
from typing import Final

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.timing import TIMING, Timing

AHEAD_AT_MOST: Final = 4
"""So many messages are fetched ahead for each thread, or fewer: see `Timing.ahead_s`."""

_PACE_WEIGHT: Final = 0.1
_PACE_LIMIT_S: Final = 1.0


class HeldMessages:
    """The deliveries of one process: waiting for a thread, or running. Safe to call from any thread.

    From its `alone_from`-th delivery on, an entry is suspected of killing its worker.
    """

    def __init__(self, timing: Timing = TIMING, *, alone_from: int = 2) -> None:
        self.alone_from = alone_from
        self._timing = timing
        self._changed = Condition()
        self._sleepers: list[Callable[[], bool]] = []
        self._threads = 1
        self._stopping = False
        # Taken for slow until the first few have shown otherwise.
        self._pace_s = 2 * timing.ahead_s
        self._waiting: dict[Delivery, float] = {}
        self._running: dict[Delivery, float] = {}
        self._held: dict[str, dict[bytes, Entry]] = {}
        self._suspects: set[Entry] = set()
        self._admitting: str | None = None

    # -- the process's life

    def open(self, threads: int) -> None:
        """Begin to take messages for so many threads."""
        with self._changed:
            self._threads = threads
            self._stopping = False

    def stop(self) -> None:
        """Take no more, for good; wakes whoever waits for room."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def threads(self) -> int:
        """How many threads process messages."""
        return self._threads

    @property
    def stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopping

    # -- a delivery's life

    def hold(self, deliveries: Sequence[Delivery]) -> None:
        """These have just been fetched."""
        now = time.monotonic()
        with self._changed:
            for delivery in deliveries:
                self._waiting[delivery] = now
                held = self._held.setdefault(delivery.queue, {})
                for entry in delivery.entries:
                    held[entry.id] = entry
                    if entry.deliveries >= self.alone_from:
                        self._suspects.add(entry)

    def start(self, delivery: Delivery) -> bool:
        """A thread begins with it; False if it has been given back meanwhile and must not run."""
        with self._changed:
            if self._waiting.pop(delivery, None) is None:
                return False
            self._running[delivery] = time.monotonic()
            delivery.started = True
            return True

    def release(self, queue: str, entries: Iterable[Entry]) -> None:
        """These entries are settled, or no longer ours: their leases are not renewed any more."""
        with self._changed:
            self._release(queue, entries)

    def finish(self, delivery: Delivery) -> None:
        """Its thread is free again. Whatever of it was not settled is no longer held."""
        with self._changed:
            started = self._running.pop(delivery, None)
            self._waiting.pop(delivery, None)
            if started is not None:
                spent = min(_PACE_LIMIT_S, (time.monotonic() - started) / len(delivery.entries))
                self._pace_s += (spent - self._pace_s) * _PACE_WEIGHT
            self._release(delivery.queue, delivery.entries)
            self._wake()

    def give_back(self, deliveries: Iterable[Delivery], *, even_running: bool = False) -> list[Delivery]:
        """Let go of those that have not started (or of all); returns the ones let go of."""
        with self._changed:
            chosen = [d for d in deliveries if d in self._waiting or (even_running and d in self._running)]
            for delivery in chosen:
                self._waiting.pop(delivery, None)
                delivery.given_back = True
                self._release(delivery.queue, delivery.entries)
            self._wake()
            return chosen

    def _release(self, queue: str, entries: Iterable[Entry]) -> None:
        held = self._held.get(queue, {})
        for entry in entries:
            # Another delivery of the same entry may have taken its place.
            if held.get(entry.id) is entry:
                del held[entry.id]
            self._suspects.discard(entry)

    # -- what is held

    def held_ids(self, queue: str) -> set[bytes]:
        """The entries whose leases this process keeps."""
        with self._changed:
            return set(self._held.get(queue, ()))

    def is_held(self, queue: str, entry_id: bytes) -> bool:
        """Whether this entry is in this process's memory."""
        return entry_id in self._held.get(queue, ())

    def forget(self, queue: str, ids: Iterable[bytes]) -> None:
        """These were taken over by another process: renew them no more."""
        with self._changed:
            held = self._held.get(queue, {})
            self._release(queue, [held[entry_id] for entry_id in ids if entry_id in held])

    def admit_suspect(self, queue: str) -> bool:
        """Whether a suspect may be taken: an entry that may be one that kills its worker.

        True at most once until `end_admission`, so that consumers of two queues do not both take one.
        """
        with self._changed:
            if self._suspects or self._admitting not in (None, queue):
                return False
            self._admitting = queue
            return True

    def end_admission(self, queue: str) -> None:
        """What was admitted for this queue is held by now, or was not got."""
        if self._admitting == queue:
            self._admitting = None

    def waiting(self, queue: str | None = None) -> list[Delivery]:
        """Fetched and not started, oldest first."""
        with self._changed:
            return [d for d in self._waiting if queue is None or d.queue == queue]

    def all(self, queue: str) -> list[Delivery]:
        """Everything of this queue, waiting or running."""
        with self._changed:
            return [d for d in (*self._waiting, *self._running) if d.queue == queue]

    def is_alone(self, delivery: Delivery) -> bool:
        """Whether this process holds nothing else."""
        with self._changed:
            return not self._running and len(self._waiting) == 1 and delivery in self._waiting

    def overdue(self) -> list[Delivery]:
        """Those that have waited for a thread for too long."""
        limit = time.monotonic() - self._timing.start_within_s
        with self._changed:
            return [delivery for delivery, since in self._waiting.items() if since <= limit]

    def until_overdue_s(self) -> float:
        """How long until the oldest waiting delivery must be given back; `start_within_s` if none waits."""
        within_s = self._timing.start_within_s
        with self._changed:
            for since in self._waiting.values():
                return max(0.0, since + within_s - time.monotonic())
            return within_s

    # -- how much more

    def wait_for_room(self, *, join: int, within_s: float) -> int:
        """How many entries may be fetched now, waiting up to `within_s` for it to be any; 0 if none.

        `join` is how many entries one delivery of this queue may carry (1: nothing is joined).
        """

        def room() -> int:
            return self._joining_room(join) if join > 1 else self._room()

        with self._changed:
            self._sleep(within_s, lambda: room() > 0)
            return 0 if self._stopping else room()

    def wait_for_thread(self, *, beside: int, within_s: float) -> bool:
        """Whether a thread is idle that none of the waiting but the last `beside` is meant for."""

        def is_idle() -> bool:
            return self._idle() + beside > 0

        with self._changed:
            self._sleep(within_s, is_idle)
            return is_idle() and not self._stopping

    def rest(self, for_s: float) -> None:
        """Wait so long, or until the process stops."""
        with self._changed:
            self._sleep(for_s, lambda: False)

    def _sleep(self, for_s: float, until: Callable[[], bool]) -> None:
        """Wait so long, or until it holds or the process stops."""
        deadline = time.monotonic() + for_s
        self._sleepers.append(until)
        try:
            while not self._stopping and not until() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
        finally:
            self._sleepers.remove(until)

    def _wake(self) -> None:
        """Once one has what it waits for, all look: nobody knows which of them will find a message."""
        if any(enough() for enough in self._sleepers):
            self._changed.notify_all()

    def _idle(self) -> int:
        """Threads for which nothing is meant yet; less than none where more was fetched."""
        return self._threads - len(self._running) - len(self._waiting)

    def _room(self) -> int:
        idle = self._idle()
        if self._pace_s > self._timing.ahead_s:
            return max(0, idle)
        depth = min(AHEAD_AT_MOST, int(self._timing.ahead_s / max(self._pace_s, 1e-6)))
        ahead = depth * (self._threads - self._stuck())
        room = idle + ahead
        # Half the allowance at a time: fewer, larger fetches.
        return room if room > ahead // 2 else 0

    def _joining_room(self, join: int) -> int:
        # Nothing is fetched ahead: what waits in the stream meanwhile arrives as one larger batch.
        idle = self._idle()
        if idle <= 0:
            return 0
        return max(1, min(join, int(self._timing.join_horizon_s * idle / max(self._pace_s, 1e-6))))

    def _stuck(self) -> int:
        limit = time.monotonic() - self._timing.stuck_s
        stuck = 0
        for since in self._running.values():  # in the order in which they started
            if since > limit:
                break
            stuck += 1
        return stuck
