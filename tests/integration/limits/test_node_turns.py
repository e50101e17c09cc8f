"""Nodes that wait for their turn: of one execution and of several, and what comes meanwhile."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from flowengine.execution.rules.steering.overruling import Complete, Skip
from flowengine.execution.views.executions import WaitingForView
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Entry, Harness, failing_in, plan_of

FAN = {"a": (), "b": (), "c": (), "end": ("a", "b", "c")}
ONE = {name: Says(limit=1, key="db") for name in ("a", "b", "c")}


def limited(says: dict[str, Says] | None = None, name: str = "test") -> Plan:
    """Three nodes, of which so many run at once, and one after them."""
    return plan_of(FAN, says=says or ONE, name=name)


def moves(harness: Harness) -> list[Entry]:
    """The messages that wait and tell of a line."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "line_moved"]


def move(harness: Harness) -> None:
    """Let all of these be dealt with."""
    for entry in moves(harness):
        harness.deliver(harness.orchestrators[0], entry)


def begin(harness: Harness, plan: Plan | None = None) -> str:
    """An execution whose first nodes stand in line, and those run whose turn has come."""
    execution = harness.begin(plan or limited())
    harness.start_executions()
    move(harness)
    check_everything(harness.client)
    return execution


def finish(harness: Harness, node: str) -> None:
    """Let a node run, and apply what it reports, and what follows in its line."""
    harness.run_tasks(node)
    assert harness.deliver(harness.orchestrators[0], harness.callback_of(node))
    move(harness)
    check_everything(harness.client)


@pytest.mark.proves("turn-in-order")
def test_nodes_of_a_key_run_in_order(harness: Harness) -> None:
    """One is in flight, the others are `waiting` without a task; the next begins as one ends."""
    execution = begin(harness)
    assert harness.statuses(execution) == {"a": "queued", "b": "waiting", "c": "waiting", "end": "pending"}
    view = {node.id: node for node in harness.api.executions.status(execution).nodes}["b"]
    assert view.waiting_for == WaitingForView(kind="turn", until=None, key="db", place=2)
    assert len(harness.tasks()) == 1
    finish(harness, "a")
    assert harness.statuses(execution)["b"] == "queued"
    finish(harness, "b")
    finish(harness, "c")
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"
    assert not harness.client.exists("fe:line:n:db")
    attempts = [node.attempt for node in harness.api.executions.status(execution).nodes]
    assert attempts == [1, 1, 1, 1]


@pytest.mark.proves("line-odd-member")
def test_one_that_ends_between_two_reads_is_taken_for_no_stranger(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record says that it does not stand there, and it does not: nothing is wrong."""
    execution = begin(harness)
    harness.run_tasks("a")
    callback, other = harness.callback_of("a"), harness.second_orchestrator()
    lines = harness.orchestrators[0].state.lines
    front = lines.front

    def read_before_the_end(line: str) -> list[str]:
        found = front(line)
        if callback in harness.callbacks():
            harness.deliver(other, callback)
        return found

    monkeypatch.setattr(lines, "front", read_before_the_end)
    with capture_logs() as logs:
        harness.orchestrators[0].engine.lines.look("n:db", whole=True)
    assert harness.statuses(execution)["a"] == "completed"
    assert [each["event"] for each in logs if each["event"] == "line.member_removed"] == []
    move(harness)
    assert harness.statuses(execution)["b"] == "queued"
    check_everything(harness.client)


@pytest.mark.proves("turn-in-order")
def test_a_key_counts_over_all_executions(harness: Harness) -> None:
    """Of other workflows too. Without a key, each node of each workflow counts by itself."""
    first = begin(harness)
    second = begin(harness, limited(name="other"))
    own = begin(harness, limited({name: Says(limit=1) for name in ("a", "b", "c")}))
    assert list(harness.statuses(second).values()).count("queued") == 0
    assert list(harness.statuses(own).values()).count("queued") == 3
    page = harness.api.executions.operations.limits(10, None)
    shown = {(item.kind, item.key, item.workflow): (item.holding, item.waiting) for item in page.items}
    assert shown["nodes", "db", None] == (1, 5)
    assert shown["node", "a", "test"] == (1, 0)
    together = 0
    running = 0

    def script(context: Context) -> None:
        nonlocal together, running
        if context.node_id != "end" and context.execution_id != own:
            running = len([each for each in (first, second) if "queued" in harness.statuses(each).values()])
            together = max(together, running)

    harness.script = script
    harness.drain()
    assert together == 1
    ended = [harness.api.executions.status(each).status for each in (first, second, own)]
    assert ended == ["completed"] * 3


@pytest.mark.proves("turn-not-in-pauses")
def test_a_place_is_free_in_the_pause_before_another_try(harness: Harness) -> None:
    """The next one runs; the one that tries again stands at the end, once however often it is told."""
    says = {name: Says(limit=1, key="db", tries=2) for name in ("a", "b", "c")}
    execution = begin(harness, limited(says))

    def fails(context: Context) -> None:
        if context.node_id == "a" and context.attempt == 1:
            raise HandlerError("boom", "failed on purpose")

    harness.script = fails
    finish(harness, "a")
    assert harness.statuses(execution) == {"a": "waiting", "b": "queued", "c": "waiting", "end": "pending"}
    harness.end_pauses()
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "timer_fired":
            stream = harness.stream("orchestrator")
            harness.client.xadd(stream, {b"a": entry.actor.encode(), b"p2": entry.payload})
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["a"] == "waiting"
    assert harness.client.llen("fe:line:n:db") == 3
    check_everything(harness.client)
    finish(harness, "b")
    assert harness.statuses(execution)["c"] == "queued"
    finish(harness, "c")
    assert harness.statuses(execution)["a"] == "queued"
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"
    assert harness.api.executions.status(execution).nodes[0].attempt == 2


@pytest.mark.proves("turn-holder-ends")
@pytest.mark.parametrize("how", ["fails", "is overruled", "is cancelled", "times out"])
def test_a_place_is_free_whatever_way_its_holder_ends(harness: Harness, how: str) -> None:
    """Another execution's node runs then."""
    first, second = begin(harness), begin(harness)
    assert harness.statuses(first)["a"] == "queued"
    if how == "fails":
        harness.script = failing_in(1, "a")
        finish(harness, "a")
        harness.script = lambda context: None
    elif how == "is overruled":
        harness.overrule(first, "a", Complete(b'{"result":1}'))  # type: ignore[arg-type]  # raw JSON
    elif how == "is cancelled":
        harness.cancel(first)
    else:
        harness.deliver(harness.workers[0], harness.task_of("a"))
    harness.drain()
    assert harness.api.executions.status(second).status == "completed"


@pytest.mark.proves("turn-waiter-leaves")
def test_one_that_waits_is_skipped_or_cancelled(harness: Harness) -> None:
    """It leaves the line, and never runs."""
    execution = begin(harness)
    harness.overrule(execution, "b", Skip())
    check_everything(harness.client)
    assert harness.client.llen("fe:line:n:db") == 2
    harness.cancel(execution)
    harness.drain()
    assert not harness.client.exists("fe:line:n:db")
    assert "b" not in [call.node_id for call in harness.workers[0].invoker.calls]


@pytest.mark.proves("turn-paused")
def test_one_whose_execution_is_paused_steps_aside(harness: Harness) -> None:
    """Others run; it stands in line again when its execution goes on."""
    first, second = begin(harness), begin(harness)
    harness.api.executions.pause(first)
    finish(harness, "a")
    harness.drain()
    assert harness.api.executions.status(second).status == "completed"
    assert harness.api.executions.status(first).status == "paused"
    harness.api.executions.resume(first)
    harness.drain()
    assert harness.api.executions.status(first).status == "completed"
    assert [node.attempt for node in harness.api.executions.status(first).nodes] == [1, 1, 1, 1]


@pytest.mark.proves("turn-twice")
def test_a_message_that_comes_again_puts_nothing_in_flight_twice(harness: Harness) -> None:
    """Nor a start that comes again, nor the end of a pause."""
    execution = harness.begin(limited())
    (start,) = harness.waiting("orchestrator")
    harness.deliver(harness.orchestrators[0], start)
    (moved,) = moves(harness)
    for entry in (start, moved, moved):
        stream = harness.stream("orchestrator")
        harness.client.xadd(stream, {b"a": entry.actor.encode(), b"p2": entry.payload})
    second = harness.second_orchestrator()
    for number, entry in enumerate(harness.waiting("orchestrator")):
        harness.deliver((harness.orchestrators[0], second)[number % 2], entry)
    check_everything(harness.client)
    assert len(harness.tasks()) == 1
    assert harness.client.llen("fe:line:n:db") == 3
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"


@pytest.mark.proves("turn-task-lost")
def test_a_task_that_is_sent_again_keeps_its_place(harness: Harness) -> None:
    """The sweep finds that it has vanished (it should not)."""
    execution = begin(harness)
    (task,) = harness.tasks()
    harness.client.xack(harness.stream("worker"), GROUP, task.id)
    harness.client.xdel(harness.stream("worker"), task.id)
    sweep = harness.orchestrators[0].sweep
    assert [sweep.run(), sweep.run()] == [0, 1]
    check_everything(harness.client)
    assert len(harness.tasks()) == 1
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"
