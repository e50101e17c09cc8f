"""What an execution is given, in the engine: conditions that are decided at the trigger, inputs that stay."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.execution.messages import RunNode
from flowengine.plugin import Context, HandlerError
from flowengine.store import keys
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy
from tests.support.checks.invariants import check
from tests.support.rigs.harness import Harness, plan_of

GO = Policy(when="{{ inputs.go }}", given=("inputs",))
STOP = Policy(when="{{ not inputs.go }}", given=("inputs",))


def going(graph: dict[str, tuple[str, ...]], **policies: Policy) -> Plan:
    """A plan with these policies, by the node's id."""
    plan = plan_of(graph, reading=False)
    found = {plan.index[name]: policy for name, policy in policies.items()}
    return msgspec.structs.replace(plan, policies=found)


def begun(harness: Harness, plan: Plan) -> str:
    """A running execution that was given `go`."""
    executions = harness.api.executions
    execution = executions.create(plan, correlation_id="test", inputs={"go": True}).execution_id
    executions.trigger(execution, correlation_id="test")
    harness.start_executions()
    return execution


def sent(harness: Harness) -> dict[str, RunNode]:
    """The tasks that wait, by node."""
    tasks = [msgspec.json.decode(entry.payload, type=RunNode) for entry in harness.tasks()]
    return {task.node: task for task in tasks}


@pytest.mark.proves("when-at-trigger")
def test_a_condition_that_is_false_at_the_trigger_costs_no_task(harness: Harness) -> None:
    """Of a node that starts, of one in the middle, and of a join; what follows from it is decided as ever."""
    plan = going(
        {"root": (), "below": ("root",), "first": (), "middle": ("first",), "join": ("first", "middle")},
        root=STOP,
        middle=STOP,
        join=Policy(trigger_rule="none_failed", when="{{ not inputs.go }}", given=("inputs",)),
    )
    execution = begun(harness, plan)
    harness.drain()
    assert harness.statuses(execution) == {
        "root": "skipped",
        "below": "skipped",
        "first": "completed",
        "middle": "skipped",
        "join": "skipped",
    }
    calls = harness.workers[0].invoker.calls
    assert [context.node_id for context in calls] == ["first"]


@pytest.mark.proves("when-at-trigger")
def test_a_condition_that_is_true_at_the_trigger_is_not_asked_again(harness: Harness) -> None:
    """The task does not carry it."""
    execution = begun(harness, going({"a": (), "b": ("a",)}, a=GO, b=GO))
    assert sent(harness)["a"].when is None
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "completed"}


@pytest.mark.proves("when-at-trigger")
def test_a_node_that_is_reset_is_decided_anew(harness: Harness) -> None:
    """By a worker, with the run that it is in: its condition may read `execution.run`."""

    def script(context: Context) -> None:
        if context.node_id == "a" and context.attempt == 1:
            raise HandlerError("boom", "failed on purpose")

    harness.script = script
    plan = going(
        {"a": (), "b": ("a",), "c": ("a",)},
        b=Policy(trigger_rule="all_done", when="{{ not inputs.go }}", given=("inputs",)),
        c=Policy(trigger_rule="all_done", when="{{ inputs.go }}", given=("inputs",)),
    )
    execution = begun(harness, plan)
    harness.drain()
    assert harness.statuses(execution) == {"a": "failed", "b": "skipped", "c": "completed"}
    assert harness.trigger(execution) == 2
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "skipped", "c": "completed"}
    assert [check(harness.client, execution).record(node).when for node in "bc"] == [None, None]


@pytest.mark.proves("inputs-stay")
def test_inputs_expire_with_an_execution_that_has_ended_and_come_back_with_it(harness: Harness) -> None:
    """Like its other keys: a trigger after the end takes the expiry off."""

    def script(context: Context) -> None:
        if context.attempt == 1:
            raise HandlerError("boom", "failed on purpose")

    harness.script = script
    execution = begun(harness, going({"a": ()}, a=GO))
    name = keys.of().inputs(execution)
    assert harness.client.ttl(name) == -1
    harness.drain()
    assert harness.client.ttl(name) > 0
    harness.trigger(execution)
    assert harness.client.ttl(name) == -1
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed"}
