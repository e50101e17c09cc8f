"""When a node's time is over, and what is reported in place of a worker that cannot report."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.messages import Deadline, RunNode
from flowengine.execution.records import UNTOUCHED, NodeRecord
from flowengine.execution.reports import ByDeadline, ByEngine, Failed
from flowengine.execution.rules.deadlines import (
    BACKSTOP_MARGIN_MS,
    TaskState,
    backstop_due,
    is_awaited,
    is_overdue,
    timed_out,
    unknown_handler,
    worker_lost,
)
from flowengine.execution.status import StoredNodeStatus
from tests.unit.execution.rule_cases import NOW

TIMER = Deadline(execution="x", run=2, node="a", dispatch=7)
TASK = RunNode(
    execution="x",
    run=2,
    node="a",
    dispatch=7,
    attempt=3,
    handler="any",
    config=msgspec.Raw(b"{}"),
    reads=(),
    timeout_ms=1500,
    correlation_id="c",
)


def test_the_backstop_fires_a_lease_and_a_margin_after_the_deadline() -> None:
    """The worker has had every chance to say so itself."""
    assert backstop_due(NOW, 300_000, 12_000) == NOW + 300_000 + 12_000 + BACKSTOP_MARGIN_MS


def test_what_is_awaited_is_the_dispatch_in_flight_only() -> None:
    """By its dispatch number, whatever its attempt is."""
    queued = NodeRecord(status="queued", attempt=5, dispatch=2)
    assert is_awaited(queued, 2)
    assert not is_awaited(queued, 1)
    assert not is_awaited(queued, 5)
    assert not is_awaited(UNTOUCHED, 0)


@pytest.mark.parametrize("status", ["pending", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_nothing_is_awaited_of_what_is_not_in_flight(status: StoredNodeStatus) -> None:
    """It has ended, or not begun."""
    assert not is_awaited(NodeRecord(status=status, attempt=2, dispatch=2), 2)


@pytest.mark.parametrize(
    ("state", "fails"), [("held", True), ("lost", True), ("waiting", False), ("settled", False)]
)
def test_only_what_somebody_has_or_nobody_could_have_is_overdue(state: TaskState, fails: bool) -> None:
    """To wait in a queue does not count, and an outcome on its way was in time."""
    assert is_overdue(NOW, NOW, state) == fails
    assert not is_overdue(NOW + 1, NOW, state)


@pytest.mark.parametrize("began", [NOW - 5000, None])
def test_a_timeout_is_reported_by_the_deadline(began: int | None) -> None:
    """Of the timer's dispatch, with the limit that was passed."""
    report = timed_out(TIMER, attempt=3, timeout_ms=1500, began=began, now=NOW, correlation_id="c")
    assert (report.execution, report.run, report.node, report.dispatch, report.attempt) == ("x", 2, "a", 7, 3)
    assert (report.by, report.finished_at, report.correlation_id) == (ByDeadline(began), NOW, "c")
    assert isinstance(report.outcome, Failed)
    assert report.outcome.error.code == "timeout"
    assert "timeout_seconds (1.5 s)" in report.outcome.error.message


def test_a_task_that_killed_its_workers_is_reported_by_the_engine() -> None:
    """Of the task's own dispatch, with how often it was started."""
    report = worker_lost(TASK, 3, NOW)
    assert (report.execution, report.run, report.node, report.dispatch, report.attempt) == ("x", 2, "a", 7, 3)
    assert (report.by, report.finished_at, report.correlation_id) == (ByEngine(3), NOW, "c")
    assert isinstance(report.outcome, Failed)
    error = report.outcome.error
    assert (error.code, error.attempts) == ("worker_lost", 3)
    assert error.message == "its worker died each of the 3 times that it was started"


def test_a_task_whose_handler_nobody_knew_is_reported_by_the_engine() -> None:
    """It was never started. The error says for how long nobody knew it, and what to do."""
    report = unknown_handler(TASK, 61_200, NOW)
    assert (report.execution, report.run, report.node, report.dispatch, report.attempt) == ("x", 2, "a", 7, 3)
    assert (report.by, report.finished_at, report.correlation_id) == (ByEngine(0), NOW, "c")
    assert isinstance(report.outcome, Failed)
    assert report.outcome.error.code == "unknown_handler"
    assert report.outcome.error.message.startswith(
        "no worker has known the handler 'any' for 61 s: start one"
    )
