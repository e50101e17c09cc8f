"""The worker's actor: take what is in hand, call the engine."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq
from structlog.contextvars import bound_contextvars

from flowengine.broker.broker import StreamsBroker
from flowengine.engine.held import Held
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import RunNode


def declare(broker: StreamsBroker, runner: Runner, groups: QuickGroups, queue: str) -> None:
    """Declare `run_node` for one queue. The first queue's actor serves the other queues too."""

    def run_node(payloads: Sequence[bytes]) -> None:
        held: list[Held[RunNode]] = broker.held()
        if len(held) > 1:
            groups.run(held)
            return
        task = held[0].payload
        with bound_contextvars(
            execution_id=task.execution,
            node_id=task.node,
            attempt=task.attempt,
            correlation_id=task.correlation_id,
        ):
            runner.run(held[0])

    dramatiq.actor(broker=broker, queue_name=queue, throws=(StoreUnavailableError,))(run_node)
