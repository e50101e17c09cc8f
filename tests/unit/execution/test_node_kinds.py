"""What a node is in one word, as its document makes it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from flowengine.execution.views.node_kinds import NODE_KINDS, NodeKind, kind_of
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from tests.support.documents import accepted, workflow

LOOP = {"until": "{{ true }}"}
EACH = {"items": [1, 2]}
SETS: dict[str, Any] = {"handler": "set", "config": {"value": 1}}
ASKS: dict[str, Any] = {"handler": "approval", "config": {"prompt": "?"}}
GROUP: dict[str, Any] = {"nodes": [{"id": "inner", **SETS}]}
CALLS: dict[str, Any] = {"handler": "workflow", "config": {"name": "load"}}
APART: dict[str, Any] = {"handler": "workflow", "config": {"name": "load", "wait": False}}
LIMITED = {"concurrency": {"key": "k", "limit": 1}}
TRIED = {"retry": {"max_attempts": 2}, "on_error": "continue", "timeout_seconds": 9}

CASES: list[tuple[NodeKind, dict[str, Any]]] = [
    ("task", SETS),
    ("task", {**SETS, **LIMITED, **TRIED}),
    ("task", {"handler": "end", "config": {"status": "completed"}}),
    ("map", {**SETS, "map": EACH}),
    ("map", {**ASKS, "map": EACH}),
    ("map", {**GROUP, "map": EACH}),
    ("map", {**SETS, "map": EACH, "repeat": LOOP}),
    ("map", {**CALLS, "map": EACH}),
    ("map", {**SETS, **LIMITED, "map": EACH}),
    ("repeat", {**SETS, "repeat": LOOP}),
    ("repeat", {**ASKS, "repeat": LOOP}),
    ("repeat", {**GROUP, "repeat": LOOP}),
    ("repeat", {**SETS, "wait_for_callback": {}, "repeat": LOOP}),
    ("group", GROUP),
    ("workflow", CALLS),
    ("workflow", APART),
    ("wait", {"handler": "wait", "config": {"seconds": 1}}),
    ("signal", {"handler": "signal", "config": {}}),
    ("approval", ASKS),
    ("approval", {**ASKS, "retry": {"max_attempts": 2, "only": ["all"]}}),
    ("callback", {**SETS, "wait_for_callback": {}}),
]


def plan_of(node: dict[str, Any]) -> Plan:
    """The plan of a workflow of this node, as it comes back from Redis."""
    plan = accepted(workflow({"id": "it", **node})).plan
    assert plan is not None
    return decode_plan(encode_plan(plan))


def test_a_kind_follows_from_the_plan() -> None:
    """Each case has the one that its document means."""
    wrong = [
        (fields, wanted, kind)
        for wanted, fields in CASES
        if (kind := kind_of(plan_of(fields).policy(0))) != wanted
    ]
    assert not wrong


def test_every_kind_has_its_sentence_and_a_case() -> None:
    """In one order."""
    assert tuple(NODE_KINDS) == get_args(NodeKind)
    assert {wanted for wanted, _ in CASES} == set(NODE_KINDS)


@pytest.mark.parametrize("wanted", ["repeat", "approval"])
def test_what_runs_apart_is_a_kind_by_itself(wanted: NodeKind) -> None:
    """Each item of a map of a node that asks again and again repeats; each iteration of it asks."""
    plan = plan_of({**ASKS, "map": EACH, "repeat": LOOP})
    assert kind_of(plan.policy(0)) == "map"
    assert kind_of(plan.group_at((0,) if wanted == "repeat" else (0, 0)).policy(0)) == wanted
