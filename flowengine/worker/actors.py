"""The worker's actor: take what is in hand, call the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dramatiq

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.delivery import Delivery
from flowengine.broker.signals import QuietActor
from flowengine.engine.delivering.sender import Sender
from flowengine.engine.held import Held
from flowengine.engine.running.asynchronous.async_nodes import AsyncNodes
from flowengine.engine.running.node_identity import identity_of
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import DeliverResults, Payload, RunNode
from flowengine.observability.log_context import bound_contextvars


def declare(
    broker: StreamsBroker,
    runner: Runner,
    groups: QuickGroups,
    sender: Sender,
    queue: str,
    nodes: AsyncNodes | None = None,
) -> None:
    """Declare `run_node` and `deliver_results` for one queue. The first queue's actors serve the other queues
    too."""

    def run_node(payloads: Sequence[bytes]) -> None:
        held: list[Held[RunNode]] = broker.held()
        if len(held) > 1:
            groups.run(held)
            return
        task = held[0].payload
        if nodes is not None and nodes.may_begin(task) and broker.leave_thread():
            _begin_without_thread(broker, nodes, held)
            return
        with bound_contextvars(**identity_of(task, held[0].delivery)):
            runner.run(held[0])

    def deliver_results(payloads: Sequence[bytes]) -> None:
        held: list[Held[DeliverResults]] = broker.held()
        message = held[0].payload
        with bound_contextvars(execution_id=message.execution, correlation_id=message.correlation_id):
            sender.send(held[0])

    if nodes is not None:
        broker.begin_async = partial(_begin_all, nodes)
    for function in (deliver_results, run_node):
        dramatiq.actor(
            actor_class=QuietActor, broker=broker, queue_name=queue, throws=(StoreUnavailableError,)
        )(function)


def _begin_all(nodes: AsyncNodes, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Begin those that need no thread; returns the others."""
    held = {delivery: delivery.held()[0] for delivery in deliveries}
    needs_thread = [each for each, item in held.items() if _needs_thread(nodes, item.payload)]
    nodes.begin([held[each] for each in deliveries if each not in needs_thread])
    return needs_thread


def _needs_thread(nodes: AsyncNodes, payload: Payload) -> bool:
    return not isinstance(payload, RunNode) or nodes.needs_thread(payload)


def _begin_without_thread(broker: StreamsBroker, nodes: AsyncNodes, held: list[Held[RunNode]]) -> None:
    """Begin a node that came with those that need threads. Dramatiq is done with it now, whatever happens."""
    delivery = broker.receipt()
    try:
        nodes.begin(held)
    except BaseException as error:
        broker.let_go([delivery], error)
        raise
