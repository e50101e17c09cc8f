"""Keeps the leases of the messages that this process holds, on a thread of its own.

Renews a lease only if this process holds the message in memory and Redis has it pending in this process's
name. A message whose delivery was lost on the way must lapse. A message that another process has taken
over must stay there: who works on it here learns that (`Held.is_lost`), at the second look that misses it.

The thread also does what must be done now and then for each queue: see `StreamsBroker`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Final

import redis
import structlog

from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.streams.consumer_group import ConsumerGroup, is_missing_group
from flowengine.broker.timing import TIMING, Timing

RENEWALS_PER_LEASE: Final = 3

log = structlog.stdlib.get_logger(__name__)


class LeaseKeeper:
    """Runs one daemon thread between `start` and `stop`. `queues` names the queues that are consumed.

    `see_to` is called at each turn, for each queue; `each_turn` when the thread begins, and once a turn.
    """

    def __init__(
        self,
        group: ConsumerGroup,
        held_messages: HeldMessages,
        queues: Callable[[], Iterable[str]],
        see_to: Callable[[str], None],
        timing: Timing = TIMING,
        *,
        each_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._each_turn = each_turn
        self._group = group
        self._held = held_messages
        self._queues = queues
        self._see_to = see_to
        self._retry_s = timing.renewal_retry_s
        self._missing: dict[str, set[bytes]] = {}
        self._ended = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            self._ended.clear()
            self._thread = Thread(target=self._run, name="flowengine-leases", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        every_s = self._group.lease_ms / 1000 / RENEWALS_PER_LEASE
        pause_s = every_s
        turn = self._each_turn
        while True:
            try:
                turn()
                # What is missing is looked for again soon: if it is another's, its handler here shall stop.
                pause_s = min(self._retry_s, every_s) if any(self._missing.values()) else every_s
            except redis.RedisError as error:
                if isinstance(error, redis.exceptions.ReadOnlyError):
                    # A replica by now: the same address may lead to the new primary.
                    self._group.client.connection_pool.disconnect()
                log.warning("broker.renewal_failed", error=str(error) or type(error).__name__)
                pause_s = min(self._retry_s, every_s)
            except Exception:  # the thread's edge: without the thread, others would take over what runs here
                log.error("broker.renewal_failed", exc_info=True)
                pause_s = min(self._retry_s, every_s)
            if self._ended.wait(pause_s):
                return
            turn = self._turn

    def _turn(self) -> None:
        queues = list(self._queues())
        for line in dict.fromkeys([*queues, *self._held.lines()]):
            self.renew(line)
        for queue in queues:
            self._see_to(queue)
        self._each_turn()

    def renew(self, line: str) -> None:
        """Renew once the leases of this queue, or of a line beside one. Raises redis.RedisError."""
        held = self._held.held_ids(line)
        if not held:
            self._missing.pop(line, None)
            return
        try:
            owned = self._group.owned(line)
        except redis.ResponseError as error:
            if not is_missing_group(error):
                raise
            owned = set()
        kept = held & owned
        if kept:
            self._group.renew(line, kept)
        # An entry that is missing once may have been acknowledged a moment ago.
        missing = held - owned
        lost = missing & self._missing.get(line, set()) & self._held.held_ids(line)
        self._missing[line] = missing - lost
        if lost:
            self._held.forget(line, lost)
            log.warning("broker.leases_lost", queue=line, count=len(lost))
