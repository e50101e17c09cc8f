"""What any broker must do for the engine, tried on ours and on Dramatiq's own for Redis.

Where Dramatiq's fails, the mark says what it does instead: these are the reasons why ours exists.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError

from flowengine.broker.broker import StreamsBroker
from flowengine.queues import dead_letter_key, stream_key
from tests.support.rigs import broker_process
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

LEASE_S = 0.9
BUSY_S = 8.0
"""By how much a machine that is busy with other tests may be late."""

QUEUE = "q"


class Contender:
    """One kind of broker, with one ordinary actor on one queue."""

    def __init__(self, kind: str, server: Valkey) -> None:
        self.kind = kind
        self.server = server
        self.client = server.connect()
        self.calls: list[str] = []
        self.times: list[float] = []
        self.broker = self._broker()
        self._workers: list[dramatiq.Worker] = []
        self._processes: list[subprocess.Popen[bytes]] = []

        @dramatiq.actor(broker=self.broker, queue_name=QUEUE)
        def record(text: str) -> None:
            self.times.append(time.monotonic())
            self.calls.append(text)

        self._actor: Any = record

    def _broker(self) -> dramatiq.Broker:
        if self.kind == "stock":
            return RedisBroker(client=self.server.connect())  # type: ignore[no-untyped-call]  # untyped in dramatiq
        return StreamsBroker(self.server.connect, lease_s=LEASE_S)

    def send(self, text: str) -> None:
        """One message."""
        self._actor.send(text)

    def send_garbage(self) -> None:
        """Something in the queue that is not a message."""
        if self.kind == "stock":
            self.client.hset(f"dramatiq:{QUEUE}.msgs", "x", b"\xff{")
            self.client.rpush(f"dramatiq:{QUEUE}", "x")
        else:
            self.client.xadd(stream_key(QUEUE), {"m": b"\xff{"})

    def fetch_and_lose(self) -> None:
        """Fetch a message in this process's name; the reply never reaches it."""
        if isinstance(self.broker, StreamsBroker):
            self.broker.group.read(QUEUE, 1, 1)
        else:
            self.broker.do_fetch(QUEUE, 1)  # type: ignore[attr-defined]  # made by __getattr__

    def cut_connections(self) -> None:
        """Cut every connection but the test's own."""
        self.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def work(self, threads: int = 2, timeout_ms: int = 50) -> dramatiq.Worker:
        """A running worker in this process, which stops within `timeout_ms` when idle."""
        worker = dramatiq.Worker(self.broker, worker_timeout=timeout_ms, worker_threads=threads)
        worker.start()
        self._workers.append(worker)
        return worker

    def stop(self, worker: dramatiq.Worker) -> None:
        """Stop a worker in good order."""
        self._workers.remove(worker)
        worker.stop(timeout=3000)

    def process(self, *, hold_s: float = 0.0) -> subprocess.Popen[bytes]:
        """A running worker in a process of its own; its actor takes `hold_s`."""
        environment = {
            **os.environ,
            broker_process.URL: self.server.url,
            broker_process.LEASE: str(LEASE_S),
            broker_process.HOLD: str(hold_s),
        }
        command = [sys.executable, "-m", "tests.support.rigs.broker_process", self.kind]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process

    def recorded(self, key: str) -> list[bytes]:
        """What processes have listed under `started` or `done`."""
        rows: Any = self.client.lrange(key, 0, -1)
        return list(rows)

    def close(self) -> None:
        """Take everything down."""
        for process in self._processes:
            process.kill()
            process.wait()
        for worker in self._workers:
            worker.stop(timeout=3000)
        self.broker.close()
        if isinstance(self.broker, RedisBroker):
            self.broker.client.close()
        self.client.close()


def stock_fails(reason: str, *, run: bool = True) -> Callable[[Any], Any]:
    """Run for both kinds, expecting Dramatiq's own to fail; `run=False` where that takes minutes."""
    mark = pytest.mark.xfail(reason=reason, strict=True, run=run)
    return pytest.mark.parametrize("contender", ["streams", pytest.param("stock", marks=mark)], indirect=True)


ours = pytest.mark.parametrize("contender", ["streams"], indirect=True)
both = pytest.mark.parametrize("contender", ["streams", "stock"], indirect=True)


@pytest.fixture
def contender(valkey: Valkey, request: pytest.FixtureRequest) -> Iterator[Contender]:
    """The broker under test."""
    made = Contender(request.param, valkey)
    yield made
    made.close()


@both
def test_message_reaches_its_actor_once(contender: Contender) -> None:
    """A message sent is a message processed."""
    contender.work()
    contender.send("hello")
    wait_until(lambda: contender.calls)
    contender.broker.join(QUEUE, timeout=5000)
    assert contender.calls == ["hello"]


@both
def test_one_thread_takes_messages_in_order(contender: Contender) -> None:
    """Messages of one sender reach one thread in the order in which they were sent."""
    texts = [str(number) for number in range(50)]
    for text in texts:
        contender.send(text)
    contender.work(threads=1)
    wait_until(lambda: len(contender.calls) == 50)
    assert contender.calls == texts


@both
def test_messages_survive_the_loss_of_all_data(contender: Contender) -> None:
    """After the server has lost everything, new messages are processed as ever."""
    contender.work()
    contender.send("before")
    wait_until(lambda: contender.calls)
    contender.client.flushall()
    contender.send("after")
    wait_until(lambda: contender.calls == ["before", "after"])


@both
def test_stopped_worker_leaves_messages_for_the_next(contender: Contender) -> None:
    """What is sent after a worker has stopped waits for the next one."""
    contender.stop(contender.work())
    contender.send("later")
    contender.work()
    wait_until(lambda: contender.calls == ["later"])


@ours  # Dramatiq's own polls with a back-off of up to 1 s: 388 ms to start on average, by luck less
def test_idle_queue_starts_a_message_at_once(contender: Contender) -> None:
    """After a second of rest, most of eight messages start within 250 ms (on a machine at rest: 2 ms)."""
    contender.work(timeout_ms=1000)  # Dramatiq's own value
    contender.send("warm")
    wait_until(lambda: contender.calls)
    waits = []
    for count in range(2, 10):
        wait_until(partial(passed, time.monotonic() + 1.0))
        sent = time.monotonic()
        contender.send("now")
        wait_until(partial(has_calls, contender, count))
        waits.append(contender.times[-1] - sent)
    assert statistics.median(waits) < 0.25


@stock_fails("the whole prefetched batch is stranded, and the consumer is down for 3 s")
def test_undecodable_message_holds_up_no_other(contender: Contender) -> None:
    """Garbage in the queue is set aside alone; the messages around it are processed."""
    contender.send("before")
    contender.send_garbage()
    contender.send("after")
    contender.work()
    # Two threads: either may be the first to its message.
    wait_until(lambda: sorted(contender.calls) == ["after", "before"], within_s=12.0)


@ours  # Dramatiq's own waits 3 s where the cut met a command, which is a matter of luck
def test_cut_connection_is_made_again_at_once(contender: Contender, monkeypatch: pytest.MonkeyPatch) -> None:
    """After all connections were cut, messages flow again without Dramatiq, which would look in 3 s."""
    made: list[str] = []
    consume = contender.broker.consume

    def counted(queue_name: str, *args: Any, **options: Any) -> dramatiq.Consumer:
        made.append(queue_name)
        return consume(queue_name, *args, **options)

    monkeypatch.setattr(contender.broker, "consume", counted)
    contender.work()
    contender.send("before")
    wait_until(lambda: contender.calls)
    contender.cut_connections()
    wait_until(lambda: send_in_spite(contender, "after"))
    wait_until(lambda: contender.calls[-1] == "after")
    assert made == [QUEUE]


@stock_fails("the message stays in the fetcher's name for as long as that process lives")
def test_message_lost_on_its_way_comes_back(contender: Contender) -> None:
    """A fetch whose reply was lost is not renewed for ever: the message lapses and is delivered again."""
    contender.send("lost")
    if isinstance(contender.broker, StreamsBroker):
        contender.broker.group.create(QUEUE)
    contender.fetch_and_lose()
    contender.work()
    wait_until(lambda: contender.calls == ["lost"], within_s=12.0)


@stock_fails("comes back after 60 s, and then by a lottery of one in a thousand commands")
def test_killed_workers_message_is_run_again(contender: Contender) -> None:
    """A message whose worker was killed with SIGKILL is taken over soon after its lease."""
    process = contender.process(hold_s=30.0)
    contender.send("held")
    wait_until(lambda: contender.recorded("started"), within_s=60.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    contender.work()
    wait_until(lambda: contender.calls == ["held"], within_s=LEASE_S + BUSY_S)


@stock_fails("does not count deliveries: such a message kills one worker after another, for ever", run=False)
def test_message_that_kills_its_workers_is_set_aside(contender: Contender) -> None:
    """A message that ends each process that starts it is started three times, and the next one lives."""
    contender.send("exit")
    for _ in range(3):
        contender.process().wait(timeout=60)
    contender.work()
    contender.send("after")
    wait_until(lambda: contender.client.xlen(dead_letter_key(QUEUE)))
    wait_until(lambda: contender.calls == ["after"])
    assert len(contender.recorded("started")) == 3


def passed(moment: float) -> bool:
    return time.monotonic() > moment


def has_calls(contender: Contender, count: int) -> bool:
    return len(contender.calls) == count


def send_in_spite(contender: Contender, text: str) -> bool:
    """Send; False if the sender's own connection was cut too."""
    with suppress(BrokerConnectionError, redis.ConnectionError):
        contender.send(text)
        return True
    return False
