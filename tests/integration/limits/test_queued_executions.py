"""Executions that wait for their turn: who runs, who waits, and what comes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from flowengine.broker.streams.wire import ACTOR
from flowengine.errors import AlreadyTriggeredError, BadCursorError, ConcurrencyLimitError, WrongStateError
from flowengine.execution.views.executions import TurnView
from flowengine.queues import GROUP
from flowengine.store.connection.sessions import Session
from flowengine.workflow.limits.declared import Concurrency
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.stages import Stages
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import expected_values
from tests.support.rigs.harness import Entry, Harness, diamond, failing_in, plan_of

CHAIN = {"a": (), "b": ("a",)}
ONE = Concurrency(1)
LINE = "x:test\ttest"


def limited(limit: Concurrency = ONE, timeout_ms: int = 0, stages: Stages | None = None) -> Plan:
    """A chain of which so many run at once."""
    overall = ExecutionPolicy(timeout_ms=timeout_ms, concurrency=limit)
    if stages is None:
        return plan_of(CHAIN, overall=overall)
    return plan_of({**CHAIN, "tidy": ()}, overall=overall, stages=stages)


def begin(harness: Harness, count: int, plan: Plan | None = None) -> list[str]:
    """So many executions, all triggered."""
    return [harness.begin(plan or limited()) for _ in range(count)]


def statuses(harness: Harness, executions: Sequence[str]) -> list[str]:
    """How they stand; all that is stored is right."""
    check_everything(harness.client)
    return [harness.api.executions.status(each).status for each in executions]


def turn_of(harness: Harness, execution: str) -> TurnView:
    """What it waits for."""
    found = harness.api.executions.status(execution).waiting_for
    assert isinstance(found, TurnView)
    return found


def lifetimes(harness: Harness, execution: str) -> dict[str, int]:
    """Its keys, and the seconds that each has left, -1 for ever."""
    keys = [key.decode() for key in harness.client.keys(f"fe:x:{execution}:*")]
    return {key.rpartition(":")[2]: harness.client.ttl(key) for key in keys}


def moves(harness: Harness) -> list[Entry]:
    """The messages that wait and tell of a line."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "line_moved"]


@pytest.mark.proves("line-in-order")
def test_those_behind_the_limit_wait_and_run_in_order(harness: Harness) -> None:
    """Each is `pending` with its place, and begins when those before it have ended."""
    first, second, third = begin(harness, 3)
    assert statuses(harness, [first, second, third]) == ["running", "pending", "pending"]
    turn = turn_of(harness, third)
    assert (turn.key, turn.place, turn.limit) == ("test", 3, 1)
    with pytest.raises(AlreadyTriggeredError):
        harness.trigger(second)
    harness.drain()
    assert statuses(harness, [first, second, third]) == ["completed"] * 3
    ran = [context.execution_id for worker in harness.workers for context in worker.invoker.calls]
    assert ran == [each for each in (first, second, third) for _ in CHAIN]
    assert harness.results(third) == expected_values(CHAIN)
    assert not harness.client.exists("fe:line:" + LINE)


@pytest.mark.proves("line-holder-dies")
def test_a_place_is_free_when_a_holder_ends_whatever_way(harness: Harness) -> None:
    """Failed, cancelled, or deleted by force: the next one runs."""
    failed, cancelled, deleted, last = begin(harness, 4)
    harness.script = failing_in(1, "a")
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.script = lambda context: None
    assert len(moves(harness)) >= 1
    for entry in moves(harness):
        harness.deliver(harness.orchestrators[0], entry)
    assert statuses(harness, [failed, cancelled, deleted]) == ["failed", "running", "pending"]
    harness.cancel(cancelled)
    harness.delete(deleted)
    harness.drain()
    assert statuses(harness, [cancelled, last]) == ["cancelled", "completed"]


@pytest.mark.proves("line-waiter-leaves")
def test_one_that_waits_is_cancelled(harness: Harness) -> None:
    """It never runs, and those behind it move up; it can be triggered again, and waits again."""
    first, second, third = begin(harness, 3)
    assert harness.cancel(second) == "cancelled"
    assert turn_of(harness, third).place == 2
    assert harness.trigger(second) == 2
    assert statuses(harness, [first, second, third]) == ["running", "pending", "pending"]
    assert turn_of(harness, second).place == 3
    harness.drain()
    assert statuses(harness, [first, second, third]) == ["completed"] * 3


def test_the_timeout_runs_from_the_start(harness: Harness) -> None:
    """One that waits has no timer."""
    first, second = begin(harness, 2, limited(timeout_ms=60_000))
    timers = harness.client.zrange("fe:timers:timeout", 0, -1)
    assert timers == [f"{first}|1".encode()]
    harness.drain()
    assert statuses(harness, [first, second]) == ["completed"] * 2


@pytest.mark.proves("line-until-hooks-ended")
def test_a_place_is_held_until_the_hooks_have_ended(harness: Harness) -> None:
    """And while it is paused: nothing else begins."""
    plan = limited(stages=Stages(finally_=1))
    first, second = begin(harness, 2, plan)
    harness.start_executions()
    harness.api.executions.pause(first)
    harness.drain()
    assert statuses(harness, [first, second]) == ["paused", "pending"]
    harness.api.executions.resume(first)
    for _ in range(6):
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks("a", "b")
    assert harness.statuses(first)["tidy"] == "queued"
    assert statuses(harness, [first, second]) == ["running", "pending"]
    harness.drain()
    assert statuses(harness, [first, second]) == ["completed"] * 2


@pytest.mark.proves("line-again")
def test_another_run_waits_as_well(harness: Harness) -> None:
    """A failed one that is triggered again stands at the end of the line, with what it keeps."""
    first = harness.begin(limited())
    harness.script = failing_in(1, "b")
    harness.drain()
    harness.script = lambda context: None
    second = harness.begin(limited())
    assert harness.api.executions.trigger(first, correlation_id="c").status == "pending"
    assert harness.statuses(first) == {"a": "completed", "b": "pending"}
    assert statuses(harness, [first, second]) == ["pending", "running"]
    harness.drain()
    assert statuses(harness, [first, second]) == ["completed"] * 2
    calls = [call.node_id for call in harness.workers[0].invoker.calls if call.execution_id == first]
    assert calls == ["a", "b", "b"]


@pytest.mark.proves("line-reject")
def test_one_that_does_not_wait_is_refused(harness: Harness) -> None:
    """With 429, and nothing has begun: it can be triggered later."""
    plan = limited(Concurrency(1, on_limit="reject"))
    first, second = harness.begin(plan), harness.create(plan)
    with pytest.raises(ConcurrencyLimitError, match="the limit is 1"):
        harness.trigger(second)
    assert statuses(harness, [first, second]) == ["running", "pending"]
    harness.drain()
    harness.trigger(second)
    harness.drain()
    assert statuses(harness, [first, second]) == ["completed"] * 2


@pytest.mark.proves("line-reject")
@pytest.mark.parametrize("made", [False, True])
def test_of_two_that_see_the_last_place_one_is_withdrawn(harness: Harness, made: bool) -> None:
    """It is as before, without what its run began with, and expires. One that was made with it is gone."""
    rejects = ExecutionPolicy(concurrency=Concurrency(1, on_limit="reject"))
    plan = plan_of(diamond(), overall=rejects)
    first, second = harness.create(plan), "" if made else harness.create(plan)
    asked = harness.api.state.lines.length

    def asks(line: str) -> int:
        found = asked(line)
        harness.api.state.lines.length = asked  # type: ignore[method-assign]  # once, as a test's double
        harness.trigger(first)
        return found

    harness.api.state.lines.length = asks  # type: ignore[method-assign]  # what comes between the two
    executions = harness.api.executions

    def ask() -> object:
        return executions.start(plan, correlation_id="c") if made else harness.trigger(second)

    with pytest.raises(ConcurrencyLimitError):
        ask()
    harness.drain()
    assert statuses(harness, [first]) == ["completed"]
    if made:
        assert len(harness.client.keys("fe:x:*:control")) == 1
    else:
        left = lifetimes(harness, second)
        assert set(left) == {"control", "plan"}
        assert min(left.values()) > 0
        assert harness.trigger(second) == 1
        assert set(lifetimes(harness, second).values()) == {-1}
        harness.drain()
        assert statuses(harness, [second]) == ["completed"]


@pytest.mark.proves("line-cancel-oldest")
def test_a_newcomer_has_the_oldest_cancelled(harness: Harness) -> None:
    """The one that has run longest; the one that has waited longest, if one waits. One each."""
    plan = limited(Concurrency(1, on_limit="cancel_oldest"))
    first = harness.begin(plan)
    harness.start_executions()
    second = harness.begin(plan)
    for entry in moves(harness):
        harness.deliver(harness.orchestrators[0], entry)
    assert [harness.api.executions.status(each).status for each in (first, second)] == [
        "cancelling",
        "pending",
    ]
    third = harness.begin(plan)
    for entry in moves(harness):
        harness.deliver(harness.orchestrators[0], entry)
    assert harness.api.executions.status(second).status == "cancelled"
    harness.drain()
    assert statuses(harness, [first, second, third]) == ["cancelled", "cancelled", "completed"]


@pytest.mark.proves("line-cancel-oldest")
def test_a_newcomer_has_one_cancelled_however_often_its_message_comes(harness: Harness) -> None:
    """Delivered again, it finds that it was done."""
    plan = limited(Concurrency(2, on_limit="cancel_oldest"))
    first, second = begin(harness, 2, plan)
    third = harness.begin(plan)
    (*_, entry) = moves(harness)
    harness.deliver(harness.orchestrators[0], entry)
    receipt = harness.stream("orchestrator")
    harness.client.xadd(receipt, {ACTOR: b"line_moved", b"p3": entry.payload})
    harness.drain()
    assert statuses(harness, [first, second, third]) == ["cancelled", "completed", "completed"]


@pytest.mark.proves("line-limit-changes")
def test_a_greater_limit_lets_all_in_that_it_has_room_for(harness: Harness) -> None:
    """It holds from the next one on that joins; a smaller one ends nobody."""
    waiting = begin(harness, 3)
    last = harness.begin(limited(Concurrency(3)))
    for entry in moves(harness):
        harness.deliver(harness.orchestrators[0], entry)
    assert statuses(harness, [*waiting, last]) == ["running", "running", "running", "pending"]
    more = harness.begin(limited())
    assert harness.api.executions.status(more).status == "pending"
    harness.drain()
    assert statuses(harness, [*waiting, last, more]) == ["completed"] * 5


@pytest.mark.proves("line-two-looks")
def test_two_orchestrators_admit_one_once(harness: Harness) -> None:
    """One WATCH is refused."""
    first, second = begin(harness, 2)
    other = harness.second_orchestrator()
    harness.cancel(first)
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "stop_execution":
            harness.deliver(harness.orchestrators[0], entry)
    (entry, *_) = [each for each in moves(harness) if first.encode() in each.payload]
    harness.orchestrators[0].state.between = lambda: other.engine.lines.look(LINE, whole=True)
    harness.deliver(harness.orchestrators[0], entry)
    starts = [each for each in harness.waiting("orchestrator") if each.actor == "start_execution"]
    assert len([each for each in starts if second.encode() in each.payload]) == 1
    harness.drain()
    assert statuses(harness, [first, second]) == ["cancelled", "completed"]


@pytest.mark.proves("line-waiter-leaves")
def test_one_that_is_cancelled_as_it_is_admitted(harness: Harness) -> None:
    """The cancel comes first, and it never begins."""
    first, second, third = begin(harness, 3)
    harness.cancel(first)
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "stop_execution":
            harness.deliver(harness.orchestrators[0], entry)
    harness.orchestrators[0].state.between = lambda: harness.cancel(second)
    harness.drain()
    assert statuses(harness, [first, second, third]) == ["cancelled", "cancelled", "completed"]
    assert not [call for call in harness.workers[0].invoker.calls if call.execution_id == second]


@pytest.mark.proves("line-message-lost")
def test_the_sweep_lets_those_run_whose_message_is_lost(harness: Harness) -> None:
    """At the second look; it is counted as a repair."""
    first, second = begin(harness, 2)
    harness.start_executions()
    for node in CHAIN:
        harness.run_tasks(node)
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
    for entry in moves(harness):
        harness.client.xack(harness.stream("orchestrator"), GROUP, entry.id)
        harness.client.xdel(harness.stream("orchestrator"), entry.id)
    standing = [harness.api.executions.status(each).status for each in (first, second)]
    assert standing == ["completed", "pending"]
    sweep = harness.orchestrators[0].sweep
    assert [sweep.run(), sweep.run()] == [0, 1]
    harness.drain()
    assert statuses(harness, [first, second]) == ["completed"] * 2


@pytest.mark.proves("line-odd-member")
def test_what_does_not_stand_in_a_line_by_its_record_is_removed(harness: Harness) -> None:
    """It would keep a place for ever (it should not be there)."""
    harness.client.rpush("fe:line:" + LINE, "odd", f"{'a' * 27}|1")
    harness.client.hset("fe:limits", LINE, 1)
    harness.client.zadd("fe:lines", {LINE: 0})
    execution = harness.begin(limited())
    assert harness.api.executions.status(execution).status == "pending"
    harness.drain()
    assert statuses(harness, [execution]) == ["completed"]


def test_one_that_waits_cannot_be_paused_or_run_again(harness: Harness) -> None:
    """It does not run, and has not ended."""
    _, second = begin(harness, 2)
    with pytest.raises(WrongStateError):
        harness.api.executions.pause(second)
    harness.drain()


def test_those_that_share_a_key_count_together(harness: Harness) -> None:
    """Of other workflows too; without `shared`, each workflow's own."""
    shared = Concurrency(1, key="db", shared=True)
    ours = plan_of(CHAIN, overall=ExecutionPolicy(concurrency=shared))
    theirs = plan_of(CHAIN, name="other", overall=ExecutionPolicy(concurrency=shared))
    own = plan_of(CHAIN, name="other", overall=ExecutionPolicy(concurrency=Concurrency(1, key="db")))
    found = [harness.begin(plan) for plan in (ours, theirs, own)]
    assert statuses(harness, found) == ["running", "pending", "running"]
    page = harness.api.executions.operations.limits(1, None)
    assert [(item.kind, item.key, item.holding, item.waiting) for item in page.items] == [
        ("shared", "db", 1, 1)
    ]
    (rest,) = harness.api.executions.operations.limits(1, page.next_cursor).items
    assert (rest.kind, rest.workflow, rest.holders[0].execution_id) == ("workflow", "other", found[2])
    harness.drain()
    assert statuses(harness, found) == ["completed"] * 3


def test_a_page_of_limits_takes_three_round_trips(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines there are; each line tells who stands in it."""
    found = {}
    for number in range(12):
        own = ExecutionPolicy(concurrency=Concurrency(1, key=f"k{number:02}"))
        found[f"k{number:02}"] = [harness.begin(plan_of(CHAIN, overall=own)) for _ in range(2)]
    asked: list[int] = []
    exchange = Session._exchange

    def counted(session: Session, commands: Sequence[Any], *, check_health: bool = True) -> list[Any]:
        asked.append(len(commands))
        return exchange(session, commands, check_health=check_health)

    monkeypatch.setattr(Session, "_exchange", counted)
    page = harness.api.executions.operations.limits(50, None)
    monkeypatch.undo()
    assert len(asked) == 3
    stand = {item.key: (*item.holders, *item.waiters) for item in page.items}
    assert {key: [each.execution_id for each in who] for key, who in stand.items()} == found
    assert all((item.holding, item.waiting) == (1, 1) for item in page.items)
    harness.drain()


@pytest.mark.parametrize("cursor", ["", "!!!", "a b", "QQ==", "w", "_w", "\u00e9", "Zm9v="])
def test_what_is_no_cursor_of_limits_is_refused(harness: Harness, cursor: str) -> None:
    """Also what a lenient decoder would read as the beginning of the list."""
    with pytest.raises(BadCursorError, match="no page of limits"):
        harness.api.executions.operations.limits(10, cursor)
