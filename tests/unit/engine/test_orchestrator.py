"""Which start messages begin something, and which looks at a child are given up, over fakeredis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import pytest
from fakeredis import FakeRedis, FakeServer
from structlog.testing import capture_logs

from flowengine.broker.streams.wire import post
from flowengine.engine.advancing.orchestrator import LAST_DELIVERY, Orchestrator
from flowengine.engine.advancing.steps.bulk_step import BulkStep
from flowengine.engine.advancing.steps.child_step import ChildStep
from flowengine.engine.advancing.steps.map_step import MapStep
from flowengine.engine.advancing.steps.resume_step import ResumeStep
from flowengine.engine.held import Held, Sink
from flowengine.engine.ports import Reading
from flowengine.errors import (
    ConcurrencyLimitError,
    ConflictError,
    FlowEngineError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.events import decode_events
from flowengine.execution.messages import (
    Callback,
    ItemTry,
    ResumeExecution,
    RunBulk,
    StartExecution,
    TendChild,
)
from flowengine.execution.records import Stop
from flowengine.execution.reports import ByEngine, Completed, Failed
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus
from flowengine.queues import WORKER_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.bulks import RedisBulks
from flowengine.store.committing.transaction import RedisUnit
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.workflow.plan import Plan, encode_plan
from tests.support.rigs.harness import plan_of

NAMES = keys.of()


class Receipt:
    """Leaves a mark, and remembers."""

    def __init__(self) -> None:
        self.confirmed: list[int] = []

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """A mark in Redis."""
        sink.execute_command("INCR", "acknowledged")

    def confirm(self, entries: Sequence[int]) -> None:
        """The mark is there."""
        self.confirmed += entries

    def is_lost(self, entry: int) -> bool:
        """It is not."""
        return False

    def hand_back(self, entries: Sequence[int]) -> None:
        """Nothing is handed back."""
        raise AssertionError("nothing is handed back here")

    def pass_on(self, entries: Sequence[int]) -> None:
        """Nothing is passed on."""
        raise AssertionError("nothing is passed on here")


class Started:
    """What became of one start message."""

    def __init__(self, *, status: ExecutionStatus = "running", run: int = 2, message_run: int = 2) -> None:
        server = FakeServer()
        redis = FakeRedis(server=server, protocol=2)
        redis.hset(NAMES.control("x"), mapping={"status": status, "run": run})
        redis.hset(NAMES.counts("x"), mapping={"unfinished": 2, "failed": 0})
        redis.set(NAMES.plan("x"), encode_plan(plan_of({"a": (), "b": ()})))
        state = RedisSweepState(FakeRedis(server=server, protocol=2), post, Settings())
        message = StartExecution(execution="x", run=message_run, correlation_id="c", nodes=2)
        receipt = Receipt()
        with capture_logs() as logs:
            Orchestrator(state, lease_s=12.0).start(Held(message, 1, "1-0/me", receipt))
        self.tasks = redis.xlen(stream_key(WORKER_QUEUE))
        self.settled = (redis.get("acknowledged"), receipt.confirmed) == (b"1", [0])
        self.told = [line["event"] for line in logs]


def test_a_start_dispatches_what_is_ready_and_is_told() -> None:
    """And is acknowledged with it."""
    started = Started()
    assert (started.tasks, started.settled, started.told) == (2, True, ["execution.started"])


@pytest.mark.parametrize("message_run", [1, 3])
def test_a_start_counts_in_its_own_run_only(message_run: int) -> None:
    """Nothing begins, and the log does not say that something does."""
    started = Started(message_run=message_run)
    assert (started.tasks, started.settled, started.told) == (0, True, [])


@pytest.mark.parametrize("status", [status for status in ALL_EXECUTION_STATUSES if status != "running"])
def test_a_start_of_an_execution_that_does_not_run_begins_nothing(status: ExecutionStatus) -> None:
    """It comes a second time, say, and the execution has ended meanwhile."""
    started = Started(status=status)
    assert (started.tasks, started.settled, started.told) == (0, True, [])


STOP: Final = msgspec.json.encode(Stop("cancel", "cancelled", 5))
PAUSED: Final = (("HSET", NAMES.control("x"), "status", "paused"),)
STOPPED: Final = (("HSET", NAMES.control("x"), "status", "cancelling", "stop", STOP),)
ENDED: Final = (("HSET", NAMES.control("x"), "status", "cancelled"),)
DELETED: Final = (("DEL", NAMES.control("x"), NAMES.plan("x"), NAMES.counts("x")),)
SKIPPED: Final = (("HSET", NAMES.node("x", "a"), keys.STATE, b'{"s":"skipped","k":"operator"}'),)
BEGUN: Final = (("HSET", NAMES.node("x", "a"), keys.STATE, b'{"s":"queued","a":1,"n":1}'),)
"""What others may do to an execution while it is started."""


def test_executions_that_start_together_all_begin() -> None:
    """One of them says what its first nodes are, and one does not."""
    server = FakeServer()
    redis: Any = FakeRedis(server=server, protocol=2)
    state = RedisSweepState(FakeRedis(server=server, protocol=2), post, Settings())
    held = []
    for execution, roots in (("x", ("a", "b")), ("y", ())):
        redis.hset(NAMES.control(execution), mapping={"status": "running", "run": 1})
        redis.hset(NAMES.counts(execution), mapping={"unfinished": 2, "failed": 0})
        redis.set(NAMES.plan(execution), encode_plan(plan_of({"a": (), "b": ()})))
        message = StartExecution(execution=execution, run=1, correlation_id="c", nodes=2, roots=roots)
        held.append(Held(message, 1, "1-0/me", Receipt()))
    with capture_logs() as logs:
        Orchestrator(state, lease_s=12.0).start_together(held)
    assert redis.xlen(stream_key(WORKER_QUEUE)) == 4
    assert [line["event"] for line in logs] == ["execution.started"] * 2
    for execution in ("x", "y"):
        told = [
            event.kind
            for _, fields in redis.xrange(NAMES.events(execution))
            for data in fields.values()
            for event in decode_events(data)
        ]
        assert told == ["execution_started", "node_queued", "node_queued"]


class Raced:
    """A first run that is started while something happens to it, right after its first reading."""

    def __init__(self, *happens: tuple[Any, ...], roots: tuple[str, ...] = ("a", "b")) -> None:
        server = FakeServer()
        self.redis: Any = FakeRedis(server=server, protocol=2)
        self.redis.hset(NAMES.control("x"), mapping={"status": "running", "run": 1})
        self.redis.hset(NAMES.counts("x"), mapping={"unfinished": 2, "failed": 0})
        self.redis.set(NAMES.plan("x"), encode_plan(plan_of({"a": (), "b": ()})))
        self.state = RedisSweepState(FakeRedis(server=server, protocol=2), post, Settings())
        self.receipt = Receipt()
        self._happens = happens
        self._message = StartExecution(execution="x", run=1, correlation_id="c", nodes=2, roots=roots)

    def start(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """How many tasks it has sent."""
        begin = self.state.begin_with_plans

        def beginning(reading: Reading) -> tuple[RedisUnit, dict[str, Plan | None]]:
            found = begin(reading)
            for command in self._happens:
                self.redis.execute_command(*command)
            return found

        monkeypatch.setattr(self.state, "begin_with_plans", beginning)
        Orchestrator(self.state, lease_s=12.0).start(Held(self._message, 1, "1-0/me", self.receipt))
        return int(self.redis.xlen(stream_key(WORKER_QUEUE)))


@pytest.mark.parametrize("roots", [(), ("a",), ("b", "a"), ("a", "gone"), ("a", "b")])
def test_the_roots_that_a_start_names_are_a_hint(
    roots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan says where it begins: whatever the message names, each root is dispatched once."""
    raced = Raced(roots=roots)
    assert raced.start(monkeypatch) == 2
    assert raced.receipt.confirmed == [0]


@pytest.mark.parametrize(
    ("happens", "tasks"),
    [(PAUSED, 0), (STOPPED, 0), (ENDED, 0), (DELETED, 0), (SKIPPED, 1), (BEGUN, 1)],
    ids=["paused", "stopped", "ended", "deleted", "skipped", "begun"],
)
def test_what_changes_after_a_start_has_read_counts(
    happens: tuple[tuple[Any, ...], ...], tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is refused, and the start looks again: it was WATCHed from the first reading on."""
    raced = Raced(*happens)
    assert raced.start(monkeypatch) == tasks
    assert (raced.redis.get("acknowledged"), raced.receipt.confirmed) == (b"1", [0])


def test_a_start_that_has_lost_its_connection_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new connection WATCHes nothing: the message comes again."""
    raced = Raced()
    begin = raced.state.begin_with_plans

    def cut(reading: Reading) -> tuple[RedisUnit, dict[str, Plan | None]]:
        found = begin(reading)
        raced.state.sessions.here().discard()
        return found

    monkeypatch.setattr(raced.state, "begin_with_plans", cut)
    with pytest.raises(StoreUnavailableError):
        raced.start(monkeypatch)
    assert (raced.redis.xlen(stream_key(WORKER_QUEUE)), raced.receipt.confirmed) == (0, [])


def test_a_plan_that_needs_a_new_connection_takes_the_watch_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it is not WATCHed any more: the message comes again."""
    raced = Raced()
    keep = raced.state._kept_plan

    def kept(execution: str, encoded: bytes) -> Plan | None:
        raced.state.sessions.here().discard()
        return keep(execution, encoded)

    monkeypatch.setattr(raced.state, "_kept_plan", kept)
    with pytest.raises(StoreUnavailableError):
        raced.start(monkeypatch)
    assert (raced.redis.xlen(stream_key(WORKER_QUEUE)), raced.receipt.confirmed) == (0, [])


def test_a_start_without_a_plan_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its execution is being deleted."""
    raced = Raced()
    raced.redis.delete(NAMES.plan("x"))
    assert raced.start(monkeypatch) == 0
    assert (raced.redis.get("acknowledged"), raced.receipt.confirmed) == (b"1", [0])


REFUSED = pytest.mark.parametrize(
    ("error", "delivery", "raised"),
    [
        (ConcurrencyLimitError("it is full", retry_after_s=5), LAST_DELIVERY - 1, True),
        (ConcurrencyLimitError("it is full", retry_after_s=5), LAST_DELIVERY, False),
        (WrongStateError("it cannot be"), LAST_DELIVERY, False),
        (ConflictError("it keeps changing"), LAST_DELIVERY, True),
        (StoreUnavailableError("Redis is away"), LAST_DELIVERY, True),
    ],
)
TENDED = TendChild(execution="x", node="a", child="x~a", run=2, correlation_id="c")
RESUMED = ResumeExecution(execution="x", run=2, correlation_id="c")


@pytest.mark.parametrize(
    ("step", "name", "taken", "message", "event"),
    [
        (ChildStep, "tend", Orchestrator.tend_child, TENDED, "child.tend_failed_for_good"),
        (ResumeStep, "fire", Orchestrator.resume, RESUMED, "execution.resume_failed_for_good"),
    ],
)
@REFUSED
def test_what_is_refused_each_time_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
    step: type,
    name: str,
    taken: Callable[[Orchestrator, Held[Any]], None],
    message: object,
    event: str,
    error: FlowEngineError,
    delivery: int,
    *,
    raised: bool,
) -> None:
    """What a later delivery may get past comes again; what it may not is let go of at the last one."""

    def refuse(step: object, held: object) -> None:
        raise error

    monkeypatch.setattr(step, name, refuse)
    redis = FakeRedis(server=FakeServer(), protocol=2)
    orchestrator = Orchestrator(RedisSweepState(redis, post, Settings()), lease_s=12.0)
    receipt = Receipt()
    expected = pytest.raises(type(error)) if raised else contextlib.nullcontext()
    with capture_logs() as logs, expected:
        taken(orchestrator, Held(message, delivery, "1-0/me", receipt))
    assert receipt.confirmed == ([] if raised else [0])
    assert (redis.get("acknowledged") == b"1") is not raised
    assert [line["event"] for line in logs] == ([] if raised else [event])


@REFUSED
def test_a_report_of_an_item_that_is_refused_each_time_fails_the_item(
    monkeypatch: pytest.MonkeyPatch, error: FlowEngineError, delivery: int, *, raised: bool
) -> None:
    """At the last delivery; what a later one may get past comes again."""
    applied: list[Callback] = []

    def refuse(step: object, held: Sequence[Held[Callback]]) -> None:
        if isinstance(held[0].payload.outcome, Completed):
            raise error
        applied.append(held[0].payload)

    monkeypatch.setattr(MapStep, "_finish", refuse)
    redis = FakeRedis(server=FakeServer(), protocol=2)
    orchestrator = Orchestrator(RedisSweepState(redis, post, Settings()), lease_s=12.0)
    report = Callback(
        execution="x",
        run=1,
        node="each",
        dispatch=1,
        attempt=1,
        by=ByEngine(0),
        finished_at=1,
        outcome=Completed(msgspec.Raw(b"1")),
        correlation_id="c",
        item=ItemTry(3),
    )
    expected = pytest.raises(type(error)) if raised else contextlib.nullcontext()
    with capture_logs(), expected:
        orchestrator.finish([Held(report, delivery, "1-0/me", Receipt())])
    codes = [each.outcome.error.code for each in applied if isinstance(each.outcome, Failed)]
    assert codes == ([] if raised else ["internal_error"])


@REFUSED
def test_a_step_of_a_bulk_that_is_refused_each_time_is_given_up(
    monkeypatch: pytest.MonkeyPatch, error: FlowEngineError, delivery: int, *, raised: bool
) -> None:
    """As the other steps are."""

    def refuse(step: object, held: object) -> None:
        raise error

    monkeypatch.setattr(BulkStep, "_fire", refuse)
    redis = FakeRedis(server=FakeServer(), protocol=2)
    bulks = BulkStep(RedisBulks(RedisSweepState(redis, post, Settings())))
    receipt, message = Receipt(), RunBulk(bulk="b", step=1, correlation_id="c")
    expected = pytest.raises(type(error)) if raised else contextlib.nullcontext()
    with capture_logs() as logs, expected:
        bulks.fire(Held(message, delivery, "1-0/me", receipt))
    assert receipt.confirmed == ([] if raised else [0])
    assert [line["event"] for line in logs] == ([] if raised else ["bulk.step_failed_for_good"])
