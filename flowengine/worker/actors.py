"""The worker's actor: decode, call the engine."""

from __future__ import annotations

from collections.abc import Sequence

import dramatiq
import msgspec
from structlog.contextvars import bound_contextvars

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.streams.payloads import decoded
from flowengine.engine.running.quick_group import Together
from flowengine.engine.running.runner import Runner
from flowengine.errors import StoreUnavailableError
from flowengine.execution.records import RunNode

_task = msgspec.json.Decoder(RunNode)


def declare(broker: StreamsBroker, runner: Runner, together: Together, queue: str) -> None:
    """Declare `run_node` for one queue. The first queue's actor serves the other queues too."""

    def run_node(payloads: Sequence[bytes]) -> None:
        if len(payloads) > 1:
            receipt = broker.receipt()
            tasks = [decoded(_task, payload) for payload in payloads]
            together.run(tasks, receipt, lambda at: broker.give_back(receipt, at))
            return
        task = decoded(_task, payloads[0])
        with bound_contextvars(
            execution_id=task.execution,
            node_id=task.node,
            attempt=task.attempt,
            correlation_id=task.correlation_id,
        ):
            runner.run(task, broker.receipt())

    dramatiq.actor(broker=broker, queue_name=queue, throws=(StoreUnavailableError,))(run_node)
