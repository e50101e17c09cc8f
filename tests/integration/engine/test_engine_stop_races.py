"""What meets a stop half way: a report, a start, a pause that is over, an outcome that comes late."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.errors import StoreUnavailableError
from flowengine.execution.error_codes import ENDED
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.policy import ExecutionPolicy, Policy, Retry
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Graph, Says
from tests.support.rigs.harness import Entry, Harness, failing_in, plan_of

MARKS = ("cancel", "timeout")
"""A cancel changes the status, all other stops do not: what follows must go by the mark in both cases."""

LIMITED = ExecutionPolicy(timeout_ms=3_600_000)
CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
PAIR = {"a": (), "b": (), "c": ("a", "b")}


def orders(harness: Harness, actor: str) -> list[Entry]:
    """The orchestrator's messages of one kind that wait."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == actor]


def deal_with(harness: Harness, actor: str) -> None:
    """Let an orchestrator deal with these messages, one by one."""
    for entry in orders(harness, actor):
        assert harness.deliver(harness.orchestrators[0], entry)


def status_of(harness: Harness, execution: str) -> str:
    """The execution's status."""
    return harness.api.executions.status(execution).status


def mark(harness: Harness, execution: str, by: str) -> None:
    """Let the execution be marked, and no more."""
    if by == "cancel":
        harness.cancel(execution)
        return
    assert harness.end_runs() == 1
    deal_with(harness, "timer_fired")


def stopped_while_it_runs(harness: Harness, execution: str) -> None:
    """Let a worker run `a`, whose execution is cancelled meanwhile: its outcome waits."""

    def meanwhile(context: Context) -> None:
        harness.cancel(execution)
        deal_with(harness, "stop_execution")

    harness.script = meanwhile
    harness.run_tasks("a")
    harness.script = lambda context: None


@pytest.mark.parametrize("by", MARKS)
@pytest.mark.parametrize("skipped", [0, 1])
def test_a_mark_between_the_reads_and_the_writes_of_a_report_is_seen(
    harness: Harness, skipped: int, by: str
) -> None:
    """The report counts, and dispatches nothing, whether it comes before its own writes or before those of
    what follows."""
    execution = harness.begin(plan_of(PAIR, overall=LIMITED))
    harness.start_executions()
    harness.run_tasks()
    first = harness.orchestrators[0]
    harness.second_orchestrator()
    harness.orchestrators.reverse()  # the other one sets the mark
    first.state.skipped, first.state.between = skipped, lambda: mark(harness, execution, by)
    assert harness.deliver(first, *harness.callbacks())
    assert harness.statuses(execution) == {"a": "completed", "b": "completed", "c": "pending"}
    assert not harness.tasks()


@pytest.mark.parametrize("by", MARKS)
def test_a_failure_after_the_mark_takes_nothing_with_it(harness: Harness, by: str) -> None:
    """What depends on it is cancelled, as all that is pending; it did not fail."""
    execution = harness.begin(plan_of(CHAIN, overall=LIMITED))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    mark(harness, execution, by)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution) == {"a": "failed", "b": "pending", "c": "pending"}


@pytest.mark.parametrize("above", [("a",), ("a", "b")])
def test_nothing_is_dispatched_beside_a_failure_that_no_worker_reports(
    harness: Harness, above: tuple[str, ...]
) -> None:
    """A `one_success` fails behind tolerated failures and stops the execution: its sibling, which would run,
    is not put in flight with it."""
    graph: Graph = {**dict.fromkeys(above, ()), "fails": above, "runs": above}
    says = {node: Says(tolerates=True) for node in above}
    says |= {"fails": Says(rule="one_success"), "runs": Says(rule="all_done")}
    execution = harness.begin(plan_of(graph, says=says, overall=ExecutionPolicy(stops_on_failure=True)))
    harness.start_executions()
    harness.script = failing_in(1, *above)
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["fails"] == "failed"
    assert (harness.statuses(execution)["runs"], harness.tasks()) == ("pending", [])


def test_the_events_tell_of_a_stop_once(harness: Harness) -> None:
    """Its message comes again, and its timer."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    stopped_while_it_runs(harness, execution)
    harness.end_stops(for_a_lease=False)
    deal_with(harness, "timer_fired")
    kinds = [event.kind for event in check(harness.client, execution, settled=False).events]
    assert kinds.count("execution_stopping") == 1


@pytest.mark.parametrize("skipped", [0, 1, 2])
def test_a_start_between_the_reads_and_the_writes_of_a_stop_runs_nothing(
    harness: Harness, skipped: int
) -> None:
    """The step has not seen the start, and the worker has seen the mark."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.cancel(execution)
    state = harness.orchestrators[0].state
    state.skipped, state.between = skipped, harness.run_tasks
    deal_with(harness, "stop_execution")
    harness.drain()
    assert not harness.workers[0].invoker.calls
    assert set(harness.statuses(execution).values()) == {"cancelled"}
    assert not harness.client.exists(harness.keys.timers("stop"))


def test_a_worker_begins_no_task_of_a_marked_execution(harness: Harness) -> None:
    """Alone or in a group, before anybody has dealt with the stop; its outcome is that it has stopped."""
    execution = harness.begin(plan_of({**PAIR, "d": ()}))
    harness.start_executions()
    harness.cancel(execution)
    first, second, third = harness.tasks()
    assert harness.deliver(harness.workers[0], first, second)
    assert harness.deliver(harness.workers[0], third)
    assert not harness.workers[0].invoker.calls
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution) == {
        "a": "cancelled",
        "b": "cancelled",
        "c": "pending",
        "d": "cancelled",
    }


@pytest.mark.parametrize("by", MARKS)
def test_a_pause_that_is_over_dispatches_nothing_during_a_stop(harness: Harness, by: str) -> None:
    """The timer fires between the mark and the step that cancels the node."""
    plan = plan_of(CHAIN, overall=LIMITED)
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: Policy(retry=Retry())}))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    mark(harness, execution, by)
    assert harness.end_pauses() == 1
    deal_with(harness, "timer_fired")
    assert harness.statuses(execution)["a"] == "waiting"
    assert not harness.tasks()


def test_the_timer_of_a_pause_goes_with_the_node(harness: Harness) -> None:
    """It would keep the timer loop busy with an execution that has ended."""
    plan = plan_of(CHAIN)
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: Policy(retry=Retry())}))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.cancel(execution)
    deal_with(harness, "stop_execution")
    check(harness.client, execution)


def test_an_outcome_that_is_on_its_way_is_waited_for(harness: Harness) -> None:
    """The worker reported in time, and the orchestrators are behind: the completion is kept."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    stopped_while_it_runs(harness, execution)
    assert harness.end_stops(for_a_lease=False) == 1
    deal_with(harness, "timer_fired")
    assert (harness.statuses(execution)["a"], status_of(harness, execution)) == ("queued", "cancelling")
    harness.drain()
    assert (harness.statuses(execution)["a"], status_of(harness, execution)) == ("completed", "cancelled")


def test_an_outcome_that_does_not_come_is_not_waited_for(harness: Harness) -> None:
    """A lease later the node is cancelled, its start taken back with its timer, and the outcome too late."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    stopped_while_it_runs(harness, execution)
    assert harness.end_stops() == 1
    deal_with(harness, "timer_fired")
    assert (harness.statuses(execution)["a"], status_of(harness, execution)) == ("cancelled", "cancelled")
    assert not harness.client.exists(harness.keys.started(execution), harness.keys.deadlines)
    deal_with(harness, "node_finished")
    assert harness.statuses(execution)["a"] == "cancelled"


@pytest.mark.parametrize(("fails", "status"), [(True, "cancelled"), (False, "completed")])
def test_a_handler_that_is_asked_to_stop_is_cancelled_unless_it_completes(
    harness: Harness, fails: bool, status: str
) -> None:
    """Whatever error it ends with."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    runner = harness.workers[0].runner

    def meanwhile(context: Context) -> None:
        harness.cancel(execution)
        runner.stops.deliver(list(runner.running.values()))
        assert context.cancelled()
        if fails:
            raise HandlerError("boom", "failed on purpose")

    harness.script = meanwhile
    harness.run_tasks("a")
    harness.script = lambda context: None
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["a"] == status


def test_what_an_end_skips_and_what_follows_it_runs_after_a_trigger(harness: Harness) -> None:
    """A completed node below an `end` that is reset runs again; what had completed apart from it stays."""
    graph = {"apart": (), "e": (), "f": (), "below": ("f",)}
    execution = harness.begin(plan_of(graph, ends=["e"]))
    harness.start_executions()
    harness.run_tasks("apart", "e")
    harness.script = failing_in(1, "f")
    harness.run_tasks("f")
    harness.script = lambda context: None
    cancelled = harness.cancel(execution)
    harness.drain()
    assert (cancelled, status_of(harness, execution)) == ("cancelling", "cancelled")
    harness.trigger(execution)
    harness.drain()
    calls = [(call.run, call.node_id) for call in harness.workers[0].invoker.calls if call.run == 2]
    assert (2, "e") in calls
    assert (2, "apart") not in calls


def test_the_timer_of_a_stop_goes_with_the_end_of_the_run(harness: Harness) -> None:
    """It was armed for the worker, which reports in time."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    stopped_while_it_runs(harness, execution)
    assert harness.client.exists(harness.keys.timers("stop"))
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert status_of(harness, execution) == "cancelled"
    assert not harness.client.exists(harness.keys.timers("stop"))


def test_the_events_tell_of_the_start_once_where_no_node_was_dispatched(harness: Harness) -> None:
    """Conditions that the trigger decided skip the first nodes; then the execution is stopped."""
    skips = Policy(when="{{ execution.run == 2 }}", given=("execution",))
    plan = plan_of(PAIR, reading=False)
    policies = {0: skips, 1: skips, 2: Policy(trigger_rule="all_done")}
    execution = harness.begin(msgspec.structs.replace(plan, policies=policies))

    def unreachable() -> None:
        raise StoreUnavailableError("struck by the test")

    process = harness.orchestrators[0]
    process.state.skipped, process.state.between = 1, unreachable
    (start,) = orders(harness, "start_execution")
    assert not harness.deliver(process, start)
    assert harness.statuses(execution) == {"a": "skipped", "b": "skipped", "c": "pending"}
    harness.cancel(execution)
    deal_with(harness, "stop_execution")
    kinds = [event.kind for event in check(harness.client, execution, settled=False).events]
    assert kinds.count("execution_started") == 1


def test_what_an_end_skipped_runs_after_a_trigger(harness: Harness) -> None:
    """Though all that it depends on had completed, and stays."""
    execution = harness.begin(plan_of({"e": (), "f": (), "below": ("f",)}, ends=["e"]))
    harness.start_executions()

    def ending(context: Context) -> None:
        if (context.node_id, context.run) == ("e", 1):
            raise HandlerError(ENDED.code, "nothing to do", permanent=True)

    harness.script = ending
    harness.run_tasks()
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("e"))
    harness.drain()
    assert harness.statuses(execution) == {"e": "failed", "f": "completed", "below": "skipped"}
    harness.trigger(execution)
    assert harness.statuses(execution) == {"e": "pending", "f": "completed", "below": "pending"}
