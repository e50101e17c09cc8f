"""Maps whose items run as children though their node is no group: which, and how they are compiled."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from tests.support.documents import checked, only, workflow

ITEMS = {"items": [1, 2]}
HEARS: dict[str, Any] = {"handler": "signal", "config": {}}


def each(**fields: Any) -> dict[str, Any]:
    """A map."""
    return {"id": "each", "handler": "set", "config": {"value": "{{ item }}"}, "map": ITEMS, **fields}


def plan_of(*nodes: dict[str, Any]) -> Plan:
    """The plan of a right workflow."""
    found = checked(workflow(*nodes))
    assert found.plan is not None, found.problems
    return found.plan


APART: list[dict[str, Any]] = [
    {"handler": "wait", "config": {"seconds": "{{ item }}"}},
    {"handler": "signal", "config": {}},
    {"handler": "approval", "config": {"prompt": "{{ item }}?"}},
    {"handler": "workflow", "config": {"name": "x", "inputs": {"n": "{{ item }}"}}},
    {"repeat": {"until": "{{ each.result == item }}"}},
    {"concurrency": {"key": "k", "limit": 1}},
    {"rate_limit": {"key": "k", "limit": 1, "per_seconds": 1}},
]


@pytest.mark.parametrize(
    "fields",
    APART,
    ids=lambda fields: next(iter(fields.values()))[:9] if "handler" in fields else next(iter(fields)),
)
def test_such_a_map_becomes_one_of_a_group_with_its_node_alone(fields: dict[str, Any]) -> None:
    """It shows the handler of the node. What an item says is inside, what the node says outside."""
    first = {"id": "first", "handler": "set", "config": {"value": 1}}
    more = {"dependencies": ["first"], "on_error": "continue", "when": "{{ first.result == 1 }}"}
    plan = plan_of(first, each(**more, **fields))
    outer, policy = plan.nodes[1], plan.policy(1)
    assert outer.work.handler == fields.get("handler", "set")
    assert (policy.when, policy.tolerates, policy.map is not None) == (more["when"], True, True)
    assert (policy.waits, policy.calls, policy.repeat, policy.concurrency, policy.rate_limit) == (None,) * 5
    assert policy.group is not None
    assert policy.group.sole
    inner = plan.group_at((1,))
    assert [(node.id, node.parents) for node in inner.nodes] == [("each", ())]
    inside = inner.policy(0)
    assert (inside.when, inside.tolerates, inside.map) == (None, False, None)
    assert decode_plan(encode_plan(plan)).group_at((1,)) == inner


@pytest.mark.parametrize("fields", [{}, {"retry": {"max_attempts": 2}}, {"cache": {"ttl_seconds": 60}}])
def test_other_items_stay_in_their_execution(fields: dict[str, Any]) -> None:
    """They cost a message each."""
    assert plan_of(each(**fields)).policy(0).group is None


def test_an_item_in_five_groups_runs_apart() -> None:
    """It is no level of nesting."""
    node = each(handler="signal", config={})
    for depth in range(5):
        node = {"id": f"g{depth}", "nodes": [node]}
    assert plan_of(node).nests


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({**HEARS, "map": {**ITEMS, "max_seconds": 0}}, "out_of_range", "/map/max_seconds"),
        ({**HEARS, "config": {"prompt": "{{ each.result }}"}}, "not_an_ancestor", "/config/prompt"),
        ({**HEARS, "config": {"prompt": "{{ nope.result }}"}}, "unknown_node_reference", "/config/prompt"),
        ({**HEARS, "when": "{{ item }}"}, "unknown_node_reference", "/when"),
        ({**HEARS, "map": {**ITEMS, "as": "each"}}, "hides_a_node", "/map/as"),
    ],
)
def test_each_problem_is_told_once_and_at_its_place(fields: dict[str, Any], code: str, pointer: str) -> None:
    """As of any node."""
    problem = only(checked(workflow(each(**fields))))
    assert (problem.code, problem.pointer) == (code, f"/nodes/0{pointer}"), problem
