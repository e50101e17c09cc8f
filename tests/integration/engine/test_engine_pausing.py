"""An execution that is paused, and goes on: what begins, what ends, and what comes meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.errors import ExecutionNotFoundError, WrongStateError
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.stages import Stages
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Says, expected_values
from tests.support.faults import Gate, Way
from tests.support.rigs.harness import Entry, Harness, failing_in, plan_of

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def pause(harness: Harness, execution: str) -> str:
    """Pause it; returns the status."""
    return harness.api.executions.pause(execution).status


def resume(harness: Harness, execution: str) -> str:
    """Let it go on; returns the status."""
    return harness.api.executions.resume(execution).status


def status_of(harness: Harness, execution: str) -> str:
    """The execution's status; all that is stored of it is right."""
    check(harness.client, execution)
    return harness.api.executions.status(execution).status


def work(harness: Harness, *nodes: str) -> None:
    """Let these nodes run, and apply what they report."""
    harness.run_tasks(*nodes)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def resumes(harness: Harness) -> list[Entry]:
    """The messages that wait and tell of a resume."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "resume_execution"]


@pytest.mark.proves("pause-nothing-dispatched")
def test_nothing_is_dispatched_while_an_execution_is_paused(harness: Harness) -> None:
    """What was sent runs, and what it reports counts; what follows waits until it goes on."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    assert pause(harness, execution) == "paused"
    harness.drain()
    assert status_of(harness, execution) == "paused"
    assert harness.statuses(execution) == {
        "a": "completed",
        "b": "pending",
        "c": "pending",
        "d": "pending",
    }
    assert resume(harness, execution) == "running"
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert harness.results(execution) == expected_values(DIAMOND)


def test_an_execution_that_is_paused_before_its_start_starts_when_it_goes_on(harness: Harness) -> None:
    """Its start message has come in vain; its events tell of the start once."""
    execution = harness.begin(plan_of(CHAIN))
    pause(harness, execution)
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"pending"}
    resume(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_a_start_that_is_still_to_come_after_a_resume_starts_nothing_twice(harness: Harness) -> None:
    """Both messages look at the same nodes."""
    execution = harness.begin(plan_of(DIAMOND))
    pause(harness, execution)
    resume(harness, execution)
    assert len(harness.waiting("orchestrator")) == 2
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert sorted(call.node_id for call in harness.workers[0].invoker.calls) == ["a", "b", "c", "d"]


@pytest.mark.proves("pause-last-completion")
@pytest.mark.parametrize("fails", [False, True])
def test_an_execution_with_nothing_left_to_dispatch_ends_though_it_is_paused(
    harness: Harness, fails: bool
) -> None:
    """Completed or failed: its last node was on its way."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.script = failing_in(1, *("a" if fails else ""))
    pause(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == ("failed" if fails else "completed")


@pytest.mark.proves("pause-last-completion")
def test_a_pause_beside_the_last_completion(harness: Harness) -> None:
    """It falls between the reads and the writes of the completion: that is decided anew, and ends it."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.run_tasks("a")
    first = harness.orchestrators[0]

    def meanwhile() -> None:
        pause(harness, execution)

    first.state.between = meanwhile
    assert harness.deliver(first, *harness.callbacks())
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_a_skip_and_a_failure_are_decided_while_it_is_paused(harness: Harness) -> None:
    """They need no task."""
    graph = {"a": (), "b": ("a",), "c": ("b",), "d": ()}
    execution = harness.begin(plan_of(graph))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    pause(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "failed"
    assert harness.statuses(execution) == {"a": "failed", "b": "failed", "c": "failed", "d": "completed"}


@pytest.mark.proves("pause-retry")
def test_a_try_that_was_due_meanwhile_comes_when_it_goes_on(harness: Harness) -> None:
    """Its timer has fired in vain, and is armed anew."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}, says={"a": Says(tries=2)}))
    harness.start_executions()
    failures = iter([True])

    def once(context: Context) -> None:
        if next(failures, False):
            raise HandlerError("boom", "once")

    harness.script = once
    work(harness, "a")
    pause(harness, execution)
    assert harness.end_pauses() == 1
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["a"] == "waiting"
    resume(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("pause-stopped")
@pytest.mark.parametrize("by", ["cancel", "timeout"])
def test_a_stop_ends_a_pause(harness: Harness, by: str) -> None:
    """A cancel, and the time of the run, which goes on."""
    plan = plan_of(CHAIN, overall=ExecutionPolicy(timeout_ms=3_600_000))
    execution = harness.begin(plan)
    harness.start_executions()
    pause(harness, execution)
    if by == "cancel":
        assert harness.cancel(execution) == "cancelling"
    else:
        assert harness.end_runs() == 1
    harness.drain()
    assert status_of(harness, execution) == ("cancelled" if by == "cancel" else "failed")


def test_hooks_of_a_paused_execution_begin_when_it_goes_on(harness: Harness) -> None:
    """The stage has begun, and waits."""
    graph = {"a": (), "z": ()}
    execution = harness.begin(plan_of(graph, stages=Stages(finally_=1)))
    harness.start_executions()
    pause(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "paused"
    assert harness.statuses(execution) == {"a": "completed", "z": "pending"}
    resume(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert harness.statuses(execution)["z"] == "completed"


def test_pausing_and_resuming_again_changes_nothing(harness: Harness) -> None:
    """A caller who has no answer asks again."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    assert resume(harness, execution) == "running"
    assert not resumes(harness)
    assert [pause(harness, execution) for _ in range(2)] == ["paused", "paused"]
    assert [resume(harness, execution) for _ in range(2)] == ["running", "running"]
    assert len(resumes(harness)) == 1


def test_what_does_not_run_is_not_paused(harness: Harness) -> None:
    """Pending, ended or being stopped; nor is it resumed, or triggered while it is paused."""
    pending = harness.create(plan_of(CHAIN))
    stopped = harness.begin(plan_of(CHAIN))
    harness.cancel(stopped)
    with pytest.raises(WrongStateError, match="being stopped"):
        pause(harness, stopped)
    ended = harness.begin(plan_of({"a": ()}))
    harness.drain()
    for execution in (pending, stopped, ended):
        for steer in (pause, resume):
            with pytest.raises(WrongStateError):
                steer(harness, execution)
    with pytest.raises(ExecutionNotFoundError):
        pause(harness, "0" * 27)
    paused = harness.begin(plan_of(CHAIN))
    pause(harness, paused)
    with pytest.raises(WrongStateError, match="is paused"):
        harness.trigger(paused)
    assert resume(harness, paused) == "running"


@pytest.mark.proves("pause-crash")
@pytest.mark.parametrize("way", ["die_before", "die_after"])
def test_an_orchestrator_that_dies_over_a_resume_leaves_nothing_waiting(harness: Harness, way: Way) -> None:
    """At whichever of its commands: the message comes again and looks at all nodes."""
    graph = {"a": (), "b": ("a",), "c": ("a",), "d": ("a",), "e": ("b", "c", "d")}
    for at in range(1, 60):
        execution = harness.begin(plan_of(graph))
        harness.start_executions()
        pause(harness, execution)
        harness.drain()
        resume(harness, execution)
        gate = harness.orchestrators[0].line.gate = Gate(at=at, way=way)
        (message,) = resumes(harness)
        harness.deliver(harness.orchestrators[0], message)
        harness.orchestrators[0].line.gate = Gate()
        if gate.struck is None:
            break
        harness.orchestrators[0].reborn()
        harness.drain()
        assert status_of(harness, execution) == "completed", f"at command {at}"
    assert at > 5
    assert harness.orchestrators[0].sweep.repaired == 0


@pytest.mark.proves("pause-lost")
def test_a_resume_whose_message_is_lost_is_found_by_the_sweep(harness: Harness) -> None:
    """The nodes that are ready are dispatched; while it is paused, the sweep leaves it alone."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    pause(harness, execution)
    harness.drain()
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        assert sweep.run() == 0
    assert status_of(harness, execution) == "paused"
    resume(harness, execution)
    (message,) = resumes(harness)
    harness.client.xack(harness.stream("orchestrator"), GROUP, message.id)
    harness.client.xdel(harness.stream("orchestrator"), message.id)
    for _ in range(3):
        sweep.run()
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_the_events_tell_of_a_pause(harness: Harness) -> None:
    """And that it went on."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    pause(harness, execution)
    resume(harness, execution)
    harness.drain()
    kinds = [event.kind for event in check(harness.client, execution).events if event.node is None]
    assert kinds == ["execution_started", "execution_paused", "execution_resumed", "execution_finished"]


def test_a_resume_of_another_run_changes_nothing(harness: Harness) -> None:
    """It comes late, after the execution has failed and was triggered again."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    pause(harness, execution)
    resume(harness, execution)
    (message,) = resumes(harness)
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.trigger(execution)
    assert harness.deliver(harness.orchestrators[0], message)
    assert set(harness.statuses(execution).values()) == {"pending"}
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert isinstance(harness.api.executions.status(execution).error, msgspec.UnsetType)


@pytest.mark.proves("pause-stopped")
def test_what_its_own_nodes_do_ends_no_pause(harness: Harness) -> None:
    """A failure that stops the others leaves it paused: its hooks wait for the resume."""
    graph = {"a": (), "b": (), "c": ("b",), "z": ()}
    overall = ExecutionPolicy(stops_on_failure=True)
    execution = harness.begin(plan_of(graph, stages=Stages(finally_=1), overall=overall))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    pause(harness, execution)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.drain()
    assert status_of(harness, execution) == "paused"
    assert harness.statuses(execution)["z"] == "pending"
    resume(harness, execution)
    harness.drain()
    assert status_of(harness, execution) == "failed"
    assert harness.statuses(execution)["z"] == "completed"
