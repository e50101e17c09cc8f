"""What a handler is told besides its config, for one delivery of its node."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec

from flowengine.engine.ports import Given
from flowengine.engine.running.node_identity import traceparent_of
from flowengine.engine.running.rendering.node_scope import callback_url, idempotency_key
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import RunNode
from flowengine.observability.tracing.trace_text import without_trace
from flowengine.plugin import Cancellation, Context
from flowengine.plugin.context import Log, Unheard


class Environment(msgspec.Struct, frozen=True):
    """What handlers get from the process: shared HTTP clients and settings by name."""

    http: Callable[[], httpx.Client]
    async_http: Callable[[], httpx.AsyncClient]
    setting: Callable[[str], str | None]


def node_context(
    task: RunNode,
    given: Given,
    delivery: int,
    deadline: float,
    environment: Environment,
    hand: TaskInHand | None,
    logger: Log,
) -> Context:
    """The context of a delivery. `logger`: its handler's. Without a `hand`, nobody asks the handler to stop
    or hears what it says."""
    return Context(
        execution_id=task.execution,
        run=task.run,
        node_id=task.node,
        attempt=task.attempt,
        delivery=delivery,
        deadline=deadline,
        idempotency_key=idempotency_key(task),
        correlation_id=without_trace(task.correlation_id),
        traceparent=traceparent_of(task, delivery),
        tries_once=task.tries_once,
        logger=logger,
        http=environment.http,
        async_http=environment.async_http,
        environment=environment.setting,
        cancellation=Cancellation() if hand is None else hand.cancellation,
        output=Unheard() if hand is None else hand.output,
        callback_url=callback_url(task, given),
    )
