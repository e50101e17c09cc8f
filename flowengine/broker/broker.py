"""Dramatiq's broker on Redis Streams consumer groups.

To send is one XADD, which can join the caller's transaction. To receive is a read that blocks. The engine
acknowledges its messages itself, in the transaction that carries a message's effect. There is no Lua, and
no clock but Redis's for anything that two processes must agree on. Messages are delivered at least once:
what a process held when it died comes back within a lease and a second or two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import dramatiq
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from flowengine.broker.async_consumer import AsyncConsumer
from flowengine.broker.consumer import StreamsConsumer
from flowengine.broker.delivery import Delivery
from flowengine.broker.errors import (
    DelayRefusedError,
    NoMessageError,
    connection_closed,
    join_timed_out,
    queue_not_found,
)
from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.leases.hand_back import hand_back_failed, hand_back_part, hand_back_unstarted
from flowengine.broker.leases.janitor import Janitor
from flowengine.broker.leases.lease_keeper import LeaseKeeper
from flowengine.broker.leases.outage_pause import OutagePause
from flowengine.broker.leases.own_queues import keep_own_queue
from flowengine.broker.leases.process_notice import ProcessNotice, consumer_name_of_process
from flowengine.broker.policy import KnownHandlers, Policies
from flowengine.broker.set_aside.handler_lines import HandlerLines
from flowengine.broker.set_aside.put_off import PutOffMessages
from flowengine.broker.signals import QuietSignals
from flowengine.broker.streams.consumer_group import ConsumerGroup, is_missing_group
from flowengine.broker.streams.dramatiq_messages import encode_message
from flowengine.broker.streams.wire import MESSAGE, READABLE_PAYLOADS, Understood
from flowengine.broker.timing import TIMING, Timing
from flowengine.broker.turn_reader import Beside
from flowengine.engine.held import Held
from flowengine.errors import StoreUnavailableError
from flowengine.queues import (
    ORCHESTRATOR_QUEUE,
    async_line,
    crowd_line,
    high_line,
    is_async_line,
    later_key,
    low_line,
    queue_of_line,
)

SUSPECT_FROM: Final = 3
"""From this delivery on a message is suspected of killing its worker; sooner where the limit is lower."""

BeginAsync: TypeAlias = Callable[[Sequence[Delivery]], Sequence[Delivery]]

log = structlog.stdlib.get_logger(__name__)


class StreamsBroker(QuietSignals):
    """A Dramatiq broker whose queues are streams. Opens no connection before it is used.

    `connect` makes clients that do not retry by themselves. `policies` names the engine's actors, whose
    messages only their receipts acknowledge. A message stays with a silent process for `lease_s`, and is
    delivered at most `max_deliveries` times if its policy limits that. `readable` are the payload fields of
    the versions that this process reads. `known` says which handlers it knows: without, no task is passed on
    to another. With an `owner`, its queues are those that this execution has of its own. `service`: what the
    process says that it is; without, or with an `owner`, it says nothing. `concurrency`: so many nodes of
    async handlers run at once, beside those that threads run; a stop waits `grace_s` for them at most.
    """

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        *,
        policies: Policies | None = None,
        lease_s: float = 12.0,
        max_deliveries: int = 3,
        consumer_name: str | None = None,
        partition: str = "",
        owner: str = "",
        known: KnownHandlers | None = None,
        service: str = "",
        concurrency: int = 0,
        grace_s: float = 30.0,
        readable: frozenset[bytes] = READABLE_PAYLOADS,
        timing: Timing = TIMING,
        middleware: Iterable[Middleware] = (),
    ) -> None:
        self.policies: Policies = dict(policies or {})
        self.max_deliveries = max_deliveries
        self.timing = timing
        self.outage_pause = OutagePause(lease_s)
        self.held_messages = HeldMessages(timing, suspect_from=min(SUSPECT_FROM, max(2, max_deliveries)))
        self._connect = connect
        self._lease_ms = max(1, int(lease_s * 1000))
        self._consumer_name = consumer_name or consumer_name_of_process()
        self._partition = partition
        self._owner = owner
        self._known = known
        self._service = "" if owner else service
        self._concurrency = concurrency
        self._drain_within_s = grace_s
        self.begin_async: BeginAsync = lambda taken: taken
        """Begins nodes of async handlers, and returns those that need a thread after all."""
        self._lines: HandlerLines | None = None
        self._current = threading.local()
        self._consumers: dict[str, StreamsConsumer] = {}
        self.consumer_count = 1
        """How many queues this process consumes whose messages need its threads."""
        self._making = threading.Lock()
        self._group: ConsumerGroup | None = None
        self._keeper: LeaseKeeper | None = None
        self._notice: ProcessNotice | None = None
        self.worker: Worker | None = None
        """Dramatiq's, once it boots."""
        super().__init__(middleware=[_Lifecycle(), *middleware])
        self.queues: set[str] = set()
        self.understood = Understood(self.actors, readable)

    # -- sending

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Send any Dramatiq message at once.

        Raises DelayRefusedError for a delayed one, TypeError for arguments that JSON cannot carry and
        dramatiq.errors.ConnectionClosed when Redis is away.
        """
        if delay is not None:
            raise DelayRefusedError(
                f"{message.actor_name} was sent with a delay of {delay} ms, and this broker keeps nothing "
                "for later; what must wait belongs in fe:timers"
            )
        self.emit_before("enqueue", message, delay)
        try:
            self.group.client.execute_command(
                "XADD", self.group.stream(message.queue_name), "*", MESSAGE, encode_message(message)
            )
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise connection_closed(error) from error
        self.emit_after("enqueue", message, delay)
        return message

    # -- receiving

    def receipt(self) -> Delivery:
        """The engine message that the calling thread processes. Raises NoMessageError."""
        delivery: Delivery | None = getattr(self._current, "delivery", None)
        if delivery is None or not delivery.engine:
            raise NoMessageError(
                "this thread processes no engine message, so there is nothing to acknowledge"
            )
        return delivery

    def held(self) -> list[Held[Any]]:
        """Its payloads. Raises NoMessageError, UndecodablePayloadError."""
        return self.receipt().held()

    def hand_back_part(self, delivery: Delivery, entries: Sequence[int]) -> None:
        """Hand back payloads of a running message that have not begun: at once, and uncounted."""
        hand_back_part(self.group, delivery, entries)

    def pass_on(self, delivery: Delivery, entries: Sequence[int]) -> None:
        """Leave payloads of a running message to processes that know their handlers: uncounted.

        Raises StoreUnavailableError, and TypeError if this broker does not know which handlers there are.
        """
        if self.handler_lines is None:
            raise TypeError("this broker was not told which handlers its process knows")
        self.handler_lines.pass_on(delivery, entries)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> StreamsConsumer:
        """A consumer of a declared queue. Ignores `prefetch` and `timeout`: see `HeldMessages`."""
        if queue_name not in self.queues:
            raise queue_not_found(queue_name)
        self._start_keeper()
        kind = AsyncConsumer if is_async_line(queue_name) else StreamsConsumer
        consumer = self._consumers[queue_name] = kind(self, queue_name)
        self.consumer_count = max(1, sum(not is_async_line(queue) for queue in list(self._consumers)))
        return consumer

    def declare_queue(self, queue_name: str) -> None:
        """Consume this queue. Its stream and group are made on first use."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """The queues declared so far."""
        return set(self.queues)

    def stop(self, worker: Worker, *, within_s: float) -> bool:
        """Stop Dramatiq's worker. What still runs after `within_s` is handed back.

        Returns whether everything has ended. If not, threads still use this broker, and the process
        should end. Dramatiq waits so long for its worker threads, and then as long again for the threads
        that fetch, which may process a message as well. A supervisor would not wait for that. Nor does this
        wait for a server that does not answer: then the leases lapse by themselves.
        """
        self._drain_within_s = within_s
        stopping = threading.Thread(
            target=worker.stop, kwargs={"timeout": int(within_s * 1000)}, name="stop", daemon=True
        )
        stopping.start()
        stopping.join(within_s + self.timing.stop_margin_s)
        if not stopping.is_alive():
            return True
        parting = threading.Thread(target=self._part, name="part", daemon=True)
        parting.start()
        parting.join(self.timing.part_within_s)
        return False

    def _part(self) -> None:
        for queue in list(self._consumers):
            chosen = self.held_messages.withdraw(self.held_messages.all(queue), even_running=True)
            hand_back_unstarted(self.group, chosen, reason="out of time")
        self.leave()

    def drain_async(self) -> None:
        """Wait for the nodes of async handlers, and hand back those that take too long.

        Dramatiq's threads go on meanwhile: what they run ends within the same time.
        """
        if not self.held_messages.wait_for_async(within_s=self._drain_within_s):
            self.hand_back_async(self.held_messages.all_async(), reason="out of time")

    def hand_back_async(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """Hand back nodes of async handlers, begun or not: at once, and uncounted."""
        chosen = self.held_messages.withdraw(deliveries, even_running=True)
        hand_back_unstarted(self.group, chosen, reason=reason)

    def close(self) -> None:
        """Stop renewing and close the connections."""
        if self._keeper is not None:
            self._keeper.stop()
        if self._group is not None:
            self._group.client.close()

    # -- for tests and operators

    def flush(self, queue_name: str) -> None:
        """Drop every message of a queue, delivered or not, put off or passed on or not."""
        later = later_key(queue_name, self._partition, self._owner)
        beside = (crowd_line(queue_name), high_line(queue_name), low_line(queue_name))
        self.group.client.delete(*map(self.group.stream, (queue_name, *beside)), later)
        if self.handler_lines is not None:
            self.handler_lines.drop(queue_name)

    def flush_all(self) -> None:
        """Drop every message of all declared queues."""
        for queue in self.queues:
            self.flush(queue)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until all messages of a queue are acknowledged; `timeout` in milliseconds."""
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while self.group.client.xlen(self.group.stream(queue_name)):
            if deadline is not None and time.monotonic() > deadline:
                raise join_timed_out(queue_name, timeout)
            time.sleep(0.01)

    # -- for this package

    @property
    def group(self) -> ConsumerGroup:
        """This process as a consumer, over a pool that any thread may use."""
        with self._making:
            if self._group is None:
                self._group = self.group_over(self._connect())
            return self._group

    def group_over(self, client: redis.Redis) -> ConsumerGroup:
        """This process as a consumer, over another client."""
        return ConsumerGroup(
            client,
            self._consumer_name,
            lease_ms=self._lease_ms,
            partition=self._partition,
            owner=self._owner,
        )

    @property
    def handler_lines(self) -> HandlerLines | None:
        """The lines of tasks for handlers that some worker does not know; None without known handlers."""
        group = self.group
        with self._making:
            if self._lines is None and self._known is not None:
                self._lines = HandlerLines(group, self._known)
            return self._lines

    def connect_one(self) -> redis.Redis:
        """A new client, to be closed by the caller."""
        return self._connect()

    def join_limit(self, queue: str) -> int:
        """How many entries one delivery of this queue may carry, by the policies of its actors."""
        policies = [self.policies.get(name) for name in self._actors_of(queue)]
        joining = (policy.join for policy in policies if policy is not None and policy.may_join is None)
        return max(joining, default=1)

    def is_cautious(self, queue: str) -> bool:
        """Whether a message of this queue may be one that kills its worker."""
        policies = [self.policies.get(name) for name in self._actors_of(queue)]
        return any(policy is None or policy.on_dead is not None for policy in policies)

    def begin(self, message: MessageProxy) -> None:
        """The calling thread starts to process. Marks the delivery failed if it must not run."""
        if isinstance(message, Delivery):
            if self.held_messages.start(message):
                self._current.delivery = message
            else:
                message.fail()

    def end(self) -> None:
        """The calling thread has processed its delivery."""
        self._current.delivery = None

    def open(self, worker: Worker) -> None:
        """Dramatiq's worker boots."""
        self.worker = worker
        self.held_messages.open(worker.worker_threads, self._concurrency)

    def leave_thread(self) -> bool:
        """Whether the engine message that the calling thread processes goes on without it from now on.

        Then only `let_go` ends it. False where as many do so as may.
        """
        return self.held_messages.leave_thread(self.receipt())

    def let_go(self, deliveries: Sequence[Delivery], error: BaseException | None = None) -> None:
        """Deliveries of async handlers have ended. What no transaction has acknowledged is handed back.

        It counts as a delivery unless Redis was away (`error`): then it stays away for as long as that has
        gone on, a lease at most.
        """
        unsettled = [each for each in deliveries if not each.withdrawn and each.unacknowledged]
        for delivery in deliveries:
            self.held_messages.finish(delivery)
        if isinstance(error, redis.RedisError | StoreUnavailableError):
            reason, after_s = f"{type(error).__name__}: {error}", self.outage_pause.after_failure()
            hand_back_unstarted(self.group, unsettled, reason=reason, after_s=after_s)
            return
        if any(entry.acknowledged for each in deliveries for entry in each.entries):
            self.outage_pause.succeeded()
        for delivery in unsettled:
            left = delivery.unacknowledged
            hand_back_failed(self.group, delivery, left, after_s=self.timing.retry_after_s)

    def stop_fetching(self) -> None:
        """Take no more messages. Wakes the consumers that block in reading."""
        self.held_messages.stop()
        # On a thread of its own: if Redis's name is gone already, to look it up takes seconds. A consumer
        # that is not woken wakes by itself within a second.
        threading.Thread(target=self._wake, name="wake", daemon=True).start()

    def _wake(self) -> None:
        for consumer in list(self._consumers.values()):
            consumer.wake()

    def leave(self) -> None:
        """The worker has stopped: renew no more leases, and leave the groups, so that nobody counts on it."""
        if self._keeper is not None:
            self._keeper.stop()
        leaving = threading.Thread(target=self._leave_groups, name="leave", daemon=True)
        leaving.start()
        leaving.join(self.timing.leave_within_s)

    def _leave_groups(self) -> None:
        if self._notice is not None:
            self._notice.remove()
        beside = [line for queue in list(self._consumers) for line in self.beside(queue).lines]
        for line in dict.fromkeys([*self._consumers, *beside, *self.held_messages.lines()]):
            try:
                self.group.leave(line)
            except redis.RedisError as error:
                if not is_missing_group(error):
                    log.info("broker.group_not_left", queue=line, error=str(error) or type(error).__name__)

    def beside(self, queue: str) -> Beside:
        """The lines beside a queue of a service, or beside an async line, that are read with it. The queue of
        orchestrators has a crowd; other queues have nothing."""
        if queue == ORCHESTRATOR_QUEUE:
            return Beside(crowd_line(queue))
        if async_line(queue_of_line(queue)) not in self.queues:
            return Beside()
        return Beside(crowd_line(queue), high_line(queue), low_line(queue))

    def _actors_of(self, queue: str) -> list[str]:
        """The actors whose messages the queue may hold: all of them if none is declared on it."""
        own = [name for name, actor in self.actors.items() if actor.queue_name == queue]
        return own or list(self.actors)

    def keep_own(self, queue: str) -> None:
        """If the queue is an execution's own, say that it is served. Raises redis.RedisError."""
        if self._owner:
            keep_own_queue(self.group, queue)

    def _start_keeper(self) -> None:
        group, lines = self.group, self.handler_lines
        put_off = PutOffMessages(group, self.understood)
        # An execution's own queues go when it ends, with all their consumers.
        janitor = None if self._owner else Janitor(group, self.timing)

        def see_to(queue: str) -> None:
            self.keep_own(queue)
            if not is_async_line(queue):
                put_off.move_back(queue)
                if lines is not None:
                    lines.look(queue)
            if janitor is not None:
                janitor.turn(queue, *self.beside(queue).lines)

        with self._making:
            if self._keeper is None:
                self._notice = ProcessNotice(group, self.held_messages, self._service)
                self._keeper = LeaseKeeper(
                    group,
                    self.held_messages,
                    lambda: tuple(self._consumers),
                    see_to,
                    self.timing,
                    each_turn=self._notice.write,
                )
            self._keeper.start()


class _Lifecycle(Middleware):
    """Tells the broker what Dramatiq's worker is doing."""

    @property
    def actor_options(self) -> set[str]:
        """`throws`: the exceptions of an actor that Dramatiq does not log as errors.

        Dramatiq's workers read this option, but only its Retries middleware allows actors to have it.
        """
        return {"throws"}

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        _streams(broker).open(worker)

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        _streams(broker).stop_fetching()
        _streams(broker).drain_async()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        _streams(broker).leave()


def _streams(broker: dramatiq.Broker) -> StreamsBroker:
    if not isinstance(broker, StreamsBroker):
        raise TypeError(f"made for StreamsBroker, not {broker!r}")
    return broker
