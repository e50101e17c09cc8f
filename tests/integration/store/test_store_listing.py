"""The indexes that lists are read from, over a real server: right after each step, and gone in the end."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.requests.listing import Wanted
from flowengine.execution.views.executions import SummaryView
from flowengine.plugin import Context, HandlerError
from flowengine.store.maintenance import expired_entries
from flowengine.workflow.policy import ExecutionPolicy
from tests.support.checks.invariants import CheckEverything
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of

LISTS = ("fe:list:pending", "fe:list:running", "fe:list:completed", "fe:list:failed", "fe:list:cancelled")


def the_only(harness: Harness, **wanted: object) -> SummaryView:
    """The one execution that is wanted."""
    (item,) = harness.api.executions.list(msgspec.convert(wanted, Wanted), limit=5).items
    return item


def labelled(harness: Harness, **labels: str) -> str:
    """A pending execution of the diamond."""
    return harness.api.executions.create(
        plan_of(diamond()), correlation_id="test", labels=labels
    ).execution_id


def expire(harness: Harness, execution: str, *, unseen: bool = False) -> None:
    """Its keys go, as when its time is over; if `unseen`, nothing says any more what it is found by."""
    harness.client.delete(*harness.client.keys(f"fe:x:{execution}:*"))
    if unseen:
        harness.client.zremrangebylex("fe:list:by", f"[a\t{execution}\t", f"(a\t{execution}\n")
    for status in ("pending", "completed", "failed", "cancelled"):
        harness.client.zadd(f"fe:index:{status}", {execution: 1}, xx=True)


@pytest.mark.proves("list-entries")
def test_the_entries_are_right_after_each_step(harness: Harness, check_invariants: CheckEverything) -> None:
    """Created, triggered with other labels, failed, triggered again, completed."""
    harness.script = failing_in(1, "b")
    execution = labelled(harness, team="data", kind="x")
    check_invariants()
    assert the_only(harness, statuses=["pending"], labels=[("kind", "x")]).execution_id == execution
    harness.api.executions.trigger(execution, correlation_id="test", labels={"kind": "y", "more": "z"})
    check_invariants()
    assert not harness.api.executions.list(Wanted(labels=(("kind", "x"),)), limit=5).items
    shown = the_only(harness, statuses=["running"], labels=[("kind", "y"), ("more", "z")])
    assert (shown.status, shown.run, shown.counts.unfinished) == ("running", 1, 4)
    harness.drain()
    check_invariants()
    shown = the_only(harness, statuses=["failed"], name="test")
    assert (shown.counts.total, shown.counts.unfinished, shown.counts.failed) == (4, 0, 2)
    assert shown.error is not None
    assert (shown.error.code, shown.error.node) == ("boom", "b")
    harness.trigger(execution)
    check_invariants()
    assert the_only(harness, correlation_id="test", statuses=["running"]).error is None
    harness.drain()
    check_invariants()
    shown = the_only(harness, statuses=["completed"], labels=[("team", "data")])
    assert (shown.error, shown.counts.failed, shown.finished_at is not None) == (None, 0, True)


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_an_entry_that_is_no_id_costs_no_page(harness: Harness, limit: int) -> None:
    """One that is no UTF-8 failed each page that it was on; the real ones are all there."""
    made = [labelled(harness, team="data") for _ in range(3)]
    begin = made[1][:20].encode()
    odd = (b"\xff", b"", b"x|y", begin + b"\x80", begin + b"\xff", made[0].encode() + b"\xc3", b"\xed\xa0")
    entries = {"fe:list:pending": odd, "fe:list:by": [b"l\tteam\tdata\t" + member for member in odd]}
    for key, members in entries.items():
        harness.client.zadd(key, dict.fromkeys(members, 0))
    for wanted in (Wanted(), Wanted(labels=(("team", "data"),)), Wanted(prefix="te")):
        seen, cursor = [], ""
        for _ in range(30):
            page = harness.api.executions.list(wanted, limit=limit, cursor=cursor)
            seen += [item.execution_id for item in page.items]
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert seen == sorted(made, reverse=True)
    for key, members in entries.items():
        harness.client.zrem(key, *members)


@pytest.mark.proves("list-entries")
def test_a_cancelled_execution_is_in_its_list(harness: Harness, check_invariants: CheckEverything) -> None:
    """Before its start at once; later it is among those that run, until it has ended."""
    pending = labelled(harness)
    harness.cancel(pending, "not today")
    check_invariants()
    shown = the_only(harness, statuses=["cancelled"])
    assert shown.error is not None
    assert (shown.error.code, shown.error.message, shown.counts.unfinished) == ("cancelled", "not today", 0)
    running = labelled(harness, team="data")
    harness.trigger(running)
    harness.start_executions()
    harness.cancel(running)
    check_invariants()
    assert the_only(harness, statuses=["cancelling"]).execution_id == running
    assert not harness.api.executions.list(Wanted(statuses=("running",)), limit=5).items
    harness.drain()
    check_invariants()
    assert the_only(harness, statuses=["cancelled"], labels=[("team", "data")]).execution_id == running


def test_the_error_of_an_execution_is_that_of_the_first_failure_that_counts(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A tolerated one does not, nor does one that is inherited; its message is cut."""

    def fail(context: Context) -> None:
        if context.node_id in ("soft", "hard"):
            raise HandlerError("boom", f"{context.node_id} " + "x" * 1000)

    harness.script = fail
    graph = {"soft": (), "hard": ("soft",), "below": ("hard",)}
    harness.begin(plan_of(graph, says={"soft": Says(tolerates=True), "hard": Says("none_failed")}))
    harness.drain()
    check_invariants()
    shown = the_only(harness, statuses=["failed"])
    assert shown.error is not None
    assert (shown.error.node, len(shown.error.message)) == ("hard", 300)
    assert shown.counts.failed == 2


def test_an_execution_that_took_too_long_says_so(harness: Harness, check_invariants: CheckEverything) -> None:
    """No node is to blame."""
    execution = harness.begin(plan_of(diamond(), overall=ExecutionPolicy(timeout_ms=1000)))
    harness.start_executions()
    harness.client.zadd("fe:timers:timeout", {f"{execution}|1": 1})
    harness.fire_timers()
    harness.drain()
    check_invariants()
    shown = the_only(harness, statuses=["failed"])
    assert shown.error is not None
    assert (shown.error.code, shown.error.node) == ("execution_timeout", None)


@pytest.mark.proves("list-leftovers")
def test_the_sweep_takes_away_all_entries_of_what_has_expired(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In steps of a few, and nothing of what is there, whatever its age."""
    monkeypatch.setattr(expired_entries, "AT_ONCE", 2)
    monkeypatch.setattr(expired_entries, "WALKED", 1)
    stays = labelled(harness, team="data")
    harness.client.zadd("fe:index:pending", {stays: 1})
    for _ in range(7):
        expire(harness, labelled(harness, team="data", customer="7"))
    assert harness.orchestrators[0].sweep.run() == 0
    assert harness.client.zrange("fe:index:pending", 0, -1) == [stays.encode()]
    assert harness.client.zrange("fe:list:pending", 0, -1) == [stays.encode()]
    assert harness.client.zcard("fe:list:by") == 4
    check_invariants()


@pytest.mark.proves("list-leftovers")
def test_a_sweep_looks_at_a_bounded_number_of_what_has_expired(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one goes on."""
    monkeypatch.setattr(expired_entries, "AT_ONCE", 2)
    monkeypatch.setattr(expired_entries, "AT_MOST", 4)
    for _ in range(7):
        expire(harness, labelled(harness))
    left = []
    for _ in range(3):
        harness.orchestrators[0].sweep.run()
        left.append(harness.client.zcard("fe:index:pending"))
    assert left == [3, 0, 0]
    assert not harness.client.exists(*LISTS, "fe:list:by")


@pytest.mark.proves("list-leftovers")
def test_entries_whose_list_of_entries_has_gone_too_are_found_in_time(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has deleted it, or nobody can read it: the indexes are walked, a part each time."""
    monkeypatch.setattr(expired_entries, "WALKED", 5)
    stays = labelled(harness, team="data")
    for _ in range(7):
        execution = labelled(harness, team="data")
        expire(harness, execution, unseen=True)
        harness.client.zrem("fe:index:pending", execution)
    harness.client.zadd("fe:list:by", {"nobody can read this": 0})
    before = harness.client.zcard("fe:list:by")
    harness.orchestrators[0].sweep.run()
    assert before - 5 <= harness.client.zcard("fe:list:by") < before
    for _ in range(6):
        harness.orchestrators[0].sweep.run()
    assert harness.client.zcard("fe:list:by") == 4
    assert harness.client.zrange("fe:list:pending", 0, -1) == [stays.encode()]
    check_invariants()


@pytest.mark.proves("list-leftovers")
@pytest.mark.parametrize("way", ["expired", "deleted"])
def test_what_an_earlier_version_kept_of_how_it_is_found_goes_with_it(harness: Harness, way: str) -> None:
    """It stored that under a key of its own, and let that expire only as it ended the execution itself. The
    execution is found as before, and its entries are walked to."""
    execution = labelled(harness, team="data")
    harness.trigger(execution)
    harness.client.set(f"fe:x:{execution}:listed", b'["test","test",{"team":"data"}]')
    harness.client.zremrangebylex("fe:list:by", f"[a\t{execution}\t", f"(a\t{execution}\n")
    harness.drain()
    assert the_only(harness, labels=[("team", "data")]).execution_id == execution
    if way == "deleted":
        harness.delete(execution)
        harness.drain()
    else:
        kept = harness.client.dump(f"fe:x:{execution}:listed")
        expire(harness, execution)
        harness.client.restore(f"fe:x:{execution}:listed", 0, kept)
    for _ in range(2):
        harness.orchestrators[0].sweep.run()
    assert not harness.client.keys(f"fe:x:{execution}:*")
    assert not harness.client.exists(*LISTS, "fe:list:by")


@pytest.mark.proves("list-leftovers")
def test_many_that_stay_do_not_keep_the_sweep_from_what_has_expired(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the retention was made shorter, what ended before is older and is there."""
    monkeypatch.setattr(expired_entries, "AT_ONCE", 2)
    monkeypatch.setattr(expired_entries, "AT_MOST", 4)
    for _ in range(9):
        harness.client.zadd("fe:index:pending", {labelled(harness): 1})
    gone = labelled(harness)
    expire(harness, gone)
    harness.client.zadd("fe:index:pending", {gone: 2})
    for _ in range(3):
        harness.orchestrators[0].sweep.run()
    assert harness.client.zscore("fe:index:pending", gone) is None
    assert harness.client.zcard("fe:index:pending") == 9


@pytest.mark.corrupts("that is what it is about")
def test_what_cannot_be_read_costs_a_list_no_other(harness: Harness) -> None:
    """It is left out; where only its numbers or its node cannot be read, it shows without them."""
    harness.script = failing_in(1, "a")
    good, odd, other, new, without = (harness.begin(plan_of({"a": ()})) for _ in range(5))
    harness.drain()
    harness.client.hset(f"fe:x:{odd}:control", "run", "many")
    harness.client.hset(f"fe:x:{new}:control", "status", "dreaming")
    harness.client.delete(f"fe:x:{other}:control")
    harness.client.set(f"fe:x:{other}:control", "text")
    harness.client.hset(f"fe:x:{without}:counts", "unfinished", "some")
    harness.client.hset(f"fe:x:{good}:node:a", "state", b"\xff")
    items = harness.api.executions.list(Wanted(), limit=10).items
    assert {item.execution_id for item in items} == {without, good}
    assert [item.error for item in items] == [None, None]


def test_a_list_says_by_what_an_execution_was_started_and_what_it_waits_for(harness: Harness) -> None:
    """The next try that is due first, while it runs; a timer of an earlier run is stale."""
    harness.script = failing_in(1, "a", "b")
    says = {"a": Says(tries=2), "b": Says(tries=2)}
    execution = harness.create(plan_of({"a": (), "b": ()}, says=says))
    assert (the_only(harness).trigger, the_only(harness).version) == (None, None)
    harness.trigger(execution)
    harness.start_executions()
    assert the_only(harness).waiting_for is None
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.client.zadd("fe:timers:retry", {f"{execution}|1|b|1": 4}, xx=True)
    harness.client.zadd("fe:timers:retry", {f"{execution}|7|a|1": 1, "odd": 2, f"{'0' * 27}|1|a|1": 3})
    shown = the_only(harness)
    assert shown.trigger is not None
    assert shown.waiting_for is not None
    assert (shown.trigger.kind, shown.waiting_for.kind, shown.waiting_for.node) == ("api", "retry", "b")
    harness.api.executions.pause(execution)
    assert the_only(harness).waiting_for is None
    harness.client.zrem("fe:timers:retry", f"{execution}|7|a|1", "odd", f"{'0' * 27}|1|a|1")
    harness.cancel(execution)
    harness.drain()
