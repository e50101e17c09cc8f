"""Which start messages begin something, and which looks at a child are given up, over fakeredis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

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
from flowengine.errors import (
    ConcurrencyLimitError,
    ConflictError,
    FlowEngineError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.messages import (
    Callback,
    ItemTry,
    ResumeExecution,
    RunBulk,
    StartExecution,
    TendChild,
)
from flowengine.execution.reports import ByEngine, Completed, Failed
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus
from flowengine.queues import WORKER_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.bulks import RedisBulks
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.workflow.plan import encode_plan
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
