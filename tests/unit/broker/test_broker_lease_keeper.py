"""The thread that keeps leases must outlive whatever happens to it."""

from __future__ import annotations

from typing import cast

import pytest
import redis

from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.leases.lease_keeper import LeaseKeeper
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.timing import Timing
from tests.support.waiting import wait_until

AT_ONCE = Timing(renewal_retry_s=0.001)


class Pool:
    """Counts how often its connections are closed."""

    closed = 0

    def disconnect(self) -> None:
        """All of them."""
        self.closed += 1


class Client:
    """As much of a client as the keeper uses."""

    def __init__(self) -> None:
        self.connection_pool = Pool()


class Group:
    """As much of a ConsumerGroup as the keeper uses; it looks at nothing, since nothing is held."""

    lease_ms = 3
    consumer = b"me"

    def __init__(self) -> None:
        self.client = Client()


def move_nothing(queue: str) -> None:
    """Nothing has been put off."""


@pytest.mark.parametrize("error", [MemoryError(), redis.ConnectionError("cut"), RuntimeError("a defect")])
def test_the_keeper_goes_on_after_any_error(error: Exception) -> None:
    """Without it others would take over what runs here, and run it twice."""
    turns: list[int] = []

    def queues() -> tuple[str, ...]:
        turns.append(1)
        if len(turns) == 1:
            raise error
        return ()

    keeper = LeaseKeeper(cast(ConsumerGroup, Group()), HeldMessages(), queues, move_nothing, AT_ONCE)
    keeper.start()
    wait_until(lambda: len(turns) >= 2, what="a turn after the failed one")
    keeper.stop()


def test_the_keeper_leaves_a_server_that_has_become_a_replica() -> None:
    """Its connections would stay there for ever."""
    group = Group()

    def queues() -> tuple[str, ...]:
        if not group.client.connection_pool.closed:
            raise redis.exceptions.ReadOnlyError("a replica")
        return ()

    keeper = LeaseKeeper(cast(ConsumerGroup, group), HeldMessages(), queues, move_nothing, AT_ONCE)
    keeper.start()
    wait_until(lambda: group.client.connection_pool.closed == 1, what="its connections are closed")
    keeper.stop()
