"""What a document says of its executions as a whole, and what a node that ends them may not say."""

from __future__ import annotations

import pytest

from flowengine.execution.work import timeout_ms_of
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.policy import ExecutionPolicy
from tests.support.documents import JsonObject, checked, node, only, workflow

END: JsonObject = {"id": "a", "handler": "end", "config": {}}


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({}, ExecutionPolicy()),
        ({"timeout_seconds": None, "on_node_failure": "finish"}, ExecutionPolicy()),
        ({"timeout_seconds": 1.5}, ExecutionPolicy(timeout_ms=1500)),
        ({"timeout_seconds": 2_592_000}, ExecutionPolicy(timeout_ms=2_592_000_000)),
        ({"on_node_failure": "stop"}, ExecutionPolicy(stops_on_failure=True)),
    ],
)
def test_the_policy_is_what_the_document_says(fields: JsonObject, policy: ExecutionPolicy) -> None:
    """What is left out, or null, is the plain one."""
    plan = checked(workflow(node("a"), **fields)).plan
    assert plan is not None
    assert plan.overall == policy


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"timeout_seconds": 0}, "out_of_range", "/timeout_seconds"),
        ({"timeout_seconds": 2_592_001}, "out_of_range", "/timeout_seconds"),
        ({"timeout_seconds": "1h"}, "wrong_type", "/timeout_seconds"),
        ({"timeout_seconds": True}, "wrong_type", "/timeout_seconds"),
        ({"on_node_failure": "stpo"}, "invalid_value", "/on_node_failure"),
        ({"on_node_failure": ["stop"]}, "wrong_type", "/on_node_failure"),
    ],
)
def test_a_wrong_value_is_placed(fields: JsonObject, code: str, pointer: str) -> None:
    """With what may stand there."""
    problem = only(checked(workflow(node("a"), **fields)))
    assert (problem.code, problem.pointer) == (code, pointer)


def test_a_near_word_is_named() -> None:
    """`stpo` is meant to be `stop`."""
    assert "did you mean 'stop'?" in only(checked(workflow(node("a"), on_node_failure="stpo"))).message


def test_an_end_is_marked_in_the_plan() -> None:
    """The rules go by the plan, not by the handler's name."""
    plan = checked(workflow(END, node("b"))).plan
    assert plan is not None
    assert [plan.policy(position).ends for position in (0, 1)] == [True, False]


@pytest.mark.parametrize("field", ["retry", "on_error"])
def test_an_end_takes_no_policy_of_failures(field: str) -> None:
    """It ends the execution; nothing is tried again or tolerated."""
    given: JsonValue = {"max_attempts": 2} if field == "retry" else "continue"
    problem = only(checked(workflow({**END, field: given})))
    assert (problem.code, problem.pointer) == ("not_with_end", f"/nodes/0/{field}")


def test_defaults_do_not_hold_for_an_end() -> None:
    """Those of other nodes do."""
    said: JsonObject = {"retry": {"max_attempts": 2}, "on_error": "continue", "timeout_seconds": 2}
    defaults: JsonObject = {"node": said}
    plan = checked(workflow(END, node("b"), defaults=defaults)).plan
    assert plan is not None
    assert (plan.policy(0).retry, plan.policy(0).tolerates) == (None, False)
    assert [timeout_ms_of(each) for each in plan.nodes] == [300_000, 2000]
    assert plan.policy(1).tolerates is True
