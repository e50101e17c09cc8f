"""Moves a node that needs a thread from the line of async handlers into its queue.

The worker knows another handler by that name than the process that made the plan did.
"""

from __future__ import annotations

import structlog

from flowengine.broker.delivery import Delivery
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import acknowledge
from flowengine.queues import MOVED_KEPT_S, moved_key, queue_of_line

log = structlog.stdlib.get_logger(__name__)


def move_into_queue(group: ConsumerGroup, delivery: Delivery) -> None:
    """Move it in one transaction; its deliveries count anew there. Raises redis.RedisError."""
    queue = queue_of_line(delivery.queue)
    pipe = group.client.pipeline(transaction=True)
    for entry in delivery.entries:
        pipe.execute_command("XADD", group.stream(queue), "*", *entry.fields)
    # The sweep would take it for lost: it is older than its new entry says.
    pipe.execute_command(
        "SET", moved_key(queue, group.partition, group.owner), group.now_ms(), "EX", MOVED_KEPT_S
    )
    acknowledge(pipe, group.stream(delivery.line), [entry.id for entry in delivery.entries])
    pipe.execute()
    delivery.confirm(range(len(delivery.entries)))
    log.info("broker.node_needs_thread", queue=queue)
