"""Priorities: where tasks wait, who inherits them, and what finds them again."""

from __future__ import annotations

import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.jsonvalue import JsonValue
from flowengine.queues import GROUP, WORKER_QUEUE, async_line, crowd_line, high_line, low_line
from flowengine.settings import Limits
from flowengine.workflow import check_document
from flowengine.workflow.plan import decode_plan, encode_plan
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.priority import Priority
from tests.integration.engine.test_engine_maps import map_plan
from tests.support.checks.invariants import CheckEverything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import CONSUMER, Harness, plan_of, registry

LINES: dict[Priority, str] = {
    "high": high_line(WORKER_QUEUE),
    "normal": WORKER_QUEUE,
    "low": low_line(WORKER_QUEUE),
}


def queues_of(harness: Harness) -> set[str]:
    """Where the tasks that wait stand."""
    return {entry.queue for entry in harness.tasks()}


@pytest.mark.proves("priority-lines")
@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_tasks_wait_in_the_line_of_their_priority(
    harness: Harness, check_invariants: CheckEverything, priority: Priority
) -> None:
    """Of threads and without, of many that are sent at once too."""
    overall = ExecutionPolicy(priority=priority)
    graph = {"a": (), "b": ("a",), **{f"n{at}": ("a",) for at in range(30)}, "w": ("b",)}
    execution = harness.begin(plan_of(graph, overall=overall, waiting={"w"}))
    harness.start_executions()
    assert queues_of(harness) == {LINES[priority]}
    harness.run_tasks("a")
    harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    crowd = {crowd_line(WORKER_QUEUE)} if priority == "normal" else set()
    assert queues_of(harness) == {LINES[priority]} | crowd
    harness.run_tasks("b")
    harness.deliver(harness.orchestrators[0], harness.callback_of("b"))
    assert async_line(WORKER_QUEUE) in {line.removesuffix(f":{priority}") for line in queues_of(harness)}
    harness.drain()
    assert harness.api.executions.status(execution).priority == priority
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_groups_and_items_have_the_priority_of_their_document(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """And so have later runs, and new executions that are made of it."""
    plan = plan_from(priority="low", nodes=[group("g", adds("inner"))])
    execution = harness.begin(plan)
    seen: set[str] = set()
    while entries := harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entries[0])
        seen |= queues_of(harness)
        harness.run_tasks()
    assert seen == {LINES["low"]}
    mapped = harness.begin(map_plan([1, 2, 3]).prioritised("high"))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], harness.callback_of("each"))
    assert queues_of(harness) == {LINES["high"]}
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    made = harness.api.executions.fork(mapped, RerunAsked(Wanted("all"))).execution_id
    harness.drain()
    statuses = harness.api.executions.status
    assert (statuses(execution).priority, statuses(made).priority) == ("low", "high")
    check_invariants()


@pytest.mark.proves("priority-lines")
@pytest.mark.parametrize("priority", ["high", "low"])
def test_the_sweep_sends_a_task_again_that_is_in_no_line(
    harness: Harness, check_invariants: CheckEverything, priority: Priority
) -> None:
    """One that waits in its line is left alone."""
    harness.begin(plan_of({"a": ()}, overall=ExecutionPolicy(priority=priority)))
    harness.start_executions()
    sweep = harness.orchestrators[0].sweep
    repaired = sweep.repaired
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == repaired
    (task,) = harness.tasks()
    key = harness.stream(LINES[priority])
    assert task.queue == LINES[priority]
    harness.client.xack(key, GROUP, task.id)
    harness.client.xdel(key, task.id)
    for _ in range(3):
        sweep.run()
    assert sweep.repaired > repaired
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("priority-lines")
def test_where_nobody_reads_the_line_a_task_goes_to_the_queue(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """As workers of an earlier version serve it."""
    for line in (LINES["high"], LINES["low"]):
        harness.client.xgroup_delconsumer(harness.stream(line), GROUP, CONSUMER)
    harness.waiting(WORKER_QUEUE)  # the queue is read
    harness.begin(plan_of({"a": ()}, overall=ExecutionPolicy(priority="low")))
    harness.start_executions()
    (entry,) = harness.client.xrange(harness.stream(WORKER_QUEUE))
    assert entry
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


def test_a_plan_keeps_its_priority() -> None:
    """And one without says nothing of it."""
    plain = plan_of({"a": ()})
    high = plain.prioritised("high")
    assert decode_plan(encode_plan(high)).overall.priority == "high"
    assert b"priority" not in encode_plan(plain)
    assert high.prioritised("normal") == plain


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("hihg", "invalid_value", "did you mean 'high'"),
        (1, "wrong_type", "Known: high, normal, low"),
        (None, None, ""),
        ("low", None, ""),
    ],
)
def test_a_document_says_its_priority(given: JsonValue, code: str | None, said: str) -> None:
    """Refused with what there is."""
    written: JsonValue = {
        "name": "x",
        "priority": given,
        "nodes": [{"id": "a", "handler": "sum", "config": {"inputs": []}}],
    }
    checked = check_document(written, registry(), Limits())
    if code is None:
        assert checked.plan is not None
        assert checked.plan.overall.priority == (given or "normal")
    else:
        (problem,) = checked.problems
        assert (problem.code, problem.pointer) == (code, "/priority")
        assert said in problem.message
