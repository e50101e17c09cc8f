"""What a worker's report changes: rule by rule, without a server."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution import rules
from flowengine.execution.changes import (
    Change,
    CountDown,
    Dispatch,
    ForgetStart,
    Happened,
    Tally,
    Write,
)
from flowengine.execution.records import (
    Callback,
    Completed,
    Failed,
    NodeError,
    NodeRecord,
    Outcome,
    StoredNodeStatus,
)
from flowengine.execution.rules import COUNTED_RESULT_BYTES, Decision, Records, finish, records_of
from tests.support.harness import diamond, plan_of
from tests.support.reference_model import Graph

NOW = 1_000_000
CHAIN: Graph = {"a": (), "b": ("a",), "c": ("b",)}
COMPLETED = Completed(msgspec.Raw(b'{"result":1}'))
FAILED = Failed(NodeError(code="boom", message="on purpose"))


def callback(
    node: str = "a",
    *,
    attempt: int = 1,
    delivery: int = 1,
    run: int = 1,
    outcome: Outcome = COMPLETED,
    finished_at: int = NOW - 10,
) -> Callback:
    """A worker's report."""
    return Callback(
        execution="x",
        run=run,
        node=node,
        attempt=attempt,
        delivery=delivery,
        started_at=NOW - 20,
        finished_at=finished_at,
        outcome=outcome,
        correlation_id="c",
    )


def being(**statuses: StoredNodeStatus) -> Records:
    """Records in these statuses, each after one attempt."""
    return records_of({node: NodeRecord(status=s, attempt=1, delivery=1) for node, s in statuses.items()})


def of_kind(decision: Decision, *kinds: type) -> list[Change]:
    """The changes of these kinds."""
    return [change for change in decision.changes if isinstance(change, kinds)]


def dispatched(decision: Decision) -> list[tuple[str, int]]:
    """The nodes put in flight, and their attempts."""
    return [(c.task.node, c.task.attempt) for c in decision.changes if isinstance(c, Dispatch)]


def failed_nodes(decision: Decision) -> dict[str, str | None]:
    """The nodes marked failed, and their causes."""
    return {
        c.node: c.record.error.caused_by
        for c in decision.changes
        if isinstance(c, Write) and c.record.error is not None
    }


def test_a_completion_is_written_with_its_result() -> None:
    """And with the delivery that was accepted, so that a repetition can be told from a late one."""
    decision = finish(plan_of(CHAIN), being(a="queued"), callback(delivery=2), NOW)
    (write,) = of_kind(decision, Write)
    assert isinstance(write, Write)
    assert write.result == COMPLETED.result
    assert (write.record.status, write.record.attempt, write.record.delivery) == ("completed", 1, 2)
    assert (write.record.started_at, write.record.finished_at) == (NOW - 20, NOW - 10)


def test_a_node_never_ends_in_the_future() -> None:
    """The worker's clock may be ahead."""
    decision = finish(plan_of(CHAIN), being(a="queued"), callback(finished_at=NOW + 500), NOW)
    (write,) = of_kind(decision, Write)
    assert isinstance(write, Write)
    assert write.record.finished_at == NOW


def test_a_node_begins_no_sooner_than_it_was_queued() -> None:
    """The worker's clock may be behind."""
    queued = NodeRecord(status="queued", attempt=1, queued_at=NOW - 5)
    decision = finish(plan_of(CHAIN), lambda name: queued if name == "a" else NodeRecord(), callback(), NOW)
    (write,) = of_kind(decision, Write)
    assert isinstance(write, Write)
    assert (write.record.started_at, write.record.finished_at) == (NOW - 5, NOW - 5)


def test_an_only_child_is_dispatched_at_once() -> None:
    """A child with one parent is ready for certain; nothing else need be asked."""
    decision = finish(plan_of(CHAIN), being(a="queued"), callback(), NOW)
    assert dispatched(decision) == [("b", 1)]
    assert (decision.continues, decision.joins, decision.later) == (True, (), ())


def test_a_child_with_several_parents_is_counted_down_and_looked_at_later() -> None:
    """Its counter tells, once it is applied, whether this parent was the last."""
    records = being(a="completed", b="queued", c="completed")
    decision = finish(plan_of(diamond()), records, callback("b"), NOW)
    assert of_kind(decision, CountDown) == [CountDown("d")]
    assert not dispatched(decision)
    assert (decision.continues, decision.joins) == (False, ("d",))


def test_a_completion_takes_one_off_what_is_unfinished() -> None:
    """One, and nothing off what has failed."""
    decision = finish(plan_of(CHAIN), being(a="queued"), callback(), NOW)
    assert of_kind(decision, Tally) == [Tally(unfinished=-1)]


@pytest.mark.parametrize(("size", "counted"), [(COUNTED_RESULT_BYTES - 1, 0), (COUNTED_RESULT_BYTES,) * 2])
def test_large_results_count_towards_the_executions_limit(size: int, counted: int) -> None:
    """Small ones are not worth a write."""
    result = msgspec.Raw(b'"' + b"x" * (size - 2) + b'"')
    decision = finish(plan_of(CHAIN), being(a="queued"), callback(outcome=Completed(result)), NOW)
    assert of_kind(decision, Tally) == [Tally(unfinished=-1, bytes=counted)]


@pytest.mark.parametrize("outcome", [COMPLETED, FAILED])
@pytest.mark.parametrize("status", ["pending", "queued", "completed", "failed"])
def test_every_report_takes_back_what_its_worker_wrote_at_the_start(
    outcome: Outcome, status: StoredNodeStatus
) -> None:
    """Accepted, repeated or stale: the start and the deadline of that attempt are over."""
    decision = finish(plan_of(CHAIN), being(a=status), callback(run=3, outcome=outcome), NOW)
    assert of_kind(decision, ForgetStart) == [ForgetStart("a", 3, 1)]


def test_a_repetition_changes_nothing_but_looks_at_the_joins_again() -> None:
    """Whoever applied it may have died before it could dispatch them."""
    records = being(a="completed", b="completed", c="completed")
    decision = finish(plan_of(diamond()), records, callback("b"), NOW)
    assert (decision.verdict, decision.again, decision.joins) == ("repeated", True, ("d",))
    assert not of_kind(decision, Write, Dispatch, CountDown, Tally, Happened)


def test_a_repetition_looks_at_only_children_as_well() -> None:
    """They may have been put off, for lack of room in the transaction that applied it."""
    decision = finish(plan_of(CHAIN), being(a="completed", b="completed"), callback(), NOW)
    assert (decision.verdict, decision.joins, decision.later) == ("repeated", (), (1,))


def test_a_repeated_failure_looks_at_no_child() -> None:
    """What is below has failed with it; only the end may be outstanding."""
    decision = finish(plan_of(diamond()), being(a="failed"), callback(outcome=FAILED), NOW)
    assert (decision.verdict, decision.again, decision.joins) == ("repeated", True, ())


def test_another_delivery_of_an_attempt_that_has_ended_is_stale() -> None:
    """A worker that was overtaken; it cannot overwrite what counts."""
    for status in ("completed", "failed"):
        decision = finish(plan_of(CHAIN), being(a=status), callback(delivery=2), NOW)
        assert decision.verdict == "stale"
        assert not of_kind(decision, Write, Dispatch, CountDown, Tally, Happened)


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_report_of_another_attempt_does_nothing(attempt: int) -> None:
    """Older or newer than the one in flight: stale, and nothing follows from it."""
    records = records_of({"a": NodeRecord(status="queued", attempt=2)})
    decision = finish(plan_of(CHAIN), records, callback(attempt=attempt), NOW)
    assert decision == Decision("stale", (ForgetStart("a", 1, attempt),))


def test_a_report_of_a_node_that_was_reset_does_nothing() -> None:
    """The second run has made it pending; its attempt of the first run is over."""
    decision = finish(plan_of(CHAIN), being(a="pending"), callback(), NOW)
    assert decision == Decision("stale", (ForgetStart("a", 1, 1),))


def test_a_report_of_an_unknown_node_does_nothing() -> None:
    """No plan names it."""
    decision = finish(plan_of(CHAIN), being(), callback("elsewhere"), NOW)
    assert decision == Decision("stale", (ForgetStart("elsewhere", 1, 1),))


def test_a_failure_takes_everything_below_with_it() -> None:
    """Each with the cause named; and each off what is unfinished, once."""
    decision = finish(plan_of(diamond()), being(a="queued"), callback(outcome=FAILED), NOW)
    assert failed_nodes(decision) == {"a": None, "b": "a", "c": "a", "d": "a"}
    assert of_kind(decision, Tally) == [Tally(unfinished=-4, failed=4)]
    assert not of_kind(decision, CountDown, Dispatch)


def test_a_failure_stops_at_what_has_already_failed() -> None:
    """It was counted when it did."""
    records = being(a="completed", b="failed", c="queued", d="failed")
    decision = finish(plan_of(diamond()), records, callback("c", outcome=FAILED), NOW)
    assert failed_nodes(decision) == {"c": None}
    assert of_kind(decision, Tally) == [Tally(unfinished=-1, failed=1)]


def test_what_fails_by_inheritance_keeps_its_attempts() -> None:
    """The attempt never decreases, or an old report could pass for a new one."""
    records = records_of(
        {"a": NodeRecord(status="queued", attempt=2, run=2), "b": NodeRecord(attempt=4, run=2)}
    )
    decision = finish(plan_of(CHAIN), records, callback(attempt=2, run=2, outcome=FAILED), NOW)
    written = {c.node: c.record for c in decision.changes if isinstance(c, Write)}
    assert (written["b"].attempt, written["b"].run) == (4, 2)


def test_many_only_children_are_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not fit into the transaction that completes their parent."""
    monkeypatch.setattr(rules, "CHUNK_NODES", 2)
    graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("a",)}
    decision = finish(plan_of(graph), being(a="queued"), callback(), NOW)
    assert (decision.continues, decision.later, dispatched(decision)) == (False, (1, 2, 3), [])
    repeated = finish(plan_of(graph), being(a="completed"), callback(), NOW)
    assert repeated.later == (1, 2, 3)


def test_the_next_attempt_of_a_child_follows_its_last() -> None:
    """In the second run a child has attempts behind it."""
    records = records_of(
        {"a": NodeRecord(status="queued", attempt=2, run=2), "b": NodeRecord(attempt=1, run=2)}
    )
    decision = finish(plan_of(CHAIN), records, callback(attempt=2, run=2), NOW)
    assert dispatched(decision) == [("b", 2)]
