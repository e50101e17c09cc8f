"""What /health says of a queue: only what nobody works on is old, and only who lives serves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import post
from flowengine.execution.views.executions import HealthView, QueueView
from flowengine.queues import NOBODY, ORCHESTRATOR_QUEUE, handler_line
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from flowengine.store.health import Health
from flowengine.store.operations import queue_backlog
from flowengine.store.operations.queue_backlog import SILENT_MS, look_at_queue
from flowengine.store.state import RedisState
from tests.support.rigs.broker_rig import Rig, Seen
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

QUEUE = "worker"
KEY = keys.of().stream(QUEUE)
SENT_MS = 1000
"""When the messages of these tests were sent: long ago."""


@pytest.fixture
def state(valkey: Valkey) -> Iterator[RedisState]:
    """As an API process has it."""
    with ExitStack() as opened:
        client = connect(valkey.url)
        opened.callback(client.close)
        made = RedisState(client, post, Settings(redis_url=valkey.url))
        opened.callback(lambda: made.sessions.here().discard())
        yield made


@pytest.fixture
def client(redis_client: redis.Redis) -> redis.Redis:
    """A client of the same server, on which the queue has its group."""
    group(redis_client, "maker").create(QUEUE)
    return redis_client


def group(client: redis.Redis, consumer: str) -> ConsumerGroup:
    """The queue's group as this consumer sees it, with leases as they are by default."""
    return ConsumerGroup(client, consumer, lease_ms=12_000)


def send(client: redis.Redis, count: int = 1, *, key: str = KEY, first: int = 1) -> None:
    """Send messages of long ago."""
    for number in range(first, first + count):
        client.xadd(key, {"a": "run_node"}, id=f"{SENT_MS}-{number}")


def look(state: RedisState) -> QueueView:
    """The queue now: a second after its messages were sent."""
    return look_at_queue(state, QUEUE, SENT_MS + 1000)


def health_of(state: RedisState) -> HealthView:
    """As the API answers."""
    return Health(state, (ORCHESTRATOR_QUEUE, QUEUE))()


@pytest.mark.proves("backlog-age")
def test_what_a_live_process_works_on_is_no_backlog(client: redis.Redis, state: RedisState) -> None:
    """However long it takes: an hour's node is not a worker too few."""
    send(client)
    assert look(state) == QueueView(length=1, oldest_age_s=1.0, consumers=0)
    works = group(client, "works")
    assert works.read(QUEUE, 1, None)
    assert look(state) == QueueView(length=1, oldest_age_s=None, consumers=1)


@pytest.mark.proves("backlog-age")
def test_what_waits_behind_it_is(client: redis.Redis, state: RedisState) -> None:
    """From the time at which it was sent."""
    send(client)
    works = group(client, "works")
    works.read(QUEUE, 1, None)
    client.xadd(KEY, {"a": "run_node"}, id=f"{SENT_MS + 400}-0")
    assert look(state).oldest_age_s == 0.6


@pytest.mark.proves("backlog-age")
def test_what_has_been_handed_back_is(client: redis.Redis, state: RedisState) -> None:
    """It is pending in the name of a live process, which does nothing with it."""
    send(client)
    works = group(client, "works")
    [(entry, _)] = works.read(QUEUE, 1, None)
    works.hand_back(QUEUE, {entry: 0}, lapses_in_ms=0)
    assert look(state) == QueueView(length=1, oldest_age_s=1.0, consumers=1)


@pytest.mark.proves("backlog-age")
def test_what_a_dead_process_holds_is(
    client: redis.Redis, state: RedisState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its lease has lapsed: nobody works on it, and nobody serves the queue."""
    send(client)
    group(client, "dead").read(QUEUE, 1, None)
    monkeypatch.setattr(queue_backlog, "SILENT_MS", 0)
    assert look(state) == QueueView(length=1, oldest_age_s=1.0, consumers=0)


def test_what_nobody_took_over_yet_is_served_by_nobody(client: redis.Redis, state: RedisState) -> None:
    """What processes leave behind in order is in the name of a consumer that is none."""
    send(client)
    leaving = group(client, "leaving")
    leaving.read(QUEUE, 1, None)
    leaving.leave(QUEUE)
    assert [row["name"] for row in client.xinfo_consumers(KEY, "fe")] == [NOBODY.encode()]
    assert look(state) == QueueView(length=1, oldest_age_s=1.0, consumers=0)


def test_tasks_beside_the_queue_wait_in_it_too(client: redis.Redis, state: RedisState) -> None:
    """For a worker that knows their handler."""
    names = keys.of()
    send(client, 2, key=names.stream(handler_line(QUEUE, "shout")))
    client.zadd(names.handlers(QUEUE), {"shout": SENT_MS})
    assert look(state) == QueueView(length=2, oldest_age_s=1.0, consumers=0)


def test_a_queue_that_was_never_there_is_empty(valkey: Valkey, state: RedisState) -> None:
    """No stream, no group: no error."""
    assert look(state) == QueueView(length=0, oldest_age_s=None, consumers=0)


def test_a_look_costs_the_same_whatever_is_pending(client: redis.Redis, state: RedisState) -> None:
    """Of what is pending, the oldest is looked at."""
    costs = []
    for count, first in ((3, 1), (3000, 4)):
        send(client, count, first=first)
        works = group(client, "works")
        works.read(QUEUE, count, None)
        look(state)
        client.config_resetstat()
        look(state)
        stats = client.info("commandstats").items()
        costs.append({name: row["calls"] for name, row in stats if name != "cmdstat_config|resetstat"})
    assert costs[0] == costs[1]


@pytest.mark.proves("nobody-serves")
def test_a_process_that_stops_is_missed_at_once(rig: Rig, state: RedisState) -> None:
    """It leaves the group, also if it hands back what it was at: no silence is waited for."""
    broker, seen = rig.engine_broker(), Seen()
    rig.actor(broker, seen, queue=QUEUE, gated=True)
    rig.send(broker, b"long", queue=QUEUE)
    worker = rig.work(broker)
    wait_until(lambda: seen.calls)
    assert health_of(state).checks["worker (worker)"] == "ok"
    rig.stop(worker, timeout_ms=50)
    found = health_of(state)
    assert (found.status, found.checks["worker (worker)"]) == ("degraded", "none is running")


@pytest.mark.proves("nobody-serves")
def test_a_process_that_dies_is_missed_after_a_few_seconds(client: redis.Redis, state: RedisState) -> None:
    """Its signs of life end; what it was at does not make it count for longer."""
    dead = group(client, "dead")
    send(client)
    dead.read(QUEUE, 1, None)
    assert look(state).consumers == 1
    wait_until(lambda: look(state).consumers == 0, within_s=SILENT_MS / 1000 + 4, what="it is missed")
    [row] = client.xinfo_consumers(KEY, "fe")
    assert (row["idle"] >= SILENT_MS, row["idle"] < 10_000) == (True, True)


@pytest.mark.proves("message-not-understood")
def test_messages_that_nobody_understands_are_named(client: redis.Redis, state: RedisState) -> None:
    """Not those of a moment ago: each process looks at them thrice a lease."""
    later = keys.of().later(QUEUE)
    client.xadd(later, {"a": "new"})
    assert "put off" not in health_of(state).checks
    client.delete(later)
    send(client, 2, key=later)
    found = health_of(state)
    assert found.checks["put off"] == "no process understands all messages of 'worker' (2 waiting)"
    assert found.status == "degraded"
