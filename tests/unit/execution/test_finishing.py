"""What a report changes that completes its node, that comes again, or that comes too late."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.changes import CountDown, Dispatch, ForgetStart, Happened, Tally, Write
from flowengine.execution.events import Event
from flowengine.execution.records import COUNTED_RESULT_BYTES, Control, NodeError, NodeRecord
from flowengine.execution.reports import (
    ByDeadline,
    ByDelivery,
    ByEngine,
    Completed,
    Failed,
    Outcome,
    Reporter,
    Skipped,
)
from flowengine.execution.rules.decision import Decision
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.finishing import (
    children_with_it,
    finish,
    internal_error,
)
from flowengine.execution.rules.readiness import Records, records_of
from flowengine.execution.status import ExecutionStatus, StoredNodeStatus
from flowengine.workflow.plan import Plan
from tests.support.rigs.harness import diamond, plan_of
from tests.unit.execution.rule_cases import (
    CHAIN,
    COMPLETED,
    FAILED,
    NOW,
    RUNNING,
    being,
    callback,
    dispatched,
    events,
    of_kind,
    written,
)
from tests.unit.rules.world import ruled, with_policies

FAN_OUT = plan_of({"a": (), "b": ("a",), "c": ("a",), "d": ("a",)})
DECIDING = (Write, Dispatch, CountDown, Tally, Happened)
"""The changes of an accepted report: none of them may be made twice."""


def test_a_completion_is_written_with_its_result() -> None:
    """And with the delivery that was accepted, so that a repetition can be told from a late one."""
    report = callback(by=ByDelivery(2, NOW - 20))
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), report, NOW)
    (write,) = of_kind(decision.changes, Write)
    assert isinstance(write, Write)
    assert write.result == COMPLETED.result
    assert (write.record.status, write.record.attempt, write.record.delivery) == ("completed", 1, 2)
    assert (write.record.started_at, write.record.finished_at) == (NOW - 20, NOW - 10)


def test_a_completion_is_told_with_its_attempt_and_its_dispatch() -> None:
    """Events fold to the stored numbers."""
    records = records_of({"a": NodeRecord(status="queued", attempt=2, dispatch=5)})
    decision = finish(plan_of({"a": ()}), RUNNING, records, callback(dispatch=5, attempt=2), NOW)
    assert events(decision.changes) == [Event("node_completed", NOW, "a", 2, 5)]


def test_a_node_never_ends_in_the_future() -> None:
    """The worker's clock may be ahead."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), callback(finished_at=NOW + 500), NOW)
    assert written(decision.changes)["a"].finished_at == NOW


def test_a_node_begins_no_sooner_than_it_was_queued() -> None:
    """The worker's clock may be behind."""
    records = records_of({"a": NodeRecord(status="queued", attempt=1, dispatch=1, queued_at=NOW - 5)})
    decision = finish(plan_of(CHAIN), RUNNING, records, callback(), NOW)
    record = written(decision.changes)["a"]
    assert (record.started_at, record.finished_at) == (NOW - 5, NOW - 5)


@pytest.mark.parametrize(
    ("by", "delivery", "started_at"),
    [
        (ByDelivery(3, NOW - 20), 3, NOW - 20),
        (ByDeadline(NOW - 20), 0, NOW - 20),
        (ByDeadline(None), 0, None),
        (ByEngine(4), 4, None),
    ],
)
def test_a_record_says_whose_report_was_accepted(by: Reporter, delivery: int, started_at: int | None) -> None:
    """A deadline speaks of no delivery; the engine of the last, and it does not know when that began."""
    report = callback(by=by, outcome=FAILED)
    decision = finish(plan_of({"a": ()}), RUNNING, being(a="queued"), report, NOW)
    record = written(decision.changes)["a"]
    assert (record.delivery, record.started_at) == (delivery, started_at)


def test_an_only_child_is_dispatched_at_once() -> None:
    """A child with one parent is ready for certain; nothing else need be asked."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), callback(), NOW)
    assert dispatched(decision.changes) == [("b", 1, 1)]
    assert (decision.continues, decision.joins, decision.later) == (True, (), ())


@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_an_only_child_that_is_not_pending_is_left_alone(status: StoredNodeStatus) -> None:
    """Somebody else has decided on it; its record is read, also in a first run."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued", b=status), callback(), NOW)
    assert (decision.verdict, dispatched(decision.changes)) == ("accepted", [])
    assert not decision.continues


@pytest.mark.parametrize("status", ["paused", "cancelling"])
def test_what_forbids_dispatching_keeps_children_from_being_dispatched(status: ExecutionStatus) -> None:
    """The report itself counts: its node was in flight."""
    decision = finish(plan_of(CHAIN), Control(status, 1), being(a="queued"), callback(), NOW)
    assert written(decision.changes)["a"].status == "completed"
    assert (dispatched(decision.changes), decision.continues) == ([], False)


def test_a_child_with_several_parents_is_counted_down_and_looked_at_later() -> None:
    """Its counter tells, once it is applied, whether this parent was the last."""
    records = being(a="completed", b="queued", c="completed")
    decision = finish(plan_of(diamond()), RUNNING, records, callback("b"), NOW)
    assert of_kind(decision.changes, CountDown) == [CountDown("d", completed=True)]
    assert not dispatched(decision.changes)
    assert (decision.continues, decision.joins) == (False, ("d",))


def test_a_completion_takes_one_off_what_is_unfinished() -> None:
    """One, and nothing off what has failed; the decision says the same as its changes."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), callback(), NOW)
    assert of_kind(decision.changes, Tally) == [Tally(unfinished=-1)]
    assert decision.tally == Tally(unfinished=-1)


@pytest.mark.parametrize(("size", "counted"), [(COUNTED_RESULT_BYTES - 1, 0), (COUNTED_RESULT_BYTES,) * 2])
def test_large_results_count_towards_the_executions_limit(size: int, counted: int) -> None:
    """Small ones are not worth a write."""
    result = msgspec.Raw(b'"' + b"x" * (size - 2) + b'"')
    report = callback(outcome=Completed(result))
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), report, NOW)
    assert of_kind(decision.changes, Tally) == [Tally(unfinished=-1, bytes=counted)]


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED])
@pytest.mark.parametrize("status", ["pending", "queued", "completed", "failed", "skipped", "cancelled"])
def test_every_report_takes_back_what_its_worker_wrote_at_the_start(
    outcome: Outcome, status: StoredNodeStatus
) -> None:
    """Accepted, repeated or stale: the start and the deadline of that dispatch are over."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a=status), callback(run=3, outcome=outcome), NOW)
    assert of_kind(decision.changes, ForgetStart) == [ForgetStart("a", 3, 1)]


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED])
@pytest.mark.parametrize("status", ["pending", "queued", "completed", "failed"])
def test_a_start_that_was_never_noted_is_not_taken_back(outcome: Outcome, status: StoredNodeStatus) -> None:
    """The delivery that reports is the first, and has written nothing."""
    report = callback(by=ByDelivery(1, NOW - 20, noted=False), outcome=outcome)
    decision = finish(plan_of(CHAIN), RUNNING, being(a=status), report, NOW)
    assert not of_kind(decision.changes, ForgetStart)


@pytest.mark.parametrize("by", [ByDeadline(NOW - 20), ByDeadline(None), ByEngine(4)])
def test_who_reports_in_place_of_a_worker_takes_its_start_back(by: Reporter) -> None:
    """The worker may have written it."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="queued"), callback(by=by, outcome=FAILED), NOW)
    assert of_kind(decision.changes, ForgetStart) == [ForgetStart("a", 1, 1)]


# -- reports that come again


def test_a_repetition_changes_nothing_but_looks_at_the_joins_again() -> None:
    """The process that applied it may have died before it could dispatch them."""
    records = being(a="completed", b="completed", c="completed")
    decision = finish(plan_of(diamond()), RUNNING, records, callback("b"), NOW)
    assert (decision.verdict, decision.again, decision.joins) == ("repeated", True, ("d",))
    assert not of_kind(decision.changes, *DECIDING)


def test_a_repetition_looks_at_only_children_as_well() -> None:
    """They may have been put off, for lack of room in the transaction that applied it."""
    decision = finish(plan_of(CHAIN), RUNNING, being(a="completed", b="completed"), callback(), NOW)
    assert (decision.verdict, decision.joins, decision.later) == ("repeated", (), (1,))


def test_a_repeated_failure_looks_at_no_child() -> None:
    """What is below has failed with it; only the end may be outstanding."""
    report = callback(outcome=FAILED)
    decision = finish(plan_of(diamond()), RUNNING, being(a="failed"), report, NOW)
    assert (decision.verdict, decision.again, decision.joins) == ("repeated", True, ())


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_another_delivery_of_a_dispatch_that_has_ended_is_stale(status: StoredNodeStatus) -> None:
    """A worker that was overtaken; it cannot overwrite what counts."""
    report = callback(by=ByDelivery(2, NOW - 20))
    decision = finish(plan_of(CHAIN), RUNNING, being(a=status), report, NOW)
    assert decision.verdict == "stale"
    assert not of_kind(decision.changes, *DECIDING)


# -- reports of something else


@pytest.mark.parametrize("dispatch", [1, 3])
def test_a_report_of_another_dispatch_does_nothing(dispatch: int) -> None:
    """Older or newer than the one in flight: stale, and nothing follows from it."""
    records = records_of({"a": NodeRecord(status="queued", attempt=1, dispatch=2)})
    decision = finish(plan_of(CHAIN), RUNNING, records, callback(dispatch=dispatch), NOW)
    assert decision == Decision("stale", (ForgetStart("a", 1, dispatch),))


@pytest.mark.parametrize("attempt", [1, 2, 7])
def test_the_dispatch_is_compared_and_not_the_attempt(attempt: int) -> None:
    """A message that was sent again has the attempt of the one that vanished."""
    records = records_of({"a": NodeRecord(status="queued", attempt=2, dispatch=4)})
    right = finish(plan_of(CHAIN), RUNNING, records, callback(dispatch=4, attempt=attempt), NOW)
    wrong = finish(plan_of(CHAIN), RUNNING, records, callback(dispatch=3, attempt=attempt), NOW)
    assert (right.verdict, wrong.verdict) == ("accepted", "stale")
    assert written(right.changes)["a"].attempt == 2


@pytest.mark.parametrize("status", ["pending", "waiting"])
def test_a_report_of_a_node_that_is_not_in_flight_does_nothing(status: StoredNodeStatus) -> None:
    """The second run has reset it, say: its dispatch of the first run is over."""
    report = callback(by=ByDelivery(2, NOW - 20))
    decision = finish(plan_of(CHAIN), RUNNING, being(a=status), report, NOW)
    assert decision == Decision("stale", (ForgetStart("a", 1, 1),))


def test_a_repetition_of_what_a_waiting_node_has_reported_does_nothing() -> None:
    """Its timer is armed; nothing has to be looked at again."""
    for outcome in (FAILED, COMPLETED):
        decision = finish(plan_of(CHAIN), RUNNING, being(a="waiting"), callback(outcome=outcome), NOW)
        assert decision == Decision("repeated", (ForgetStart("a", 1, 1),))


@pytest.mark.parametrize("status", ["completed", "failed", "skipped"])
def test_a_repetition_in_a_plan_with_policies_looks_at_everything_again(status: StoredNodeStatus) -> None:
    """What followed from an end is not told by the end alone: the records are read for it."""
    plan = with_policies(plan_of(CHAIN), {"c": ruled("all_done")})
    decision = finish(plan, RUNNING, being(a=status), callback(), NOW)
    assert decision == Decision("repeated", (ForgetStart("a", 1, 1),), again=True)


def test_what_a_report_skips_is_written_without_a_result() -> None:
    """Its condition was false: the node has ended, with its times and the delivery that said so."""
    decision = finish(plan_of({"a": ()}), RUNNING, being(a="queued"), callback(outcome=Skipped()), NOW)
    (write,) = of_kind(decision.changes, Write)
    assert isinstance(write, Write)
    assert write.result is None
    assert (write.record.status, write.record.skipped, write.record.delivery) == ("skipped", "when", 1)
    assert (write.record.started_at, write.record.finished_at) == (NOW - 20, NOW - 10)
    assert of_kind(decision.changes, Tally) == [Tally(unfinished=-1)]
    assert events(decision.changes) == [Event("node_skipped", NOW, "a", 1, 1, "when")]
    assert of_kind(decision.changes, ForgetStart) == [ForgetStart("a", 1, 1)]


def test_a_report_of_an_unknown_node_does_nothing() -> None:
    """No plan names it."""
    decision = finish(plan_of(CHAIN), RUNNING, being(), callback("elsewhere"), NOW)
    assert decision == Decision("stale", (ForgetStart("elsewhere", 1, 1),))


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED])
@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
def test_a_report_to_an_execution_that_has_ended_is_stale(status: ExecutionStatus, outcome: Outcome) -> None:
    """A node in flight there is a defect, and no reason to end the execution twice."""
    decision = finish(plan_of(CHAIN), Control(status, 1), being(a="queued"), callback(outcome=outcome), NOW)
    assert decision == Decision("stale", (ForgetStart("a", 1, 1),))


# -- what fits into one transaction


SIZES_OF_TWO = Sizes(chunk_nodes=2)


def fanned_out(records: Records, sizes: Sizes) -> Decision:
    """What the report of a node with three children decides."""
    return finish(FAN_OUT, RUNNING, records, callback(), NOW, sizes, sizes.transaction_bytes)


def test_many_only_children_are_put_off() -> None:
    """They do not fit into the transaction that completes their parent."""
    decision = fanned_out(being(a="queued"), SIZES_OF_TWO)
    assert (decision.continues, decision.later, dispatched(decision.changes)) == (False, (1, 2, 3), [])
    assert fanned_out(being(a="completed"), SIZES_OF_TWO).later == (1, 2, 3)


def test_only_children_are_put_off_when_the_transaction_has_no_room_left() -> None:
    """Other reports of the same batch have used it up."""
    one = _size_of(FAN_OUT, 1)
    with_room = finish(FAN_OUT, RUNNING, being(a="queued"), callback(), NOW, Sizes(), 3 * one)
    without = finish(FAN_OUT, RUNNING, being(a="queued"), callback(), NOW, Sizes(), 3 * one - 1)
    assert (len(dispatched(with_room.changes)), with_room.later) == (3, ())
    assert (dispatched(without.changes), without.later) == ([], (1, 2, 3))


def test_children_go_with_their_parent_all_or_none() -> None:
    """By their number and by their size."""
    one = _size_of(FAN_OUT, 1)
    assert children_with_it(FAN_OUT, 0, Sizes(), Sizes().transaction_bytes) == (1, 2, 3)
    assert children_with_it(FAN_OUT, 0, Sizes(chunk_bytes=3 * one), 10 * one) == (1, 2, 3)
    assert children_with_it(FAN_OUT, 0, Sizes(chunk_bytes=3 * one - 1), 10 * one) == ()
    assert children_with_it(FAN_OUT, 0, SIZES_OF_TWO, 10 * one) == ()


def test_the_next_dispatch_of_a_child_follows_its_last() -> None:
    """In the second run a child has attempts behind it."""
    records = records_of(
        {
            "a": NodeRecord(status="queued", attempt=2, dispatch=2, run=2),
            "b": NodeRecord(attempt=1, dispatch=4, run=2),
        }
    )
    report = callback(dispatch=2, attempt=2, run=2)
    decision = finish(plan_of(CHAIN), Control("running", 2), records, report, NOW)
    assert dispatched(decision.changes) == [("b", 5, 2)]


def test_what_cannot_be_applied_becomes_a_failure_of_the_same_dispatch() -> None:
    """Nothing else of the report changes, so that it is accepted where the original would have been."""
    report = callback(dispatch=4, attempt=2)
    failed = internal_error(report, ValueError("odd"))
    assert failed == msgspec.structs.replace(report, outcome=failed.outcome)
    assert isinstance(failed.outcome, Failed)
    assert isinstance(failed.outcome.error, NodeError)
    assert (failed.outcome.error.code, "ValueError" in failed.outcome.error.message) == (
        "internal_error",
        True,
    )


def _size_of(plan: Plan, position: int) -> int:
    return len(plan.nodes[position].work.config)
