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
from typing import TYPE_CHECKING

import dramatiq
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.errors import ActorNotFound

from flowengine.broker.assembler import Assembler
from flowengine.broker.delivery import Delivery
from flowengine.broker.errors import connection_closed
from flowengine.broker.inline_processor import InlineProcessor
from flowengine.broker.leases.hand_back import return_failed, return_unstarted
from flowengine.broker.leases.recoverer import Recoverer
from flowengine.broker.set_aside.dead_letters import Reason, bury
from flowengine.broker.set_aside.put_off import put_off
from flowengine.broker.streams.consumer_group import RawEntry, is_missing_group
from flowengine.broker.streams.own_connection import OwnConnection
from flowengine.broker.streams.wire import UndecodablePayloadError

if TYPE_CHECKING:
    from flowengine.broker.broker import StreamsBroker

log = structlog.stdlib.get_logger(__name__)


class StreamsConsumer(dramatiq.Consumer):
    """Dramatiq's consumer of one queue. Iterate from one thread; `ack` and `nack` from any.

    Dramatiq gets to see only what its own threads are to process: see `InlineProcessor`.
    """

    def __init__(self, broker: StreamsBroker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._held = broker.held_messages
        self._timing = broker.timing
        self._join = broker.join_limit(queue)
        # Its own connection: it blocks in reading.
        self._client = OwnConnection(broker.connect_one())
        self._group = broker.group_over(self._client)
        cautious = broker.is_cautious(queue)
        self._recoverer = Recoverer(self._group, queue, self._held, self._timing, cautious=cautious)
        self._assembler = Assembler(
            queue,
            broker.policies,
            understood=broker.understood,
            max_deliveries=broker.max_deliveries,
            release=self._held.release,
            return_part=broker.return_part,
            stream=self._group.stream(queue),
            threads=lambda: self._held.threads,
            consumer=self._group.consumer.decode(),
        )
        self._fetching = Lock()
        self._closed = False
        self._inline = InlineProcessor(queue, broker.policies, self._take_for_others, self._timing)
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
        alone = self._drained and not self._ready and self._held.is_alone(delivery)
        worker = self._broker.worker
        # Consumers of several queues share the threads, and fetch for them without asking one another.
        sole = self._broker.consumer_count == 1
        if not self._inline.suits(delivery, alone=alone and sole) or worker is None:
            return delivery
        self._drained = False  # there is no other thread to keep out of the way of
        self._inline.process(delivery, worker)
        return None

    def _take(self) -> Delivery | None:
        with self._fetching:
            return self._next()

    def _take_for_others(self) -> Delivery | None:
        """For Dramatiq's threads while this consumer's is at work itself: it counts as one of them."""
        within_s = min(self._timing.block_at_most_s, self._held.until_overdue_s())
        self._held.wait_for_thread(beside=len(self._ready), within_s=within_s)
        with self._fetching:
            if self._closed:
                return None
            # Asked anew: whoever held the lock meanwhile may have used the thread.
            idle = self._held.wait_for_thread(beside=len(self._ready), within_s=0)
            if idle or self._held.stopping:
                return self._next()
            self._return_overdue()
        return None

    def _next(self) -> Delivery | None:
        if self._ready:
            return self._ready.popleft()
        if self._held.stopping:
            self._return_waiting("stopping")
            time.sleep(self._timing.stopping_rest_s)
            return None
        if self._drained:
            # Asking for more at once would take the interpreter lock from the thread just woken.
            self._drained = False
            time.sleep(self._timing.handover_s)
        self._return_overdue()
        within_s = min(self._timing.block_at_most_s, self._held.until_overdue_s())
        room = self._held.wait_for_room(join=self._join, within_s=within_s)
        if room > 0:
            self._fill(max(1, room // self._broker.consumer_count))
        return self._ready.popleft() if self._ready else None

    def ack(self, message: MessageProxy) -> None:
        """The actor has returned or raised. The engine's messages are settled by their own transactions."""
        delivery = _delivery(message)
        if delivery.given_back:
            self._held.finish(delivery)
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
            self._held.finish(delivery)
        elif delivery.engine:
            self._end(delivery)
        elif isinstance(delivery.exception, ActorNotFound):
            self._bury(delivery, "unknown_actor")
        else:
            self._bury(delivery, "rejected")

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back what has not started."""
        chosen = self._held.give_back([_delivery(message) for message in messages])
        return_unstarted(self._broker.group, chosen, reason="requeued")

    def close(self) -> None:
        """Hand back what was fetched for nobody; when the process stops, also what still runs."""
        if self._held.stopping:
            chosen = self._held.give_back(self._held.all(self._queue), even_running=True)
        else:
            chosen = self._held.give_back(self._ready)
        self._ready.clear()
        self._closed = True
        self._inline.end()
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
            taken = self._recoverer.take(room)
            if not taken:
                self._held.end_admission(self._queue)
                taken = self._read(room)
            if taken:
                self._receive(taken)
            self._recover()
        except redis.RedisError as error:
            self._back_off(error)
        finally:
            self._held.end_admission(self._queue)

    def _greet(self) -> None:
        """First contact, or first after a failure."""
        self._connection_id = self._group.connection_id()
        self._group.create(self._queue)
        uptime_s = self._group.server_uptime_s()
        lease_s = self._group.lease_ms / 1000
        if uptime_s < lease_s:
            # Every holder is about to come back and renew.
            self._recoverer.postpone(lease_s - uptime_s)
        self._greeted = True

    def _read(self, room: int) -> list[tuple[RawEntry, int]]:
        block_s = min(self._timing.block_at_most_s, self._recoverer.rest_s(), self._held.until_overdue_s())
        begun = time.monotonic()
        found = self._group.read(self._queue, room, max(1, int(block_s * 1000)))
        if time.monotonic() - begun > block_s + self._recoverer.standstill_s:
            self._recoverer.postpone()
        self._drained = 0 < len(found) < room
        return [(entry, 1) for entry in found]

    def _receive(self, raw: list[tuple[RawEntry, int]]) -> None:
        assembled = self._assembler.assemble(raw)
        self._held.hold(assembled.deliveries)
        self._ready.extend(assembled.deliveries)
        if self._held.stopping:
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
        self._recoverer.postpone()
        if not self._failures:
            log.warning("broker.connection_lost", queue=self._queue, error=str(error) or type(error).__name__)
        self._failures += 1
        doubled_s = self._timing.back_off_from_s * 2 ** min(self._failures, 10)
        limit = min(self._timing.back_off_to_s, doubled_s)
        self._held.rest(random.uniform(limit / 2, limit))

    # -- giving back and settling

    def _return_overdue(self) -> None:
        overdue = self._held.overdue()
        if overdue:
            chosen = self._held.give_back(overdue)
            return_unstarted(self._broker.group, chosen, reason="not started in time")

    def _return_waiting(self, reason: str) -> None:
        waiting = self._held.waiting(self._queue)
        if waiting:
            return_unstarted(self._broker.group, self._held.give_back(waiting), reason=reason)

    def _end(self, delivery: Delivery) -> None:
        unsettled = delivery.unsettled
        self._held.finish(delivery)
        if unsettled:
            return_failed(self._broker.group, delivery, unsettled, after_s=self._timing.retry_after_s)

    def _settle(self, delivery: Delivery) -> None:
        group = self._broker.group
        pipe = group.client.pipeline(transaction=True)
        group.settle(pipe, self._queue, [entry.id for entry in delivery.entries])
        try:
            pipe.execute()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._held.finish(delivery)

    def _bury(self, delivery: Delivery, reason: Reason) -> None:
        try:
            for entry in delivery.entries:
                bury(self._broker.group, self._queue, entry, reason, self._broker.policies)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._held.finish(delivery)


def _delivery(message: MessageProxy) -> Delivery:
    if not isinstance(message, Delivery):
        raise TypeError(f"not a message of this broker: {message!r}")
    return message
