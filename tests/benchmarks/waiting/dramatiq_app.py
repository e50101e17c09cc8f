"""Dramatiq as it comes, with an actor that makes a call, and one that does nothing.

With BENCH_ASYNC the call is a coroutine, by Dramatiq's own middleware and aiohttp; without, it uses requests.
"""

from __future__ import annotations

import os
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import redis_url
from tests.benchmarks.waiting.called import ended

IS_ASYNC = bool(os.environ.get("BENCH_ASYNC"))

# By itself a client allows a hundred connections, and each of Dramatiq's threads takes one.
broker = RedisBroker(client=redis.Redis.from_url(redis_url(), max_connections=marks.CONNECTIONS))
if IS_ASYNC:
    from dramatiq.middleware.asyncio import AsyncIO

    broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)

_session: dict[str, Any] = {}


async def call_async(url: str, batch: str) -> None:
    """A node that waits for a service, on the event loop."""
    import aiohttp

    if not _session:
        _session["only"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with _session["only"].get(url) as answer:
        answer.raise_for_status()
        await answer.read()
    ended(batch)


def call_sync(url: str, batch: str) -> None:
    """A node that waits for a service."""
    import requests

    requests.get(url, timeout=60).raise_for_status()
    ended(batch)


call = dramatiq.actor(actor_name="call")(call_async if IS_ASYNC else call_sync)


@dramatiq.actor
def noop() -> None:
    """A node that does nothing."""


@dramatiq.actor
def finish(mark: str) -> None:
    """The last node."""
    marks.leave(mark)
