"""The rules of maps, one at a time: what is due, what a report of an item means, how a map ends."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.changes import ArmTimer, EndItem, ForgetStart, Tally, Write, WriteTry
from flowengine.execution.messages import Callback, ItemTry, MapOver, NextTry
from flowengine.execution.records import (
    Control,
    ItemChildren,
    ItemRecord,
    MapRecord,
    NodeError,
    NodeRecord,
    Stop,
)
from flowengine.execution.reports import ByDelivery, Cancelled, Completed, Expanded, Failed, Outcome, Waiting
from flowengine.execution.rules.maps.ending import Failure, failed_items, has_cut, items_ended
from flowengine.execution.rules.maps.opening import map_of, reopened
from flowengine.execution.rules.maps.progress import WAITING_WINDOW, WINDOW, Far, Next, due, far_of
from flowengine.execution.rules.maps.reporting import (
    Known,
    awaits_next_try,
    end_item,
    try_item_again,
)
from flowengine.execution.rules.maps.time_over import arm_time, drop_time, over, stop_children
from flowengine.workflow.policy import PLAIN, Policy, Retry

OPEN = NodeRecord(status="open", attempt=1, dispatch=4, queued_at=50, run=2, map=MapRecord(5, 2, 1))
RUNNING = Control("running", 2)
BIG = msgspec.Raw(b'"' + b"x" * 5000 + b'"')
COMPLETED = Completed(msgspec.Raw(b"1"))
FAILED = Failed(NodeError("boom", "m"))
NEW = Known(ended=False)


@pytest.mark.parametrize(
    ("record", "far", "wanted"),
    [
        (MapRecord(5, 2), Far(0, 0, 0), 2),
        (MapRecord(5, 2), Far(2, 0, 0), 0),
        (MapRecord(5, 2), Far(2, 1, 0), 1),
        (MapRecord(5, 2), Far(5, 4, 0), 0),
        (MapRecord(5, 2), Far(5, 5, 0), "end"),
        (MapRecord(5, 7), Far(0, 0, 0), 5),
        (MapRecord(0), Far(0, 0, 0), "end"),
        (MapRecord(5, 2, 1), Far(3, 2, 2), 0),
        (MapRecord(5, 2, 1), Far(3, 3, 2), "end"),
        (MapRecord(5, 2, 2), Far(3, 2, 2), 1),
        (MapRecord(9000), Far(0, 0, 0), WINDOW),
        (MapRecord(9000), Far(WINDOW, WINDOW // 2 - 1, 0), 0),
        (MapRecord(9000), Far(WINDOW, WINDOW // 2, 0), WINDOW // 2),
        (MapRecord(5, 2, kept=3), Far(0, 0, 0), 2),
        (MapRecord(5, 2, kept=3), Far(2, 2, 0), "end"),
        (MapRecord(5, 2, until=1001), Far(2, 1, 0), 1),
        (MapRecord(5, 2, until=1000), Far(2, 1, 0), 0),
        (MapRecord(5, 2, until=1000), Far(2, 2, 0), "end"),
        (MapRecord(5, 2, until=1000), Far(0, 0, 0), "end"),
    ],
)
def test_what_is_due_follows_from_the_numbers(record: MapRecord, far: Far, wanted: Next) -> None:
    """So many items are sent, or the node ends."""
    assert due(record, far, 1000) == wanted


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (MapRecord(9000), WAITING_WINDOW),
        (MapRecord(9000, 3), 3),
        (MapRecord(9000, children=ItemChildren(1, 0, 1)), WINDOW),
    ],
)
def test_items_that_need_no_thread_have_a_wider_window(record: MapRecord, wanted: Next) -> None:
    """Where the map does not say how many may run, and they are no child executions."""
    assert due(record, Far(0, 0, 0), 0, waits=True) == wanted


def test_who_has_begun_to_fill_the_window_sends_until_it_is_full() -> None:
    """One transaction sends a part of it. Others begin only where half of it is free."""
    far = Far(WINDOW - 1, 0, 0)
    assert (due(MapRecord(9000), far, 0), due(MapRecord(9000), far, 0, fills=True)) == (0, 1)


def test_what_had_completed_before_does_not_count_in_a_run() -> None:
    """The hash of ended items holds it as well."""
    assert far_of(MapRecord(5, kept=3), 2, 4, 1) == Far(2, 1, 1)


def report(outcome: Outcome, *, number: int = 1, dispatch: int = 4) -> Callback:
    """A report of the third item."""
    return Callback(
        execution="x",
        run=2,
        node="n",
        dispatch=dispatch,
        attempt=number,
        by=ByDelivery(1, 60),
        finished_at=70,
        outcome=outcome,
        correlation_id="c",
        item=ItemTry(2, number, 3, 55),
    )


def test_the_end_of_an_item_is_written_with_its_times_and_its_tries() -> None:
    """And what was noted at its start goes. A large result counts towards the limit."""
    decision = end_item(PLAIN, OPEN, RUNNING, report(Completed(BIG)), NEW, 100)
    record = ItemRecord("completed", 60, 70, 1, 1, 3, None, BIG)
    forget = ForgetStart("n", 2, 4, ItemTry(2, 1, 3, 55))
    assert decision.verdict == "accepted"
    assert decision.changes == (EndItem("n", 2, record, len(BIG)), forget, Tally(bytes=len(BIG)))


def test_a_failure_is_counted_as_answered_where_it_is_certain() -> None:
    """A later run asks with another key then; after a timeout with the same."""
    for code, answered in (("boom", 4), ("timeout", 3)):
        decision = end_item(PLAIN, OPEN, RUNNING, report(Failed(NodeError(code, "m"))), NEW, 100)
        end = decision.changes[0]
        assert isinstance(end, EndItem)
        assert (end.record.status, end.record.answered) == ("failed", answered)


@pytest.mark.parametrize(
    ("record", "control", "callback", "known", "verdict"),
    [
        (OPEN, RUNNING, report(COMPLETED, dispatch=3), NEW, "stale"),
        (msgspec.structs.replace(OPEN, status="failed"), RUNNING, report(COMPLETED), NEW, "stale"),
        (OPEN, Control("failed", 2), report(COMPLETED), NEW, "stale"),
        (OPEN, RUNNING, report(COMPLETED), Known(ended=True), "repeated"),
        (
            OPEN,
            RUNNING,
            report(COMPLETED),
            Known(False, NodeRecord(status="waiting", dispatch=1, run=2)),
            "repeated",
        ),
        (
            OPEN,
            RUNNING,
            report(COMPLETED),
            Known(False, NodeRecord(status="queued", dispatch=2, run=2)),
            "stale",
        ),
        (
            OPEN,
            RUNNING,
            report(COMPLETED),
            Known(False, NodeRecord(status="queued", dispatch=2, run=1)),
            "accepted",
        ),
    ],
)
def test_a_report_counts_once_and_in_time(
    record: NodeRecord, control: Control, callback: Callback, known: Known, verdict: str
) -> None:
    """What is too late only takes back its start. How an item stood in a run before does not matter."""
    decision = end_item(PLAIN, record, control, callback, known, 100)
    assert decision.verdict == verdict
    if verdict != "accepted":
        assert [type(change) for change in decision.changes] == [ForgetStart]


def test_an_item_waits_for_its_next_try_and_goes_on() -> None:
    """With the next number, and a key of its own, as the failure was answered."""
    policy = Policy(retry=Retry(max_attempts=2))
    decision = end_item(policy, OPEN, RUNNING, report(FAILED), NEW, 100)
    written, timer, _ = decision.changes
    assert isinstance(written, WriteTry)
    assert isinstance(timer, ArmTimer)
    assert isinstance(timer.timer, NextTry)
    assert (decision.waits, timer.due, written.record.until) == (True, 1100, 1100)
    assert (written.record.since, written.record.answered, written.record.moment) == (60, 4, None)
    assert awaits_next_try(OPEN, written.record, timer.timer)
    again, wanted = try_item_again("n", 2, written.record, 1200)
    assert wanted == ItemTry(2, 2, 4, 1200)
    assert not awaits_next_try(OPEN, again.record, timer.timer)
    last = end_item(policy, OPEN, RUNNING, report(FAILED, number=2), Known(False, again.record), 1300)
    end = last.changes[0]
    assert isinstance(end, EndItem)
    assert (end.record.tries, end.tried) == (2, True)


def test_nothing_is_tried_again_while_the_execution_is_being_stopped() -> None:
    """The item has failed then; one that its worker has stopped is left as it is."""
    policy = Policy(retry=Retry(max_attempts=2))
    stopping = Control("cancelling", 2)
    assert isinstance(end_item(policy, OPEN, stopping, report(FAILED), NEW, 100).changes[0], EndItem)
    assert end_item(policy, OPEN, RUNNING, report(Cancelled()), NEW, 100).again


def test_an_item_cannot_wait() -> None:
    """It fails, and says so."""
    end = end_item(PLAIN, OPEN, RUNNING, report(Waiting("later", after_ms=5)), NEW, 100).changes[0]
    assert isinstance(end, EndItem)
    assert end.record.error is not None
    assert "cannot wait" in end.record.error.message


def test_only_what_has_failed_is_a_failure() -> None:
    """By the items' own records, in their order."""
    completed = ItemRecord("completed", 1, 2, 1, 1, 0, None, msgspec.Raw(b"1"))
    failed = msgspec.structs.replace(completed, status="failed", error=NodeError("boom", "m"))
    assert failed_items({3: failed, 1: completed, 0: failed}) == (0, 3)


def test_a_map_whose_time_is_over_has_failed_unless_all_is_done() -> None:
    """It says how far it has come, and what has failed. What ended in time counts."""
    record = MapRecord(9, tolerated=2, kept=1, max_ms=60_000, until=1000)
    over = items_ended(record, Far(4, 4, 1), [Failure("k0", FAILED.error)], 1000)
    assert (over.completed, over.failed) == (4, 1)
    assert over.error is not None
    assert (over.error.code, over.error.caused_by) == ("timeout", "k0")
    assert over.error.message.startswith(
        "map.max_seconds (60 s) is over: 4 of 9 items have completed; 1 of 9"
    )
    plain = items_ended(record, Far(4, 4, 0), [], 1000).error
    assert plain == NodeError("timeout", "map.max_seconds (60 s) is over: 5 of 9 items have completed")
    assert items_ended(record, Far(8, 8, 2), [], 2000).error is None


def test_items_that_the_end_of_the_time_has_cut_fail_the_map_however_many_may_fail() -> None:
    """What has used up its own time before is a failure as any other."""
    record = MapRecord(4, tolerated=4, max_ms=60_000, until=1000)
    late = NodeError("timeout", "the map's max_seconds were over before it had ended")
    item = ItemRecord("failed", 1, 1005, 1, 1, 0, late, msgspec.Raw(b"null"))
    before = msgspec.structs.replace(item, finished_at=900)
    other = msgspec.structs.replace(item, error=NodeError("boom", "why"))
    assert has_cut(record, {0: other, 1: before, 2: item})
    assert not has_cut(record, {0: other, 1: before})
    assert not has_cut(msgspec.structs.replace(record, until=0), {2: item})
    failures = [Failure("k2", late)]
    cut = items_ended(record, Far(4, 4, 1), failures, 1010, cut=True)
    assert cut.error is not None
    assert (cut.error.code, cut.completed, cut.failed) == ("timeout", 3, 1)
    assert items_ended(record, Far(4, 4, 1), failures, 1010).error is None


def test_no_try_of_an_item_begins_after_the_time_of_its_map() -> None:
    """It fails at once, and says so."""
    policy = Policy(retry=Retry(max_attempts=3, delay_ms=500))
    record = msgspec.structs.replace(OPEN, map=MapRecord(5, 2, 1, max_ms=9000, until=600))
    assert end_item(policy, record, RUNNING, report(FAILED), NEW, 99).waits
    decision = end_item(policy, record, RUNNING, report(FAILED), NEW, 100)
    (ended,) = [change for change in decision.changes if isinstance(change, EndItem)]
    assert ended.record.error == NodeError("boom", "m; map.max_seconds (9 s) leaves no time for a try")


def test_a_map_that_begins_again_has_all_of_its_time_again() -> None:
    """Counted from when it is known what is left."""
    first = map_of(Expanded((msgspec.Raw(b"1"),) * 3, max_ms=5000), 100)
    assert (first.max_ms, first.until) == (5000, 5100)
    assert reopened(first, [(0, 0)], 9000).until == 14_000
    assert map_of(Expanded(()), 100).until == reopened(map_of(Expanded(()), 100), [], 100).until == 0


def test_a_map_fails_with_the_first_failures() -> None:
    """As many as it may tolerate are none."""
    failures = [Failure(f"k{n}", NodeError("boom", "why", status_code=404)) for n in range(5)]
    assert items_ended(MapRecord(9, tolerated=2), Far(9, 9, 2), failures[:2], 0).error is None
    ended = items_ended(MapRecord(9, tolerated=2, kept=1), Far(8, 8, 7), failures, 0)
    assert (ended.completed, ended.failed) == (2, 7)
    assert ended.error == NodeError(
        "map_failed",
        "7 of 9 items failed, 2 may: 'k0', 'k1', 'k2', 'k3', 'k4', ...; 'k0' with boom: why",
        caused_by="k0",
        status_code=404,
    )


TIMED = msgspec.structs.replace(OPEN, map=MapRecord(5, 2, 1, max_ms=500, until=1000))
OF_CHILDREN = msgspec.structs.replace(OPEN, map=MapRecord(5, until=1000, children=ItemChildren(4, 50)))


@pytest.mark.parametrize(
    ("record", "control", "dispatch", "now", "wanted"),
    [
        (TIMED, RUNNING, 4, 2999, "early"),
        (TIMED, RUNNING, 4, 3000, "end"),
        (TIMED, Control("paused", 2), 4, 3000, "end"),
        (TIMED, RUNNING, 3, 3000, "nothing"),
        (TIMED, None, 4, 3000, "nothing"),
        (OPEN, RUNNING, 4, 3000, "nothing"),
        (TIMED, Control("running", 2, Stop("cancel", "cancelled", 9)), 4, 3000, "nothing"),
        (msgspec.structs.replace(TIMED, status="failed"), RUNNING, 4, 3000, "ended"),
        (OF_CHILDREN, RUNNING, 4, 999, "early"),
        (OF_CHILDREN, RUNNING, 4, 1000, "stop"),
    ],
)
def test_what_the_timer_of_a_map_does(
    record: NodeRecord, control: Control | None, dispatch: int, now: int, wanted: str
) -> None:
    """It stops children at once. Tasks have two seconds more, in which what runs is noted."""
    timer = MapOver(execution="x", run=2, node="n", dispatch=dispatch)
    assert over(record, control, timer, now) == wanted


def test_the_children_of_a_map_are_told_again_but_marked_once() -> None:
    """The mark is in the record that all WATCH who make a child."""
    first = stop_children("x", "n", OF_CHILDREN, "c", 2)
    assert isinstance(first[0], Write)
    marked = first[0].record
    assert marked.map is not None
    assert (len(first), marked.map.over) == (2, True)
    assert stop_children("x", "n", marked, "c", 2) == first[1:]


def test_a_map_without_a_time_has_no_timer() -> None:
    """And none is dropped of one that has not been opened."""
    assert arm_time("x", "n", OPEN) == drop_time("x", "n", OPEN) == ()
    (armed,) = arm_time("x", "n", TIMED)
    assert isinstance(armed, ArmTimer)
    assert armed.due == 3000
    assert drop_time("x", "n", msgspec.structs.replace(TIMED, status="pending")) == ()
