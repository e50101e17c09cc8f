"""Nodes that wait and repeat: how they are compiled, and what their templates read."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.plugin import AnyObject, Context, Registry, Wait, handler
from flowengine.plugin.registry import marked
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.validation import check_document
from tests.support.documents import checked, only, workflow

DONE = {"until": "{{ ask.result.done }}"}


def loop(**fields: Any) -> dict[str, Any]:
    """A signal that is asked for again and again."""
    return {"id": "ask", "handler": "signal", "config": {}, "repeat": DONE, **fields}


def plan_of(*nodes: dict[str, Any]) -> Plan:
    """The plan of a right workflow."""
    found = checked(workflow(*nodes))
    assert found.plan is not None, found.problems
    return found.plan


WAITING: list[dict[str, Any]] = [
    {"handler": "wait", "config": {"seconds": 1}, "repeat": {"until": "{{ iteration == 3 }}"}},
    {"handler": "signal", "config": {"prompt": "{{ iteration }}, {{ previous | default('') }}"}},
    {"handler": "approval", "config": {"prompt": "?"}, "repeat": {"until": "{{ ask.result.approved }}"}},
    {"handler": "set", "config": {"value": 1}, "wait_for_callback": {}},
]


@pytest.mark.parametrize("fields", WAITING, ids=["wait", "signal", "approval", "callback"])
def test_such_a_node_becomes_a_group_that_repeats_and_holds_it_alone(fields: dict[str, Any]) -> None:
    """It shows the handler of the node. What an iteration says is inside, what the node says outside."""
    first = {"id": "first", "handler": "set", "config": {"value": 1}}
    more = {"dependencies": ["first"], "on_error": "continue", "when": "{{ first.result == 1 }}"}
    plan = plan_of(first, loop(**more, **fields, retry={"max_attempts": 2, "only": ["all"]}))
    outer, policy = plan.nodes[1], plan.policy(1)
    assert outer.work.handler == fields["handler"]
    assert (policy.when, policy.tolerates, policy.repeat is not None) == (more["when"], True, True)
    assert (policy.waits, policy.map, policy.retry) == (None, None, None)
    assert policy.group is not None
    assert policy.group.sole
    assert 1 not in plan.waiting
    inner = plan.group_at((1,))
    assert [(node.id, node.parents) for node in inner.nodes] == [("ask", ())]
    inside = inner.policy(0)
    assert (inside.when, inside.tolerates, inside.repeat) == (None, False, None)
    assert inside.waits is not None
    assert inside.retry is not None
    assert decode_plan(encode_plan(plan)).group_at((1,)) == inner


def test_what_iterations_read_of_each_other_is_kept() -> None:
    """Where the config reads it."""
    reads = plan_of(loop(config={"prompt": "{{ previous | default('') }}"}))
    plain = plan_of(loop())
    kept = [plan.policy(0).repeat for plan in (reads, plain)]
    assert [each is not None and each.keeps for each in kept] == [True, False]


def test_a_map_is_outside_and_the_repetition_inside() -> None:
    """Each item repeats in a child of its own, and waits in a child of that."""
    plan = plan_of(loop(map={"items": [1, 2]}, config={"prompt": "{{ item }} {{ iteration }}"}))
    assert plan.policy(0).map is not None
    item = plan.group_at((0,))
    assert item.policy(0).repeat is not None
    iteration = plan.group_at((0, 0))
    assert iteration.policy(0).waits is not None
    assert [node.id for node in (*item.nodes, *iteration.nodes)] == ["ask", "ask"]


def test_what_it_gives_is_known_as_without_a_repetition() -> None:
    """With the number of iterations; with `collect`, the list of the results."""
    show: dict[str, Any] = {"id": "show", "handler": "set", "dependencies": ["ask"]}
    fine = {"value": "{{ ask.result.x }} {{ ask.timed_out }} {{ ask.iterations }}"}
    plan_of(loop(), {**show, "config": fine})
    wrong = only(checked(workflow(loop(), {**show, "config": {"value": "{{ ask.iteration }}"}})))
    assert (wrong.code, wrong.pointer) == ("unknown_field", "/nodes/1/config/value")
    told = {
        "handler": "set",
        "config": {"value": 1},
        "wait_for_callback": {},
        "repeat": {"until": "{{ true }}"},
    }
    plan_of(loop(**told), {**show, "config": {"value": "{{ ask.response.result }} {{ ask.iterations }}"}})


def test_a_limit_without_a_key_is_that_of_the_node() -> None:
    """Of all its iterations, in all executions."""
    told = {"handler": "set", "config": {"value": 1}, "wait_for_callback": {}}
    limits = {"concurrency": {"limit": 1}, "rate_limit": {"limit": 1, "per_seconds": 1}}
    inner = plan_of(loop(**told, **limits)).group_at((0,)).policy(0)
    assert inner.concurrency is not None
    assert inner.rate_limit is not None
    assert inner.concurrency.place == inner.rate_limit.place == "test\task"


@handler("hears", signals=["paid"])
def hears(config: AnyObject, context: Context) -> Wait:
    """Waits for a signal."""
    return Wait()


@pytest.mark.parametrize("more", [{}, {"repeat": DONE}, {"map": {"items": [1]}}])
def test_a_handler_that_waits_repeats_and_runs_for_items(more: dict[str, Any]) -> None:
    """As one that the document says of."""
    registry, hearing = Registry(), marked(hears)
    assert hearing is not None
    registry.add(hearing)
    node = {"id": "ask", "handler": "hears", "config": {}, **more}
    found = check_document({"name": "Test", "nodes": [node]}, registry, Limits())
    assert found.plan is not None, found.problems
    assert (found.plan.policy(0).group is not None) == bool(more)


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"repeat": {}}, "missing_field", "/repeat/until"),
        ({"repeat": {"until": "{{ nope.result }}"}}, "unknown_node_reference", "/repeat/until"),
        ({"config": {"prompt": "{{ ask.result }}"}}, "not_an_ancestor", "/config/prompt"),
        ({"config": {"prompt": "{{ nope.result }}"}}, "unknown_node_reference", "/config/prompt"),
        ({"when": "{{ iteration == 1 }}"}, "unknown_node_reference", "/when"),
        ({"output_schema": {}}, "not_with_wait", "/output_schema"),
    ],
)
def test_each_problem_is_told_once_and_at_its_place(fields: dict[str, Any], code: str, pointer: str) -> None:
    """As of any node."""
    problem = only(checked(workflow(loop(**fields))))
    assert (problem.code, problem.pointer) == (code, f"/nodes/0{pointer}"), problem
