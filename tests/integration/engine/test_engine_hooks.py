"""What follows the main nodes of an execution: its outputs, `on_failure` and `finally`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import pytest

from flowengine.errors import WrongStateError
from flowengine.execution.error_codes import ENDED
from flowengine.execution.records import ExecutionError
from flowengine.execution.views.executions import ExecutionView
from flowengine.plugin import Context, HandlerError
from flowengine.plugin.errors import EndedError
from flowengine.queues import GROUP
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy, Policy
from flowengine.workflow.stages import OUTPUTS_NODE, Stages
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Says
from tests.support.faults import Gate, Way
from tests.support.rigs.harness import Entry, Harness, failing_in, plan_of

MAIN: Final = {"a": (), "b": ("a",)}
HOOKS: Final = Stages(on_failure=2, finally_=2)
BOTH: Final = {**MAIN, "f1": (), "f2": ("f1",), "z1": (), "z2": ("z1",)}


def hooked(
    graph: Mapping[str, Sequence[str]] = BOTH,
    stages: Stages = HOOKS,
    says: Mapping[str, Says] | None = None,
    overall: ExecutionPolicy | None = None,
    ends: Sequence[str] = (),
) -> Plan:
    """A plan with hooks."""
    return plan_of(graph, stages=stages, says=says, overall=overall or ExecutionPolicy(), ends=ends)


def ran(harness: Harness) -> list[str]:
    """The nodes whose handlers were called, in order."""
    return [call.node_id for call in harness.workers[0].invoker.calls]


def view_of(harness: Harness, execution: str) -> ExecutionView:
    """What a caller is shown; all that is stored of it is right."""
    check(harness.client, execution)
    return harness.api.executions.status(execution)


def test_a_completed_execution_runs_what_is_finally_to_run(harness: Harness) -> None:
    """And no hook of failures."""
    execution = harness.begin(hooked())
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == "completed"
    assert ran(harness) == ["a", "b", "z1", "z2"]
    assert view.counts.total == 2
    assert [node.id for node in view.nodes] == ["a", "b"]
    assert isinstance(view.hooks, tuple)
    assert [(node.id, node.status) for node in view.hooks] == [
        ("f1", "skipped"),
        ("f2", "skipped"),
        ("z1", "completed"),
        ("z2", "completed"),
    ]
    assert view.hooks_failed is False


def test_a_failed_execution_runs_its_hooks_of_failures_first(harness: Harness) -> None:
    """Then what is finally to run; the verdict stays."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, "a")
    harness.drain()
    assert ran(harness) == ["a", "f1", "f2", "z1", "z2"]
    assert view_of(harness, execution).status == "failed"


def test_an_execution_with_hooks_runs_until_they_have_ended(harness: Harness) -> None:
    """It is listed as running, and is no more triggered than any that runs."""
    execution = harness.begin(hooked())
    harness.start_executions()
    for node in ("a", "b"):
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert view_of(harness, execution).status == "running"
    assert harness.statuses(execution)["z1"] == "queued"
    with pytest.raises(WrongStateError, match="is running"):
        harness.trigger(execution)
    harness.drain()
    assert view_of(harness, execution).status == "completed"


@pytest.mark.parametrize("fails", ["z1", "z2"])
@pytest.mark.proves("hooks-verdict")
def test_a_failing_hook_changes_no_verdict(harness: Harness, fails: str) -> None:
    """It is shown, and what does not depend on it goes on."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, fails)
    harness.drain()
    view = view_of(harness, execution)
    assert (view.status, view.hooks_failed) == ("completed", True)
    assert isinstance(view.error, msgspec.UnsetType)


@pytest.mark.parametrize("fails", ["f1", "f2"])
def test_a_failing_hook_of_failures_hides_no_error_and_keeps_nothing_from_running(
    harness: Harness, fails: str
) -> None:
    """`error` is that of the main node, and `finally` comes after it."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, "b", fails)
    harness.drain()
    view = view_of(harness, execution)
    assert isinstance(view.error, ExecutionError)
    assert (view.status, view.hooks_failed, view.error.node) == ("failed", True, "b")
    assert ran(harness)[-2:] == ["z1", "z2"]


def test_failing_hooks_do_not_stop_each_other(harness: Harness) -> None:
    """Though the document says `on_node_failure: stop`: that is for main nodes."""
    graph = {**MAIN, "z1": (), "z2": ("z1",), "z3": (), "z4": ("z3",)}
    plan = hooked(graph, Stages(finally_=4), overall=ExecutionPolicy(stops_on_failure=True))
    execution = harness.begin(plan)
    harness.script = failing_in(1, "z1")
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert set(ran(harness)) == {"a", "b", "z1", "z3", "z4"}
    assert harness.statuses(execution)["z2"] == "failed"


def test_a_cancelled_execution_cleans_up(harness: Harness) -> None:
    """`finally` runs, the hooks of failures do not; it is cancelling until then."""
    execution = harness.begin(hooked())
    harness.start_executions()
    assert harness.cancel(execution, "not needed") == "cancelling"
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert view_of(harness, execution).status == "cancelling"
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == "cancelled"
    assert view.error == ExecutionError("cancelled", "not needed")
    assert ran(harness) == ["z1", "z2"]
    assert harness.statuses(execution)["f1"] == "skipped"


@pytest.mark.proves("hooks-cancel-again")
def test_a_cancel_that_comes_again_does_not_stop_what_cleans_up(harness: Harness) -> None:
    """A caller who has no answer asks again."""
    execution = harness.begin(hooked())
    harness.start_executions()
    harness.cancel(execution)
    for entry in harness.waiting("orchestrator"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.cancel(execution) == "cancelling"
    harness.drain()
    assert ran(harness) == ["z1", "z2"]


@pytest.mark.proves("hooks-cancel")
@pytest.mark.parametrize(("fails", "verdict"), [((), "completed"), (("a",), "failed")])
def test_a_cancel_while_hooks_run_ends_them_and_leaves_the_verdict(
    harness: Harness, fails: Sequence[str], verdict: str
) -> None:
    """Those that have not run are cancelled."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, *fails)
    harness.start_executions()
    for node in ("a", "b")[: 1 if fails else 2]:
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.cancel(execution, "enough") == "cancelling"
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == verdict
    assert not {"f1", "f2", "z1", "z2"} & set(ran(harness))
    assert set(list(harness.statuses(execution).values())[-2:]) == {"cancelled"}
    assert isinstance(view.error, ExecutionError) == bool(fails)


def test_an_execution_that_was_never_triggered_runs_no_hook(harness: Harness) -> None:
    """A cancel ends it at once."""
    execution = harness.create(hooked())
    assert harness.cancel(execution) == "cancelled"
    harness.drain()
    assert ran(harness) == []
    assert set(harness.statuses(execution).values()) == {"cancelled"}


def test_hooks_run_after_the_time_of_the_run_is_over(harness: Harness) -> None:
    """That is a failure. Its time does not end them."""
    execution = harness.begin(hooked(overall=ExecutionPolicy(timeout_ms=3_600_000)))
    harness.start_executions()
    assert harness.end_runs() == 1
    harness.drain()
    view = view_of(harness, execution)
    assert isinstance(view.error, ExecutionError)
    assert (view.status, view.error.code) == ("failed", "execution_timeout")
    assert ran(harness) == ["f1", "f2", "z1", "z2"]


def test_the_time_of_a_run_ends_no_hook(harness: Harness) -> None:
    """Its timer goes with the main nodes, and a message of it that was on its way changes nothing."""
    execution = harness.begin(hooked(overall=ExecutionPolicy(timeout_ms=3_600_000)))
    harness.start_executions()
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks("b")
    (last,) = harness.callbacks()
    assert harness.end_runs() == 1
    (timer,) = [entry for entry in harness.waiting("orchestrator") if entry.actor == "timer_fired"]
    assert harness.deliver(harness.orchestrators[0], last)
    assert harness.deliver(harness.orchestrators[0], timer)
    assert harness.end_runs() == 0
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert ran(harness) == ["a", "b", "z1", "z2"]


@pytest.mark.proves("hooks-timeout")
@pytest.mark.parametrize(("fails", "verdict"), [((), "completed"), (("a",), "failed")])
def test_hooks_have_a_time_of_their_own(harness: Harness, fails: Sequence[str], verdict: str) -> None:
    """When it is over, what is left of them is cancelled; the verdict stays."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, *fails)
    harness.start_executions()
    for node in ("a", "b")[: 1 if fails else 2]:
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.end_hooks() == 1
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == verdict
    assert not {"f1", "z1"} & set(ran(harness))
    assert harness.statuses(execution)["z1"] == "cancelled"


def test_a_cancel_of_hooks_hides_no_error(harness: Harness) -> None:
    """What has ended the main nodes is told."""
    execution = harness.begin(hooked(overall=ExecutionPolicy(timeout_ms=3_600_000)))
    harness.start_executions()
    assert harness.end_runs() == 1
    for _ in range(2):
        for entry in harness.waiting("orchestrator"):
            assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["f1"] == "queued"
    harness.cancel(execution, "enough")
    harness.drain()
    error = view_of(harness, execution).error
    assert isinstance(error, ExecutionError)
    assert error.code == "execution_timeout"


def test_the_timer_of_a_run_goes_when_its_hooks_begin(harness: Harness) -> None:
    """Nobody waits for it any more."""
    execution = harness.begin(hooked(overall=ExecutionPolicy(timeout_ms=3_600_000)))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.statuses(execution)["f1"] == "queued"
    assert not harness.client.exists(harness.keys.timers("timeout"))
    assert harness.client.exists(harness.keys.timers("hooks"))


def end_as_failed(context: Context) -> None:
    """What an `end` that says failed does."""
    if context.node_id == "b":
        raise HandlerError(ENDED.code, "nothing to do", permanent=True)


def test_hooks_follow_an_end(harness: Harness) -> None:
    """One that says failed, and one that says completed."""
    graph = {"a": (), "b": ("a",), "c": ("b",), "f": (), "z": ()}
    execution = harness.begin(hooked(graph, Stages(on_failure=1, finally_=1), ends=["b"]))
    harness.script = end_as_failed
    harness.drain()
    assert view_of(harness, execution).status == "failed"
    assert ran(harness) == ["a", "b", "f", "z"]
    other = harness.begin(hooked(graph, Stages(on_failure=1, finally_=1), ends=["b"]))
    harness.script = failing_in(1)
    harness.drain()
    assert view_of(harness, other).status == "completed"
    assert harness.statuses(other) == {
        "a": "completed",
        "b": "completed",
        "c": "skipped",
        "f": "skipped",
        "z": "completed",
    }


@pytest.mark.proves("hooks-again")
def test_hooks_run_again_after_a_trigger(harness: Harness) -> None:
    """In each run once, with a new idempotency key; what was skipped is decided anew."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, "b")
    harness.drain()
    assert ran(harness) == ["a", "b", "f1", "f2", "z1", "z2"]
    harness.trigger(execution)
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == "completed"
    assert ran(harness)[6:] == ["b", "z1", "z2"]
    calls = [call for call in harness.workers[0].invoker.calls if call.node_id == "z1"]
    assert len({call.idempotency_key for call in calls}) == 2


def test_hooks_run_in_a_second_run_that_has_none_before(harness: Harness) -> None:
    """Their records are of that run."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, "a", "f1", "z1")
    harness.drain()
    harness.trigger(execution)
    harness.script = failing_in(2, "b")
    harness.drain()
    assert view_of(harness, execution).status == "failed"
    assert ran(harness)[3:] == ["a", "b", "f1", "f2", "z1", "z2"]


def test_a_hook_is_tried_again_by_its_own_policy(harness: Harness) -> None:
    """It waits for its next try as a main node does."""
    execution = harness.begin(hooked(says={"z1": Says(tries=2)}))
    failures = iter([True])

    def once(context: Context) -> None:
        if context.node_id == "z1" and next(failures, False):
            raise HandlerError("boom", "once")

    harness.script = once
    harness.drain()
    assert view_of(harness, execution).hooks_failed is False
    assert ran(harness) == ["a", "b", "z1", "z1", "z2"]


def test_hooks_have_rules_of_their_own(harness: Harness) -> None:
    """A join of hooks, a skipped one, and one after a failure."""
    graph = {"a": (), "z1": (), "z2": (), "z3": ("z1", "z2"), "z4": ("z3",)}
    says = {"z2": Says(when=False), "z3": Says(rule="none_failed"), "z4": Says(rule="all_done")}
    execution = harness.begin(hooked(graph, Stages(finally_=4), says))
    harness.script = failing_in(1, "z1")
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert harness.statuses(execution) == {
        "a": "completed",
        "z1": "failed",
        "z2": "skipped",
        "z3": "failed",
        "z4": "completed",
    }


# -- outputs


def with_outputs(says: Mapping[str, Says] | None = None, ends: Sequence[str] = ()) -> Plan:
    """A plan with outputs and both hooks."""
    graph = {"a": (), "b": ("a",), OUTPUTS_NODE: (), "f": (), "z": ()}
    return hooked(graph, Stages(outputs=1, on_failure=1, finally_=1), says, ends=ends)


def test_outputs_are_computed_before_the_hooks(harness: Harness) -> None:
    """And shown once it has ended; the node that computes them is not."""
    execution = harness.begin(with_outputs())
    harness.drain()
    assert ran(harness) == ["a", "b", OUTPUTS_NODE, "z"]
    view, results = view_of(harness, execution), harness.api.executions.results(execution)
    assert view.status == "completed"
    assert view.outputs == {"sum": msgspec.Raw(b"1")}
    assert results.outputs == view.outputs
    assert set(results.results) == {"a", "b"}
    assert OUTPUTS_NODE not in harness.statuses(execution)


@pytest.mark.proves("outputs-failed")
def test_outputs_that_cannot_be_computed_fail_the_execution(harness: Harness) -> None:
    """Its hooks of failures run, and a trigger computes them again and nothing else."""
    execution = harness.begin(with_outputs())
    harness.script = failing_in(1, OUTPUTS_NODE)
    harness.drain()
    view = view_of(harness, execution)
    assert isinstance(view.error, ExecutionError)
    assert (view.status, view.error.code, view.error.node) == ("failed", "output_failed", None)
    assert harness.api.executions.results(execution).outputs is None
    assert ran(harness) == ["a", "b", OUTPUTS_NODE, "f", "z"]
    harness.trigger(execution)
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert ran(harness)[5:] == [OUTPUTS_NODE, "z"]


def test_a_failed_execution_computes_no_outputs(harness: Harness) -> None:
    """They are those of a completed one."""
    execution = harness.begin(with_outputs())
    harness.script = failing_in(1, "b")
    harness.drain()
    assert view_of(harness, execution).status == "failed"
    assert ran(harness) == ["a", "b", "f", "z"]


def test_a_cancel_while_outputs_are_computed_counts(harness: Harness) -> None:
    """The verdict is not fixed before they are."""
    execution = harness.begin(with_outputs())
    harness.start_executions()
    for node in ("a", "b"):
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.cancel(execution) == "cancelling"
    harness.drain()
    assert view_of(harness, execution).status == "cancelled"
    assert ran(harness) == ["a", "b", "z"]


def test_an_end_that_gives_no_outputs_has_those_of_the_document_computed(harness: Harness) -> None:
    """Whatever has failed before it."""
    graph = {"a": (), "b": (), "c": ("b",), OUTPUTS_NODE: (), "z": ()}
    plan = hooked(graph, Stages(outputs=1, finally_=1), ends=["c"])
    execution = harness.begin(plan)
    harness.script = failing_in(1, "a")
    harness.drain()
    view = view_of(harness, execution)
    assert view.status == "completed"
    assert ran(harness)[-2:] == [OUTPUTS_NODE, "z"]


def test_outputs_without_hooks_end_the_execution(harness: Harness) -> None:
    """Completed if they could be computed."""
    graph = {"a": (), OUTPUTS_NODE: ()}
    execution = harness.begin(hooked(graph, Stages(outputs=1)))
    harness.drain()
    view = view_of(harness, execution)
    assert (view.status, isinstance(view.hooks, msgspec.UnsetType)) == ("completed", True)
    failing = harness.begin(hooked(graph, Stages(outputs=1)))
    harness.script = failing_in(1, OUTPUTS_NODE)
    harness.drain()
    assert view_of(harness, failing).status == "failed"


# -- what may happen between two stages


def at_the_last_callback(harness: Harness) -> tuple[str, Entry]:
    """An execution with outputs and hooks, and the callback that ends its last main node."""
    execution = harness.begin(with_outputs())
    harness.start_executions()
    harness.run_tasks("a")
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks("b")
    (last,) = harness.callbacks()
    return execution, last


@pytest.mark.proves("hooks-crash")
@pytest.mark.parametrize("way", ["die_before", "die_after"])
def test_an_orchestrator_that_dies_between_two_stages_loses_neither(harness: Harness, way: Way) -> None:
    """At whichever of its commands: what comes again begins the stage once, and sends what was not sent."""
    for at in range(1, 100):
        execution, last = at_the_last_callback(harness)
        before = len(ran(harness))
        gate = harness.orchestrators[0].line.gate = Gate(at=at, way=way)
        harness.deliver(harness.orchestrators[0], last)
        harness.orchestrators[0].line.gate = Gate()
        if gate.struck is None:
            break
        harness.orchestrators[0].reborn()
        harness.drain()
        assert view_of(harness, execution).status == "completed", f"at command {at}"
        assert ran(harness)[before:] == [OUTPUTS_NODE, "z"]
    assert at > 5
    assert harness.orchestrators[0].sweep.repaired == 0


@pytest.mark.proves("hooks-at-once")
def test_two_orchestrators_begin_a_stage_once(harness: Harness) -> None:
    """The same callback is applied by both at once."""
    second = harness.second_orchestrator()
    execution, last = at_the_last_callback(harness)
    first = harness.orchestrators[0]

    def meanwhile() -> None:
        harness.deliver(second, last)

    first.state.between = meanwhile
    for skipped in range(4):
        first.state.skipped = skipped
        harness.deliver(first, last)
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert ran(harness) == ["a", "b", OUTPUTS_NODE, "z"]


@pytest.mark.proves("hooks-lost")
@pytest.mark.parametrize("at", range(1, 30))
def test_a_stage_that_nobody_goes_on_with_is_found_by_the_sweep(harness: Harness, at: int) -> None:
    """The message is gone with the process that had it."""
    execution, last = at_the_last_callback(harness)
    harness.orchestrators[0].line.gate = Gate(at=at, way="die_after")
    harness.deliver(harness.orchestrators[0], last)
    harness.orchestrators[0].line.gate = Gate()
    harness.orchestrators[0].reborn()
    for entry in harness.waiting("orchestrator"):
        harness.client.xack(harness.stream("orchestrator"), GROUP, entry.id)
        harness.client.xdel(harness.stream("orchestrator"), entry.id)
    for _ in range(5):
        harness.orchestrators[0].sweep.run()
        harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert ran(harness)[-1] == "z"


def test_a_sweep_leaves_the_numbers_of_hooks_alone(harness: Harness) -> None:
    """A join of hooks has no counter before they begin, and the main nodes' counters decide nothing after."""
    graph = {"a": (), "b": (), "c": ("a", "b"), "z1": (), "z2": (), "z3": ("z1", "z2")}
    execution = harness.begin(hooked(graph, Stages(finally_=3)))
    for _ in range(20):
        for _ in range(2):  # it looks at what has not moved since its last turn
            harness.orchestrators[0].sweep.run()
        check(harness.client, execution)
        waiting = [*harness.waiting("orchestrator"), *harness.tasks()]
        if not waiting:
            break
        actor = waiting[0].actor
        process = harness.workers[0] if actor == "run_node" else harness.orchestrators[0]
        assert harness.deliver(process, waiting[0])
    assert harness.orchestrators[0].sweep.repaired == 0
    assert view_of(harness, execution).status == "completed"


def test_every_key_of_hooks_expires_and_is_kept_again(harness: Harness) -> None:
    """With the others: at the end, and at the next trigger."""
    execution = harness.begin(hooked())
    harness.script = failing_in(1, "a")
    harness.drain()
    keys = harness.client.keys(f"fe:x:{execution}:*")
    assert f"fe:x:{execution}:node:z2".encode() in keys
    assert all(harness.client.ttl(key) > 0 for key in keys)
    harness.trigger(execution)
    assert all(harness.client.ttl(key) == -1 for key in harness.client.keys(f"fe:x:{execution}:*"))


def test_a_stage_begins_though_the_last_look_has_settled_a_node(harness: Harness) -> None:
    """The transaction that finds the end writes a record and no number: the stage begins in the next one."""
    graph = {"a": (), "b": (), "x": (), "c": ("a", "b"), "d": ("c", "x"), "z": ()}
    execution = harness.begin(hooked(graph, Stages(finally_=1), {"d": Says(rule="one_success")}))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    for node in ("a", "x", "d", "b"):
        harness.run_tasks(node)
        for callback in harness.callbacks():
            assert harness.deliver(harness.orchestrators[0], callback)
    assert harness.statuses(execution)["z"] == "queued"
    harness.drain()
    assert view_of(harness, execution).status == "failed"


def test_hooks_whose_time_is_over_have_failed(harness: Harness) -> None:
    """Nobody else tells that they were cut."""
    execution = harness.begin(hooked())
    harness.start_executions()
    for node in ("a", "b"):
        harness.run_tasks(node)
        assert harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.end_hooks()
    harness.drain()
    view = view_of(harness, execution)
    assert (view.status, view.hooks_failed) == ("completed", True)


def test_finally_sees_hooks_that_were_not_to_run_as_skipped(harness: Harness) -> None:
    """As the API shows them."""
    plan = hooked({"a": (), "f": (), "z": ()}, Stages(on_failure=1, finally_=1))
    sees = msgspec.structs.replace(
        plan, policies={2: Policy(when="{{ statuses.f == 'skipped' }}", sees=(1,))}
    )
    execution = harness.begin(sees)
    harness.drain()
    assert view_of(harness, execution).status == "completed"
    assert harness.statuses(execution)["z"] == "completed"


def test_an_end_that_says_failed_may_give_outputs(harness: Harness) -> None:
    """They are shown though the execution has failed, and go when it is triggered again."""
    plan = plan_of({"a": ()}, ends=["a"])
    gives = msgspec.structs.replace(plan.policy(0), gives_outputs=True)
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: gives}))

    def end(context: Context) -> None:
        if context.run == 1:
            raise EndedError("enough", {"left": 3})

    harness.script = end
    harness.drain()
    view, results = view_of(harness, execution), harness.api.executions.results(execution)
    assert view.status == "failed"
    assert results.outputs == view.outputs == {"left": msgspec.Raw(b"3")}
    assert (set(results.results), set(results.errors)) == (set(), {"a"})
    harness.trigger(execution)
    assert harness.api.executions.results(execution).outputs is None
    check(harness.client, execution)
