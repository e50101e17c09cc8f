"""Messages a second through Dramatiq's Worker: the engine's broker beside Dramatiq's own.

Run: `python -m tests.benchmarks.broker_speed [messages]`. One process, eight threads, empty actors, one
server with an append-only file, all in one run, so that the ratios mean something on any machine.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import dramatiq
import msgspec
from dramatiq.brokers.redis import RedisBroker

from flowengine.broker.broker import StreamsBroker
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.queues import stream_key
from tests.support.servers.valkey import Valkey

THREADS: Final = 8
ROUNDS: Final = 3
QUEUE: Final = "bench"


class Count:
    """Counts to a number, from any thread."""

    def __init__(self, target: int) -> None:
        self._left = target
        self._lock = threading.Lock()
        self.done = threading.Event()

    def down(self, by: int = 1) -> None:
        """So many more are done."""
        with self._lock:
            self._left -= by
            if self._left <= 0:
                self.done.set()


class Lap(msgspec.Struct, frozen=True):
    """One contender's figures: messages a second, and CPU time of this process per message."""

    rate: float
    cpu_us: float


def run(broker: dramatiq.Broker, count: Count, messages: int) -> Lap:
    """Work off what waits in the queue."""
    worker = dramatiq.Worker(broker, worker_threads=THREADS, worker_timeout=100)
    begun, cpu = time.perf_counter(), time.process_time()
    worker.start()
    if not count.done.wait(120):
        raise TimeoutError("the messages were not processed within 120 s")
    lap = Lap(messages / (time.perf_counter() - begun), (time.process_time() - cpu) / messages * 1e6)
    worker.stop(timeout=3000)
    return lap


def ordinary(broker: dramatiq.Broker, messages: int) -> Lap:
    """Empty messages of an ordinary actor, acknowledged by the broker."""
    count = Count(messages)

    @dramatiq.actor(broker=broker, queue_name=QUEUE)
    def act() -> None:
        count.down()

    for _ in range(messages):
        act.send()
    return run(broker, count, messages)


def stock(server: Valkey, messages: int) -> Lap:
    """Dramatiq's own broker with its default middleware."""
    client = server.connect()
    broker = RedisBroker(client=client)  # type: ignore[no-untyped-call]  # untyped in dramatiq
    lap = ordinary(broker, messages)
    client.close()
    return lap


def streams(server: Valkey, messages: int) -> Lap:
    """Ours, with ordinary messages."""
    broker = StreamsBroker(server.connect)
    lap = ordinary(broker, messages)
    broker.close()
    return lap


def engine(server: Valkey, messages: int, *, join: int) -> Lap:
    """Ours, with engine messages, each list acknowledged in a transaction of its actor."""
    broker = StreamsBroker(server.connect, policies={"act": ActorPolicy(join=join)})
    client = broker.group.client
    count = Count(messages)

    @dramatiq.actor(broker=broker, queue_name=QUEUE)
    def act(payloads: list[bytes]) -> None:
        receipt = broker.receipt()
        pipe = client.pipeline(transaction=True)
        everything = range(len(payloads))
        receipt.acknowledge(pipe, everything)
        pipe.execute()
        receipt.confirm(everything)
        count.down(len(payloads))

    pipe = client.pipeline(transaction=False)
    for _ in range(messages):
        pipe.execute_command("XADD", stream_key(QUEUE), "*", ACTOR, "act", PAYLOAD, b"{}")
    pipe.execute()
    lap = run(broker, count, messages)
    broker.close()
    return lap


def main() -> None:
    """Print the table."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    contenders: dict[str, Callable[[Valkey, int], Lap]] = {
        "dramatiq's own broker": stock,
        "streams, ordinary messages": streams,
        "streams, engine messages": lambda server, number: engine(server, number, join=1),
        "streams, engine messages joined": lambda server, number: engine(server, number, join=64),
    }
    server = Valkey(persistent=True)
    server.start()
    try:
        best: dict[str, Lap] = {}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                with server.connect() as client:
                    client.flushall()
                lap = contender(server, messages)
                best[name] = max(best.get(name, lap), lap, key=lambda one: one.rate)
    finally:
        server.close()
    base = best["dramatiq's own broker"].rate
    print(f"{messages} messages, {THREADS} threads, best of {ROUNDS}")
    for name, lap in best.items():
        print(f"{name:34} {lap.rate:8.0f}/s {lap.cpu_us:7.0f} us CPU {lap.rate / base:6.2f} x")


if __name__ == "__main__":
    main()
