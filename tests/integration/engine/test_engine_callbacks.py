"""Callbacks as they come in reality: twice, late, out of order, under two orchestrators at once."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from flowengine.engine.advancing.orchestrator import LAST_DELIVERY
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.errors import WrongStateError
from flowengine.execution.changes import Change
from flowengine.execution.events import decode_events
from flowengine.execution.messages import Callback
from flowengine.execution.reports import Failed, delivery_of
from flowengine.execution.rules import finishing
from flowengine.plugin import Context
from flowengine.store import keys
from flowengine.store.worker_state import RedisWorkerState
from tests.support.checks.invariants import CheckEverything
from tests.support.checks.reference_model import expected_values
from tests.support.rigs.harness import Harness, failing_in, plan_of

JOIN = {"a": (), "b": (), "j": ("a", "b"), "after": ("j",)}
A_COMPLETED = {"a": "completed", "b": "queued", "j": "pending", "after": "pending"}


def begun(harness: Harness, graph: dict[str, tuple[str, ...]]) -> str:
    """An execution whose first nodes are queued."""
    execution = harness.begin(plan_of(graph))
    harness.start_executions()
    return execution


@pytest.mark.proves("callback-twice-in-one-batch")
def test_a_callback_twice_in_one_batch_counts_once(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The second of two copies is decided upon what the first one has changed."""
    execution = begun(harness, JOIN)
    harness.run_tasks("a")
    copy = harness.callback_of("a")
    assert harness.deliver(harness.orchestrators[0], copy, copy)
    assert harness.statuses(execution) == {
        "a": "completed",
        "b": "queued",
        "j": "pending",
        "after": "pending",
    }
    harness.drain()
    assert harness.results(execution) == expected_values(JOIN)
    check_invariants()


def test_a_failure_of_a_node_that_the_plan_does_not_have_is_let_go(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """It changes nothing, and comes back to nobody."""
    execution = begun(harness, JOIN)
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    real = harness.callback_of("a")
    strange = msgspec.structs.replace(real, payload=real.payload.replace(b'"a"', b'"nobody"', 1))
    assert harness.deliver(harness.orchestrators[0], strange)
    assert not harness.errors
    assert harness.statuses(execution) == {**A_COMPLETED, "a": "queued"}
    assert harness.deliver(harness.orchestrators[0], real)
    harness.drain()
    assert harness.statuses(execution)["a"] == "failed"
    check_invariants()


@pytest.mark.proves("callback-in-two-batches")
def test_a_callback_in_two_batches_counts_once(harness: Harness, check_invariants: CheckEverything) -> None:
    """A copy that comes later finds the node out of flight."""
    execution = begun(harness, JOIN)
    harness.run_tasks("a")
    copy = harness.callback_of("a")
    assert harness.deliver(harness.orchestrators[0], copy)
    assert harness.deliver(harness.orchestrators[0], copy)
    assert harness.statuses(execution) == {
        "a": "completed",
        "b": "queued",
        "j": "pending",
        "after": "pending",
    }
    harness.drain()
    check_invariants()


@pytest.mark.proves("callback-at-two-orchestrators")
def test_a_callback_under_two_orchestrators_at_once_counts_once(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """One of two transactions that read the same node is refused, and decides anew."""
    execution = begun(harness, JOIN)
    harness.run_tasks("a")
    copy = harness.callback_of("a")
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: assert_true(harness.deliver(second, copy))
    assert harness.deliver(first, copy)
    assert harness.statuses(execution)["j"] == "pending"
    harness.drain()
    assert harness.results(execution) == expected_values(JOIN)
    check_invariants()


def test_the_last_two_parents_of_a_join_may_finish_under_two_orchestrators(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Nodes do not contend, and exactly one of the two dispatches the join."""
    begun(harness, JOIN)
    harness.run_tasks("a", "b")
    a, b = harness.callback_of("a"), harness.callback_of("b")
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: assert_true(harness.deliver(second, b))
    assert harness.deliver(first, a)
    assert [msgspec.json.decode(task.payload)["node"] for task in harness.tasks()] == ["j"]
    check_invariants()


@pytest.mark.proves("parents-fail-at-once")
def test_two_parents_that_fail_at_once_under_two_orchestrators_end_the_execution(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Both mark the same nodes below; one is refused, and counts only what is left."""
    harness.script = failing_in(1, "a", "b")
    execution = begun(harness, JOIN)
    harness.run_tasks("a", "b")
    a, b = harness.callback_of("a"), harness.callback_of("b")
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: assert_true(harness.deliver(second, b))
    assert harness.deliver(first, a)
    assert set(harness.statuses(execution).values()) == {"failed"}
    assert [stored.status for stored in check_invariants()] == ["failed"]


@pytest.mark.parametrize("skipped", range(2))
def test_a_repetition_in_the_middle_of_settling_disturbs_nothing(
    harness: Harness, check_invariants: CheckEverything, skipped: int
) -> None:
    """Another orchestrator does what this one is about to do; this one finds it done, and says so."""
    execution = begun(harness, JOIN)
    harness.run_tasks("a", "b")
    a, b = harness.callback_of("a"), harness.callback_of("b")
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    assert harness.deliver(first, a)
    first.state.between = lambda: assert_true(harness.deliver(second, a))
    first.state.skipped = skipped
    assert harness.deliver(first, b)
    assert harness.statuses(execution)["j"] == "queued"
    harness.drain()
    assert harness.results(execution) == expected_values(JOIN)
    check_invariants()


def test_the_end_is_not_missed_when_two_orchestrators_settle_at_once(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The one whose transaction leaves nothing unfinished ends the execution, quick or slow."""
    execution = begun(harness, {"a": (), "b": ()})
    harness.run_tasks()
    a, b = harness.callback_of("a"), harness.callback_of("b")
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: assert_true(harness.deliver(second, b))
    assert harness.deliver(first, a)
    assert harness.api.executions.status(execution).status == "completed"
    check_invariants()


@pytest.mark.proves("callback-of-earlier-run")
def test_a_callback_of_the_first_run_changes_nothing_in_the_second(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Neither one that counted nor one of the attempt that failed moves anything."""
    harness.script = failing_in(1, "j")
    execution = begun(harness, JOIN)
    harness.run_tasks("a", "b")
    completed = harness.callback_of("a")
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks("j")
    failed = harness.callback_of("j")
    harness.drain()
    assert harness.trigger(execution) == 2
    before = harness.statuses(execution)
    assert before == {"a": "completed", "b": "completed", "j": "pending", "after": "pending"}
    for copies in ((completed,), (failed,), (failed, completed), (completed, completed)):
        assert harness.deliver(harness.orchestrators[0], *copies)
        assert harness.statuses(execution) == before
        assert not harness.tasks()
    harness.drain()
    assert harness.results(execution) == expected_values(JOIN)
    check_invariants()


@pytest.mark.parametrize("beside", [{}, {"k": ()}], ids=["one last node", "two last nodes"])
def test_a_late_copy_beside_a_callback_of_the_second_run_does_not_hold_up_its_end(
    harness: Harness, check_invariants: CheckEverything, beside: dict[str, tuple[str, ...]]
) -> None:
    """A batch that carries both ends the second run."""
    harness.script = failing_in(1, "j")
    execution = begun(harness, {"a": (), "b": (), "j": ("a", "b"), **beside})
    harness.run_tasks("a")
    old = harness.callback_of("a")
    harness.drain()
    harness.trigger(execution)
    harness.start_executions()
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("j"), old)
    assert harness.api.executions.status(execution).status == "completed"
    check_invariants()


def test_a_late_copy_beside_a_callback_of_the_second_run_does_not_hold_up_what_follows(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """What became ready is dispatched in the name of the second run: in that of the first nothing is."""
    harness.script = failing_in(1, "b")
    execution = begun(harness, {"a": (), "b": (), "j": ("a", "b")})
    harness.run_tasks("a")
    old = harness.callback_of("a")
    harness.drain()
    harness.trigger(execution)
    harness.start_executions()
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("b"), old)
    assert harness.statuses(execution) == {"a": "completed", "b": "completed", "j": "queued"}
    harness.drain()
    check_invariants()


@pytest.mark.proves("start-delayed")
def test_a_start_that_was_held_up_dispatches_in_the_run_it_finds(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """An orchestrator that stood still from the first run into the second does not mark its tasks with
    the first: their outcomes would not end the second."""
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}))
    held_up, other = harness.orchestrators[0], harness.second_orchestrator()
    start = harness.waiting("orchestrator")[0]

    def meanwhile() -> None:
        harness.orchestrators = [other]
        harness.drain()
        harness.trigger(execution)

    held_up.state.between = meanwhile
    assert harness.deliver(held_up, start)
    harness.drain()
    harness.orchestrators = [held_up, other]
    assert harness.results(execution) == {"a": 1, "b": 2}
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("worker-frozen")
def test_a_worker_that_comes_back_too_late_overwrites_nothing(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Fencing: stopped for longer than its lease, then continued, it is told stale and counted."""
    slow, quick = harness.workers[0], harness.second_worker()
    execution = begun(harness, {"a": (), "b": ("a",)})
    task = harness.task_of("a")

    def taken_over_meanwhile(context: object) -> None:
        harness.script = failing_in(9)
        again = msgspec.structs.replace(task, deliveries=2)
        assert harness.deliver(quick, again)
        harness.drain()

    harness.script = taken_over_meanwhile
    assert harness.deliver(slow, task)
    before = harness.results(execution), harness.statuses(execution)
    late = harness.callback_of("a")
    assert delivery_of(msgspec.json.decode(late.payload, type=Callback).by) == 1
    with capture_logs() as logs:
        assert harness.deliver(harness.orchestrators[0], late)
    assert [line["event"] for line in logs] == ["callback.stale"]
    assert harness.orchestrators[0].engine.stale_callbacks == 1
    assert (harness.results(execution), harness.statuses(execution)) == before
    check_invariants()


def test_a_worker_that_was_overtaken_leaves_no_start_behind(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A second delivery that began while the first one's outcome was being applied wrote its start
    after the node had ended; its callback takes the start and the timer away."""
    execution = begun(harness, {"a": ()})
    task = harness.task_of("a")

    def applied_meanwhile(context: object) -> None:
        harness.script = failing_in(9)
        assert harness.deliver(harness.second_worker(), task)
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        decoded = msgspec.json.decode(task.payload)
        harness.client.hset(f"fe:x:{execution}:started", "a:1", "2:1")
        harness.client.zadd(keys.of().deadlines, {f"{execution}|{decoded['run']}|a|1": 9e15})

    harness.script = applied_meanwhile
    assert harness.deliver(harness.workers[0], msgspec.structs.replace(task, deliveries=2))
    harness.drain()
    check_invariants()


def test_several_executions_are_started_together(harness: Harness, check_invariants: CheckEverything) -> None:
    """In one transaction; a copy of a start among them counts once."""
    executions = [harness.begin(plan_of(JOIN)) for _ in range(3)]
    starts = harness.waiting("orchestrator")
    assert harness.deliver(harness.orchestrators[0], *starts, starts[0])
    assert len(harness.tasks()) == 6
    check_invariants()
    harness.drain()
    assert all(harness.results(execution) == expected_values(JOIN) for execution in executions)
    check_invariants()


@pytest.mark.proves("start-cannot-be-applied")
def test_one_execution_that_cannot_be_started_does_not_hold_up_the_others(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Its neighbours are started one by one: those before it now, those after it when they come again."""
    first, broken, last = (harness.begin(plan_of(JOIN)) for _ in range(3))
    starts = harness.waiting("orchestrator")
    harness.client.rename(f"fe:x:{broken}:control", "aside")
    harness.client.set(f"fe:x:{broken}:control", "not a hash")
    with pytest.raises(Exception, match="WRONGTYPE"):
        harness.deliver(harness.orchestrators[0], *starts)
    assert harness.statuses(first) == {"a": "queued", "b": "queued", "j": "pending", "after": "pending"}
    left = harness.waiting("orchestrator")
    assert [msgspec.json.decode(e.payload)["execution"] for e in left] == [broken, last]
    assert harness.deliver(harness.orchestrators[0], left[1])
    assert harness.statuses(last)["a"] == "queued"
    harness.client.rename("aside", f"fe:x:{broken}:control")
    harness.drain()
    assert harness.results(broken) == expected_values(JOIN)
    check_invariants()


@pytest.mark.parametrize("order", ["fagb", "fga", "abfg"])
def test_completions_are_applied_together_and_failures_alone_after_them(
    harness: Harness, check_invariants: CheckEverything, order: str
) -> None:
    """A failure WATCHes all that it takes with it: joined with others, it would make them contend."""
    harness.script = failing_in(1, "f", "g")
    execution = begun(harness, {"a": (), "b": (), "f": (), "g": (), "waits": (), "below": ("f", "g")})
    harness.run_tasks("a", "b", "f", "g")
    before = harness.client.xlen(keys.of().events(execution))
    assert harness.deliver(harness.orchestrators[0], *[harness.callback_of(node) for node in order])
    transactions = [
        [(event.kind, event.node) for event in decode_events(fields[b"e"])]
        for _, fields in harness.client.xrange(keys.of().events(execution))[before:]
    ]
    completed = [("node_completed", node) for node in order if node in "ab"]
    first, second = [node for node in order if node in "fg"]
    assert transactions == [
        completed,
        [("node_failed", first), ("node_failed", "below")],
        [("node_failed", second)],
    ]
    harness.drain()
    check_invariants()


def test_a_group_of_nodes_acknowledges_only_what_it_reports(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """What still runs when the others are reported must come again if its worker dies."""
    execution = begun(harness, {"a": (), "b": ()})
    worker, left = harness.workers[0], list[str]()
    state = RedisWorkerState(worker.state)
    worker.groups = QuickGroups(state, worker.runner, HandlerSpeed(), slow_s=-1.0)

    def relieved(context: Context) -> None:
        if context.node_id == "b":
            worker.groups.relieve()
            left.extend(msgspec.json.decode(task.payload)["node"] for task in harness.tasks())
            worker.line.dead = True

    harness.script = relieved
    assert not harness.deliver(worker, *harness.tasks())
    assert left == ["b"]
    harness.script = failing_in(9)
    harness.drain()
    assert harness.results(execution) == {"a": 1, "b": 1}
    check_invariants()


def test_an_unwanted_task_is_dropped_without_running(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """A task that is delivered after its node has ended runs nothing and leaves nothing."""
    begun(harness, {"a": ()})
    task = harness.task_of("a")
    harness.drain()
    calls = len(harness.workers[0].invoker.calls)
    assert harness.deliver(harness.workers[0], task)
    assert len(harness.workers[0].invoker.calls) == calls
    check_invariants()


def test_a_completed_execution_cannot_be_triggered(harness: Harness) -> None:
    """Nor can a running one."""
    execution = harness.begin(plan_of({"a": ()}))
    with pytest.raises(WrongStateError):
        harness.trigger(execution)
    harness.drain()
    with pytest.raises(WrongStateError):
        harness.trigger(execution)


def test_only_what_failed_runs_again(harness: Harness, check_invariants: CheckEverything) -> None:
    """The handlers of completed nodes are not called in the second run."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(JOIN))
    harness.drain()
    first = [call.node_id for call in harness.workers[0].invoker.calls]
    harness.trigger(execution)
    harness.drain()
    second = [call.node_id for call in harness.workers[0].invoker.calls][len(first) :]
    assert (sorted(first), second) == (["a", "b"], ["b", "j", "after"])
    assert harness.results(execution) == expected_values(JOIN)
    check_invariants()


@pytest.mark.proves("callback-cannot-be-applied")
@pytest.mark.corrupts("a record that no command fits")
def test_one_bad_callback_does_not_hold_up_the_others(harness: Harness) -> None:
    """What cannot be applied is taken one by one, and only the bad one stays."""
    execution = begun(harness, {"a": (), "b": ()})
    broken = begun(harness, {"a": ()})
    harness.run_tasks()
    harness.client.set(f"fe:x:{broken}:control", "not a hash")
    entries = harness.callbacks()
    assert len(entries) == 3
    with pytest.raises(Exception, match="WRONGTYPE"):
        harness.deliver(harness.orchestrators[0], *entries)
    assert harness.api.executions.status(execution).status == "completed"
    assert [msgspec.json.decode(e.payload)["execution"] for e in harness.callbacks()] == [broken]


@pytest.mark.corrupts("the counters are lost")
def test_an_absent_counter_is_never_ready(harness: Harness) -> None:
    """Where the counters were lost, a repeated callback dispatches nothing on their account."""
    execution = begun(harness, JOIN)
    harness.run_tasks("a")
    copy = harness.callback_of("a")
    harness.deliver(harness.orchestrators[0], copy)
    harness.client.delete(f"fe:x:{execution}:deps")
    assert harness.deliver(harness.orchestrators[0], copy)
    assert harness.statuses(execution)["j"] == "pending"


@pytest.mark.proves("callback-cannot-be-applied")
def test_a_callback_that_can_never_be_applied_fails_its_node(
    harness: Harness, check_invariants: CheckEverything, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again a few times, and then its node fails instead of holding up the execution."""
    execution = begun(harness, {"a": (), "b": ("a",)})
    harness.run_tasks()
    forget = finishing.forget_start

    def broken(callback: Callback) -> tuple[Change, ...]:
        if isinstance(callback.outcome, Failed):
            return forget(callback)
        raise RuntimeError("a bug in the rules")

    monkeypatch.setattr(finishing, "forget_start", broken)
    entry = harness.callback_of("a")
    for delivery in range(1, LAST_DELIVERY):
        with pytest.raises(RuntimeError):
            harness.deliver(harness.orchestrators[0], msgspec.structs.replace(entry, deliveries=delivery))
    assert harness.deliver(harness.orchestrators[0], msgspec.structs.replace(entry, deliveries=LAST_DELIVERY))
    monkeypatch.setattr(finishing, "forget_start", forget)
    errors = harness.api.executions.results(execution).errors
    assert (errors["a"].code, errors["b"].caused_by) == ("internal_error", "a")
    check_invariants()


def assert_true(value: bool) -> None:
    """For use in a lambda."""
    assert value
