"""Builds brokers and workers on a test's server, and takes them all down at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import dramatiq
import msgspec
import pytest
import redis

from flowengine.broker.assembler import Assembler
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Entry
from flowengine.broker.policy import ActorPolicy, Policies
from flowengine.broker.streams.wire import ACTOR, PAYLOAD, Understood
from flowengine.broker.timing import Timing
from flowengine.execution.messages import RunNode
from flowengine.queues import GROUP, dead_letter_key, later_key, stream_key
from tests.support.servers.valkey import Valkey

LEASE_S = 0.9

PATIENT: Final = Timing(start_within_s=30.0)
"""A thread may be late on a busy machine, and what has not begun in time goes back to the queue."""

QUEUE = "q"


def task(node: str = "a") -> RunNode:
    """A task of this node."""
    return RunNode(
        execution="x",
        run=1,
        node=node,
        dispatch=1,
        attempt=1,
        handler="h",
        config=msgspec.Raw(b"{}"),
        reads=(),
        timeout_ms=1000,
        correlation_id="c",
    )


def encoded(node: str = "a") -> bytes:
    """The payload of this node's task."""
    return msgspec.json.encode(task(node))


def release_nothing(queue: str, entries: Iterable[Entry]) -> None:
    """For deliveries whose leases nobody keeps."""


def make_assembler(
    policies: Policies,
    *,
    queue: str = QUEUE,
    threads: int = 1,
    release: Callable[[str, Iterable[Entry]], None] = release_nothing,
) -> Assembler:
    """What makes deliveries of raw entries, outside a broker. Three deliveries are allowed."""
    return Assembler(
        queue,
        policies,
        understood=Understood(policies),
        max_deliveries=3,
        release=release,
        hand_back_part=lambda delivery, entries: None,
        stream=stream_key(queue),
        threads=lambda: threads,
    )


class Seen:
    """What an actor was called with, and a gate that holds it until it is opened."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, ...]] = []
        self.deliveries: list[tuple[int, ...]] = []
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def note(self, payloads: Sequence[bytes], deliveries: tuple[int, ...]) -> None:
        """Record one call."""
        with self._lock:
            self.deliveries.append(deliveries)
            self.calls.append(tuple(payloads))  # last: this is what tests wait for

    @property
    def payloads(self) -> list[bytes]:
        """All payloads so far, in the order of their calls."""
        return [payload for call in list(self.calls) for payload in call]


class Rig:
    """Brokers, workers and actors of one test, on one server."""

    def __init__(self, server: Valkey) -> None:
        self.server = server
        self.client = server.connect()
        self._workers: list[dramatiq.Worker] = []
        self._brokers: list[StreamsBroker] = []
        self._gates: list[threading.Event] = []

    def broker(
        self,
        *,
        lease_s: float = LEASE_S,
        timing: Timing = PATIENT,
        **options: Any,
    ) -> StreamsBroker:
        """A broker with a short lease; `options` are StreamsBroker's."""
        broker = StreamsBroker(self.server.connect, lease_s=lease_s, timing=timing, **options)
        self._brokers.append(broker)
        return broker

    def engine_broker(
        self, actor: str = "act", *, policy: ActorPolicy | None = None, **options: Any
    ) -> StreamsBroker:
        """A broker that knows one engine actor."""
        return self.broker(policies={actor: policy or ActorPolicy()}, **options)

    def actor(
        self,
        broker: StreamsBroker,
        seen: Seen,
        *,
        name: str = "act",
        queue: str = QUEUE,
        raises: Callable[[], Exception] | None = None,
        acknowledge: bool = True,
        gated: bool = False,
    ) -> None:
        """An engine actor that notes its calls, waits if `gated`, then raises or acknowledges."""
        if gated:
            self._gates.append(seen.gate)

        def act(payloads: list[bytes]) -> None:
            receipt = broker.receipt()
            seen.note(payloads, tuple(entry.deliveries for entry in receipt.entries))
            if gated:
                seen.gate.wait(20)
            if raises is not None:
                raise raises()
            if acknowledge:
                pipe = broker.group.client.pipeline(transaction=True)
                everything = range(len(receipt.entries))
                receipt.acknowledge(pipe, everything)
                pipe.execute()
                receipt.confirm(everything)

        dramatiq.actor(actor_name=name, queue_name=queue, broker=broker)(act)

    def work(self, broker: dramatiq.Broker, *, threads: int = 2) -> dramatiq.Worker:
        """A running Dramatiq worker over the broker."""
        worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=threads)
        worker.start()
        self._workers.append(worker)
        return worker

    def stop(self, worker: dramatiq.Worker, *, timeout_ms: int = 5000) -> None:
        """Stop one worker in good order."""
        self._workers.remove(worker)
        worker.stop(timeout=timeout_ms)

    def send(
        self,
        broker: StreamsBroker,
        *payloads: bytes,
        actor: str = "act",
        queue: str = QUEUE,
        field: bytes = PAYLOAD,
    ) -> None:
        """Send engine messages in one transaction. `field` names their version."""
        pipe = self.client.pipeline(transaction=True)
        for payload in payloads:
            pipe.execute_command("XADD", stream_key(queue), "*", ACTOR, actor, field, payload)
        pipe.execute()

    def take_as(
        self, consumer: str, *, queue: str = QUEUE, count: int = 1, deliveries: int = 1
    ) -> list[bytes]:
        """Take entries as a process would that then vanishes; returns their ids. Their leases begin now."""
        self.make_group(queue)
        reply: Any = self.client.execute_command(
            b"XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", stream_key(queue), ">"
        )
        pairs = next(iter(reply.values())) if isinstance(reply, dict) else reply[0][1]
        ids = [entry[0] for entry in pairs]
        if deliveries > 1:
            # fmt: off
            self.client.execute_command(
                b"XCLAIM", stream_key(queue), GROUP, consumer, 0, *ids, "RETRYCOUNT", deliveries, "JUSTID"
            )
            # fmt: on
        return ids

    def make_group(self, queue: str = QUEUE) -> None:
        """The queue's group, if it is not there."""
        try:
            self.client.xgroup_create(stream_key(queue), GROUP, "0", mkstream=True)
        except redis.ResponseError:
            return

    def pending(self, queue: str = QUEUE) -> dict[bytes, tuple[bytes, int]]:
        """Entry id -> the consumer that holds it and its delivery count."""
        try:
            rows: Any = self.client.execute_command(b"XPENDING", stream_key(queue), GROUP, "-", "+", 1000)
        except redis.ResponseError:
            return {}
        return {row[0]: (row[1], row[3]) for row in rows}

    def length(self, queue: str = QUEUE) -> int:
        """How many messages are not acknowledged."""
        return int(self.client.xlen(stream_key(queue)))

    def dead(self, queue: str = QUEUE) -> list[dict[bytes, bytes]]:
        """The queue's dead letters, oldest first."""
        return self._read(dead_letter_key(queue))

    def put_off(self, queue: str = QUEUE) -> list[dict[bytes, bytes]]:
        """What has been put off, oldest first."""
        return self._read(later_key(queue))

    def fields(self, queue: str = QUEUE) -> list[dict[bytes, bytes]]:
        """The queue's entries, oldest first."""
        return self._read(stream_key(queue))

    def _read(self, key: str) -> list[dict[bytes, bytes]]:
        rows: Any = self.client.execute_command(b"XRANGE", key, "-", "+")
        return [dict(zip(row[1][::2], row[1][1::2], strict=True)) for row in rows]

    def close(self) -> None:
        """Open all gates, stop all workers, close all brokers."""
        for gate in self._gates:
            gate.set()
        for worker in self._workers:
            worker.stop(timeout=3000)
        for broker in self._brokers:
            broker.close()
        self.client.close()


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[Rig]:
    """A rig on the session's server."""
    made = Rig(valkey)
    yield made
    made.close()
