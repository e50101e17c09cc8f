"""The orchestrator's actors: decode, call the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dramatiq
import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.streams.payloads import decoded
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.errors import ConflictError, StoreUnavailableError
from flowengine.execution.records import Callback, StartExecution, TimerFired
from flowengine.jsonvalue import UNREADABLE
from flowengine.queues import ORCHESTRATOR_QUEUE

log = structlog.stdlib.get_logger()

SMALL_NODES = 50
SMALL_BYTES = 64 * 1024

EXPECTED = (StoreUnavailableError, ConflictError)

_callback = msgspec.json.Decoder(Callback)
_start = msgspec.json.Decoder(StartExecution)
_timer = msgspec.json.Decoder(TimerFired)


def is_small_start(payload: bytes) -> bool:
    """Whether this `start_execution` may be dealt with beside others: a first run of few nodes."""
    try:
        message = _start.decode(payload)
    except UNREADABLE:
        return False
    return message.run == 1 and message.nodes is not None and message.nodes <= SMALL_NODES


def is_small_callback(payload: bytes) -> bool:
    """Whether this `node_finished` takes about as long as one without a result."""
    return len(payload) <= SMALL_BYTES


def declare(broker: StreamsBroker, engine: Orchestrator) -> None:
    """Declare `start_execution`, `node_finished` and `timer_fired` on the broker."""

    def start_execution(payloads: Sequence[bytes]) -> None:
        if len(payloads) > 1:
            engine.start_together([decoded(_start, payload) for payload in payloads], broker.receipt())
            return
        message = decoded(_start, payloads[0])
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.start(message, broker.receipt())

    def node_finished(payloads: Sequence[bytes]) -> None:
        engine.finish([decoded(_callback, payload) for payload in payloads], broker.receipt())

    def timer_fired(payloads: Sequence[bytes]) -> None:
        message = decoded(_timer, payloads[0])
        with bound_contextvars(execution_id=message.execution, node_id=message.node):
            engine.fire(message, broker.receipt())

    actors: tuple[Callable[[Sequence[bytes]], None], ...] = (start_execution, node_finished, timer_fired)
    for function in actors:
        dramatiq.actor(broker=broker, queue_name=ORCHESTRATOR_QUEUE, throws=EXPECTED)(function)
