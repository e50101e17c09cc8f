"""Nodes that wait for a time: `wait`, and handlers that put off their calls."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import WrongStateError
from flowengine.execution.messages import RunNode
from flowengine.execution.rules.steering.overruling import Complete, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import NodeDetailView
from flowengine.plugin import Context, HandlerError, Later
from flowengine.store import keys
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Graph, Says
from tests.support.rigs.harness import HOLD_S, Harness, plan_of

LINE: Graph = {"hold": (), "after": ("hold",)}
HOLDS = {"hold": Says(waits="wait")}
DAY_S = 86_400.0


def wait_for_it(harness: Harness, execution: str) -> None:
    """Let all begin that can, until nothing is left but waits."""
    harness.start_executions()
    settle(harness)
    check(harness.client, execution)


def settle(harness: Harness) -> None:
    """Deal with all messages, and with no timer."""
    while waiting := [*harness.waiting("orchestrator"), *harness.tasks()]:
        for entry in waiting:
            process = harness.workers[0] if entry.actor == "run_node" else harness.orchestrators[0]
            harness.deliver(process, entry)


def later(seconds: float, times: int = 1, node: str = "a") -> Callable[[Context], None]:
    """A script in which a node's handler puts off its first calls."""
    left = [times]

    def script(context: Context) -> None:
        if context.node_id == node and left[0]:
            left[0] -= 1
            raise Later(seconds)

    return script


def view_of(harness: Harness, execution: str, node: str) -> NodeDetailView:
    """A node as the API shows it."""
    return harness.api.executions.node(execution, node)


# -- `wait`


@pytest.mark.proves("wait-holds-nothing")
def test_a_node_that_waits_for_a_time_completes_then_without_a_second_task(harness: Harness) -> None:
    """No message and no worker holds it meanwhile: a timer does, and what is stored of it is small."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    assert harness.statuses(execution) == {"hold": "waiting", "after": "pending"}
    assert not harness.waiting("orchestrator")
    assert not harness.tasks()
    assert not harness.client.hlen(f"fe:x:{execution}:started")
    shown = view_of(harness, execution, "hold").waiting_for
    assert shown
    assert shown.kind == "wait"
    assert harness.end_waits() == 1
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}
    assert [call.node_id for call in harness.workers[0].invoker.calls] == ["hold", "after"]
    until = harness.api.executions.results(execution).results["hold"]
    assert msgspec.json.decode(until)["result"] == shown.until


@pytest.mark.proves("wait-holds-nothing")
def test_a_wait_takes_less_than_a_kilobyte(harness: Harness) -> None:
    """Its record and its timer; the execution around it takes what any takes."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    names = (f"fe:x:{execution}:node:hold", "fe:timers:wait")
    assert sum(harness.client.memory_usage(name) for name in names) < 1024


def test_a_wait_counts_from_when_its_node_was_sent(harness: Harness) -> None:
    """A task that is delivered again does not wait anew."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    harness.start_executions()
    sent = check(harness.client, execution).record("hold").queued_at or 0
    settle(harness)
    record = check(harness.client, execution).record("hold")
    assert record.until == sent + int(HOLD_S * 1000)


def test_a_wait_longer_than_its_timeout_fails_at_once(harness: Harness) -> None:
    """It is known that it would not end in time."""
    plan = plan_of(LINE, says=HOLDS)
    policies = {0: msgspec.structs.replace(plan.policies[0], waits=WaitPolicy("wait", timeout_ms=1000))}
    execution = harness.begin(msgspec.structs.replace(plan, policies=policies))
    harness.drain()
    assert harness.statuses(execution) == {"hold": "failed", "after": "failed"}
    error = harness.api.executions.results(execution).errors["hold"]
    assert (error.code, "timeout_seconds" in error.message) == ("timeout", True)


@pytest.mark.proves("wait-cancelled")
@pytest.mark.parametrize("by", ["cancel", "timeout"])
def test_a_stop_ends_a_wait_and_its_timer_goes(harness: Harness, by: str) -> None:
    """Its timer's message, if it is on its way already, changes nothing."""
    overall = ExecutionPolicy(timeout_ms=3_600_000)
    execution = harness.begin(plan_of(LINE, says=HOLDS, overall=overall))
    wait_for_it(harness, execution)
    timers = harness.client.zrange(keys.of().timers("wait"), 0, -1)
    if by == "cancel":
        harness.cancel(execution)
    else:
        harness.end_runs()
    settle(harness)
    assert not harness.client.exists(keys.of().timers("wait"))
    assert harness.statuses(execution) == {"hold": "cancelled", "after": "cancelled"}
    harness.client.zadd(keys.of().timers("wait"), dict.fromkeys(timers, 1))
    harness.fire_timers()
    settle(harness)
    assert harness.statuses(execution) == {"hold": "cancelled", "after": "cancelled"}


def test_a_wait_that_is_reported_during_a_stop_is_cancelled(harness: Harness) -> None:
    """It does not begin."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    harness.start_executions()

    def cancel(context: Context) -> None:
        harness.cancel(execution)

    harness.script = cancel
    harness.run_tasks("hold")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["hold"] == "cancelled"
    assert not harness.client.exists(keys.of().timers("wait"))


@pytest.mark.proves("wait-paused")
def test_a_wait_that_is_due_during_a_pause_completes_when_it_goes_on(harness: Harness) -> None:
    """Its timer has fired in vain."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    harness.api.executions.pause(execution)
    assert harness.end_waits() == 1
    settle(harness)
    assert harness.statuses(execution) == {"hold": "waiting", "after": "pending"}
    assert not harness.client.exists(keys.of().timers("wait"))
    harness.api.executions.resume(execution)
    settle(harness)
    assert harness.client.zcard(keys.of().timers("wait")) == 1
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}


@pytest.mark.parametrize(("word", "status"), [(Complete(msgspec.Raw(b'{"result":"x"}')), "completed")])
def test_an_operator_ends_a_wait(harness: Harness, word: Word, status: str) -> None:
    """Its timer goes, and one that is on its way changes nothing."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    timers = harness.client.zrange(keys.of().timers("wait"), 0, -1)
    assert harness.overrule(execution, "hold", word) == status
    assert not harness.client.exists(keys.of().timers("wait"))
    harness.client.zadd(keys.of().timers("wait"), dict.fromkeys(timers, 1))
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}


@pytest.mark.proves("wait-over-once")
def test_a_timer_that_comes_twice_under_two_orchestrators_completes_a_wait_once(harness: Harness) -> None:
    """The second finds it completed, and looks at what follows."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    harness.end_waits()
    (fired,) = harness.waiting("orchestrator")
    second = harness.second_orchestrator()
    first = harness.orchestrators[0]
    first.state.between = lambda: harness.deliver(second, fired)
    assert harness.deliver(first, fired)
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}
    kinds = [event.kind for event in check(harness.client, execution).events]
    assert kinds.count("node_completed") == 2


def test_a_wait_begins_anew_in_a_rerun(harness: Harness) -> None:
    """Reset, it runs and waits again; an old timer of the run before does not end it."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    settle(harness)
    assert harness.statuses(execution) == {"hold": "waiting", "after": "pending"}
    old = keys.timer_member(execution, 1, "hold", 1)
    harness.client.zadd(keys.of().timers("wait"), {f"{old}|wait": 1})
    harness.fire_timers()
    settle(harness)
    assert harness.statuses(execution) == {"hold": "waiting", "after": "pending"}
    with pytest.raises(WrongStateError):
        harness.trigger(execution)


def test_an_execution_that_waits_is_deleted_by_force_with_its_timer(harness: Harness) -> None:
    """Nothing is left of it."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    harness.delete(execution, force=True)
    harness.drain()
    assert not list(harness.client.scan_iter(f"fe:x:{execution}:*"))
    assert not harness.client.exists(keys.of().timers("wait"))


@pytest.mark.proves("wait-timer-lost")
@pytest.mark.corrupts("takes a timer away")
def test_the_sweep_arms_the_lost_timer_of_a_wait(harness: Harness) -> None:
    """For the same time, and it counts as a repair."""
    execution = harness.begin(plan_of(LINE, says=HOLDS))
    wait_for_it(harness, execution)
    until = check(harness.client, execution).record("hold").until
    harness.client.delete(keys.of().timers("wait"))
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    ((_, due),) = harness.client.zrange(keys.of().timers("wait"), 0, -1, withscores=True)
    assert int(due) == until


# -- Later


@pytest.mark.proves("later-same-attempt")
def test_a_handler_that_asks_for_another_call_is_called_again_with_the_same_key(harness: Harness) -> None:
    """It is the same attempt, and no failure; no worker holds the node meanwhile."""
    harness.script = later(600.0, times=2)
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    wait_for_it(harness, execution)
    assert harness.statuses(execution) == {"a": "waiting", "b": "pending"}
    assert not harness.tasks()
    shown = view_of(harness, execution, "a")
    assert (shown.attempt, shown.error) == (1, None)
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}
    calls = [call for call in harness.workers[0].invoker.calls if call.node_id == "a"]
    assert {(call.attempt, call.idempotency_key) for call in calls} == {(1, calls[0].idempotency_key)}
    assert len(calls) == 3
    assert check(harness.client, execution).record("a").dispatch == 3


def test_a_call_that_was_put_off_is_no_further_try(harness: Harness) -> None:
    """So a node that may fail once may still fail once after it."""
    put_off, failed = later(600.0), [False]

    def script(context: Context) -> None:
        put_off(context)
        if not failed[0]:
            failed[0] = True
            raise HandlerError("boom", "failed on purpose")

    harness.script = script
    execution = harness.begin(plan_of({"a": ()}, says={"a": Says(tries=2)}))
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed"}
    assert [call.attempt for call in harness.workers[0].invoker.calls] == [1, 1, 2]
    check(harness.client, execution)


def test_a_condition_is_not_asked_again_for_another_call(harness: Harness) -> None:
    """It was true when the first call began."""
    harness.script = later(600.0)
    execution = harness.begin(plan_of({"a": ()}, says={"a": Says(when=True)}))
    harness.start_executions()
    first = msgspec.json.decode(harness.task_of("a").payload, type=RunNode)
    wait_for_it(harness, execution)
    harness.end_waits()
    (fired,) = harness.waiting("orchestrator")
    harness.deliver(harness.orchestrators[0], fired)
    task = msgspec.json.decode(harness.task_of("a").payload, type=RunNode)
    assert (task.when, task.attempt, task.dispatch, task.moment) == (None, 1, 2, first.moment)


@pytest.mark.parametrize("tries", [1, 3])
def test_calls_that_are_put_off_count_to_max_seconds(harness: Harness, tries: int) -> None:
    """A day where nothing else is said. Then the node fails, and is not tried again."""
    harness.script = later(DAY_S + 1)
    execution = harness.begin(plan_of({"a": ()}, says={"a": Says(tries=tries)}))
    harness.drain()
    error = harness.api.executions.results(execution).errors["a"]
    assert (error.code, "retry.max_seconds" in error.message) == ("timeout", True)
    assert len(harness.workers[0].invoker.calls) == 1


def test_a_second_delivery_of_a_task_whose_call_was_put_off_is_stale(harness: Harness) -> None:
    """Its lease had lapsed: what it reports comes after the first delivery's report."""
    harness.script = later(600.0)
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    (task,) = harness.tasks()

    def meanwhile(context: Context) -> None:
        harness.script = later(600.0)
        harness.deliver(harness.workers[0], task)
        harness.deliver(harness.orchestrators[0], *harness.callbacks())

    harness.script = meanwhile
    harness.second_worker()
    harness.deliver(harness.workers[1], msgspec.structs.replace(task, deliveries=2))
    settle(harness)
    assert harness.statuses(execution) == {"a": "waiting"}
    assert harness.orchestrators[0].engine.stale_callbacks == 1
    harness.script = lambda context: None


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 30 * DAY_S + 1, "5"])
def test_what_is_no_time_is_refused_where_it_is_written(seconds: float) -> None:
    """The handler fails with that line, and nothing waits for ever."""
    with pytest.raises(ValueError, match="Later takes"):
        Later(seconds)
