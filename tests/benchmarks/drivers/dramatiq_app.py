"""Dramatiq as it comes: its RedisBroker with its own middleware, and no-op actors."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import redis_url

broker = RedisBroker(url=redis_url())
broker.add_middleware(GroupCallbacks(RedisBackend(url=redis_url())))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    """A node that does nothing."""


@dramatiq.actor
def finish(mark: str) -> None:
    """The last node."""
    marks.leave(mark)


@dramatiq.actor
def fan(width: int, mark: str) -> None:
    """The node before a fan-out: dispatches the branches."""
    branches = dramatiq.group([noop.message() for _ in range(width)])
    branches.add_completion_callback(finish.message(mark))
    branches.run()


@dramatiq.actor
def step(left: int, mark: str) -> None:
    """A node whose completion is a message of its own."""
    stepped.send(left, mark)


@dramatiq.actor
def stepped(left: int, mark: str) -> None:
    """That message: dispatches the next node."""
    if left > 1:
        step.send(left - 1, mark)
    else:
        marks.leave(mark)


@dramatiq.actor
def make(size: int) -> str:
    """Returns a payload."""
    return "x" * size


@dramatiq.actor
def echo(payload: str) -> str:
    """Passes it on."""
    return payload


@dramatiq.actor
def finish_payload(mark: str, payload: str) -> None:
    """Receives it last."""
    if payload:
        marks.leave(mark)
