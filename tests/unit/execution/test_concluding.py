"""When an execution ends, and how."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from flowengine.execution.changes import Change, Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import (
    Control,
    Counts,
    ExecutionError,
    ExecutionRecord,
    NodeError,
    NodeRecord,
    Stop,
    StopCause,
)
from flowengine.execution.rules import concluding
from flowengine.execution.rules.closing import ended_by_of
from flowengine.execution.rules.closing import error_of as error_of_verdict
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.readiness import Records
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy
from tests.support.rigs.harness import plan_of
from tests.unit.execution.rule_cases import NOW, RUNNING

PLAIN_PLAN = plan_of({"a": ()})


def conclude(control: Control, counts: Counts, now: int) -> tuple[Change, ...]:
    """The conclusion of an execution that has main nodes only."""
    return concluding.conclude(PLAIN_PLAN, Run("x", control.run, "c"), control, counts, now)


def error_of(plan: Plan, execution: ExecutionRecord, records: Records) -> ExecutionError | None:
    """What the execution says of its end."""
    return error_of_verdict(plan, execution.status, ended_by_of(execution.control), records)


@pytest.mark.parametrize(("failed", "verdict"), [(0, "completed"), (1, "failed"), (1000, "failed")])
def test_an_execution_ends_when_nothing_is_unfinished(failed: int, verdict: ExecutionStatus) -> None:
    """Failed if anything has failed."""
    assert conclude(RUNNING, Counts(0, failed), NOW) == (
        Finish(verdict, NOW, RUNNING.run),
        Happened(Event("execution_finished", NOW, detail=verdict)),
    )


@pytest.mark.parametrize(("began", "ended"), [(NOW - 30, NOW), (NOW, NOW), (NOW + 8, NOW + 8)])
def test_no_execution_ends_before_it_has_begun(began: int, ended: int) -> None:
    """Though the clock of the process that began it is ahead of that of the one that ends it."""
    assert conclude(replace(RUNNING, started_at=began), Counts(0, 0), NOW) == (
        Finish("completed", ended, RUNNING.run, took_ms=ended - began),
        Happened(Event("execution_finished", ended, detail="completed")),
    )


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("unfinished", [1, 1000, -1, -1000])
def test_an_execution_ends_at_exactly_0(unfinished: int, failed: int) -> None:
    """A number below 0 is wrong: the sweep corrects it, and the execution ends by the right one."""
    assert conclude(RUNNING, Counts(unfinished, failed), NOW) == ()


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize(
    "status", [status for status in ALL_EXECUTION_STATUSES if status not in ("running", "paused")]
)
def test_an_execution_does_not_end_twice_nor_before_it_runs(status: ExecutionStatus, failed: int) -> None:
    """Only one that runs, or is paused, ends."""
    assert conclude(Control(status, 1), Counts(0, failed), NOW) == ()


def test_bytes_of_results_say_nothing_of_the_end() -> None:
    """They are never taken off."""
    assert conclude(RUNNING, Counts(0, 0, 5_000_000), NOW) != ()


# -- stopped executions, and what they say


def stopped(cause: StopCause, verdict: ExecutionStatus) -> Control:
    """The control of a running execution with this mark."""
    status: ExecutionStatus = "cancelling" if cause == "cancel" else "running"
    return Control(status, 1, Stop(cause, verdict, 5))


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize(
    ("cause", "verdict"),
    [
        ("cancel", "cancelled"),
        ("end", "completed"),
        ("end", "failed"),
        ("node_failure", "failed"),
        ("timeout", "failed"),
    ],
)
def test_the_verdict_of_a_stop_comes_before_that_of_the_nodes(
    cause: StopCause, verdict: ExecutionStatus, failed: int
) -> None:
    """Whatever has failed besides."""
    control = stopped(cause, verdict)
    finish, _ = conclude(control, Counts(0, failed), NOW)
    assert finish == Finish(verdict, NOW, 1, stopped=True, was=control.status)
    assert conclude(stopped(cause, verdict), Counts(1, failed), NOW) == ()


BROKEN = NodeError("boom", "it broke")
INHERITED = NodeError("upstream_failed", "not run", caused_by="b")
GRAPH = plan_of({"a": (), "b": (), "c": ("b",)})
RECORDS = {
    "a": NodeRecord(status="failed", error=INHERITED),
    "b": NodeRecord(status="failed", error=BROKEN),
    "c": NodeRecord(status="failed", error=NodeError("later", "also")),
}


def ended(status: ExecutionStatus, stop: Stop | None = None) -> ExecutionRecord:
    """The record of an execution that has ended."""
    return ExecutionRecord(status, 1, 3, 1, 2, 3, "c", "n", "t", stop)


def test_a_failed_execution_names_its_first_own_failure() -> None:
    """In the document's order; an inherited one only where there is no other."""
    assert error_of(GRAPH, ended("failed"), RECORDS.__getitem__) == ExecutionError("boom", "it broke", "b")
    inherited = dict.fromkeys("abc", RECORDS["a"])
    found = error_of(GRAPH, ended("failed"), inherited.__getitem__)
    assert found == ExecutionError("upstream_failed", "not run", "a")


def test_a_tolerated_failure_is_not_named() -> None:
    """It has not failed the execution."""
    tolerated = {**RECORDS, "b": NodeRecord(status="failed", error=BROKEN, tolerated=True)}
    found = error_of(GRAPH, ended("failed"), tolerated.__getitem__)
    assert found == ExecutionError("later", "also", "c")


@pytest.mark.parametrize("status", ["pending", "running", "cancelling", "completed"])
def test_what_has_not_failed_has_no_error(status: ExecutionStatus) -> None:
    """Though nodes may have failed."""
    assert error_of(GRAPH, ended(status), RECORDS.__getitem__) is None


def test_a_stopped_execution_says_what_has_stopped_it() -> None:
    """A caller, with the reason; the time; an `end`; a node."""

    def said(stop: Stop) -> ExecutionError | None:
        plan = replace(GRAPH, overall=ExecutionPolicy(timeout_ms=1500))
        return error_of(plan, ended(stop.verdict, stop), RECORDS.__getitem__)

    assert said(Stop("cancel", "cancelled", 5, reason="late")) == ExecutionError("cancelled", "late")
    assert said(Stop("cancel", "cancelled", 5)) == ExecutionError("cancelled", "a caller has cancelled it")
    assert said(Stop("timeout", "failed", 5)) == ExecutionError(
        "execution_timeout", "it took longer than its timeout_seconds (1.5 s)"
    )
    assert said(Stop("node_failure", "failed", 5, "c")) == ExecutionError("later", "also", "c")
