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
from flowengine.broker.policy import Policies
from flowengine.broker.set_aside.line_reader import LineReader
from flowengine.broker.set_aside.wrong_line import move_into_queue
from flowengine.broker.streams.wire import UndecodablePayloadError
from flowengine.errors import StoreUnavailableError

FETCHED_AT_MOST: Final = 128
"""So many at a time, so that the first of many do not wait until all are there."""


class AsyncConsumer(StreamsConsumer):
    """The consumer of one async line. `StreamsBroker.begin_async` begins what it takes."""

    _needs_threads = False

    def __next__(self) -> MessageProxy | None:
        """None, after about a second at most."""
        with self._fetching:
            self._fetch_for_room()
            taken, self._ready = list(self._ready), deque()
        try:
            for delivery in self._broker.begin_async(self._readable(taken)):
                move_into_queue(self._broker.group, delivery)
                self._held.finish(delivery)
        except BaseException as error:
            self._broker.let_go([each for each in taken if not each.left_thread], error)
            if not isinstance(error, StoreUnavailableError | redis.RedisError | ConnectionClosed):
                raise
        return None

    def _fetch_for_room(self) -> None:
        if self._held.stopping:
            time.sleep(self._timing.stopping_rest_s)
            return
        room = self._held.wait_for_room(within_s=self._timing.block_at_most_s)
        if room > 0:
            self._fetch(min(FETCHED_AT_MOST, room))
        elif not self._held.stopping:
            self._stay_seen()

    def _readable(self, taken: Sequence[Delivery]) -> list[Delivery]:
        """Those whose payload can be decoded; the others go to the dead letters."""
        found = []
        for delivery in taken:
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
