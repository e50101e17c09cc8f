"""The messages that this process holds, and how many more it may fetch.

Decides when to fetch and how many; knows nothing of Redis. Belongs to the broker and not to a consumer:
Dramatiq replaces a consumer after an error, and the consumer's messages go on. Times are seconds of the
monotonic clock.

A fetched message should start at once. So a process fetches as many messages as it has idle threads, with
one exception. Where messages take a short time, it fetches a few more for each thread, so that a thread
does not wait for a round trip (measured: 16,000 empty messages a second in place of 10,000). It fetches
none ahead for a thread that is at a long message, because they would wait behind that message while
another process is idle.

The nodes of async handlers need no thread. They are counted apart: `concurrency` of them at once, as long as
what they keep in memory is within a bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, RLock
from typing import Final

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.leases.suspects import Admission, Suspects
from flowengine.broker.timing import TIMING, Timing
from flowengine.heuristics import FETCHED_AHEAD

_AVERAGE_WEIGHT: Final = 0.1
"""How much the newest message counts in the average of what a message takes."""

_COUNTED_AT_MOST_S: Final = 1.0
"""A message that takes longer counts as if it had taken so long."""


ASYNC_BYTES: Final = 64 * 1024 * 1024
"""While the nodes that need no thread keep more in memory than this, the process takes no more of them."""

_NEWEST_WEIGHT: Final = 0.1
"""How much the newest such node counts in the average of what one keeps."""


class HeldMessages:
    """The deliveries of one process: waiting for a thread, or running. Safe to call from any thread.

    From its delivery number `suspect_from` on, an entry is suspected of killing its worker.
    """

    def __init__(
        self, timing: Timing = TIMING, *, suspect_from: int = 2, async_bytes: int = ASYNC_BYTES
    ) -> None:
        self.suspect_from = suspect_from
        self._async_bytes = async_bytes
        self._timing = timing
        # Entered itself, six times for a message: to enter its condition takes twice as long.
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._sleepers: list[Callable[[], bool]] = []
        self._threads = 1
        self._concurrency = 0
        self._stopping = False
        # What a message takes. Too long to fetch ahead, until the first few have shown otherwise.
        self._average_s = 2 * timing.ahead_s
        self._waiting: dict[Delivery, float] = {}
        self._running: dict[Delivery, float] = {}
        self._async: dict[Delivery, int] = {}  # each with the bytes that it keeps in memory
        self._kept_bytes = 0
        self._average_bytes = 0.0
        self._held: dict[str, dict[bytes, Entry]] = {}
        # What has been delivered once must not look as if it never was: it begins in another way.
        self._suspects = Suspects(grows=suspect_from > 2)

    # -- the process's life

    def open(self, threads: int, concurrency: int = 0) -> None:
        """Begin to take messages for so many threads, and so many at once that need none."""
        with self._lock:
            self._threads = threads
            self._concurrency = concurrency
            self._stopping = False

    def stop(self) -> None:
        """Take no more messages. Wakes the threads that wait to fetch."""
        with self._lock:
            self._stopping = True
            self._changed.notify_all()

    @property
    def threads(self) -> int:
        """How many threads process messages."""
        return self._threads

    @property
    def busy(self) -> int:
        """How many threads process a message now."""
        return len(self._running)

    @property
    def concurrency(self) -> int:
        """How many messages may be processed at once that need no thread."""
        return self._concurrency

    @property
    def busy_async(self) -> int:
        """How many messages are processed now that need no thread."""
        return len(self._async)

    @property
    def stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopping

    # -- a delivery's life

    def hold(self, deliveries: Sequence[Delivery], *, needs_thread: bool = True) -> None:
        """These have just been fetched. What needs no thread has started with that."""
        now = time.monotonic()
        with self._lock:
            for delivery in deliveries:
                if needs_thread:
                    self._waiting[delivery] = now
                else:
                    self._async[delivery] = 0
                    delivery.started = True
                held = self._held.setdefault(delivery.line, {})
                for entry in delivery.entries:
                    held[entry.id] = entry
                    if entry.deliveries >= self.suspect_from or self._suspects.is_expected(entry.id):
                        self._suspects.add(entry)

    def start(self, delivery: Delivery) -> bool:
        """A thread begins with it. False if it was withdrawn meanwhile and must not run."""
        with self._lock:
            if self._waiting.pop(delivery, None) is None:
                return False
            self._running[delivery] = time.monotonic()
            delivery.started = True
            return True

    def leave_thread(self, delivery: Delivery) -> bool:
        """Whether it goes on without the thread that has begun it, which is free again.

        False where as many do so as may, and in a process that stops: that waits for its threads.
        """
        with self._lock:
            if self._stopping or delivery not in self._running or self._room() <= 0:
                return False
            del self._running[delivery]
            self._async[delivery] = 0
            delivery.left_thread = True
            self._wake()
            return True

    def release(self, line: str, entries: Iterable[Entry]) -> None:
        """Keep the leases of these entries no longer: they are acknowledged, or another's."""
        with self._lock:
            self._release(line, entries)

    def finish(self, delivery: Delivery) -> None:
        """Its thread is free again. Its entries are held no longer, acknowledged or not."""
        with self._lock:
            started = self._running.pop(delivery, None)
            if started is None:
                self._waiting.pop(delivery, None)
                self._drop_async(delivery)
            else:
                spent = min(_COUNTED_AT_MOST_S, (time.monotonic() - started) / len(delivery.entries))
                self._average_s += (spent - self._average_s) * _AVERAGE_WEIGHT
            self._release(delivery.line, delivery.entries)
            self._wake()

    def withdraw(self, deliveries: Iterable[Delivery], *, even_running: bool = False) -> list[Delivery]:
        """Withdraw those that have not started, or all. Returns the withdrawn, which are held no longer."""
        with self._lock:
            chosen = [
                d
                for d in deliveries
                if d in self._waiting or (even_running and (d in self._running or d in self._async))
            ]
            for delivery in chosen:
                self._waiting.pop(delivery, None)
                self._drop_async(delivery)
                delivery.withdrawn = True
                self._release(delivery.line, delivery.entries)
            self._wake()
            return chosen

    def _release(self, line: str, entries: Iterable[Entry]) -> None:
        held = self._held.get(line, {})
        for entry in entries:
            # A later delivery of the same entry may be held by now.
            if held.get(entry.id) is entry:
                del held[entry.id]
            self._suspects.discard(entry)

    # -- what is held

    # A line is a queue, or one beside it: each has entries of its own.

    def lines(self) -> list[str]:
        """Those from which entries were held at some time."""
        with self._lock:
            return list(self._held)

    def held_ids(self, line: str) -> set[bytes]:
        """The entries whose leases this process keeps."""
        with self._lock:
            return set(self._held.get(line, ()))

    def is_held(self, line: str, entry_id: bytes) -> bool:
        """Whether this process holds the entry."""
        return entry_id in self._held.get(line, ())

    def forget(self, line: str, ids: Iterable[bytes]) -> None:
        """Keep the leases of these entries no longer: another process has taken them over or settled them."""
        with self._lock:
            held = self._held.get(line, {})
            lost = [held[entry_id] for entry_id in ids if entry_id in held]
            for entry in lost:
                entry.is_lost = True
            self._release(line, lost)

    def admit_suspects(self, queue: str) -> Admission:
        """How many entries the process may take now that are suspected of killing their worker.

        None for others until `end_admission`, so that the consumers of two queues do not both take some.
        """
        with self._lock:
            return self._suspects.admit(queue)

    def expect_suspects(self, ids: Iterable[bytes]) -> None:
        """The process takes these now."""
        with self._lock:
            self._suspects.expect(ids)

    def end_admission(self, queue: str) -> None:
        """The suspects admitted for this queue or for a line beside it are held by now, or were not got."""
        if self._suspects.admitting is not None:  # what this thread has had admitted, it sees
            with self._lock:
                self._suspects.end_admission(queue)

    def waiting(self, queue: str | None = None) -> list[Delivery]:
        """Those that have not started, oldest first."""
        with self._lock:
            return [d for d in self._waiting if queue is None or d.queue == queue]

    def all(self, queue: str) -> list[Delivery]:
        """Everything of this queue, waiting or running."""
        with self._lock:
            return [d for d in (*self._waiting, *self._running, *self._async) if d.queue == queue]

    def all_async(self) -> list[Delivery]:
        """Everything that runs without a thread."""
        with self._lock:
            return list(self._async)

    def holds_only(self, delivery: Delivery) -> bool:
        """Whether this delivery waits, and this process holds nothing else that needs a thread."""
        with self._lock:
            return not self._running and len(self._waiting) == 1 and delivery in self._waiting

    def overdue(self) -> list[Delivery]:
        """Those that have waited for a thread for too long."""
        if not self._waiting:
            return []  # asked before each fetch, and most often none waits
        limit = time.monotonic() - self._timing.start_within_s
        with self._lock:
            return [delivery for delivery, since in self._waiting.items() if since <= limit]

    def until_overdue_s(self) -> float:
        """How long until the oldest waiting delivery is overdue; `start_within_s` if none waits."""
        within_s = self._timing.start_within_s
        if not self._waiting:
            return within_s
        with self._lock:
            for since in self._waiting.values():
                return max(0.0, since + within_s - time.monotonic())
            return within_s

    # -- how much more

    def wait_to_fetch(self, *, join: int, within_s: float) -> int:
        """How many entries may be fetched now. Waits up to `within_s` until it is more than none.

        `join` is how many entries one delivery of this queue may carry; 1 if its entries are not joined.
        """
        with self._lock:
            if not self._stopping and (found := self._fetchable(join)) > 0:
                return found
            self._sleep(within_s, lambda: self._fetchable(join) > 0)
            return 0 if self._stopping else self._fetchable(join)

    def wait_for_room(self, *, within_s: float) -> int:
        """How many messages that need no thread may be fetched now. Waits up to `within_s` for one."""

        with self._lock:
            self._sleep(within_s, lambda: self._room() > 0)
            return 0 if self._stopping else self._room()

    def weigh(self, delivery: Delivery, size: int) -> None:
        """What needs no thread keeps so many bytes in memory."""
        with self._lock:
            before = self._async.get(delivery)
            if before is not None:
                self._async[delivery] = size
                self._kept_bytes += size - before
                self._average_bytes += (size - self._average_bytes) * _NEWEST_WEIGHT

    @property
    def keeps_too_much(self) -> bool:
        """Whether what needs no thread keeps so much in memory that nothing more is to begin."""
        return self._kept_bytes >= self._async_bytes

    def _room(self) -> int:
        """How many more may run that need no thread. One may always, whatever it keeps."""
        room = max(0, self._concurrency - len(self._async))
        if not room or not self._kept_bytes:
            return room
        left = self._async_bytes - self._kept_bytes
        return 0 if left <= 0 else min(room, max(1, int(left / max(1.0, self._average_bytes))))

    def _drop_async(self, delivery: Delivery) -> None:
        self._kept_bytes -= self._async.pop(delivery, 0)

    def wait_for_async(self, *, within_s: float) -> bool:
        """Wait until nothing runs any more that needs no thread. False if that takes longer."""

        def is_idle() -> bool:
            return not self._async

        with self._lock:
            self._sleepers.append(is_idle)
            try:
                return self._changed.wait_for(is_idle, within_s)
            finally:
                self._sleepers.remove(is_idle)

    def wait_for_thread(self, *, unassigned: int, within_s: float) -> bool:
        """Whether a thread is idle and no waiting delivery is meant for it. Waits for that up to `within_s`.

        `unassigned`: so many of the waiting deliveries are meant for no thread yet.
        """

        def is_idle() -> bool:
            return self._idle() + unassigned > 0

        with self._lock:
            self._sleep(within_s, is_idle)
            return is_idle() and not self._stopping

    def rest(self, for_s: float) -> None:
        """Wait so long, or until the process stops."""
        with self._lock:
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
        """Wake every sleeper if one has what it waits for: nobody knows whose queue has a message."""
        if self._sleepers and any(enough() for enough in self._sleepers):
            self._changed.notify_all()

    def _idle(self) -> int:
        """Threads for which nothing is fetched. Negative where more was fetched than there are threads."""
        return self._threads - len(self._running) - len(self._waiting)

    def _fetchable(self, join: int) -> int:
        if join > 1:
            return self._fetchable_to_join(join)
        idle = self._idle()
        if self._average_s > self._timing.ahead_s:
            return max(0, idle)
        depth = min(FETCHED_AHEAD, int(self._timing.ahead_s / max(self._average_s, 1e-6)))
        ahead = depth * (self._threads - self._stuck())
        fetchable = idle + ahead
        # Half of what may be fetched ahead at a time: fewer, larger fetches.
        return fetchable if fetchable > ahead // 2 else 0

    def _fetchable_to_join(self, join: int) -> int:
        # Nothing is fetched ahead: what waits in the stream meanwhile arrives as one larger batch.
        idle = self._idle()
        if idle <= 0:
            return 0
        return max(1, min(join, int(self._timing.join_horizon_s * idle / max(self._average_s, 1e-6))))

    def _stuck(self) -> int:
        """How many threads are at a long message."""
        limit = time.monotonic() - self._timing.stuck_s
        stuck = 0
        for since in self._running.values():  # in the order in which they started
            if since > limit:
                break
            stuck += 1
        return stuck
