"""`on_failure`, `finally`, `hooks_timeout_seconds` and `outputs` of a document."""

from __future__ import annotations

import re

import jsonschema_rs
import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.inputs.beginning import begin
from flowengine.workflow.inputs.values import Occasion
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.schema import document_schema
from flowengine.workflow.stages import MAIN_ONLY, OUTPUTS_NODE, Stages
from tests.support.documents import accepted, catalog, checked, node, only, workflow

A = node("a")


def giving(name: str, said: str, *dependencies: str, **fields: JsonValue) -> JsonObject:
    """A node whose template reads something."""
    config: JsonValue = {"value": said}
    return {"id": name, "handler": "set", "config": config, "dependencies": [*dependencies], **fields}


def finally_(*nodes: JsonValue) -> JsonObject:
    """The field of a document."""
    return {"finally": list(nodes)}


def plan_of(*nodes: JsonValue, **fields: JsonValue) -> Plan:
    """The plan of a right document."""
    plan = accepted(workflow(*nodes, **fields)).plan
    assert plan is not None
    return plan


def warned(*nodes: JsonValue, **fields: JsonValue) -> set[str]:
    """The places that are warned of."""
    found = accepted(workflow(*nodes, **fields)).warnings
    assert {warning.code for warning in found} <= {"may_be_missing"}
    return {warning.pointer for warning in found}


def test_the_nodes_of_all_stages_stand_in_one_plan() -> None:
    """One stage after the other; the main ones have what they had."""
    plan = plan_of(
        A,
        node("b", "a"),
        **finally_(node("z")),
        on_failure=[node("f"), node("g", "f")],
        outputs={"one": "{{ a.result }}"},
        hooks_timeout_seconds=1.5,
    )
    assert [one.id for one in plan.nodes] == ["a", "b", OUTPUTS_NODE, "f", "g", "z"]
    assert plan.stages == Stages(1, 2, 1, 1500)
    assert (plan.main, plan.roots, plan.roots_of("on_failure")) == (range(2), (0,), (3,))
    assert plan.names("outputs") == [OUTPUTS_NODE]
    assert plan.nodes[4].parents == (3,)
    assert plan.nodes[2].work.reads == (0,)
    assert decode_plan(encode_plan(plan)) == plan


@pytest.mark.parametrize("empty", [None, []])
def test_a_document_without_hooks_is_what_it_was(empty: JsonValue) -> None:
    """Byte for byte, also where it says so."""
    plain = plan_of(A)
    said = plan_of(A, on_failure=empty, **{"finally": empty}, outputs=None, hooks_timeout_seconds=None)
    assert said.stages == plain.stages == MAIN_ONLY
    assert encode_plan(said) == encode_plan(plain)


def test_outputs_may_be_empty() -> None:
    """They are computed: an object without fields."""
    plan = plan_of(A, outputs={})
    assert msgspec.json.decode(plan.nodes[1].work.config) == {"value": {}}


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"on_failure": {}}, "wrong_type", "/on_failure"),
        ({"finally": ["x"]}, "wrong_type", "/finally/0"),
        ({"finally": [{"id": "z"}]}, "missing_field", "/finally/0/handler"),
        ({"finally": [node("a")]}, "duplicate_id", "/finally/0/id"),
        ({"finally": [node("z", nedes=[])]}, "unknown_field", "/finally/0/nedes"),
        ({"outputs": [1]}, "wrong_type", "/outputs"),
        ({"outputs": {"": 1}}, "invalid_name", "/outputs/"),
        ({"outputs": {"x\n": 1}}, "invalid_name", "/outputs/x\n"),
        ({"outputs": {"x": "{{ no.result }}"}}, "unknown_node_reference", "/outputs/x"),
        ({"outputs": {"x": ["{{ secrets.KEY }}"]}}, "secret_not_allowed", "/outputs/x/0"),
        ({"hooks_timeout_seconds": 0}, "out_of_range", "/hooks_timeout_seconds"),
        ({"hooks_timeout_seconds": "1"}, "wrong_type", "/hooks_timeout_seconds"),
        ({"finally": [{"id": "z", "handler": "end"}]}, "not_in_hooks", "/finally/0/handler"),
    ],
)
def test_what_is_wrong_with_hooks_and_outputs_is_told_in_its_place(
    fields: JsonObject, code: str, pointer: str
) -> None:
    """As of main nodes."""
    problem = only(checked(workflow(A, **fields)))
    assert (problem.code, problem.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"finally": [node("z", "a")]}, "'a' is in 'nodes'.*its templates may read them"),
        ({"finally": [node("z", "f")], "on_failure": [node("f")]}, "'f' is in 'on_failure'.*may read them"),
        ({"on_failure": [node("f", "z")], "finally": [node("z")]}, "'z' is in 'finally'.*these run later"),
    ],
)
def test_nodes_depend_on_nodes_of_their_own_list(fields: JsonObject, says: str) -> None:
    """The lists run one after the other anyhow."""
    problem = only(checked(workflow(A, **fields)))
    assert problem.code == "dependency_of_another_list"
    assert re.search(says, problem.message)


@pytest.mark.parametrize(
    "document",
    [
        workflow(giving("a", "{{ z.result }}"), **finally_(node("z"))),
        workflow(A, on_failure=[giving("f", "{{ z.result }}")], **finally_(node("z"))),
        workflow(A, outputs={"x": "{{ z.result }}"}, **finally_(node("z"))),
    ],
)
def test_what_runs_later_cannot_be_read(document: JsonObject) -> None:
    """The message says that it is a hook."""
    problem = only(checked(document))
    assert problem.code == "not_an_ancestor"
    assert "it is a hook" in problem.message


def test_hooks_read_every_main_node_and_finally_those_of_failures() -> None:
    """Also as a whole, in `statuses` and `errors`."""
    plan = plan_of(
        A,
        node("b"),
        on_failure=[giving("f", "{{ a.result | default(0) }} {{ statuses.b }}")],
        **finally_(giving("z", "{{ f.result | default(0) }} {{ errors | length }}")),
    )
    assert plan.nodes[2].work.reads == (0,)
    assert plan.policy(2).sees == (0, 1)
    assert plan.nodes[3].work.reads == (2,)
    assert plan.policy(3).sees == (0, 1, 2)


def test_a_hook_is_warned_that_what_it_reads_may_be_missing() -> None:
    """Of a main node always; of a hook that it depends on not."""
    hooks = [
        giving("y", "{{ a.result }}"),
        giving("z", "{{ y.result }} {{ a.result | default(1) }}", "y"),
    ]
    assert warned(A, **finally_(*hooks)) == {"/finally/0/config/value"}


CONDITIONAL = node("b", "a", when="{{ a.result == 1 }}")


@pytest.mark.parametrize(
    ("nodes", "read", "is_warned"),
    [
        ([A, node("b", "a")], "b", False),
        ([A, CONDITIONAL], "a", False),
        ([A, CONDITIONAL], "b", True),
        ([A, CONDITIONAL, node("c", "b")], "c", True),
        ([A, CONDITIONAL, node("c", "a", "b", trigger_rule="none_failed")], "c", False),
        ([A, CONDITIONAL, node("c", "a", "b", trigger_rule="one_success")], "c", False),
        ([A, CONDITIONAL, node("c", "b", trigger_rule="one_success")], "c", True),
        ([A, node("b", on_error="continue")], "b", True),
        ([A, node("b", "a", trigger_rule="one_failed")], "b", True),
        ([A, {"id": "e", "handler": "end", "dependencies": ["a"]}, node("b", "a")], "b", True),
        ([A, {"id": "e", "handler": "end", "dependencies": ["a"]}, node("b", "a")], "a", False),
        (
            [A, {"id": "e", "handler": "end", "config": {"outputs": {}}}, node("b", "a")],
            "b",
            False,
        ),
    ],
)
def test_outputs_are_warned_of_what_a_completed_execution_may_lack(
    nodes: list[JsonObject], read: str, is_warned: bool
) -> None:
    """What is skipped, or fails tolerated, or had not run when an `end` came."""
    places = warned(*nodes, outputs={"x": f"{{{{ {read}.result }}}}"})
    assert places == ({"/outputs/x"} if is_warned else set())


@pytest.mark.parametrize("field", ["status", "error", "failed_nodes", "counts"])
def test_only_hooks_read_how_the_execution_has_ended(field: str) -> None:
    """It is not known before."""
    said = f"{{{{ execution.{field} }}}}"
    plan = plan_of(A, **finally_(giving("z", said)))
    assert plan.policy(1).given == ("execution", "outcome")
    for document in (workflow(giving("a", said)), workflow(A, outputs={"x": said})):
        problem = only(checked(document))
        assert problem.code == "unknown_field"
        assert "'on_failure' and 'finally'" in problem.message
    assert checked(workflow(A, vars={"x": said})).problems


def test_the_condition_of_a_hook_that_reads_how_the_execution_ended_is_not_asked_at_its_trigger() -> None:
    """Nor one that a default would make true there. What reads inputs alone is."""
    plan = plan_of(
        A,
        inputs={"n": {"type": "integer", "default": 1}},
        **finally_(
            node("x", when="{{ execution.status == 'failed' }}"),
            node("y", when="{{ execution.status | default('failed') == 'failed' }}"),
            node("z", when="{{ inputs.n == 2 }}"),
        ),
    )
    fields: dict[str, JsonValue] = {"id": "i", "name": "n", "run": 1}
    assert begin(plan, {}, Occasion(fields, 0)).conditions == {"z": False}


def test_hooks_count_to_the_nodes_of_a_document() -> None:
    """And the message says so."""
    limits = Limits(max_nodes=2)
    assert checked(workflow(A, on_failure=[node("f")]), limits).plan is not None
    problem = only(checked(workflow(A, on_failure=[node("f")], **finally_(node("z"))), limits))
    assert problem.code == "too_many_nodes"
    assert "3 nodes, those of hooks and groups among them" in problem.message


def test_the_schema_for_editors_knows_hooks_and_outputs() -> None:
    """It takes what is right, and no hook that is wrong."""
    validator = jsonschema_rs.validator_for(document_schema(catalog()))
    right = workflow(A, **finally_(node("z")), outputs={"x": 1}, hooks_timeout_seconds=5)
    assert validator.is_valid(right)
    assert not validator.is_valid(workflow(A, **finally_({"id": "z"})))
    assert not validator.is_valid(workflow(A, outputs=[1]))
    assert not validator.is_valid(workflow(A, hooks_timeout_seconds=0))
