"""Says that a queue that an execution has of its own is served: its lease begins anew.

Once the leases of all its queues have lapsed, what is left in them is moved to the common queues.
"""

from __future__ import annotations

from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.queues import own_queues_key, owned


def keep_own_queue(group: ConsumerGroup, queue: str) -> None:
    """Let the lease of one queue begin anew, for as long as a silent process keeps what it holds.

    Makes the lease where there is none: the queue may have been given up while this process stood still.
    Raises redis.RedisError.
    """
    until = group.now_ms() + group.lease_ms
    group.client.execute_command(b"ZADD", own_queues_key(group.partition), until, owned(queue, group.owner))
