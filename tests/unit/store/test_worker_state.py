"""What workers write when they begin and when they give back, over fakeredis."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis

from flowengine.broker.streams.wire import post
from flowengine.engine.ports import Begun
from flowengine.execution.events import BEGUN, DECIDED, Event, decode_events, encode_events
from flowengine.execution.messages import Callback, Read, RunNode
from flowengine.execution.records import NodeRecord
from flowengine.execution.reports import ByDelivery, Completed
from flowengine.execution.rules.deadlines import BACKSTOP_MARGIN_MS
from flowengine.execution.status import StoredNodeStatus
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.codec import encode_record, format_begun
from flowengine.store.connection.packing import Command
from flowengine.store.maintenance.sweep_reads import ENTRIES, RedisSweepState
from flowengine.store.state import RedisState
from flowengine.store.worker_state import RedisWorkerState

NAMES = keys.of()
SETTINGS = Settings(lease_s=10.0)
TASK = RunNode(
    execution="x",
    run=1,
    node="a",
    dispatch=3,
    attempt=2,
    handler="any",
    config=msgspec.Raw(b"{}"),
    reads=(Read("b"),),
    timeout_ms=1500,
    correlation_id="c",
)
FIELD = keys.start_field("a", 3)
MEMBER = b"x|1|a|3"


@pytest.fixture
def redis() -> FakeRedis:
    """Node `b` has completed, and `a`, which reads it, is in flight."""
    client = FakeRedis(protocol=2)
    client.hset(NAMES.node("x", "b"), keys.RESULT, b'"of b"')
    client.hset(NAMES.node("x", "a"), keys.STATE, encode_record(in_status("queued")))
    return client


@pytest.fixture
def workers(redis: FakeRedis) -> RedisWorkerState:
    return RedisWorkerState(RedisState(redis, post, SETTINGS))


def in_status(status: StoredNodeStatus, *, dispatch: int = 3) -> NodeRecord:
    """A node's record. The attempt is another number than the dispatch."""
    return NodeRecord(status=status, attempt=2, dispatch=dispatch)


def entries(redis: FakeRedis) -> list[tuple[str, Event]]:
    """The events of the execution, and by which field each was told."""
    found: Any = redis.xrange(NAMES.events("x"))
    return [
        (field.decode(), event)
        for _, fields in found
        for field, data in fields.items()
        for event in decode_events(data)
    ]


def opened(redis: FakeRedis) -> None:
    """The execution has an event stream."""
    redis.xadd(NAMES.events("x"), {DECIDED: encode_events([Event("execution_started", 1, detail="1")])})


# -- a start


def test_a_start_is_noted_with_its_delivery_and_its_place(
    redis: FakeRedis, workers: RedisWorkerState
) -> None:
    """By its dispatch, which its callback and its timer name as well."""
    (start,) = workers.start_nodes([(TASK, 2, "7-0/me")])
    assert redis.hgetall(NAMES.started("x")) == {
        FIELD.encode(): format_begun(Begun(2, start.now, "7-0/me")).encode()
    }
    assert start.noted


def test_a_start_arms_the_deadline_of_its_dispatch(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """After its timeout, a lease, and a margin."""
    (start,) = workers.start_nodes([(TASK, 1, "7-0/me")])
    due = start.now + 1500 + 10_000 + BACKSTOP_MARGIN_MS
    assert redis.zrange(NAMES.deadlines, 0, -1, withscores=True) == [(MEMBER, due)]


def test_a_start_tells_whether_it_is_wanted_and_its_inputs(workers: RedisWorkerState) -> None:
    """In the same round trip."""
    (start,) = workers.start_nodes([(TASK, 1, "7-0/me")])
    assert (start.wanted, start.inputs) == (True, {"b": b'"of b"'})


@pytest.mark.parametrize("dispatch", [1, 2, 4])
def test_a_start_of_another_dispatch_is_not_wanted(
    redis: FakeRedis, workers: RedisWorkerState, dispatch: int
) -> None:
    """Whatever its attempt is: 2 is the attempt of the one in flight."""
    redis.hset(NAMES.node("x", "a"), keys.STATE, encode_record(in_status("queued", dispatch=dispatch)))
    (start,) = workers.start_nodes([(TASK, 1, "7-0/me")])
    assert (start.wanted, start.inputs) == (False, {})


@pytest.mark.parametrize("status", ["pending", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_a_start_of_a_node_that_is_not_in_flight_is_not_wanted(
    redis: FakeRedis, workers: RedisWorkerState, status: StoredNodeStatus
) -> None:
    """Nobody waits for it."""
    redis.hset(NAMES.node("x", "a"), keys.STATE, encode_record(in_status(status)))
    (start,) = workers.start_nodes([(TASK, 1, "7-0/me")])
    assert not start.wanted


def test_each_start_gets_the_replies_that_are_its_own(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """Of several that ask together, some of which read nothing."""
    alone = msgspec.structs.replace(TASK, node="alone", reads=())
    redis.hset(NAMES.node("x", "alone"), keys.STATE, encode_record(in_status("queued")))
    gone = msgspec.structs.replace(TASK, execution="gone")
    starts = workers.start_nodes([(alone, 1, "1-0/me"), (gone, 1, "2-0/me"), (TASK, 1, "3-0/me")])
    assert [(start.wanted, start.inputs) for start in starts] == [
        (True, {}),
        (False, {}),
        (True, {"b": b'"of b"'}),
    ]


def test_a_start_is_noted_before_the_record_is_read(workers: RedisWorkerState) -> None:
    """Of a worker that begins and of the process that stops the node, one at least sees the other."""
    sent: list[Command] = []
    read = workers._sessions.retrying_read

    def listen(commands: list[Command]) -> list[Any]:
        sent.extend(commands)
        return read(commands)

    workers._sessions.retrying_read = listen  # type: ignore[method-assign,assignment]
    workers.start_nodes([(TASK, 1, "7-0/me")])
    asked = [command[:2] for command in sent]
    noted = asked.index(("HSET", NAMES.started("x")))
    armed = asked.index(("ZADD", NAMES.deadlines))
    looked = asked.index(("HGET", NAMES.node("x", "a")))
    assert noted < armed < looked


# -- events


def test_a_start_is_an_event_beside_those_that_were_decided(
    redis: FakeRedis, workers: RedisWorkerState
) -> None:
    """Its field tells them apart; each delivery has one."""
    opened(redis)
    (first,) = workers.start_nodes([(TASK, 1, "7-0/me")])
    workers.note_starts([(TASK, Begun(2, first.now + 5, "7-0/me"))])
    assert entries(redis)[1:] == [
        (BEGUN, Event("node_started", first.now, "a", 2, 3)),
        (BEGUN, Event("node_started", first.now + 5, "a", 2, 3)),
    ]


def test_a_start_makes_no_stream(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """The events of an execution that has expired stay gone: nothing would remove them again."""
    workers.start_nodes([(TASK, 1, "7-0/me")])
    workers.note_starts([(TASK, Begun(1, 5, "7-0/me"))])
    workers.forget_start(TASK)
    assert not redis.exists(NAMES.events("x"))


def test_a_late_start_takes_no_expiry_off_the_stream(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """It goes with the rest of its execution."""
    opened(redis)
    redis.expire(NAMES.events("x"), 100)
    workers.start_nodes([(TASK, 1, "7-0/me")])
    assert 0 < redis.ttl(NAMES.events("x")) <= 100


def test_a_start_that_is_taken_back_leaves_nothing_but_its_event(
    redis: FakeRedis, workers: RedisWorkerState
) -> None:
    """Neither the mark nor the timer; the events tell that it began and was given back."""
    opened(redis)
    workers.start_nodes([(TASK, 1, "7-0/me")])
    workers.forget_start(TASK)
    assert not redis.exists(NAMES.started("x"), NAMES.deadlines)
    assert [(field, event.kind) for field, event in entries(redis)[1:]] == [
        (BEGUN, "node_started"),
        (BEGUN, "node_returned"),
    ]


def test_taking_one_start_back_leaves_the_others(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """Also that of the same node's next dispatch."""
    later = msgspec.structs.replace(TASK, dispatch=4)
    workers.start_nodes([(TASK, 1, "7-0/me"), (later, 1, "8-0/me")])
    workers.forget_start(TASK)
    assert list(redis.hgetall(NAMES.started("x"))) == [keys.start_field("a", 4).encode()]
    assert redis.zrange(NAMES.deadlines, 0, -1) == [b"x|1|a|4"]


# -- how the sweep takes them


def test_what_workers_tell_is_no_move_of_the_execution(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """A task that is begun again and again would keep the sweep from its execution for ever."""
    sweep = RedisSweepState(redis, post, SETTINGS)
    opened(redis)
    before = sweep.last_moves(["x", "none"])
    for _ in range(ENTRIES - 1):
        workers.note_starts([(TASK, Begun(1, 5, "7-0/me"))])
    assert sweep.last_moves(["x", "none"]) == before
    assert before["none"] == ""
    redis.xadd(NAMES.events("x"), {DECIDED: encode_events([Event("node_completed", 2, "a", 2, 3)])})
    assert sweep.last_moves(["x"])["x"] != before["x"]


def test_the_callback_of_a_crowd_goes_behind_the_others(redis: FakeRedis, workers: RedisWorkerState) -> None:
    """Where orchestrators read that; all do, as long as none is there."""
    callback = Callback(
        execution="x",
        run=1,
        node="a",
        dispatch=3,
        attempt=2,
        by=ByDelivery(1, 5),
        finished_at=9,
        outcome=Completed(msgspec.Raw(b"1")),
        correlation_id="c",
    )
    workers.report([callback], lambda sink: None, crowd=True)
    workers.report([callback], lambda sink: None)
    lengths = [redis.xlen(NAMES.stream(line)) for line in (ORCHESTRATOR_QUEUE, "orchestrator:crowd")]
    assert lengths == [1, 1]
