"""Keys of nodes' limits that are made of what an execution is given."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked, RerunNotPossibleError
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.beginning import VarsInvalidError
from flowengine.workflow.limits.declared import NodeConcurrency, RateLimit
from flowengine.workflow.plan import Plan
from tests.integration.limits.test_node_turns import finish, move
from tests.support.checks.invariants import check, check_everything
from tests.support.rigs.harness import Harness, failing_in, plan_of

KEY = "crm-{{ inputs.customer }}"


def keyed() -> Plan:
    """A node of which one runs at once for each customer."""
    plan = plan_of({"a": (), "after": ("a",)}, reading=False)
    policy = msgspec.structs.replace(plan.policy(0), concurrency=NodeConcurrency(1, KEY), given=("inputs",))
    return msgspec.structs.replace(plan, policies={0: policy})


def begin(harness: Harness, customer: JsonValue, plan: Plan | None = None) -> str:
    """An execution that is given this customer, and its first node in line."""
    executions = harness.api.executions
    given = {"customer": customer}
    execution = executions.create(plan or keyed(), correlation_id="test", inputs=given).execution_id
    harness.trigger(execution)
    harness.start_executions()
    move(harness)
    check_everything(harness.client)
    return execution


@pytest.mark.proves("turn-made-key")
def test_executions_share_a_limit_where_their_keys_come_to_the_same(harness: Harness) -> None:
    """Of one customer one runs, and another customer's at the same time."""
    first, second, other = begin(harness, 7), begin(harness, "7"), begin(harness, 8)
    statuses = [harness.statuses(execution)["a"] for execution in (first, second, other)]
    assert statuses == ["queued", "waiting", "queued"]
    waits = {node.id: node for node in harness.api.executions.status(second).nodes}["a"].waiting_for
    assert waits
    assert waits.key == "crm-7"
    harness.drain()
    assert harness.statuses(second) == {"a": "completed", "after": "completed"}


@pytest.mark.proves("turn-made-key")
def test_the_key_holds_for_starts_as_well(harness: Harness) -> None:
    """Three executions, one start an hour for each customer."""
    plan = keyed()
    policy = msgspec.structs.replace(
        plan.policies[0], concurrency=None, rate_limit=RateLimit(1, 3_600_000, KEY)
    )
    plan = msgspec.structs.replace(plan, policies={0: policy})
    first, second, other = begin(harness, 7, plan), begin(harness, 7, plan), begin(harness, 8, plan)
    statuses = [harness.statuses(execution)["a"] for execution in (first, second, other)]
    assert statuses == ["queued", "waiting", "queued"]


@pytest.mark.proves("turn-made-key")
def test_a_later_run_stands_under_the_same_key(harness: Harness) -> None:
    """Also the tries of a node; what would make other keys is refused."""
    harness.script = failing_in(1, "a")
    execution = begin(harness, 7)
    finish(harness, "a")
    harness.drain()
    assert harness.statuses(execution)["a"] == "failed"
    with pytest.raises(RerunNotPossibleError, match="start a new execution"):
        harness.api.executions.rerun(execution, RerunAsked(inputs={"customer": 9}))
    harness.trigger(execution)
    harness.start_executions()
    turn = check(harness.client, execution).record("a").turn
    assert turn
    assert turn.line == "n:crm-7"
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "after": "completed"}


def test_a_key_that_cannot_be_made_starts_nothing(harness: Harness) -> None:
    """The trigger is refused, with the place."""
    with pytest.raises(VarsInvalidError, match="1 to 200 characters"):
        begin(harness, "x" * 200)
