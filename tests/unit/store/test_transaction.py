"""One optimistic transaction: what it WATCHes, what it refuses to write, and what it tells afterwards.

Over fakeredis: two connections to one server.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakeredis import FakeRedis, FakeServer

from flowengine.broker.streams.wire import post
from flowengine.engine.ports import Reading
from flowengine.execution.changes import (
    ArmTimer,
    Change,
    CountDown,
    Finish,
    ForgetStart,
    Happened,
    SetCounts,
    Tally,
    Write,
)
from flowengine.execution.events import Event
from flowengine.execution.messages import Deadline
from flowengine.execution.records import UNTOUCHED, Control, Counts, NodeRecord
from flowengine.execution.rules.dispatching import Run, dispatch
from flowengine.queues import stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.codec import encode_record
from flowengine.store.committing.transaction import UnwatchedError
from flowengine.store.state import RedisState
from tests.support.rigs.harness import diamond, plan_of

NAMES = keys.of()
QUEUED = NodeRecord(status="queued", attempt=1, dispatch=1)
TOLD = Happened(Event("node_queued", 1, "a", 1, 1))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def other(server: FakeServer) -> FakeRedis:
    """Somebody else. Execution `x` runs; its node `a` is in flight."""
    client = FakeRedis(server=server, protocol=2)
    client.hset(NAMES.control("x"), mapping={"status": "running", "run": 1})
    client.hset(NAMES.counts("x"), mapping={"unfinished": 4, "failed": 0})
    client.hset(NAMES.node("x", "a"), keys.STATE, encode_record(QUEUED))
    client.hset(NAMES.deps("x"), "d", 2)
    return client


@pytest.fixture
def state(server: FakeServer, other: FakeRedis) -> RedisState:
    """The state as one process sees it."""
    return RedisState(FakeRedis(server=server, protocol=2), post, Settings())


# -- what is read, and what of it is WATCHed

EVERYTHING = Reading((("x", "a"), ("x", "b")), ("x", "gone"), ("x",))


def test_a_unit_has_what_it_read(state: RedisState) -> None:
    """What was never written is absent, and so is an execution that is not there."""
    unit = state.begin(EVERYTHING)
    assert unit.nodes == {("x", "a"): QUEUED}
    assert unit.controls == {"x": Control("running", 1)}
    assert unit.counts == {"x": Counts(4, 0, 0)}


Disturbs = Callable[[FakeRedis], object]

DISTURBING: dict[str, Disturbs] = {
    "status": lambda client: client.hset(NAMES.control("x"), "status", "paused"),
    "run": lambda client: client.hset(NAMES.control("x"), "run", 2),
    "the execution is gone": lambda client: client.delete(NAMES.control("x")),
    "an execution comes": lambda client: client.hset(NAMES.control("gone"), "status", "pending"),
    "a node": lambda client: client.hset(NAMES.node("x", "a"), keys.STATE, encode_record(UNTOUCHED)),
    "a node that had no record": lambda client: client.hset(NAMES.node("x", "b"), keys.STATE, b"{}"),
}
HARMLESS: dict[str, Disturbs] = {
    "counts": lambda client: client.hincrby(NAMES.counts("x"), "unfinished", -1),
    "a counter": lambda client: client.hincrby(NAMES.deps("x"), "d", -1),
    "a start": lambda client: client.hset(NAMES.started("x"), keys.start_field("a", 1), "1:1:1-0/me"),
    "another node": lambda client: client.hset(NAMES.node("x", "c"), keys.STATE, b"{}"),
    "another execution": lambda client: client.hset(NAMES.control("y"), "status", "running"),
}


@pytest.mark.parametrize("what", DISTURBING)
def test_a_decision_is_refused_when_what_it_read_has_changed(
    state: RedisState, other: FakeRedis, what: str
) -> None:
    """Nothing of it is written."""
    unit = state.begin(EVERYTHING)
    DISTURBING[what](other)
    assert unit.commit({"x": [TOLD]}) is None
    assert not other.exists(NAMES.events("x"))


@pytest.mark.parametrize("what", HARMLESS)
def test_a_decision_stands_whatever_moves_when_other_nodes_end(
    state: RedisState, other: FakeRedis, what: str
) -> None:
    """Nobody WATCHes what moves all the time."""
    unit = state.begin(EVERYTHING)
    HARMLESS[what](other)
    assert unit.commit({"x": [TOLD]}) is not None
    assert other.exists(NAMES.events("x"))


def test_what_is_read_later_is_watched_too(state: RedisState, other: FakeRedis) -> None:
    """A failure reads what is below it as it goes down."""
    unit = state.begin(Reading((("x", "a"),), ("x",)))
    unit.extend([("x", "b"), ("x", "c")])
    assert unit.nodes == {("x", "a"): QUEUED}
    other.hset(NAMES.node("x", "c"), keys.STATE, encode_record(QUEUED))
    assert unit.commit({"x": [Write("b", QUEUED)]}) is None
    assert not other.exists(NAMES.node("x", "b"))


def test_what_was_read_first_stays_watched(state: RedisState, other: FakeRedis) -> None:
    """WATCHing more forgets nothing."""
    unit = state.begin(Reading((("x", "a"),), ("x",)))
    unit.extend([("x", "b")])
    other.hset(NAMES.control("x"), "status", "paused")
    assert unit.commit({"x": [Write("b", QUEUED)]}) is None


def test_counters_are_read_as_they_are(state: RedisState) -> None:
    """Those that do not exist are absent."""
    unit = state.begin(Reading((), ("x",)))
    assert unit.counters([("x", "d"), ("x", "e")]) == {("x", "d"): 2}
    assert unit.counters([]) == {}
    assert unit.commit({"x": [TOLD]}) is not None


def test_an_abandoned_unit_writes_nothing_and_disturbs_nothing(state: RedisState, other: FakeRedis) -> None:
    """The next one WATCHes its own names only."""
    state.begin(EVERYTHING).abandon()
    other.hset(NAMES.control("x"), "status", "paused")
    assert (
        state.begin(Reading((), ("y",))).commit({"y": [Happened(Event("execution_started", 1))]}) is not None
    )


# -- what is not written

PLAN = plan_of(diamond())


@pytest.mark.parametrize(
    "change",
    [Write("b", QUEUED), dispatch(PLAN, 1, UNTOUCHED, Run("x", 1, "c"), 1)[0]],
    ids=["write", "dispatch"],
)
def test_a_node_that_was_not_watched_is_not_written(
    state: RedisState, other: FakeRedis, change: Change
) -> None:
    """A defect that tests would seldom meet otherwise: somebody else may have changed it meanwhile."""
    unit = state.begin(Reading((("x", "a"),), ("x",)))
    with pytest.raises(UnwatchedError, match="'b' of 'x'"):
        unit.commit({"x": [change]})
    assert not other.exists(NAMES.node("x", "b"), stream_key("worker"))


@pytest.mark.parametrize(
    "change",
    [
        TOLD,
        Write("a", QUEUED),
        CountDown("d", completed=True),
        Tally(unfinished=-1),
        SetCounts(1, 1),
        Finish("completed", 1, 1),
    ],
    ids=lambda change: type(change).__name__,
)
def test_an_execution_is_not_changed_unless_its_control_was_watched(
    state: RedisState, other: FakeRedis, change: Change
) -> None:
    """Whatever may forbid the change is in it."""
    unit = state.begin(Reading((("x", "a"),), ("y",)))
    with pytest.raises(UnwatchedError, match="'x' is changed"):
        unit.commit({"x": [change]})
    assert other.hget(NAMES.control("x"), "status") == b"running"


def test_what_a_worker_has_noted_may_go_whatever_control_says(state: RedisState, other: FakeRedis) -> None:
    """Starts and timers belong to one dispatch; that of an execution that is gone is removed as well."""
    unit = state.begin(Reading((), ()))
    timer = Deadline(execution="x", run=1, node="a", dispatch=1)
    assert unit.commit({"x": [ForgetStart("a", 1, 1), ArmTimer(timer, 5)]}) is not None
    assert other.zrange(NAMES.deadlines, 0, -1) == [b"x|1|a|1"]


# -- what is told


def test_a_commit_tells_the_numbers_that_it_left(state: RedisState) -> None:
    """Of every counter and every count of unfinished nodes that it moved, whatever else it wrote."""
    unit = state.begin(Reading((("x", "a"),), ("x",)))
    committed = unit.commit(
        {
            "x": [
                CountDown("d", completed=True),
                TOLD,
                Tally(unfinished=-1, bytes=10),
                CountDown("e", completed=False),
                Write("a", QUEUED),
                CountDown("d", completed=False),
                Tally(unfinished=-2, failed=2),
            ]
        }
    )
    assert committed is not None
    assert committed.counters == {("x", "d"): 1_000_000, ("x", "e"): 999_999}
    assert committed.unfinished == {"x": 1}


def test_several_executions_go_into_one_transaction(state: RedisState, other: FakeRedis) -> None:
    """Each with its own numbers."""
    other.hset(NAMES.control("y"), mapping={"status": "running", "run": 1})
    unit = state.begin(Reading((), ("x", "y")))
    committed = unit.commit({"x": [Tally(unfinished=-1)], "y": [Tally(unfinished=3, failed=1)]})
    assert committed is not None
    assert committed.unfinished == {"x": 3, "y": 3}
    assert other.hget(NAMES.counts("y"), "failed") == b"1"


def test_nothing_is_told_of_what_was_not_moved(state: RedisState) -> None:
    """Bytes of results alone are no number of nodes."""
    committed = state.begin(Reading((), ("x",))).commit({"x": [Tally(bytes=10), TOLD]})
    assert committed is not None
    assert (committed.counters, committed.unfinished) == ({}, {})


def test_who_arms_timers_tells_when_the_first_is_due(state: RedisState, other: FakeRedis) -> None:
    """Once it is true: a refused transaction tells nothing."""
    told: list[int] = []
    state.on_armed = told.append
    timers = [
        ArmTimer(Deadline(execution="x", run=1, node=node, dispatch=1), due)
        for node, due in (("a", 700), ("b", 500), ("c", 600))
    ]
    refused = state.begin(Reading((), ("x",)))
    other.hset(NAMES.control("x"), "run", 2)
    assert refused.commit({"x": timers}) is None
    assert told == []
    assert state.begin(Reading((), ("x",))).commit({"x": timers}) is not None
    assert told == [500]
    assert state.begin(Reading((), ("x",))).commit({"x": [TOLD]}) is not None
    assert told == [500]
