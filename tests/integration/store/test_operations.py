"""What operators see of queues and processes: of live ones only, at a cost that does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import pytest
import redis

from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import post
from flowengine.engine.process_note import ProcessNote, encode_note
from flowengine.execution.views.executions import moment
from flowengine.execution.views.operations import HandlerLineView, WorkerView
from flowengine.queues import dead_letter_key, handler_line, process_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from flowengine.store.operations.process_list import Processes
from flowengine.store.operations.queue_list import LINES_SHOWN, Queues
from flowengine.store.state import RedisState
from tests.support.rigs.broker_rig import LEASE_S, Rig, Seen
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

QUEUE = "worker"
NAMES = keys.of()


@pytest.fixture
def state(valkey: Valkey) -> Iterator[RedisState]:
    """As an API process has it."""
    with ExitStack() as opened:
        client = connect(valkey.url)
        opened.callback(client.close)
        made = RedisState(client, post, Settings(redis_url=valkey.url))
        opened.callback(lambda: made.sessions.here().discard())
        yield made


def workers(state: RedisState) -> tuple[WorkerView, ...]:
    """The processes of two queues, one of which may not be there."""
    return Processes(state, ("orchestrator", QUEUE))().items


def send(client: redis.Redis, line: str, count: int) -> None:
    """Messages in a queue, or in a line beside one."""
    for _ in range(count):
        client.xadd(NAMES.stream(line), {"a": "run_node"})


def test_a_queue_shows_what_waits_and_what_is_worked_on(redis_client: redis.Redis, state: RedisState) -> None:
    """With its lines, its dead letters and what was put off."""
    group = ConsumerGroup(redis_client, "works", lease_ms=12_000)
    group.create(QUEUE)
    send(redis_client, QUEUE, 3)
    assert len(group.read(QUEUE, 2, None)) == 2
    send(redis_client, handler_line(QUEUE, "shout"), 2)
    redis_client.zadd(NAMES.handlers(QUEUE), {"shout": 1})
    redis_client.xadd(dead_letter_key(QUEUE), {"x": "y"})
    redis_client.xadd(NAMES.later(QUEUE), {"x": "y"})
    empty, found = Queues(state, ("orchestrator", QUEUE))().items
    assert (empty.queue, empty.length, empty.consumers, empty.handlers) == ("orchestrator", 0, 0, ())
    assert (found.length, found.in_flight, found.consumers) == (3, 2, 1)
    assert (found.dead_letters, found.put_off) == (1, 1)
    assert found.oldest_age_s is not None
    (line,) = found.handlers
    age = cast(float, line.oldest_age_s)
    assert line == HandlerLineView(handler="shout", length=2, in_flight=0, oldest_age_s=age, known=False)


def test_only_so_many_lines_are_shown(redis_client: redis.Redis, state: RedisState) -> None:
    """Those whose handlers nobody has known for longest."""
    redis_client.zadd(NAMES.handlers(QUEUE), {f"h{number}": number for number in range(LINES_SHOWN + 5)})
    (found,) = Queues(state, (QUEUE,))().items
    assert [line.handler for line in found.handlers] == [f"h{number}" for number in range(LINES_SHOWN)]


def test_a_process_says_what_it_is_and_how_busy(rig: Rig, state: RedisState) -> None:
    """From its start on, and anew with each renewal of its leases."""
    broker, seen = rig.engine_broker(service="worker"), Seen()
    rig.actor(broker, seen, queue=QUEUE, gated=True)
    worker = rig.work(broker, threads=3)
    wait_until(lambda: workers(state), what="its notice")
    (found,) = workers(state)
    assert (found.service, found.queues, found.threads, found.busy) == ("worker", (QUEUE,), 3, 0)
    assert found.id.startswith(f"fe3-{found.host}-{found.pid}-")
    assert found.started_at <= found.seen_at
    rig.send(broker, b"long", queue=QUEUE)
    wait_until(lambda: workers(state)[0].busy == 1, what="a busy thread")
    seen.gate.set()
    rig.stop(worker)
    assert workers(state) == ()
    assert rig.client.keys("fe:process:*") == []


def test_no_process_is_last_seen_before_it_has_started(redis_client: redis.Redis, state: RedisState) -> None:
    """The server has set its clock back since, or it was seen to fetch before it wrote its first notice."""
    group = ConsumerGroup(redis_client, "new", lease_ms=12_000)
    group.create(QUEUE)
    group.sign(QUEUE)
    ahead = group.now_ms() + 60_000
    note = ProcessNote(
        service="worker", host="h", pid=1, version="0", started_at=ahead, threads=1, busy=0, stopping=False
    )
    redis_client.set(process_key("new"), encode_note(note))
    (found,) = workers(state)
    assert found.started_at == found.seen_at == moment(ahead)


def test_a_process_that_has_died_is_gone_after_a_lease(rig: Rig, state: RedisState) -> None:
    """Its notice lapses by itself."""
    broker = rig.engine_broker(service="worker")
    rig.actor(broker, Seen(), queue=QUEUE)
    rig.work(broker)
    wait_until(lambda: workers(state), what="its notice")
    (key,) = rig.client.keys("fe:process:*")
    assert 0 < rig.client.pttl(key) <= LEASE_S * 1000


def test_a_process_that_says_nothing_readable_is_left_out(
    redis_client: redis.Redis, state: RedisState
) -> None:
    """One of another version, for example."""
    group = ConsumerGroup(redis_client, "other", lease_ms=12_000)
    group.create(QUEUE)
    group.sign(QUEUE)
    assert workers(state) == ()
    redis_client.set("fe:process:other", b"\xff", px=60_000)
    assert workers(state) == ()


def test_a_process_of_a_single_execution_says_nothing(rig: Rig) -> None:
    """It serves nobody else."""
    broker, seen = rig.engine_broker(service="worker", owner="0" * 27), Seen()
    rig.actor(broker, seen)
    rig.work(broker)
    wait_until(lambda: rig.client.exists("fe:own"), what="its queue")
    assert rig.client.keys("fe:process:*") == []
