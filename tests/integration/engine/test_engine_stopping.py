"""An execution that is stopped: by a caller, an `end`, a failure, its timeout; and what happens meanwhile."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.engine.held import Held
from flowengine.errors import ExecutionNotFoundError, WrongStateError
from flowengine.execution.error_codes import ENDED
from flowengine.execution.messages import RunNode, StopExecution
from flowengine.execution.records import ExecutionError
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.store.worker_state import RedisWorkerState
from flowengine.workflow.policy import ExecutionPolicy, Policy, Retry
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Entry, Harness, HeldEntries, failing_in, plan_of

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
BRANCHES = {"a": (), "b": (), "c": ("a",), "d": ("b",), "e": ("c", "d")}
STOPS = ExecutionPolicy(stops_on_failure=True)
LIMITED = ExecutionPolicy(timeout_ms=3_600_000)


def work(harness: Harness, *nodes: str) -> None:
    """Let these nodes run, and apply what they report."""
    harness.run_tasks(*nodes)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def begun(harness: Harness, execution: str, node: str) -> Entry:
    """The task of a node whose start a worker has noted, and no more."""
    task = harness.task_of(node)
    (start,) = harness.workers[0].runner.starts.of(_held(task))
    assert start.wanted
    return task


def _held(task: Entry) -> list[Held[Any]]:
    return HeldEntries([task], "").held()


def stops(harness: Harness) -> list[Entry]:
    """The messages that wait and tell of a stop."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "stop_execution"]


def stop(harness: Harness) -> None:
    """Let an orchestrator deal with the stops that wait."""
    for entry in stops(harness):
        assert harness.deliver(harness.orchestrators[0], entry)


def status_of(harness: Harness, execution: str) -> str:
    """The execution's status."""
    return harness.api.executions.status(execution).status


def test_a_cancelled_execution_ends_what_has_not_begun(harness: Harness) -> None:
    """A task that no worker has is cancelled with what waits for it, and runs no more."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    assert harness.cancel(execution, "not needed") == "cancelling"
    stop(harness)
    assert harness.statuses(execution) == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}
    assert status_of(harness, execution) == "cancelled"
    harness.run_tasks()
    assert not harness.workers[0].invoker.calls


@pytest.mark.proves("stop-nothing-dispatched")
def test_nothing_is_dispatched_from_the_mark_on(harness: Harness) -> None:
    """A completion that comes between the mark and the steps counts, and nothing follows from it."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.run_tasks("a")
    harness.cancel(execution)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution) == {"a": "completed", "b": "pending", "c": "pending"}
    stop(harness)
    assert harness.statuses(execution) == {"a": "completed", "b": "cancelled", "c": "cancelled"}
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-delivered-again", "stop-node-runs")
def test_a_node_that_runs_is_left_to_its_worker(harness: Harness) -> None:
    """What it reports before its time is over is kept; the execution ends with it."""
    execution = harness.begin(plan_of(BRANCHES))
    harness.start_executions()
    task = begun(harness, execution, "a")
    harness.cancel(execution)
    stop(harness)
    assert harness.statuses(execution)["a"] == "queued"
    assert harness.statuses(execution)["b"] == "cancelled"
    assert status_of(harness, execution) == "cancelling"
    # Its execution is being stopped, so that a worker which gets it again does not begin it.
    harness.deliver(harness.workers[0], msgspec.structs.replace(task, deliveries=2))
    assert not harness.workers[0].invoker.calls
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["a"] == "cancelled"
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-node-runs")
def test_a_completion_during_the_stop_is_kept(harness: Harness) -> None:
    """The handler ran to its end before its worker was told."""
    execution = harness.begin(plan_of(BRANCHES))
    harness.start_executions()
    worker = harness.workers[0]

    def meanwhile(context: Context) -> None:
        harness.cancel(execution)
        stop(harness)

    harness.script = meanwhile
    assert harness.deliver(worker, harness.task_of("a"))
    harness.script = lambda context: None
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["a"] == "completed"
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-nothing-dispatched")
def test_a_failure_during_the_stop_is_not_tried_again(harness: Harness) -> None:
    """It is written down, and nothing waits any more."""
    plan = msgspec.structs.replace(plan_of(CHAIN), policies={0: Policy(retry=Retry())})
    execution = harness.begin(plan)
    harness.start_executions()

    def failing(context: Context) -> None:
        harness.cancel(execution)
        stop(harness)
        raise HandlerError("boom", "failed on purpose")

    harness.script = failing
    harness.run_tasks("a")
    harness.script = lambda context: None
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution) == {"a": "failed", "b": "cancelled", "c": "cancelled"}
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-node-runs")
def test_what_does_not_say_that_it_has_stopped_is_ended(harness: Harness) -> None:
    """Once its time is over. What it reports after that is too late."""
    execution = harness.begin(plan_of(BRANCHES))
    harness.start_executions()
    task = begun(harness, execution, "a")
    harness.still_holding(task)
    harness.cancel(execution)
    stop(harness)
    assert harness.end_stops() == 1
    harness.drain()
    assert harness.statuses(execution)["a"] == "cancelled"
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-outcome-on-its-way")
def test_an_outcome_on_its_way_is_kept_when_the_time_is_over(harness: Harness) -> None:
    """Its worker has acknowledged the task with the callback that waits; it has a lease to arrive."""
    harness.script = lambda context: None
    execution = harness.begin(plan_of(BRANCHES))
    harness.start_executions()

    def meanwhile(context: Context) -> None:
        harness.cancel(execution)
        stop(harness)

    harness.script = meanwhile
    harness.run_tasks("a")
    harness.script = lambda context: None
    late = harness.callback_of("a")
    assert harness.end_stops(for_a_lease=False) == 1
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "timer_fired":
            assert harness.deliver(harness.orchestrators[0], entry)
    assert status_of(harness, execution) == "cancelling"
    assert harness.deliver(harness.orchestrators[0], late)
    assert harness.statuses(execution)["a"] == "completed"
    assert status_of(harness, execution) == "cancelled"


def test_a_node_that_waits_for_another_try_is_cancelled(harness: Harness) -> None:
    """Its timer goes with it, and the attempt that it has made is kept when it is triggered again."""
    plan = msgspec.structs.replace(plan_of(CHAIN), policies={0: Policy(retry=Retry(delay_ms=3_600_000))})
    execution = harness.begin(plan)
    harness.start_executions()
    harness.script = failing_in(1, "a")
    work(harness, "a")
    kept = check(harness.client, execution, settled=False)
    assert harness.statuses(execution)["a"] == "waiting"
    harness.cancel(execution)
    stop(harness)
    assert harness.statuses(execution)["a"] == "cancelled"
    assert not harness.client.exists(harness.keys.timers("retry"))
    tried = harness.client.hget(harness.keys.node(execution, "a"), "try:1")
    harness.trigger(execution)
    assert harness.client.hget(harness.keys.node(execution, "a"), "try:1") == tried
    assert kept.record("a").error is not None


def test_a_pending_execution_is_cancelled_at_once(harness: Harness) -> None:
    """All its nodes are shown as cancelled, and it can be triggered after that."""
    execution = harness.create(plan_of(CHAIN))
    assert harness.cancel(execution, "not needed") == "cancelled"
    error = harness.api.executions.status(execution).error
    assert isinstance(error, ExecutionError)
    assert (error.code, error.message) == ("cancelled", "not needed")
    assert set(harness.statuses(execution).values()) == {"cancelled"}
    with pytest.raises(WrongStateError):
        harness.cancel(execution)
    assert harness.trigger(execution) == 1
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_a_cancel_before_the_first_dispatch_is_told_in_order(harness: Harness) -> None:
    """The events begin with the start that nobody has come to."""
    execution = harness.begin(plan_of(CHAIN))
    harness.cancel(execution)
    stop(harness)
    stored = check(harness.client, execution, settled=False)
    assert [event.kind for event in stored.events][:2] == ["execution_started", "execution_stopping"]


def test_a_cancel_is_repeated_while_it_lasts_and_refused_after(harness: Harness) -> None:
    """The second one changes nothing; of an execution that nobody knows there is no cancel."""
    execution = harness.begin(plan_of(CHAIN))
    assert (harness.cancel(execution, "first"), harness.cancel(execution, "second")) == (
        "cancelling",
        "cancelling",
    )
    assert len(stops(harness)) == 1
    harness.drain()
    with pytest.raises(WrongStateError, match="nothing to cancel"):
        harness.cancel(execution)
    with pytest.raises(ExecutionNotFoundError):
        harness.cancel("0" * 27)


@pytest.mark.proves("stop-and-trigger")
def test_a_cancelled_execution_goes_on_when_it_is_triggered_again(harness: Harness) -> None:
    """What had completed stays."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    work(harness, "a")
    harness.cancel(execution)
    harness.drain()
    assert harness.trigger(execution) == 2
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert [call.node_id for call in harness.workers[0].invoker.calls] == ["a", "b", "c"]


@pytest.mark.proves("stop-and-trigger")
def test_a_cancel_of_what_has_just_completed_can_be_triggered_again(harness: Harness) -> None:
    """Nothing is left to run, and the new run ends at once."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.run_tasks()
    harness.cancel(execution)
    harness.drain()
    assert (status_of(harness, execution), harness.statuses(execution)) == ("cancelled", {"a": "completed"})
    harness.trigger(execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_an_end_stops_the_other_branches(harness: Harness) -> None:
    """What is pending is skipped, what is queued is cancelled; the verdict is what the `end` says."""
    execution = harness.begin(plan_of(BRANCHES, ends=["a"]))
    harness.start_executions()
    work(harness, "a")
    stop(harness)
    assert harness.statuses(execution) == {
        "a": "completed",
        "b": "cancelled",
        "c": "skipped",
        "d": "skipped",
        "e": "skipped",
    }
    view = harness.api.executions.status(execution)
    assert view.status == "completed"
    assert view.nodes[2].skipped == "ended_early"


def test_an_end_as_failed_is_the_verdict(harness: Harness) -> None:
    """It is a failed node with the code `ended`; triggered again, it runs again."""
    execution = harness.begin(plan_of(BRANCHES, ends=["a"]))
    harness.start_executions()

    def ending(context: Context) -> None:
        if context.node_id == "a" and context.run == 1:
            raise HandlerError(ENDED.code, "nothing to do", permanent=True)

    harness.script = ending
    work(harness, "a")
    harness.drain()
    assert (status_of(harness, execution), harness.statuses(execution)["a"]) == ("failed", "failed")
    harness.trigger(execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_an_end_that_fails_otherwise_ends_nothing(harness: Harness) -> None:
    """Its template could not be rendered, for example."""
    execution = harness.begin(plan_of(BRANCHES, ends=["a"]))
    harness.script = failing_in(1, "a")
    harness.drain()
    assert harness.statuses(execution)["d"] == "completed"
    assert status_of(harness, execution) == "failed"


@pytest.mark.proves("stop-first-counts")
def test_of_two_ends_the_first_counts(harness: Harness) -> None:
    """Also when both report in one batch: what the second says is only written down."""
    execution = harness.begin(plan_of({"a": (), "b": (), "c": ("a",)}, ends=["a", "b"]))
    harness.start_executions()
    harness.script = lambda context: None
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    stored = check(harness.client, execution, settled=False)
    assert msgspec.json.decode(stored.control["stop"])["node"] == "a"
    assert harness.statuses(execution) == {"a": "completed", "b": "completed", "c": "pending"}
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_a_completed_end_outdoes_an_earlier_failure(harness: Harness) -> None:
    """Whatever failed before, its status is the verdict."""
    execution = harness.begin(plan_of({"a": (), "b": ()}, ends=["b"]))
    harness.script = failing_in(1, "a")
    harness.start_executions()
    work(harness, "a")
    work(harness, "b")
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("stop-first-counts")
def test_an_end_outdoes_the_failure_that_stops_the_execution(harness: Harness) -> None:
    """It ran when the failure came, and its completion is kept."""
    execution = harness.begin(plan_of({"a": (), "b": ()}, ends=["b"], overall=STOPS))
    harness.script = failing_in(1, "a")
    harness.start_executions()
    harness.run_tasks("b")
    end = harness.callback_of("b")
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    assert harness.deliver(harness.orchestrators[0], end)
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("stop-first-counts")
def test_a_cancel_outdoes_an_end(harness: Harness) -> None:
    """It came first."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}, ends=["a"]))
    harness.start_executions()
    harness.run_tasks("a")
    harness.cancel(execution)
    harness.drain()
    assert status_of(harness, execution) == "cancelled"


def test_the_first_failure_stops_an_execution_that_says_so(harness: Harness) -> None:
    """The other branch does not go on, and what depends on the failed node is cancelled with it."""
    execution = harness.begin(plan_of(BRANCHES, overall=STOPS))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    harness.drain()
    assert harness.statuses(execution) == {
        "a": "failed",
        "b": "completed",
        "c": "cancelled",
        "d": "cancelled",
        "e": "cancelled",
    }
    assert status_of(harness, execution) == "failed"


def test_a_tolerated_failure_stops_nothing(harness: Harness) -> None:
    """It alone does not fail the execution."""
    execution = harness.begin(plan_of(BRANCHES, says={"a": Says(tolerates=True)}, overall=STOPS))
    harness.script = failing_in(1, "a")
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.parametrize(
    "graph", [{"a": (), "j": ("a",), "x": ()}, {"a": (), "b": (), "j": ("a", "b"), "x": ()}]
)
def test_a_failure_that_no_worker_reports_stops_too(
    harness: Harness, graph: dict[str, tuple[str, ...]]
) -> None:
    """A `one_success` fails because all that it depends on failed and was tolerated."""
    says = {"a": Says(tolerates=True), "b": Says(tolerates=True), "j": Says(rule="one_success")}
    graph = {**graph, "y": ("x",)}
    plan = plan_of(graph, says={node: said for node, said in says.items() if node in graph}, overall=STOPS)
    execution = harness.begin(plan)
    harness.start_executions()
    harness.script = failing_in(1, "a", "b")
    work(harness, *[node for node in graph if node in ("a", "b")])
    harness.drain()
    statuses = harness.statuses(execution)
    assert (statuses["j"], statuses["x"], statuses["y"]) == ("failed", "cancelled", "cancelled")
    assert status_of(harness, execution) == "failed"


def test_the_time_of_a_run_is_limited(harness: Harness) -> None:
    """When it is over, the execution is stopped and has failed; the timer of one that ended goes with it."""
    execution = harness.begin(plan_of(BRANCHES, overall=LIMITED))
    harness.start_executions()
    work(harness, "a")
    assert harness.end_runs() == 1
    harness.drain()
    assert status_of(harness, execution) == "failed"
    assert harness.statuses(execution)["a"] == "completed"
    harness.trigger(execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert not harness.client.exists(harness.keys.timers("timeout"))


@pytest.mark.proves("stop-and-trigger")
def test_an_old_runs_timeout_stops_no_later_run(harness: Harness) -> None:
    """Its message comes after the execution was triggered again."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}, overall=LIMITED))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.end_runs()
    (timer,) = [entry for entry in harness.waiting("orchestrator") if entry.actor == "timer_fired"]
    work(harness, "a")
    harness.trigger(execution)
    assert harness.deliver(harness.orchestrators[0], timer)
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("stop-many-nodes")
def test_many_nodes_are_ended_in_bounded_steps(harness: Harness) -> None:
    """A thousand of them, no more than 128 in a transaction, which has at most one entry of events."""
    graph: dict[str, tuple[str, ...]] = {"a": (), **{f"n{number}": ("a",) for number in range(999)}}
    execution = harness.begin(plan_of(graph, reading=False))
    harness.start_executions()
    harness.cancel(execution)
    stop(harness)
    assert status_of(harness, execution) == "cancelled"
    entries = [fields for _, fields in harness.client.xrange(harness.keys.events(execution))]
    sizes = [encoded.count(b"node_cancelled") for fields in entries for encoded in fields.values()]
    assert sum(sizes) == 1000
    assert max(sizes) <= 128


@pytest.mark.proves("stop-lost")
def test_a_stop_that_was_cut_is_finished_by_the_sweep(harness: Harness) -> None:
    """Its message is gone, with the process that had it."""
    execution = harness.begin(plan_of(BRANCHES))
    harness.start_executions()
    harness.cancel(execution)
    (message,) = stops(harness)
    harness.client.xack(harness.stream("orchestrator"), GROUP, message.id)
    harness.client.xdel(harness.stream("orchestrator"), message.id)
    assert msgspec.json.decode(message.payload, type=StopExecution).execution == execution
    sweep = harness.orchestrators[0].sweep
    sweep.run()
    sweep.run()
    assert status_of(harness, execution) == "cancelled"


@pytest.mark.proves("stop-lost")
def test_a_worker_that_stopped_for_a_mark_that_is_lost_gets_the_node_again(harness: Harness) -> None:
    """The server has lost the mark; nothing else would end the node."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.cancel(execution)
    control = harness.keys.control(execution)
    begun(harness, execution, "a")
    harness.run_tasks("a")
    harness.client.hset(control, "status", "running")
    harness.client.hdel(control, "stop")
    harness.client.zrem(harness.keys.listing("cancelling"), execution)
    harness.client.zadd(harness.keys.listing("running"), {execution: 0})
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("stop-quick-tasks")
def test_a_quick_task_of_a_stopped_execution_asks_before_it_begins(harness: Harness) -> None:
    """Once its process has heard of the stop: else it would begin without a look at anything."""
    harness.be_quick()
    execution = harness.begin(plan_of({"a": ()}, reading=False))
    harness.start_executions()
    harness.cancel(execution)
    stop(harness)
    worker = harness.workers[0]
    worker.runner.stops.deliver([])
    harness.run_tasks()
    assert not worker.invoker.calls
    assert harness.statuses(execution) == {"a": "cancelled"}


def test_a_worker_hears_that_its_run_is_over(harness: Harness) -> None:
    """Also where the execution has been triggered again since, and nothing stops that run."""
    execution = harness.begin(plan_of({"a": ()}))
    store = RedisWorkerState(harness.workers[0].state)
    harness.start_executions()
    first = msgspec.json.decode(harness.task_of("a").payload, type=RunNode)
    assert store.unwanted([first]) == []
    harness.cancel(execution)
    assert store.unwanted([first]) == [first]
    harness.drain()
    harness.trigger(execution)
    harness.start_executions()
    second = msgspec.json.decode(harness.task_of("a").payload, type=RunNode)
    assert store.unwanted([first, second]) == [first]
