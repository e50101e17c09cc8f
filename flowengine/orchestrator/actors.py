"""The orchestrator's actors: take what is in hand, call the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import dramatiq

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.signals import QuietActor
from flowengine.broker.streams.wire import UndecodablePayloadError, decode
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.held import Held
from flowengine.errors import ConflictError, StoreUnavailableError
from flowengine.execution.messages import Callback, StartExecution
from flowengine.heuristics import SMALL_CALLBACK_BYTES, SMALL_EXECUTION_NODES
from flowengine.observability.log_context import bound_contextvars
from flowengine.orchestrator.rare_steps import RareSteps
from flowengine.queues import ORCHESTRATOR_QUEUE

EXPECTED: Final = (StoreUnavailableError, ConflictError)

Actor: TypeAlias = Callable[[Sequence[bytes]], None]

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"bulk": "bulk_id", "execution": "execution_id", "node": "node_id", "correlation_id": "correlation_id"}
)
"""The fields of messages that log lines show."""


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


def declare(broker: StreamsBroker, engine: Orchestrator, rare: RareSteps) -> None:
    """Declare the orchestrator's actors on the broker: those of its messages."""

    def one(step: Callable[[Held[Any]], None]) -> Actor:
        """Has the step deal with the one message in hand; log lines tell what it is about."""

        def take(payloads: Sequence[bytes]) -> None:
            held: list[Held[Any]] = broker.held()
            with bound_contextvars(**_subject(held[0].payload)):
                step(held[0])

        return take

    def start(payloads: Sequence[bytes]) -> None:
        held: list[Held[StartExecution]] = broker.held()
        if len(held) > 1:
            engine.start_together(held)
            return
        with bound_contextvars(**_subject(held[0].payload)):
            engine.start(held[0])

    def finish(payloads: Sequence[bytes]) -> None:
        held: list[Held[Callback]] = broker.held()
        engine.finish(held)

    actors: Mapping[str, Actor] = {
        "start_execution": start,
        "stop_execution": one(engine.stop),
        "resume_execution": one(engine.resume),
        "delete_execution": one(engine.delete),
        "copy_results": one(engine.copy),
        "run_bulk": one(rare.run_bulk),
        "fire_schedule": one(rare.fire_schedule),
        "start_followers": one(rare.start_followers),
        "node_overruled": one(engine.follow_overruled),
        "signal_kept": one(engine.bring_signals),
        "line_moved": one(engine.move_line),
        "tend_child": one(engine.tend_child),
        "tend_children": one(engine.tend_children),
        "keep_children": one(engine.keep_children),
        "node_finished": finish,
        "timer_fired": one(engine.fire),
        "delivery_attempted": one(engine.deliver),
    }
    for name, function in actors.items():
        dramatiq.actor(
            actor_class=QuietActor,
            actor_name=name,
            broker=broker,
            queue_name=ORCHESTRATOR_QUEUE,
            throws=EXPECTED,
        )(function)


def _subject(message: object) -> dict[str, str]:
    """What a message is about, by the names that log lines have for it."""
    return {name: getattr(message, field) for field, name in _NAMES.items() if hasattr(message, field)}
