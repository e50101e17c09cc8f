"""The worker's actor: take what is in hand, call the engine."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq

from flowengine.broker.broker import StreamsBroker
from flowengine.engine.delivering.sender import Sender
from flowengine.engine.held import Held
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import DeliverResults, RunNode
from flowengine.observability.log_context import bound_contextvars


def declare(broker: StreamsBroker, runner: Runner, groups: QuickGroups, sender: Sender, queue: str) -> None:
    """Declare `run_node` and `deliver_results` for one queue. The first queue's actors serve the other queues
    too."""

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

    def deliver_results(payloads: Sequence[bytes]) -> None:
        held: list[Held[DeliverResults]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            sender.send(held[0])

    dramatiq.actor(broker=broker, queue_name=queue, throws=(StoreUnavailableError,))(deliver_results)
    dramatiq.actor(broker=broker, queue_name=queue, throws=(StoreUnavailableError,))(run_node)
