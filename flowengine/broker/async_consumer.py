"""Takes the nodes of async handlers, which need no thread, from the line beside a queue.

Dramatiq's thread iterates it as it does any consumer, and is given nothing: each node begins on this thread
and goes on without one. A node whose handler needs a thread after all is moved into the queue.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import redis
from dramatiq.broker import MessageProxy
from dramatiq.errors import ConnectionClosed
from msgspec.structs import replace

from flowengine.broker.consumer import StreamsConsumer
from flowengine.broker.delivery import Delivery
from flowengine.broker.leases.hand_back import hand_back_unstarted
from flowengine.broker.policy import Policies
from flowengine.broker.set_aside.line_reader import LineReader
from flowengine.broker.set_aside.wrong_line import move_into_queue
from flowengine.broker.streams.wire import UndecodablePayloadError
from flowengine.errors import StoreUnavailableError

FETCHED_AT_MOST: Final = 128
"""So many of a line at a time, so that the first of many do not wait until all are there."""

PENDING_LOOKED_AT: Final = 2048
"""So many at a time are looked at for those whose leases have lapsed: each process may hold hundreds, and for
long, so that what a dead one held is not among the oldest."""


class AsyncConsumer(StreamsConsumer):
    """The consumer of one async line. `StreamsBroker.begin_async` begins what it takes."""

    _needs_threads = False
    _scan_limit = PENDING_LOOKED_AT

    def __next__(self) -> MessageProxy | None:
        """None, after about a second at most."""
        taken: list[Delivery] = []
        try:
            with self._fetching:
                try:
                    self._fetch_for_room()
                finally:
                    taken, self._ready = list(self._ready), deque()
            for delivery in self._broker.begin_async(self._readable(taken)):
                self._move(delivery)
        except BaseException as error:  # none has begun
            self._broker.let_go(taken, error)
            if not isinstance(error, StoreUnavailableError | redis.RedisError | ConnectionClosed):
                raise
        return None

    def _fetch_for_room(self) -> None:
        if self._held.stopping:
            time.sleep(self._timing.stopping_rest_s)
            return
        room = self._held.wait_for_room(within_s=self._timing.block_at_most_s)
        if room > 0:
            self._fetch(min(2 * FETCHED_AT_MOST, room))
        elif not self._held.stopping:
            self._stay_seen()

    def _hand_back_waiting(self, reason: str) -> None:
        """What has just arrived has not begun, though it is held as if it had."""
        hand_back_unstarted(
            self._broker.group, self._held.withdraw(self._ready, even_running=True), reason=reason
        )

    def _move(self, delivery: Delivery) -> None:
        """Into the queue, or back into the line: what came with it has begun and must not be touched."""
        try:
            move_into_queue(self._broker.group, delivery)
            self._held.finish(delivery)
        except redis.RedisError as error:
            self._broker.let_go([delivery], error)

    def _readable(self, taken: Sequence[Delivery]) -> list[Delivery]:
        """Those whose payload can be decoded; the others go to the dead letters, or where threads see to
        them."""
        found = []
        for delivery in taken:
            if not delivery.engine:
                self._move(delivery)
                continue
            try:
                delivery.held()
                found.append(delivery)
            except UndecodablePayloadError:
                self._bury(delivery, "undecodable")
        return found

    def _policies(self) -> Policies:
        """Each node by itself: those that wait in no thread need not be shared out between threads."""
        return {
            name: replace(policy, join=1, may_join=None, is_quick=None)
            for name, policy in self._broker.policies.items()
        }

    def _line_reader(self) -> LineReader | None:
        """The lines of handlers are those of the queue."""
        return None
