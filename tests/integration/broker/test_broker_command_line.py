"""The broker under Dramatiq's own command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
import redis

from flowengine.broker.broker import StreamsBroker
from tests.support.rigs import broker_process
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until


@pytest.fixture
def command_line(valkey: Valkey) -> Iterator[subprocess.Popen[bytes]]:
    """`dramatiq tests.support.rigs.broker_process:setup` with two processes."""
    # fmt: off
    command = [
        sys.executable, "-m", "dramatiq", "tests.support.rigs.broker_process:setup",
        "--processes", "2", "--threads", "2",
    ]
    # fmt: on
    environment = {**os.environ, broker_process.URL: valkey.url, broker_process.HOLD: "0.2"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)


def test_dramatiqs_command_line_runs_the_broker(
    valkey: Valkey, redis_client: redis.Redis, command_line: subprocess.Popen[bytes]
) -> None:
    """`dramatiq module:setup` starts processes that share the messages, and ends well when told to."""
    broker = StreamsBroker(valkey.connect)
    broker_process.declare(broker)
    record: Any = broker.get_actor("record")
    sent = 0

    def both_have_worked() -> bool:
        nonlocal sent
        record.send(str(sent))
        sent += 1
        rows: Any = redis_client.lrange(broker_process.DONE, 0, -1)
        return len({row.split()[0] for row in rows}) == 2

    # One may be there much sooner than the other.
    wait_until(both_have_worked, within_s=60.0, every_s=0.05, what="work of both processes")
    wait_until(lambda: redis_client.llen(broker_process.DONE) >= sent, within_s=60.0)
    broker.join(broker_process.QUEUE, timeout=15_000)
    command_line.send_signal(signal.SIGTERM)
    assert command_line.wait(timeout=60) == 0
    broker.close()


def test_options_of_dramatiq_without_a_delay_are_accepted(valkey: Valkey, redis_client: redis.Redis) -> None:
    """`send_with_options` without a delay sends; the message waits in the queue's stream."""
    broker = StreamsBroker(valkey.connect)

    @dramatiq.actor(broker=broker, queue_name="q")
    def act(text: str) -> None: ...

    act.send_with_options(args=("x",))
    assert redis_client.xlen("fe:q:q") == 1
    broker.flush_all()
    assert redis_client.xlen("fe:q:q") == 0
    broker.close()
