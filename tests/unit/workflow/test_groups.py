"""Groups in documents: what is read of them, and where a problem is told."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from flowengine.jsonvalue import decode
from flowengine.settings import Limits
from flowengine.workflow.children.group import GROUP, Outer
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.schema import document_schema
from tests.support.documents import catalog, checked, node, only, workflow

OF_X: dict[str, Any] = {
    "properties": {"x": {"type": "object", "properties": {"y": {}}, "additionalProperties": False}}
}


def group(name: str, *nodes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A group of these nodes."""
    return {"id": name, "nodes": list(nodes), **fields}


def says(name: str, value: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A node whose result is this."""
    return {"id": name, "handler": "set", "config": {"value": value}, "dependencies": list(after), **fields}


def plan_of(*nodes: dict[str, Any], **fields: Any) -> Plan:
    """The plan of a right workflow."""
    found = checked(workflow(*nodes, **fields))
    assert found.plan is not None, found.problems
    return found.plan


def test_what_gives_the_outputs_of_a_group_has_its_schema() -> None:
    """What computes them, and an `end` in it that says them; no node beside these."""
    end = {"id": "e", "handler": "end", "config": {"status": "completed"}}
    told = {**end, "id": "f", "config": {"status": "completed", "outputs": {"x": 1}}}
    plan = plan_of(group("g", says("a", "x"), end, told, outputs={"x": 1}, output_schema=OF_X))
    assert plan.policy(0).output_schema is None
    inner = plan.group_at((0,))
    have = [inner.policy(at).output_schema is not None for at in range(len(inner.nodes))]
    assert have == [False, False, True, True]
    assert not checked(workflow(group("g", node("a"), outputs={"x": 1}, output_schema=None))).problems


def test_an_end_in_a_group_keeps_the_schema_that_it_says_itself() -> None:
    """What it gives must be what both say; references lead to where each stands now."""
    own: dict[str, Any] = {
        "$defs": {"n/x": {}},
        "properties": {"x": {"$ref": "#/$defs/n~1x"}, "y": {"$ref": "#"}},
    }
    end = {"id": "e", "handler": "end", "config": {"status": "completed", "outputs": {"x": 1}}}
    plan = plan_of(group("g", node("a"), {**end, "output_schema": own}, outputs={"x": 1}, output_schema=OF_X))
    moved = {"x": {"$ref": "#/allOf/0/$defs/n~1x"}, "y": {"$ref": "#/allOf/0"}}
    said = plan.group_at((0,)).policy(1).output_schema
    assert said is not None
    assert decode(said.encode()) == {"allOf": [{**own, "properties": moved}, OF_X]}


def test_a_group_is_a_node_with_a_plan_of_its_own() -> None:
    """It is stored in the node's policy, and read when a child needs it."""
    plan = plan_of(says("a", "x"), group("g", says("b", "{{ a.result }}"), dependencies=["a"]))
    assert plan.nests
    assert plan.nodes[1].work.handler == GROUP
    inner = plan.group_at((1,))
    assert [each.id for each in inner.nodes] == ["b"]
    assert inner.policy(0).outer == (Outer(1, "a", "result", True, False),)
    assert plan.policy(1).sees == (0,)
    assert decode_plan(encode_plan(plan)).group_at((1,)) == inner


def test_a_plan_without_groups_says_nothing_of_them() -> None:
    """Nothing of what is stored grows."""
    plan = plan_of(says("a", "x"))
    assert not plan.nests
    assert encode_plan(plan).startswith(b"[2,")


def test_a_node_deep_inside_reads_all_that_is_around() -> None:
    """Each read says how many executions up the node lies."""
    deep = group("h", says("c", "{{ a.result }} {{ b.result }}"), dependencies=["b"])
    plan = plan_of(says("a", "x"), group("g", says("b", "y"), deep, dependencies=["a"]))
    inner = plan.group_at((1, 1))
    assert inner.policy(0).outer == (
        Outer(1, "b", "result", True, False),
        Outer(2, "a", "result", True, False),
    )
    assert plan.group_at((1,)).policy(1).outer == (Outer(1, "a", "result", False, True),)


def test_outputs_and_fields_of_a_group_are_in_its_plan() -> None:
    """Its time, whether the first failure stops it, and what it gives."""
    fields = {"outputs": {"x": "{{ b.result }}"}, "timeout_seconds": 90_000, "on_node_failure": "stop"}
    inner = plan_of(group("g", says("b", "y"), **fields)).group_at((0,))
    assert (inner.overall.timeout_ms, inner.overall.stops_on_failure) == (90_000_000, True)
    assert inner.stages.outputs == 1


def test_what_is_given_reaches_the_group_itself() -> None:
    """A rerun with other inputs begins it anew."""
    inputs = {"day": {"type": "string"}}
    plan = plan_of(group("g", says("b", "{{ inputs.day }}")), inputs=inputs)
    assert plan.policy(0).given == ("inputs",)
    assert plan.group_at((0,)).policy(0).given == ("inputs",)


@pytest.mark.parametrize(
    ("nodes", "code", "pointer", "said"),
    [
        ([group("g")], "empty_group", "/nodes/0/nodes", "at least one node"),
        ([{"id": "g", "nodes": 3}], "wrong_type", "/nodes/0/nodes", "must be a list"),
        (
            [group("g", node("a"), handler="set")],
            "handler_and_nodes",
            "/nodes/0/nodes",
            "take one of them out",
        ),
        ([node("a", outputs={})], "handler_and_nodes", "/nodes/0/outputs", "a field of the workflow and of"),
        ([group("g", node("a"), config={})], "unknown_field", "/nodes/0/config", "unknown field 'config'"),
        (
            [group("g", node("a"), output_schema={})],
            "missing_field",
            "/nodes/0/outputs",
            "this one has none: add them",
        ),
        (
            [group("g", node("a"), outputs={"x": 1}, output_schema=3)],
            "wrong_type",
            "/nodes/0/output_schema",
            "is a JSON Schema",
        ),
        (
            [
                group("g", node("a"), outputs={"x": 1}, output_schema=OF_X),
                says("c", "{{ g.result.x.z }}", "g"),
            ],
            "unknown_field",
            "/nodes/1/config/value",
            "'z'",
        ),
        (
            [group("g", node("a"), outputs={"x": 1}), says("c", "{{ g.x }}", "g")],
            "unknown_field",
            "/nodes/1/config/value",
            "the output of 'g' (group) has no field 'x'. Its fields: result",
        ),
        (
            [group("g", node("a"), repeat={"until": "{{ g.iterations > 2 }}"})],
            "unknown_field",
            "/nodes/0/repeat/until",
            "has no field 'iterations'",
        ),
        ([group("g", node("a"), timeout_seconds=0)], "out_of_range", "/nodes/0/timeout_seconds", "is 1 to"),
        (
            [group("g", node("a"), on_node_failure="x")],
            "invalid_value",
            "/nodes/0/on_node_failure",
            "'finish'",
        ),
        ([group("g", node("a"), outputs=[])], "wrong_type", "/nodes/0/outputs", "is an object"),
        ([group("g", node("a", zz=1))], "unknown_field", "/nodes/0/nodes/0/zz", "unknown field 'zz'"),
        ([node("a"), group("g", node("a"))], "duplicate_id", "/nodes/1/nodes/0/id", "around the group 'g'"),
        ([group("g", node("g"))], "duplicate_id", "/nodes/0/nodes/0/id", "around the group 'g'"),
        (
            [group("g", node("a", dependencies=["b"])), node("b")],
            "unknown_dependency",
            "/nodes/0/nodes/0/dependencies/0",
            "no node has the id 'b'",
        ),
        (
            [says("a", "x"), group("g", says("b", "{{ a.result }}"))],
            "not_an_ancestor",
            "/nodes/1/nodes/0/config/value",
            "add it to the dependencies of the group",
        ),
        (
            [group("g", says("b", "y")), says("c", "{{ b.result }}", "g")],
            "unknown_node_reference",
            "/nodes/1/config/value",
            "'b', which is no node",
        ),
        (
            [group("g", says("b", "y"), outputs={"x": 1}), says("c", "{{ g.result.y }}", "g")],
            "unknown_field",
            "/nodes/1/config/value",
            "'y'",
        ),
        (
            [group("g", says("b", "{{ c.result }}"), says("c", "z"))],
            "not_an_ancestor",
            "/nodes/0/nodes/0/config/value",
            "add it to the dependencies of 'b'",
        ),
        (
            [group("g", says("b", "y"), outputs={"x": "{{ nope.result }}"})],
            "unknown_node_reference",
            "/nodes/0/outputs/x",
            "which is no node",
        ),
        ([group("g", node("a"), map={})], "missing_field", "/nodes/0/map/items", "what to map over"),
        (
            [group("g", node("a"), map={"items": [1], "as": "a"})],
            "hides_a_node",
            "/nodes/0/map/as",
            "would be called 'a', as a node is",
        ),
        (
            [group("g", group("h", node("b")), map={"items": [1], "as": "b"})],
            "hides_a_node",
            "/nodes/0/map/as",
            "would be called 'b', as a node is",
        ),
        (
            [group("g", says("b", "{{ row }}"), map={"items": [1]})],
            "unknown_node_reference",
            "/nodes/0/nodes/0/config/value",
            "'row', which is no node",
        ),
        (
            [group("g", node("b"), when="{{ item > 1 }}", map={"items": [1]})],
            "unknown_node_reference",
            "/nodes/0/when",
            "'item'",
        ),
        (
            [group("g", node("b"), map={"items": [1]}), says("c", "{{ item }}", "g")],
            "unknown_node_reference",
            "/nodes/1/config/value",
            "'item'",
        ),
        ([group("g", node("a"), repeat={})], "missing_field", "/nodes/0/repeat/until", "'until'"),
        (
            [group("g", node("a"), rate_limit={"key": "{{ b.result }}", "limit": 1, "per_seconds": 1})],
            "unknown_node_reference",
            "/nodes/0/rate_limit/key",
            "'b'",
        ),
    ],
)
def test_each_problem_is_told_at_its_place(
    nodes: list[dict[str, Any]], code: str, pointer: str, said: str
) -> None:
    """In the group, or in a node in it."""
    problem = only(checked(workflow(*nodes)))
    assert (problem.code, problem.pointer) == (code, pointer), problem
    assert said in problem.message, problem.message


def test_groups_side_by_side_may_use_the_same_ids() -> None:
    """None of them is around the other."""
    assert plan_of(group("g", node("a")), group("h", node("a"))).nests


def test_groups_are_nested_five_deep_at_most() -> None:
    """The sixth is refused at its place."""
    nested = node("a")
    for depth in range(5):
        nested = group(f"g{depth}", nested)
    assert checked(workflow(nested)).plan is not None
    problem = only(checked(workflow(group("g5", nested))))
    assert (problem.code, problem.pointer) == ("nested_too_deep", "/nodes/0" + "/nodes/0" * 5 + "/nodes")


def test_nodes_in_groups_count_to_those_of_the_workflow() -> None:
    """With the group itself."""
    limits = Limits(max_nodes=3)
    assert checked(workflow(group("g", node("a"), node("b"))), limits).plan is not None
    problem = only(checked(workflow(group("g", node("a"), node("b"), node("c"))), limits))
    assert (problem.code, problem.pointer) == ("too_many_nodes", "/nodes")


def test_hooks_in_groups_read_what_hooks_read() -> None:
    """And nothing of it stands open to groups among the main nodes."""
    inside = group("g", says("b", "{{ execution.status }}"))
    hooks: dict[str, Any] = {"finally": [inside]}
    found = checked(workflow(node("a"), **hooks))
    assert found.plan is not None, found.problems
    assert found.plan.group_at((1,)).policy(0).given == ("execution", "outcome")
    assert only(checked(workflow(inside))).code == "unknown_field"


def test_defaults_for_configs_hold_in_groups() -> None:
    """As for any node of that handler."""
    plan = plan_of(group("g", {"id": "a", "handler": "set"}), defaults={"config": {"set": {"x": 1}}})
    assert bytes(plan.group_at((0,)).nodes[0].work.config) == b'{"x":1}'


def test_what_may_be_missing_in_a_group_is_a_warning() -> None:
    """Where the group can run though what it reads has not completed."""
    inside = group("g", says("b", "{{ a.result }}"), dependencies=["a"], trigger_rule="all_done")
    (warning,) = checked(workflow(says("a", "x"), inside)).warnings
    assert (warning.code, warning.pointer) == ("may_be_missing", "/nodes/1/nodes/0/config/value")


def test_the_schema_for_editors_knows_groups() -> None:
    """What is right, and not what is wrong."""
    validator = jsonschema_rs.validator_for(document_schema(catalog()))
    right = group("g", node("a"), group("h", node("b")), outputs={"x": 1}, timeout_seconds=90_000)
    assert validator.is_valid(workflow(right))
    for wrong in (
        group("g"),
        group("g", node("a"), handler="set"),
        group("g", node("a"), config={}),
        group("g", {"id": "x"}),
        node("a", timeout_seconds=90_000),
    ):
        assert not validator.is_valid(workflow(wrong)), wrong


def test_nodes_in_a_group_read_the_items_around_them() -> None:
    """At any depth, in conditions and outputs too; the plan says which."""
    inner = group(
        "h",
        says("b", "{{ item.x + row_index }}"),
        map={"items": "{{ row.parts }}"},
        outputs={"key": "{{ row_key }}"},
    )
    outer = group("g", says("a", "{{ 1 }}", when="{{ row.on }}"), inner, map={"items": [], "as": "row"})
    found = checked(workflow(outer))
    assert found.plan is not None, found.problems
    around = found.plan.group_at((0,))
    inside = found.plan.group_at((0, 1))
    assert [around.policy(at).items for at in (0, 1)] == [("row",), ("row",)]
    assert [inside.policy(at).items for at in (0, 1)] == [("row", "item"), ("row",)]


def test_an_item_that_hides_that_of_a_map_around_is_a_warning() -> None:
    """The outer one cannot be read then."""
    inner = group("h", says("b", "{{ item }}"), map={"items": "{{ item }}"})
    found = checked(workflow(group("g", inner, map={"items": [[1]]})))
    assert [(each.code, each.pointer) for each in found.warnings] == [
        ("hides_an_item", "/nodes/0/nodes/0/map")
    ]
