"""What the validator says of nodes that run definitions."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.handlers.loading import load_registry
from flowengine.settings import Limits
from flowengine.workflow.children.called import Calls
from flowengine.workflow.validation import Checked, check_document

ASKED: dict[str, Any] = {
    "map": {"items": [1]},
    "repeat": {"until": "{{ true }}"},
    "wait_for_callback": {},
    "cache": {"ttl_seconds": 60},
}


def checked(**more: Any) -> Checked:
    """What is said of a workflow with one such node, behind one that gives a number."""
    first = {"id": "a", "handler": "set", "config": {"value": 1}}
    config = {"name": "load", **more.pop("config", {})}
    node = {"id": "call", "handler": "workflow", "config": config, "dependencies": ["a"], **more}
    document: Any = {"name": "x", "defaults": {"node": {"timeout_seconds": 9}}, "nodes": [first, node]}
    return check_document(document, load_registry(()), Limits())


def codes(found: Checked) -> list[tuple[str, str]]:
    """Its problems, each with its place."""
    return [(problem.code, problem.pointer) for problem in found.problems]


def test_its_output_schema_is_of_the_outputs() -> None:
    """What reads the node is checked by it."""
    schema = {"type": "object", "properties": {"sum": {}}, "additionalProperties": False}
    plan = checked(output_schema=schema).plan
    assert plan
    assert plan.policy(1).output_schema
    found = checked(output_schema=schema, repeat={"until": "{{ call.result.some }}"})
    assert codes(found) == [("unknown_field", "/nodes/1/repeat/until")]


@pytest.mark.parametrize("more", [{}, {"map": {"items": [1]}}, {"repeat": {"until": "{{ true }}"}}])
def test_without_outputs_there_is_no_output_schema(more: dict[str, Any]) -> None:
    """With `wait: false` the node gives an id, whether the node says so or the defaults."""
    said: dict[str, Any] = {"output_schema": {}, **more}
    wanted = [("not_without_wait", "/nodes/1/output_schema")]
    assert codes(checked(config={"wait": False}, **said)) == wanted
    assert not codes(checked(config={"wait": True}, **said))
    assert not codes(checked(config={"wait": "{{ a.result == 1 }}"}, **said))
    assert not codes(checked(config={"wait": False}, **{**said, "output_schema": None}))
    defaults = {"config": {"workflow": {"wait": False}}}
    node = {"id": "call", "handler": "workflow", "config": {"name": "load"}, **said}
    document: Any = {"name": "x", "defaults": defaults, "nodes": [{"id": "a", "handler": "set"}, node]}
    assert codes(check_document(document, load_registry(()), Limits())) == wanted


def test_in_a_map_or_a_repetition_the_schema_is_that_of_one_execution() -> None:
    """It stands at the node that runs in each."""
    for more in ({"map": {"items": [1]}}, {"repeat": {"until": "{{ true }}"}}):
        plan = checked(output_schema={"type": "object"}, **more).plan
        assert plan
        assert plan.policy(1).output_schema is None
        assert plan.group_at((1,)).policy(0).output_schema == '{"type":"object"}'


@pytest.mark.parametrize(
    ("field", "code"), [("wait_for_callback", "not_with_callback"), ("cache", "not_with_cache")]
)
def test_what_such_a_node_never_has_is_refused_for_good(field: str, code: str) -> None:
    """It ends with its child, and what a child has done is done for its execution alone. Said once."""
    assert codes(checked(**{field: ASKED[field]})) == [(code, f"/nodes/1/{field}")]


def test_each_of_its_iterations_runs_as_an_execution_of_the_node() -> None:
    """It has the time, the retry and the inputs; the node outside the repetition."""
    call = {
        "timeout_seconds": 60,
        "retry": {"max_attempts": 2},
        "config": {"inputs": {"n": "{{ iteration }}"}},
    }
    found = checked(repeat={"until": "{{ call.result.done }}"}, when="{{ a.result }}", **call)
    assert found.plan is not None, found.problems
    outside = found.plan.policy(1)
    assert outside.repeat is not None
    assert (outside.calls, outside.retry, outside.when) == (None, None, "{{ a.result }}")
    assert outside.group is not None
    (inside,) = found.plan.group_at((1,)).nodes
    policy = found.plan.group_at((1,)).policy(0)
    assert (inside.id, policy.calls, policy.repeat, policy.when) == ("call", Calls(60_000), None, None)
    assert policy.retry is not None


def test_it_may_have_limits() -> None:
    """With a key that reads nodes."""
    limits = {
        "concurrency": {"limit": 1, "key": "{{ a.result }}"},
        "rate_limit": {"limit": 1, "per_seconds": 1},
    }
    plan = checked(**limits).plan
    assert plan
    assert plan.limited == {1}
    assert plan.policy(1).late_keys


@pytest.mark.parametrize(
    ("more", "wanted"),
    [({}, Calls()), ({"timeout_seconds": 86_400}, Calls(86_400_000)), ({"timeout_seconds": 0.5}, None)],
)
def test_it_has_the_time_that_it_names(more: dict[str, Any], wanted: Calls | None) -> None:
    """Up to 30 days, and none of the defaults."""
    found = checked(**more)
    if wanted is None:
        assert codes(found) == [("out_of_range", "/nodes/1/timeout_seconds")]
    else:
        assert found.plan is not None
        assert found.plan.policy(1).calls == wanted
        assert found.plan.nests


@pytest.mark.parametrize(
    ("config", "code", "place"),
    [
        ({"vesion": 1}, "unknown_field", "vesion"),
        ({"version": 0}, "invalid_config", "version"),
        ({"inputs": [1]}, "invalid_config", "inputs"),
        ({"wait": "no"}, "invalid_config", "wait"),
        ({"name": "{{ secrets.NAME }}"}, "secret_not_allowed", "name"),
    ],
)
def test_a_wrong_config_is_refused_with_its_place(config: dict[str, Any], code: str, place: str) -> None:
    """As of any handler."""
    assert codes(checked(config=config)) == [(code, f"/nodes/1/config/{place}")]


def test_a_name_without_a_template_is_told_to_who_knows_definitions() -> None:
    """One with a template is known when it runs."""
    (named,) = checked().calls
    assert (named.name, named.code, named.pointer) == ("load", "unknown_definition", "/nodes/1/config/name")
    assert checked(config={"name": "load-{{ a.result }}"}).calls == ()
