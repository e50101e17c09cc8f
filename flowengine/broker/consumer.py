"""Hands the messages of one queue to Dramatiq, one at a time.

Decides when to look for lapsed messages and when for new ones, and what happens to a message at the end
of its processing. Iteration never raises a connection error: Dramatiq would stop for three seconds. What
is held belongs to the broker, because Dramatiq replaces consumers after an error.
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
from flowengine.broker.delivery import Delivery
from flowengine.broker.errors import connection_closed
from flowengine.broker.inline_processor import InlineProcessor
from flowengine.broker.leases.hand_back import hand_back_failed, hand_back_unstarted
from flowengine.broker.leases.recoverer import SCAN_LIMIT, Recoverer
from flowengine.broker.policy import Policies
from flowengine.broker.set_aside.dead_letters import Reason, bury
from flowengine.broker.set_aside.line_reader import LineReader
from flowengine.broker.set_aside.put_off import put_off
from flowengine.broker.streams.consumer_group import RawEntry, is_missing_group
from flowengine.broker.streams.own_connection import OwnConnection
from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.streams.wire import UndecodablePayloadError, acknowledge
from flowengine.broker.timing import Timing
from flowengine.broker.turn_reader import Found, TurnReader, seldom
from flowengine.errors import StoreUnavailableError
from flowengine.queues import async_line, queue_of_line

if TYPE_CHECKING:
    from flowengine.broker.broker import StreamsBroker

_BLOCK_STEP_MS: Final = 50
"""A long block lasts a multiple of this, up to a step too long: then most reads are in the same words, which
the connection has packed before."""

log = structlog.stdlib.get_logger(__name__)


class StreamsConsumer(dramatiq.Consumer):
    """Dramatiq's consumer of one queue. One thread iterates; any thread calls `ack` and `nack`.

    Dramatiq sees only what its own threads shall process: see `InlineProcessor`.
    """

    _needs_threads = True
    _scan_limit = SCAN_LIMIT

    def __init__(self, broker: StreamsBroker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._beside_queue = queue_of_line(queue)
        """Whose dead letters and put off messages those of an async line are."""
        self._line_beside = async_line(self._beside_queue)
        self._held = broker.held_messages
        self._timing = broker.timing
        self._join = broker.join_limit(queue)
        # Its own connection: it blocks in reading.
        self._client = OwnConnection(broker.connect_one())
        self._group = broker.group_over(self._client)
        self._cautious = broker.is_cautious(queue)
        self._sign = SignOfLife(self._group, self._timing)
        beside = broker.beside(queue)
        self._reader = TurnReader(
            self._group, queue, beside, self._sign, self._timing, exact=not self._needs_threads
        )
        self._recoverer = self._recoverer_of(queue)
        self._recoverers_beside = {
            line: self._recoverer_of(line, seldom(self._timing)) for line in beside.lines
        }
        self._assemblers = {queue: self._assembler_of(queue)}
        self._beside = self._line_reader()
        self._fetching = Lock()
        self._closed = False
        self._inline = InlineProcessor(queue, broker.policies, self._take_for_others, self._timing)
        self._ready: deque[Delivery] = deque()
        self._prepared = False
        self._drained = False
        self._connection_id: int | None = None
        self._failures = 0

    def _recoverer_of(self, line: str, timing: Timing | None = None) -> Recoverer:
        return Recoverer(
            self._group,
            line,
            self._held,
            timing or self._timing,
            cautious=self._cautious,
            max_deliveries=self._broker.max_deliveries,
            scan_limit=self._scan_limit,
        )

    def _policies(self) -> Policies:
        return self._broker.policies

    def _line_reader(self) -> LineReader | None:
        lines = self._broker.handler_lines
        if lines is None:
            return None
        return LineReader(self._group, self._queue, lines, self._recoverer_of, self._sign, self._timing)

    def _assembler_of(self, line: str) -> Assembler:
        broker = self._broker
        return Assembler(
            self._queue,
            self._policies(),
            understood=broker.understood,
            max_deliveries=broker.max_deliveries,
            release=self._held.release,
            hand_back_part=broker.hand_back_part,
            stream=self._group.stream(line),
            threads=lambda: self._held.threads,
            consumer=self._group.consumer.decode(),
            line=line,
            pass_on=broker.pass_on,
        )

    def __next__(self) -> MessageProxy | None:
        """The next delivery. None after about a second without one, or when one was processed here."""
        with self._fetching:
            delivery = self._next()
        if delivery is None:
            return None
        alone = self._drained and not self._ready and self._held.holds_only(delivery)
        worker = self._broker.worker
        # The consumers of several queues share the threads, and do not know what another one processes.
        sole = self._broker.consumer_count == 1
        if not self._inline.suits(delivery, alone=alone and sole) or worker is None:
            return delivery
        self._drained = False  # no other thread has been woken
        self._inline.process(delivery, worker)
        return None

    def _take_for_others(self) -> Delivery | None:
        """The next delivery for Dramatiq's threads, while this consumer's thread works as one of them."""
        within_s = min(self._timing.block_at_most_s, self._held.until_overdue_s())
        self._held.wait_for_thread(unassigned=len(self._ready), within_s=within_s)
        with self._fetching:
            if self._closed:
                return None
            # Asked again: another holder of the lock may have used the thread meanwhile.
            idle = self._held.wait_for_thread(unassigned=len(self._ready), within_s=0)
            if idle or self._held.stopping:
                return self._next()
            self._hand_back_overdue()
            self._stay_seen()
        return None

    def _next(self) -> Delivery | None:
        if self._ready:
            return self._ready.popleft()
        if self._held.stopping:
            self._hand_back_waiting("stopping")
            time.sleep(self._timing.stopping_rest_s)
            return None
        if self._drained:
            # To ask for more at once would take the interpreter lock from the thread that was just woken.
            self._drained = False
            time.sleep(self._timing.handover_s)
        self._hand_back_overdue()
        within_s = min(self._timing.block_at_most_s, self._held.until_overdue_s())
        most = self._held.wait_to_fetch(join=self._join, within_s=within_s)
        if most > 0:
            self._fetch(max(1, most // self._broker.consumer_count))
        elif not self._held.stopping:
            self._stay_seen()
        return self._ready.popleft() if self._ready else None

    def ack(self, message: MessageProxy) -> None:
        """The actor has returned or raised. The engine's own transactions have acknowledged its messages."""
        delivery = _delivery(message)
        if delivery.left_thread:
            return
        if delivery.withdrawn:
            self._held.finish(delivery)
        elif isinstance(delivery.exception, UndecodablePayloadError) and len(delivery.entries) == 1:
            self._bury(delivery, "undecodable")
        elif delivery.engine:
            self._end(delivery)
        elif delivery.exception is not None:
            self._bury(delivery, "raised")
        else:
            self._acknowledge(delivery)

    def nack(self, message: MessageProxy) -> None:
        """Dramatiq refuses the message. An engine message is handed back; any other is a dead letter."""
        delivery = _delivery(message)
        if delivery.withdrawn:
            self._held.finish(delivery)
        elif delivery.engine:
            self._end(delivery)
        elif isinstance(delivery.exception, ActorNotFound):
            self._bury(delivery, "unknown_actor")
        else:
            self._bury(delivery, "rejected")

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back what has not started."""
        chosen = self._held.withdraw([_delivery(message) for message in messages])
        hand_back_unstarted(self._broker.group, chosen, reason="requeued")

    def close(self) -> None:
        """Hand back what no thread has been given. When the process stops, also what still runs."""
        if self._held.stopping:
            chosen = self._held.withdraw(self._held.all(self._queue), even_running=True)
        else:
            chosen = self._held.withdraw(self._ready)
        self._ready.clear()
        self._closed = True
        self._inline.end()
        hand_back_unstarted(self._broker.group, chosen, reason="closing")
        self._client.close()

    def wake(self) -> None:
        """End a blocking read early. Any thread may call this.

        Does nothing if Redis cannot be reached or does not let us: the read ends by itself, within a second.
        """
        if self._connection_id is None:
            return
        try:
            self._broker.group.unblock(self._connection_id)
        except redis.RedisError as error:
            log.debug("broker.consumer_not_woken", queue=self._queue, error=str(error))

    # -- fetching

    def _fetch(self, most: int) -> None:
        try:
            if not self._prepared:
                self._prepare()
            if taken := self._recoverer.take(most):
                self._receive(taken, self._queue)
            else:
                self._held.end_admission(self._queue)
                for line, entries in () if self._take_beside(most) else self._read(most):
                    self._receive([(entry, 1) for entry in entries], line)
            self._end_outage()
        except redis.RedisError as error:
            self._back_off(error)
        finally:
            self._held.end_admission(self._queue)

    def _take_beside(self, most: int) -> bool:
        """Whether there was something for this process in the line of a handler, or lapsed in a line that is
        read with the queue."""
        for line, recoverer in self._recoverers_beside.items():
            if lapsed := recoverer.take(most):
                self._receive(lapsed, line)
                return True
        self._held.end_admission(self._queue)
        taken = None if self._beside is None else self._beside.take(most)
        if taken is None:
            return False
        self._receive(taken.entries, taken.line)
        return True

    def _prepare(self) -> None:
        """Before the first fetch, and before the first one after a failure."""
        self._connection_id = self._group.connection_id()
        self._broker.keep_own(self._queue)
        if self._line_beside in self._broker.queues:
            # A worker that serves the queue must be seen to serve the line too: see `store.lines_beside`.
            self._group.create(self._line_beside)
            self._group.sign(self._line_beside)
        server = self._group.server()
        self._reader.prepare(reads_suffice=server.notes_empty_reads)
        self._group.create(self._queue)
        self._sign.reads_suffice = server.notes_empty_reads
        lease_s = self._group.lease_ms / 1000
        if server.uptime_s < lease_s:
            # Every holder is about to reconnect and to renew its leases.
            self._recoverer.postpone(lease_s - server.uptime_s)
            self._postpone_beside(lease_s - server.uptime_s)
        self._prepared = True

    def _read(self, most: int) -> Found:
        block_s = min(self._timing.block_at_most_s, self._recoverer.rest_s(), self._held.until_overdue_s())
        begun = time.monotonic()
        block_ms = max(1, int(block_s * 1000))
        if block_ms > 2 * _BLOCK_STEP_MS:
            block_ms += -block_ms % _BLOCK_STEP_MS
        found = self._reader.read(most, block_ms)
        self._notice_standstill(begun, block_ms / 1000)
        self._drained = 0 < sum([len(entries) for _, entries in found]) < most
        return found

    def _stay_seen(self) -> None:
        """Nothing is fetched now: all threads are busy. That must not look as if nobody were here."""
        if not self._prepared:
            return
        begun = time.monotonic()
        try:
            self._reader.stay_seen()
            if self._beside is not None:
                self._beside.stay_seen()
            self._notice_standstill(begun)
        except redis.RedisError as error:
            self._back_off(error)

    def _notice_standstill(self, begun: float, expected_s: float = 0.0) -> None:
        """A reply that comes late means that the server stood still, and other holders with it."""
        if time.monotonic() - begun > expected_s + self._recoverer.standstill_s:
            self._recoverer.postpone()
            self._postpone_beside()

    def _postpone_beside(self, for_s: float | None = None) -> None:
        for recoverer in self._recoverers_beside.values():
            recoverer.postpone(for_s)
        if self._beside is not None:
            self._beside.postpone(for_s)

    def _receive(self, raw: list[tuple[RawEntry, int]], line: str) -> None:
        if line not in self._assemblers:
            self._assemblers[line] = self._assembler_of(line)
        assembled = self._assemblers[line].assemble(raw)
        self._held.hold(assembled.deliveries, needs_thread=self._needs_threads)
        self._ready.extend(assembled.deliveries)
        if self._held.stopping:
            self._hand_back_waiting("stopping")
            self._ready.clear()
        for entry in assembled.not_understood:
            put_off(self._group, self._beside_queue, entry, line=line)
        policies = self._broker.policies
        for entry in assembled.undecodable:
            bury(self._group, self._beside_queue, entry, "undecodable", policies, line=line)
        for entry in assembled.exhausted:
            bury(self._group, self._beside_queue, entry, "exhausted", policies, line=line)

    def _end_outage(self) -> None:
        if self._failures:
            log.info("broker.connection_recovered", queue=self._queue, failures=self._failures)
            self._failures = 0

    def _back_off(self, error: redis.RedisError) -> None:
        if is_missing_group(error):
            self._prepared = False
            log.warning("broker.group_lost", queue=self._queue)
            return
        self._prepared = False
        self._recoverer.postpone()
        self._postpone_beside()
        if not self._failures:
            forbidden = isinstance(error, redis.exceptions.NoPermissionError)
            event = "broker.command_forbidden" if forbidden else "broker.connection_lost"
            log.warning(event, queue=self._queue, error=str(error) or type(error).__name__)
        self._failures += 1
        doubled_s = self._timing.back_off_from_s * 2 ** min(self._failures, 10)
        limit = min(self._timing.back_off_to_s, doubled_s)
        self._held.rest(random.uniform(limit / 2, limit))

    # -- handing back, acknowledging, burying

    def _hand_back_overdue(self) -> None:
        overdue = self._held.overdue()
        if overdue:
            chosen = self._held.withdraw(overdue)
            hand_back_unstarted(self._broker.group, chosen, reason="not started in time")

    def _hand_back_waiting(self, reason: str) -> None:
        waiting = self._held.waiting(self._queue)
        if waiting:
            hand_back_unstarted(self._broker.group, self._held.withdraw(waiting), reason=reason)

    def _end(self, delivery: Delivery) -> None:
        """Hand back what the engine has not acknowledged."""
        unacknowledged = delivery.unacknowledged
        self._held.finish(delivery)
        if not unacknowledged:
            self._broker.outage_pause.succeeded()
            return
        after_s = self._timing.retry_after_s
        if isinstance(delivery.exception, StoreUnavailableError):
            after_s = max(after_s, self._broker.outage_pause.after_failure())
        hand_back_failed(self._broker.group, delivery, unacknowledged, after_s=after_s)

    def _acknowledge(self, delivery: Delivery) -> None:
        group = self._broker.group
        pipe = group.client.pipeline(transaction=True)
        acknowledge(pipe, group.stream(self._queue), [entry.id for entry in delivery.entries])
        try:
            pipe.execute()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._held.finish(delivery)

    def _bury(self, delivery: Delivery, reason: Reason) -> None:
        try:
            for entry in delivery.entries:
                group, policies = self._broker.group, self._broker.policies
                bury(group, self._beside_queue, entry, reason, policies, line=delivery.line)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self._held.finish(delivery)


def _delivery(message: MessageProxy) -> Delivery:
    if not isinstance(message, Delivery):
        raise TypeError(f"not a message of this broker: {message!r}")
    return message
