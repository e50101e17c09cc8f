"""Keys of nodes' limits that are made of what an execution is given."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.rules.steering.rerunning import Wanted
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


def line_of(harness: Harness, execution: str) -> str:
    """Where its node stands, whose key a worker has to make first."""
    while entries := harness.waiting("orchestrator"):
        for entry in entries:
            harness.deliver(harness.orchestrators[0], entry)
    assert check(harness.client, execution).record("a").keys is None
    finish(harness, "a")
    turn = check(harness.client, execution).record("a").turn
    assert turn
    return turn.line


@pytest.mark.proves("turn-made-key")
def test_a_later_run_makes_the_key_anew(harness: Harness) -> None:
    """Of what it is given then. A worker makes it, as the execution has begun."""
    harness.script = failing_in(1, "a")
    execution = begin(harness, 7)
    harness.drain()
    assert harness.statuses(execution)["a"] == "failed"
    harness.trigger(execution)
    assert line_of(harness, execution) == "n:crm-7"
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "after": "completed"}
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all"), inputs={"customer": 9}))
    assert line_of(harness, execution) == "n:crm-9"
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "after": "completed"}


@pytest.mark.proves("turn-made-key")
def test_a_fork_stands_under_the_key_of_its_own_inputs(harness: Harness) -> None:
    """Also where it begins with what its origin has not ended."""
    harness.script = failing_in(1, "a")
    origin = begin(harness, 7)
    harness.drain()
    harness.script = failing_in(1)
    asked = RerunAsked(Wanted("all"), inputs={"customer": 9})
    fork = harness.api.executions.fork(origin, asked, "original").execution_id
    assert line_of(harness, fork) == "n:crm-9"
    harness.drain()
    assert harness.statuses(fork) == {"a": "completed", "after": "completed"}


@pytest.mark.proves("turn-made-key")
def test_the_condition_of_a_node_whose_key_is_there_is_asked(harness: Harness) -> None:
    """Its key was made at the trigger. What its condition reads was not there then."""
    plan = plan_of({"before": (), "a": ("before",)})
    said = keyed().policies[0]
    policy = msgspec.structs.replace(said, when="{{ before.result == 8 }}")
    execution = begin(harness, 7, msgspec.structs.replace(plan, policies={1: policy}))
    keys = check(harness.client, execution).record("a").keys
    assert keys
    assert keys.turn == "crm-7"
    harness.drain()
    assert harness.statuses(execution) == {"before": "completed", "a": "skipped"}


def test_a_key_that_cannot_be_made_starts_nothing(harness: Harness) -> None:
    """The trigger is refused, with the place."""
    with pytest.raises(VarsInvalidError, match="1 to 200 characters"):
        begin(harness, "x" * 200)
