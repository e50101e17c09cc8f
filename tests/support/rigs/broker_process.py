"""A worker in a process of its own, to be killed: `python -m tests.support.rigs.broker_process KIND`.

`setup` serves Dramatiq's command line: `dramatiq tests.support.rigs.broker_process:setup`. The server, the
lease and what the actor does come from the environment.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowengine.broker.broker import StreamsBroker

URL: Final = "BROKER_TEST_URL"
LEASE: Final = "BROKER_TEST_LEASE_S"
HOLD: Final = "BROKER_TEST_HOLD_S"
QUEUE: Final = "q"
STARTED: Final = "started"
DONE: Final = "done"


def connect() -> redis.Redis:
    """A client of the test's server."""
    return redis.Redis.from_url(os.environ[URL], socket_timeout=5.0, retry=Retry(NoBackoff(), 0))


def make_broker(kind: str) -> dramatiq.Broker:
    """Ours, or Dramatiq's own on Redis."""
    if kind == "stock":
        return RedisBroker(client=connect())  # type: ignore[no-untyped-call]  # untyped in dramatiq
    return StreamsBroker(connect, lease_s=float(os.environ.get(LEASE, "0.9")))


def declare(broker: dramatiq.Broker) -> None:
    """One ordinary actor, which lists what it starts and what it has done."""

    @dramatiq.actor(broker=broker, queue_name=QUEUE)
    def record(text: str) -> None:
        with connect() as client:
            client.rpush(STARTED, f"{os.getpid()} {text}")
            if text == "exit":
                os._exit(9)
            time.sleep(float(os.environ.get(HOLD, "0")))
            client.rpush(DONE, f"{os.getpid()} {text}")


def setup() -> None:
    """What Dramatiq's command line calls."""
    broker = make_broker("streams")
    declare(broker)
    dramatiq.set_broker(broker)


def main() -> None:
    """Work until killed."""
    broker = make_broker(sys.argv[1])
    declare(broker)
    dramatiq.Worker(broker, worker_threads=2).start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
