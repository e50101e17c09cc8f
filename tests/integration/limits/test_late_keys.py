"""Keys of nodes' limits that a worker makes when the node is due: they read nodes."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.messages import RunNode
from flowengine.execution.records import NodeRecord, first_sent
from flowengine.execution.rules.steering.overruling import Skip
from flowengine.plugin import Context
from flowengine.queues import GROUP, WORKER_QUEUE, async_line
from flowengine.workflow.limits.declared import NodeConcurrency, RateLimit
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy, Retry
from flowengine.workflow.priority import Priority
from flowengine.workflow.repeating.repeat import Repeat
from tests.integration.limits.test_node_turns import finish, move
from tests.support.checks.invariants import check, check_everything
from tests.support.rigs.harness import Harness, failing_in, plan_of

KEY = "crm-{{ a.result }}"
LINE = "n:crm-1"


def late(*, name: str = "test", key: str = KEY, **more: object) -> Plan:
    """Of all nodes `b` one runs at once for each result of `a`."""
    plan = plan_of({"a": (), "b": ("a",), "end": ("b",)}, name=name)
    policy = Policy(concurrency=NodeConcurrency(1, key), late_keys=True)
    return msgspec.structs.replace(plan, policies={1: msgspec.structs.replace(policy, **more)})


def begin(harness: Harness, plan: Plan | None = None) -> str:
    """An execution whose `b` is due, and has a task that makes its key."""
    execution = harness.begin(plan or late())
    harness.start_executions()
    finish(harness, "a")
    return execution


def called(harness: Harness) -> list[str]:
    """The nodes whose handlers were called."""
    return [context.node_id for worker in harness.workers for context in worker.invoker.calls]


def record_of(harness: Harness, execution: str) -> NodeRecord:
    return check(harness.client, execution).record("b")


def made(harness: Harness, plan: Plan | None = None, *, count: int = 1) -> list[str]:
    """So many of them, and their keys are made."""
    found = [begin(harness, plan) for _ in range(count)]
    harness.run_tasks("b")
    for callback in harness.callbacks():
        assert harness.deliver(harness.orchestrators[0], callback)
    move(harness)
    check_everything(harness.client)
    return found


@pytest.mark.proves("turn-late-key")
def test_nodes_whose_keys_come_to_the_same_take_turns(harness: Harness) -> None:
    """The key is made by a task of the node, which is no try: the next one calls its handler, in its turn."""
    first, second = made(harness, count=2)
    assert [harness.statuses(each)["b"] for each in (first, second)] == ["queued", "waiting"]
    view = {node.id: node for node in harness.api.executions.status(second).nodes}["b"]
    assert view.waiting_for
    assert (view.waiting_for.kind, view.waiting_for.key, view.attempt) == ("turn", "crm-1", 1)
    assert called(harness) == ["a", "a"]
    harness.drain()
    for each in (first, second):
        assert harness.statuses(each) == dict.fromkeys(("a", "b", "end"), "completed")
        assert [node.attempt for node in harness.api.executions.status(each).nodes] == [1, 1, 1]
    assert called(harness).count("b") == 2
    assert not harness.client.exists(f"fe:line:{LINE}")


@pytest.mark.proves("turn-late-key")
def test_the_times_of_starts_go_by_such_a_key(harness: Harness) -> None:
    """Two executions, one start an hour."""
    plan = late(concurrency=None, rate_limit=RateLimit(1, 3_600_000, KEY))
    first, second = made(harness, plan, count=2)
    assert [harness.statuses(each)["b"] for each in (first, second)] == ["queued", "waiting"]
    assert harness.client.exists("fe:line:r:crm-1")
    assert harness.client.zcard("fe:starts:r:crm-1") == 1


@pytest.mark.proves("turn-late-key")
def test_a_condition_is_asked_before_the_key_is_made(harness: Harness) -> None:
    """One that does not run has no key, and joins no line. One that runs is asked once."""
    execution = begin(harness, late(when="{{ a.result == 2 }}", key="{{ a.nothing.at_all }}"))
    finish(harness, "b")
    harness.drain()
    assert harness.statuses(execution)["b"] == "skipped"
    execution = begin(harness, late(when="{{ a.result == 1 }}"))
    finish(harness, "b")
    assert msgspec.json.decode(harness.task_of("b").payload, type=RunNode).when is None
    harness.drain()
    assert harness.statuses(execution)["b"] == "completed"


@pytest.mark.proves("turn-late-key")
@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("{{ a.nothing.at_all }}", "key_invalid"),
        ("{{ [a.result] }}", "key_invalid"),
        ("{{ 'x' * 201 }}", "key_invalid"),
    ],
)
def test_a_key_that_cannot_be_made_fails_the_node(harness: Harness, key: str, code: str) -> None:
    """For good: another try would read the same. Its handler is never called."""
    execution = begin(harness, late(key=key, retry=Retry(max_attempts=3)))
    harness.drain()
    error = record_of(harness, execution).error
    assert error
    assert error.code == code
    assert "b" not in called(harness)


@pytest.mark.proves("turn-late-key")
def test_the_key_holds_for_the_tries_of_a_node(harness: Harness) -> None:
    """It is made once in a run: a try that follows lines up at once. Another run makes it anew."""
    harness.script = failing_in(1, "b")
    (execution,) = made(harness, late(retry=Retry(max_attempts=2)))
    finish(harness, "b")
    assert record_of(harness, execution).turn is None
    assert harness.end_pauses() == 1
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    move(harness)
    record = record_of(harness, execution)
    assert (record.status, record.attempt, record.dispatch) == ("queued", 2, 3)
    assert record.turn
    assert record.turn.line == LINE
    harness.drain()
    assert harness.statuses(execution)["b"] == "failed"
    harness.trigger(execution)
    harness.start_executions()
    record = record_of(harness, execution)
    assert (record.keys, record.turn, record.status) == (None, None, "queued")
    harness.drain()
    assert harness.statuses(execution)["b"] == "completed"


@pytest.mark.proves("turn-late-key")
def test_a_key_made_twice_counts_once(harness: Harness) -> None:
    """The task is delivered again, and its report: the node stands in line once."""
    execution = begin(harness)
    task = harness.task_of("b")
    harness.run_tasks("b")
    callback = harness.callback_of("b")
    harness.still_holding(task)
    assert harness.deliver(harness.orchestrators[0], callback)
    harness.deliver(harness.orchestrators[0], callback)
    move(harness)
    assert harness.client.llen(f"fe:line:{LINE}") == 1
    check_everything(harness.client)
    harness.drain()
    assert harness.statuses(execution)["b"] == "completed"


@pytest.mark.proves("turn-late-key")
def test_a_lost_task_makes_the_key_once_more(harness: Harness) -> None:
    """The task that makes it vanishes (it should not): the sweep sends it again."""
    execution = begin(harness)
    task = harness.task_of("b")
    harness.client.xack(harness.stream("worker"), GROUP, task.id)
    harness.client.xdel(harness.stream("worker"), task.id)
    sweep = harness.orchestrators[0].sweep
    assert [sweep.run(), sweep.run()] == [0, 1]
    finish(harness, "b")
    assert record_of(harness, execution).dispatch == 3
    harness.drain()
    assert harness.statuses(execution)["b"] == "completed"


@pytest.mark.proves("turn-late-key")
def test_one_whose_execution_is_paused_lines_up_when_it_goes_on(harness: Harness) -> None:
    """Its key is made meanwhile, and no place is taken."""
    execution = begin(harness)
    harness.api.executions.pause(execution)
    harness.run_tasks("b")
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("b"))
    check_everything(harness.client)
    record = record_of(harness, execution)
    assert (record.status, record.turn) == ("waiting", None)
    assert record.keys
    harness.api.executions.resume(execution)
    harness.drain()
    assert harness.statuses(execution) == dict.fromkeys(("a", "b", "end"), "completed")


@pytest.mark.proves("turn-late-key")
def test_one_that_ends_before_its_key_is_made_joins_no_line(harness: Harness) -> None:
    """It is cancelled, or an operator skips it, as its task runs."""
    cancelled, skipped = begin(harness), begin(harness)
    harness.run_tasks("b")
    harness.cancel(cancelled)
    harness.overrule(skipped, "b", Skip())
    for callback in harness.callbacks():
        harness.deliver(harness.orchestrators[0], callback)
    assert harness.statuses(cancelled)["b"] == "cancelled"
    harness.drain()
    assert harness.statuses(cancelled)["b"] == "cancelled"
    assert harness.statuses(skipped)["b"] == "skipped"
    assert not harness.client.keys("fe:line:*")
    check_everything(harness.client)


@pytest.mark.proves("turn-late-key")
def test_one_that_waits_in_its_turn_leaves_by_a_cancel(harness: Harness) -> None:
    """The next in line is not held up by it."""
    first, second, third = made(harness, count=3)
    harness.cancel(second)
    harness.drain()
    assert [harness.statuses(each)["b"] for each in (first, second, third)] == [
        "completed",
        "cancelled",
        "completed",
    ]


@pytest.mark.proves("turn-late-key")
def test_one_that_repeats_has_one_key_for_all_iterations(harness: Harness) -> None:
    """It is made before the first one; each of them waits for its turn."""

    def script(context: Context) -> None:
        if context.node_id == "b":
            assert harness.client.llen(f"fe:line:{LINE}") == 1

    harness.script = script
    (execution,) = made(harness, late(repeat=Repeat("{{ iteration >= 2 }}", delay_s=0)))
    harness.drain()
    view = {node.id: node for node in harness.api.executions.status(execution).nodes}["b"]
    assert (view.status, view.iteration, view.attempt) == ("completed", 2, 2)
    assert record_of(harness, execution).dispatch == 3


@pytest.mark.proves("turn-late-key")
def test_the_time_of_tries_and_iterations_begins_with_the_first_call(harness: Harness) -> None:
    """And not with the task that makes the key: the turn may come long after that."""
    plan = late(retry=Retry(max_attempts=2), repeat=Repeat("{{ iteration >= 1 }}", delay_s=0))
    _, second = made(harness, plan, count=2)
    record = record_of(harness, second)
    assert record.repeated
    assert (record.status, record.since, record.repeated.since) == ("waiting", 0, 0)
    finish(harness, "b")
    record = record_of(harness, second)
    assert record.repeated
    assert record.status == "queued"
    assert record.since == record.repeated.since == record.queued_at
    assert first_sent(record) == record.queued_at


@pytest.mark.proves("turn-late-key")
def test_a_key_is_made_on_a_thread_also_for_a_handler_that_needs_none(harness: Harness) -> None:
    """It goes to the queue itself; the call goes to the line beside it."""
    plan = msgspec.structs.replace(late(), waiting=frozenset({1}))
    execution = begin(harness, plan)
    assert harness.task_of("b").queue == WORKER_QUEUE
    harness.run_tasks("b")
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("b"))
    move(harness)
    assert harness.task_of("b").queue == async_line(WORKER_QUEUE)
    harness.drain()
    assert harness.statuses(execution)["b"] == "completed"


@pytest.mark.proves("turn-late-key")
@pytest.mark.parametrize("priority", ["low", "normal", "high"])
def test_the_sweep_finds_the_task_that_makes_a_key(harness: Harness, priority: Priority) -> None:
    """In the line of its priority beside the queue itself, though its handler needs no thread."""
    plan = msgspec.structs.replace(late(), waiting=frozenset({1})).prioritised(priority)
    execution = begin(harness, plan)
    sweep = harness.orchestrators[0].sweep
    assert [sweep.run() for _ in range(3)] == [0, 0, 0]
    harness.drain()
    assert [node.attempt for node in harness.api.executions.status(execution).nodes] == [1, 1, 1]
