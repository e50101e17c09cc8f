"""One queue's messages, handed to Dramatiq one at a time.

Decides when to look for lapsed messages and when for new ones, and what an end of processing means.
Never raises a connection error from iteration: Dramatiq would stop for three seconds. What is in
flight is the broker's business, since Dramatiq replaces consumers after an error.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING, Final

import dramatiq
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.errors import ActorNotFound

from flowengine.broker.assembler import Assembler
from flowengine.broker.dead_letters import Reason, bury
from flowengine.broker.delivery import Delivery
from flowengine.broker.errors import connection_closed
from flowengine.broker.hand_back import return_failed, return_unstarted
from flowengine.broker.lone_messages import InPlace
from flowengine.broker.put_off import put_off
from flowengine.broker.recoverer import Takeover
from flowengine.broker.streams.consumer_group import RawEntry, is_missing_group
from flowengine.broker.streams.own_connection import OwnConnection
from flowengine.broker.streams.wire import UndecodablePayloadError

if TYPE_CHECKING:
    from flowengine.broker.broker import StreamsBroker

BLOCK_AT_MOST_S: Final = 1.0
BACK_OFF_FROM_S: Final = 0.05
BACK_OFF_TO_S: Final = 2.0
STOPPING_REST_S: Final = 0.05
HANDOVER_S: Final = 0.0001
"""How long a consumer keeps out of the way of the thread that it has just given a message."""

log = structlog.stdlib.get_logger(__name__)


class StreamsConsumer(dramatiq.Consumer):
    """Dramatiq's consumer of one queue. Iterate from one thread; `ack` and `nack` from any.

    Dramatiq gets to see only what its own threads are to process: see `InPlace`.
    """

    def __init__(self, broker: StreamsBroker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._in_flight = broker.in_flight
        self._join = broker.join_limit(queue)
        # Its own connection: it blocks in reading.
        self._client = OwnConnection(broker.connect_one())
        self._group = broker.group_over(self._client)
        cautious = broker.is_cautious(queue)
        self._takeover = Takeover(self._group, queue, self._in_flight, cautious=cautious)
        self._assembler = Assembler(
            queue,
            broker.policies,
            understood=broker.understood,
            max_deliveries=broker.max_deliveries,
            release=self._in_flight.release,
            return_part=broker.return_part,
            stream=self._group.stream(queue),
            threads=lambda: self._in_flight.threads,
            consumer=self._group.consumer.decode(),
        )
        self._fetching = Lock()
        self._closed = False
        self._in_place = InPlace(queue, broker.policies, self._take_for_others)
        self._ready: deque[Delivery] = deque()
        self._greeted = False
        self._drained = False
        self._connection_id = 0
        self._failures = 0

    def __next__(self) -> MessageProxy | None:
        """The next delivery, or None: after about a second without one, or when one was processed here."""
        delivery = self._take()
        if delivery is None:
            return None
        alone = self._drained and not self._ready and self._in_flight.is_alone(delivery)
        worker = self._broker.worker
        # Consumers of several queues share the threads, and fetch for them without asking one another.
        sole = self._broker.consumer_count == 1
        if not self._in_place.suits(delivery, alone=alone and sole) or worker is None:
            return delivery
        self._drained = False  # there is no other thread to keep out of the way of
        self._in_place.process(delivery, worker)
        return None

    def _take(self) -> Delivery | None:
        with self._fetching:
            return self._next()

    def _take_for_others(self) -> Delivery | None:
        """For Dramatiq's threads while this consumer's is at work itself: it counts as one of them."""
        within_s = min(BLOCK_AT_MOST_S, self._in_flight.until_overdue_s())
        self._in_flight.wait_for_thread(beside=len(self._ready), within_s=within_s)
        with self._fetching:
            if self._closed:
                return None
            # Asked anew: whoever held the lock meanwhile may have used the thread.
            idle = self._in_flight.wait_for_thread(beside=len(self._ready), within_s=0)
            if idle or self._in_flight.stopping:
                return self._next()
            self._return_overdue()
        return None

    def _next(self) -> Delivery | None:
        if self._ready:
            return self._ready.popleft()
        if self._in_flight.stopping:
            self._return_waiting("stopping")
            time.sleep(STOPPING_REST_S)
            return None
        if self._drained:
            # Asking for more at once would take the interpreter lock from the thread just woken.
            self._drained = False
            time.sleep(HANDOVER_S)
        self._return_overdue()
        within_s = min(BLOCK_AT_MOST_S, self._in_flight.until_overdue_s())
        room = self._in_flight.wait_for_room(join=self._join, within_s=within_s)
        if room > 0:
            self._fill(max(1, room // self._broker.consumer_count))
        return self._ready.popleft() if self._ready else None

    def ack(self, message: MessageProxy) -> None:
        """The actor has returned or raised. The engine's messages are settled by their own transactions."""
        delivery = _delivery(message)
        if delivery.given_back:
            self._in_flight.finish(delivery)
        elif isinstance(delivery.exception, UndecodablePayloadError) and len(delivery.entries) == 1:
            self._bury(delivery, "undecodable")
        elif delivery.engine:
            self._end(delivery)
        elif delivery.exception is not None:
            self._bury(delivery, "raised")
        else:
            self._settle(delivery)

    def nack(self, message: MessageProxy) -> None:
        """The message is refused: it goes to the dead letters, unless it is the engine's and was started."""
        delivery = _delivery(message)
        if delivery.given_back:
            self._in_flight.finish(delivery)
        elif delivery.engine:
            self._end(delivery)
        elif isinstance(delivery.exception, ActorNotFound):
            self._bury(delivery, "unknown_actor")
        else:
            self._bury(delivery, "rejected")

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back what has not started."""
        chosen = self._in_flight.give_back([_delivery(message) for message in messages])
        return_unstarted(self._broker.group, chosen, reason="requeued")

    def close(self) -> None:
        """Hand back what was fetched for nobody; when the process stops, also what still runs."""
        if self._in_flight.stopping:
            chosen = self._in_flight.give_back(self._in_flight.all(self._queue), even_running=True)
        else:
            chosen = self._in_flight.give_back(self._ready)
        self._ready.clear()
        self._closed = True
        self._in_place.end()
        return_unstarted(self._broker.group, chosen, reason="closing")
        self._client.close()

    def wake(self) -> None:
        """End a blocking read early. Callable from any thread; does nothing when Redis is away."""
        try:
            self._broker.group.unblock(self._connection_id)
        except redis.RedisError as error:
            log.debug("broker.consumer_not_woken", queue=self._queue, error=str(error))

    # -- fetching

    def _fill(self, room: int) -> None:
        try:
            if not self._greeted:
                self._greet()
            taken = self._takeover.take(room)
            if not taken:
                self._in_flight.end_admission(self._queue)
                taken = self._read(room)
            if taken:
                self._receive(taken)
            self._recover()
        except redis.RedisError as error:
            self._back_off(error)
        finally:
            self._in_flight.end_admission(self._queue)

    def _greet(self) -> None:
        """First contact, or first after a failure."""
        self._connection_id = self._group.connection_id()
        self._group.create(self._queue)
        uptime_s = self._group.server_uptime_s()
        lease_s = self._group.lease_ms / 1000
        if uptime_s < lease_s:
            # Every holder is about to come back and renew.
            self._takeover.postpone(lease_s - uptime_s)
        self._greeted = True

    def _read(self, room: int) -> list[tuple[RawEntry, int]]:
        block_s = min(BLOCK_AT_MOST_S, self._takeover.rest_s(), self._in_flight.until_overdue_s())
        begun = time.monotonic()
        found = self._group.read(self._queue, room, max(1, int(block_s * 1000)))
        if time.monotonic() - begun > block_s + self._takeover.standstill_s:
            self._takeover.postpone()
        self._drained = 0 < len(found) < room
        return [(entry, 1) for entry in found]

    def _receive(self, raw: list[tuple[RawEntry, int]]) -> None:
        assembled = self._assembler.assemble(raw)
        self._in_flight.hold(assembled.deliveries)
        self._ready.extend(assembled.deliveries)
        if self._in_flight.stopping:
            self._return_waiting("stopping")
            self._ready.clear()
        for entry in assembled.not_understood:
            put_off(self._group, self._queue, entry)
        policies = self._broker.policies
        for entry in assembled.undecodable:
            bury(self._group, self._queue, entry, "undecodable", policies)
        for entry in assembled.exhausted:
            bury(self._group, self._queue, entry, "exhausted", policies)

    def _recover(self) -> None:
        if self._failures:
            log.info("broker.connection_recovered", queue=self._queue, failures=self._failures)
            self._failures = 0

    def _back_off(self, error: redis.RedisError) -> None:
        if is_missing_group(error):
            self._greeted = False
            log.warning("broker.group_lost", queue=self._queue)
            return
        self._greeted = False
        self._takeover.postpone()
        if not self._failures:
            log.warning("broker.connection_lost", queue=self._queue, error=str(error) or type(error).__name__)
        self._failures += 1
        limit = min(BACK_OFF_TO_S, BACK_OFF_FROM_S * 2 ** min(self._failures, 10))
        self._in_flight.rest(random.uniform(limit / 2, limit))

    # -- giving back and settling

    def _return_overdue(self) -> None:
        overdue = self._in_flight.overdue()
        if overdue:
            chosen = self._in_flight.give_back(overdue)
            return_unstarted(self._broker.group, chosen, reason="not started in time")

    def _return_waiting(self, reason: str) -> None:
        waiting = self._in_flight.waiting(self._queue)
        if waiting:
            return_unstarted(self._broker.group, self._in_flight.give_back(waiting), reason=reason)

    def _end(self, delivery: Delivery) -> None:
        unsettled = delivery.unsettled
        self._in_flight.finish(delivery)
        if unsettled:
            return_failed(self._broker.group, delivery, unsettled)

    def _settle(self, delivery: Delivery) -> None:
        group = self._broker.group
        pipe = group.client.pipeline(transaction=True)
        group.settle(pipe, self._queue, [entry.id for entry in delivery.entries])
        try:
            pipe.execute()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._in_flight.finish(delivery)

    def _bury(self, delivery: Delivery, reason: Reason) -> None:
        try:
            for entry in delivery.entries:
                bury(self._broker.group, self._queue, entry, reason, self._broker.policies)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._in_flight.finish(delivery)


def _delivery(message: MessageProxy) -> Delivery:
    if not isinstance(message, Delivery):
        raise TypeError(f"not a message of this broker: {message!r}")
    return message
