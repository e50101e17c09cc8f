"""How a node is put in flight, and how much one transaction may send."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.execution.changes import ForgetStart
from flowengine.execution.events import Event
from flowengine.execution.messages import Read
from flowengine.execution.records import UNTOUCHED, CalledBack, NodeRecord
from flowengine.execution.rules.dispatching import (
    SIZES,
    Run,
    Sizes,
    chunks,
    dispatch,
    dispatch_again,
    fits,
    try_again,
)
from flowengine.execution.status import IllegalStepError, StoredNodeStatus
from flowengine.workflow.children.lineage import Lineage, Reference
from tests.support.rigs.harness import diamond, plan_of
from tests.unit.execution.rule_cases import NOW, events, of_kind, sent

PLAN = plan_of(diamond())
RUN = Run("x", 4, "c")


def test_a_dispatch_is_the_next_attempt_in_the_run_of_the_record() -> None:
    """Not in the run of the process that dispatches: it may have been held up since an earlier one."""
    (one,) = sent(dispatch(PLAN, 3, NodeRecord(attempt=2, dispatch=6, run=5), RUN, NOW))
    assert (one.task.node, one.task.attempt, one.task.dispatch, one.task.run) == ("d", 3, 7, 5)
    assert one.record == NodeRecord(status="queued", attempt=3, dispatch=7, queued_at=NOW, run=5)
    assert one.task.reads == (Read("b"), Read("c"))
    assert (one.queue, one.task.timeout_ms, one.task.correlation_id) == ("worker", 300_000, "c")


def test_a_dispatch_is_told_with_both_of_its_numbers() -> None:
    """What people see, and what messages go by."""
    changes = dispatch(PLAN, 3, NodeRecord(attempt=2, dispatch=6), RUN, NOW)
    assert events(changes) == [Event("node_queued", NOW, "d", 3, 7)]


def test_a_message_that_vanished_is_sent_again_as_the_same_attempt() -> None:
    """Nobody has tried yet; the dispatch number is higher, so that the old message counts no more."""
    seen = NodeRecord(status="queued", attempt=3, dispatch=7, queued_at=NOW - 500, run=5)
    changes = dispatch_again(PLAN, 3, seen, RUN, NOW)
    (one,) = sent(changes)
    assert (one.task.attempt, one.task.dispatch, one.task.run) == (3, 8, 5)
    assert one.record == NodeRecord(
        status="queued", attempt=3, dispatch=8, queued_at=NOW, run=5, moment=NOW - 500
    )
    assert events(changes) == [Event("node_queued", NOW, "d", 3, 8)]


def test_a_callback_that_came_early_stays_with_the_task_that_is_sent_again() -> None:
    """It decides how the node ends: nobody sends it again."""
    called = CalledBack(NOW - 100, msgspec.Raw(b"1"))
    seen = NodeRecord(status="queued", attempt=1, dispatch=1, queued_at=NOW - 500, called=called)
    (one,) = sent(dispatch_again(PLAN, 3, seen, RUN, NOW))
    assert one.record.called == called


def test_a_task_says_what_had_not_ended() -> None:
    """Of a node that says no more than what it depends on, too: what is not there is undefined in it."""
    (one,) = sent(dispatch(PLAN, 3, UNTOUCHED, RUN, NOW, unseen=(1,)))
    assert (one.task.unseen, one.task.reads) == (("b",), (Read("c"),))


def test_a_task_of_a_child_says_where_it_belongs() -> None:
    """Of a node that says no more than what it depends on, too: its inputs are those at the top."""
    child = PLAN.within(Reference(Lineage("r", "p", "g", ("r", "p")), (0,)))
    (one,) = sent(dispatch(child, 3, UNTOUCHED, RUN, NOW))
    assert (one.task.chain, one.task.home) == (("r", "p"), "r")


@pytest.mark.proves("call-repeated")
def test_moment_is_when_the_first_task_of_a_run_was_sent() -> None:
    """What the vanished task may have sent to a service is sent again; what a later run sends is new."""
    (first,) = sent(dispatch(PLAN, 3, NodeRecord(run=5), RUN, NOW))
    (second,) = sent(dispatch_again(PLAN, 3, first.record, RUN, NOW + 700))
    (third,) = sent(dispatch_again(PLAN, 3, second.record, RUN, NOW + 900))
    (later,) = sent(dispatch(PLAN, 3, NodeRecord(run=6), RUN, NOW + 5000))
    assert [each.task.moment for each in (first, second, third, later)] == [NOW, NOW, NOW, NOW + 5000]
    assert [each.record.queued_at for each in (first, second, third)] == [NOW, NOW + 700, NOW + 900]


@pytest.mark.proves("call-repeated")
def test_try_with_the_same_idempotency_key_has_the_same_moment() -> None:
    """As the record says that waits for it, or that was reset: it has one if the key has stayed."""
    waiting = NodeRecord(status="waiting", attempt=1, dispatch=1, queued_at=NOW - 900, moment=NOW - 900)
    (again,) = sent(try_again(PLAN, 3, waiting, RUN, NOW))
    (anew,) = sent(try_again(PLAN, 3, replace(waiting, moment=None, answered=1), RUN, NOW))
    (later,) = sent(dispatch(PLAN, 3, NodeRecord(run=2, moment=NOW - 900), RUN, NOW))
    assert [each.task.moment for each in (again, anew, later)] == [NOW - 900, NOW, NOW - 900]


def test_what_the_vanished_message_may_have_begun_is_taken_back() -> None:
    """Its start and its deadline are those of the dispatch before."""
    seen = NodeRecord(status="queued", attempt=3, dispatch=7, run=5)
    assert of_kind(dispatch_again(PLAN, 3, seen, RUN, NOW), ForgetStart) == [ForgetStart("d", 5, 7)]


def test_dispatch_numbers_never_decrease_and_never_come_twice() -> None:
    """Through tries, vanished messages and later runs."""
    record, numbers = NodeRecord(), []
    for run in (1, 2, 3):
        for again in (False, True, True):
            step = dispatch_again if again else dispatch
            (one,) = sent(step(PLAN, 0, record, RUN, NOW))
            record = one.record
            numbers.append((record.dispatch, record.attempt))
        record = NodeRecord(attempt=record.attempt, dispatch=record.dispatch, run=run + 1)
    assert numbers == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3), (8, 3), (9, 3)]


@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_only_a_pending_node_can_be_dispatched(status: StoredNodeStatus) -> None:
    """All else is a defect."""
    with pytest.raises(IllegalStepError):
        dispatch(PLAN, 0, NodeRecord(status=status), RUN, NOW)


@pytest.mark.parametrize("status", ["pending", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_only_a_queued_node_can_be_dispatched_again(status: StoredNodeStatus) -> None:
    """All else is a defect."""
    with pytest.raises(IllegalStepError):
        dispatch_again(PLAN, 0, NodeRecord(status=status), RUN, NOW)


def test_dispatches_are_grouped_by_number_and_by_size() -> None:
    """In order, none left out, none twice."""
    plan = plan_of({f"n{number}": () for number in range(7)}, padding=100)
    one = plan.weights[0]
    assert chunks(plan, range(7), Sizes(chunk_nodes=3)) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert chunks(plan, range(7), Sizes(chunk_nodes=3, chunk_bytes=2 * one)) == [
        (0, 1),
        (2, 3),
        (4, 5),
        (6,),
    ]
    assert chunks(plan, (1, 2), Sizes(chunk_bytes=one // 2)) == [(1,), (2,)]
    assert chunks(plan, (), SIZES) == []


def test_nodes_fit_by_their_number_their_size_and_the_room_left() -> None:
    """To the last byte of each."""
    plan = plan_of({f"n{number}": () for number in range(3)}, padding=100)
    one = plan.weights[0]
    assert fits(plan, (0, 1, 2), Sizes(chunk_nodes=3, chunk_bytes=3 * one), 3 * one)
    assert not fits(plan, (0, 1, 2), Sizes(chunk_nodes=2, chunk_bytes=3 * one), 3 * one)
    assert not fits(plan, (0, 1, 2), Sizes(chunk_nodes=3, chunk_bytes=3 * one - 1), 3 * one)
    assert not fits(plan, (0, 1, 2), Sizes(chunk_nodes=3, chunk_bytes=3 * one), 3 * one - 1)
