"""Starting, retrying and ending executions; deadlines; what is ready: without a server."""

from __future__ import annotations

import pytest

from flowengine.execution import rules
from flowengine.execution.changes import Dispatch, Finish, Happened, Write
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED, ExecutionStatus, NodeError, NodeRecord, Read
from flowengine.execution.rules import (
    BACKSTOP_MARGIN_MS,
    Run,
    Standing,
    backstop_due,
    chunks,
    conclude,
    dispatch,
    first_run,
    is_in_flight,
    is_overdue,
    ready,
    records_of,
    retry_failed,
    waiting_for,
)
from tests.support.harness import diamond, plan_of

NOW = 1_000_000
PLAN = plan_of(diamond())
BROKEN = NodeError(code="boom", message="on purpose")


def test_a_dispatch_is_the_next_attempt_in_the_run_of_the_record() -> None:
    """Not in the run of whoever dispatches: it may have been held up since an earlier one."""
    changes = dispatch(PLAN, 3, NodeRecord(attempt=2, run=5), Run("x", 4, "c"), NOW)
    (sent,) = (change for change in changes if isinstance(change, Dispatch))
    assert (sent.task.node, sent.task.attempt, sent.task.run) == ("d", 3, 5)
    assert sent.record == NodeRecord(status="queued", attempt=3, queued_at=NOW, run=5)
    assert sent.task.reads == (Read("b"), Read("c"))
    assert (sent.queue, sent.task.timeout_ms, sent.task.correlation_id) == ("worker", 300_000, "c")


def test_the_first_run_counts_the_parents_of_joins_only() -> None:
    """Other nodes need no counter."""
    reset = first_run(PLAN)
    assert (reset.counters, reset.unfinished, reset.changes) == ({"d": 2}, 4, ())


def test_a_retry_resets_what_failed_and_keeps_the_rest() -> None:
    """Attempts are kept, errors and times are not; counters say how many parents have not completed."""
    records = records_of(
        {
            "a": NodeRecord(status="completed", attempt=1),
            "b": NodeRecord(status="failed", attempt=3, error=BROKEN, finished_at=1),
            "c": NodeRecord(status="completed", attempt=1),
            "d": NodeRecord(status="failed", error=BROKEN, finished_at=1),
        }
    )
    reset = retry_failed(PLAN, records, 2, NOW)
    written = {change.node: change.record for change in reset.changes if isinstance(change, Write)}
    assert written == {"b": NodeRecord(attempt=3, run=2), "d": NodeRecord(run=2)}
    assert (reset.counters, reset.unfinished) == ({"d": 1}, 2)
    events = [change.event for change in reset.changes if isinstance(change, Happened)]
    assert events == [
        Event("execution_started", NOW, detail="2"),
        Event("node_reset", NOW, "b", 3),
        Event("node_reset", NOW, "d", 0),
    ]


def test_ready_are_pending_nodes_whose_parents_have_all_completed() -> None:
    """In the document's order."""
    done, queued = NodeRecord(status="completed"), NodeRecord(status="queued")
    assert ready(PLAN, records_of({})) == (0,)
    assert ready(PLAN, records_of({"a": queued})) == ()
    assert ready(PLAN, records_of({"a": done})) == (1, 2)
    assert ready(PLAN, records_of({"a": done, "b": done, "c": queued})) == ()
    assert ready(PLAN, records_of({"a": done, "b": done, "c": done})) == (3,)
    assert ready(PLAN, records_of({"a": done}), among=(2, 3)) == (2,)


def test_a_counter_counts_parents_that_have_not_completed() -> None:
    """Failed ones among them."""
    records = records_of({"b": NodeRecord(status="failed"), "c": NodeRecord(status="completed")})
    assert waiting_for(PLAN, records, (1, 2)) == 1


@pytest.mark.parametrize(("failed", "verdict"), [(0, "completed"), (2, "failed")])
def test_an_execution_ends_when_nothing_is_unfinished(failed: int, verdict: ExecutionStatus) -> None:
    """Failed if anything has failed."""
    assert conclude("running", 0, failed, NOW) == (
        Finish(verdict, NOW),
        Happened(Event("execution_finished", NOW, detail=verdict)),
    )


@pytest.mark.parametrize(
    ("status", "unfinished"),
    [("running", 1), ("pending", 0), ("completed", 0), ("failed", 0)],
)
def test_an_execution_does_not_end_before_nor_twice(status: ExecutionStatus, unfinished: int) -> None:
    """Only a running one with nothing left."""
    assert conclude(status, unfinished, 1, NOW) == ()


def test_the_backstop_fires_a_lease_and_a_margin_after_the_deadline() -> None:
    """The worker has had every chance to say so itself."""
    assert backstop_due(NOW, 300_000, 12_000) == NOW + 300_000 + 12_000 + BACKSTOP_MARGIN_MS


def test_a_deadline_concerns_the_attempt_in_flight_only() -> None:
    """Anything else has ended, or not begun."""
    queued = NodeRecord(status="queued", attempt=2)
    assert is_in_flight(queued, 2)
    assert not is_in_flight(queued, 1)
    assert not is_in_flight(NodeRecord(status="completed", attempt=2), 2)
    assert not is_in_flight(NodeRecord(status="failed", attempt=2), 2)
    assert not is_in_flight(UNTOUCHED, 0)


@pytest.mark.parametrize(
    ("standing", "fails"), [("held", True), ("lost", True), ("waiting", False), ("settled", False)]
)
def test_only_what_somebody_has_or_nobody_could_have_is_overdue(standing: Standing, fails: bool) -> None:
    """To wait in a queue does not count, and an outcome on its way was in time."""
    assert is_overdue(NOW, NOW, standing) == fails
    assert not is_overdue(NOW + 1, NOW, standing)


def test_dispatches_are_grouped_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, none left out, none twice."""
    plan = plan_of({f"n{number}": () for number in range(7)}, padding=100)
    one = len(plan.nodes[0].config)
    monkeypatch.setattr(rules, "CHUNK_NODES", 3)
    assert chunks(plan, range(7)) == [(0, 1, 2), (3, 4, 5), (6,)]
    monkeypatch.setattr(rules, "CHUNK_BYTES", 2 * one)
    assert chunks(plan, range(7)) == [(0, 1), (2, 3), (4, 5), (6,)]
    monkeypatch.setattr(rules, "CHUNK_BYTES", one // 2)
    assert chunks(plan, (1, 2)) == [(1,), (2,)]
    assert chunks(plan, ()) == []
