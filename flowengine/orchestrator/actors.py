"""The orchestrator's actors: take what is in hand, call the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import dramatiq

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.streams.wire import UndecodablePayloadError, decode
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.advancing.steps.bulk_step import BulkStep
from flowengine.engine.held import Held
from flowengine.errors import ConflictError, StoreUnavailableError
from flowengine.execution.messages import (
    Callback,
    Deadline,
    DeleteExecution,
    DeliveryAttempted,
    KeepChildren,
    LineMoved,
    NextTry,
    NodeOverruled,
    ResumeExecution,
    RunBulk,
    SignalKept,
    StartExecution,
    StopExecution,
    TendChild,
    TendChildren,
    Timer,
    WaitOver,
)
from flowengine.heuristics import SMALL_CALLBACK_BYTES, SMALL_EXECUTION_NODES
from flowengine.observability.log_context import bound_contextvars
from flowengine.queues import ORCHESTRATOR_QUEUE

EXPECTED: Final = (StoreUnavailableError, ConflictError)


def is_small_start(payload: bytes) -> bool:
    """Whether this `start_execution` may be dealt with beside others: a first run of few nodes."""
    try:
        message: StartExecution = decode("start_execution", payload)
    except UndecodablePayloadError:
        return False
    return message.run == 1 and message.nodes <= SMALL_EXECUTION_NODES


def is_small_callback(payload: bytes) -> bool:
    """Whether this `node_finished` takes about as long as one without a result."""
    return len(payload) <= SMALL_CALLBACK_BYTES


def declare(broker: StreamsBroker, engine: Orchestrator, bulks: BulkStep) -> None:
    """Declare the orchestrator's actors on the broker: those of its messages."""

    def start_execution(payloads: Sequence[bytes]) -> None:
        held: list[Held[StartExecution]] = broker.held()
        if len(held) > 1:
            engine.start_together(held)
            return
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.start(held[0])

    def node_finished(payloads: Sequence[bytes]) -> None:
        held: list[Held[Callback]] = broker.held()
        engine.finish(held)

    def timer_fired(payloads: Sequence[bytes]) -> None:
        held: list[Held[Timer]] = broker.held()
        timer = held[0].payload
        node = {"node_id": timer.node} if isinstance(timer, Deadline | NextTry | WaitOver) else {}
        with bound_contextvars(execution_id=timer.execution, **node):
            engine.fire(held[0])

    def stop_execution(payloads: Sequence[bytes]) -> None:
        held: list[Held[StopExecution]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.stop(held[0])

    def resume_execution(payloads: Sequence[bytes]) -> None:
        held: list[Held[ResumeExecution]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.resume(held[0])

    def delete_execution(payloads: Sequence[bytes]) -> None:
        held: list[Held[DeleteExecution]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.delete(held[0])

    def run_bulk(payloads: Sequence[bytes]) -> None:
        held: list[Held[RunBulk]] = broker.held()
        message = held[0].payload
        with bound_contextvars(bulk_id=message.bulk, correlation_id=message.correlation_id):
            bulks.fire(held[0])

    def node_overruled(payloads: Sequence[bytes]) -> None:
        held: list[Held[NodeOverruled]] = broker.held()
        message = held[0].payload
        with bound_contextvars(
            execution_id=message.execution, node_id=message.node, correlation_id=message.correlation_id
        ):
            engine.follow_overruled(held[0])

    def signal_kept(payloads: Sequence[bytes]) -> None:
        held: list[Held[SignalKept]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.bring_signals(held[0])

    def line_moved(payloads: Sequence[bytes]) -> None:
        held: list[Held[LineMoved]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.move_line(held[0])

    def delivery_attempted(payloads: Sequence[bytes]) -> None:
        held: list[Held[DeliveryAttempted]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.deliver(held[0])

    def tend_child(payloads: Sequence[bytes]) -> None:
        held: list[Held[TendChild]] = broker.held()
        message = held[0].payload
        with bound_contextvars(
            execution_id=message.execution, node_id=message.node, correlation_id=message.correlation_id
        ):
            engine.tend_child(held[0])

    def tend_children(payloads: Sequence[bytes]) -> None:
        held: list[Held[TendChildren]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.tend_children(held[0])

    def keep_children(payloads: Sequence[bytes]) -> None:
        held: list[Held[KeepChildren]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            engine.keep_children(held[0])

    actors: tuple[Callable[[Sequence[bytes]], None], ...] = (
        start_execution,
        stop_execution,
        resume_execution,
        delete_execution,
        run_bulk,
        node_overruled,
        signal_kept,
        line_moved,
        tend_child,
        tend_children,
        keep_children,
        node_finished,
        timer_fired,
        delivery_attempted,
    )
    for function in actors:
        dramatiq.actor(broker=broker, queue_name=ORCHESTRATOR_QUEUE, throws=EXPECTED)(function)
