"""Other inputs for an execution that has run: which nodes read them, and which vars are made anew."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.beginning import VarsInvalidError, begin
from flowengine.workflow.inputs.changing import Changed, change
from flowengine.workflow.inputs.values import InputsInvalidError, Occasion
from flowengine.workflow.plan import Plan
from tests.support.documents import accepted, node, reading, workflow

THEN, NOW = Occasion({"run": 1}, 1_000), Occasion({"run": 2}, 2_000)


def plan_of(*nodes: JsonValue, **document: JsonValue) -> Plan:
    """The plan of a document with these nodes."""
    plan = accepted(workflow(*nodes, **document)).plan
    assert plan is not None
    return plan


def changed(plan: Plan, given: dict[str, JsonValue], patch: dict[str, JsonValue]) -> Changed:
    """What a patch changes in an execution that was given this."""
    begun = begin(plan, given, THEN)
    return change(plan, begun.inputs, begun.vars, patch, NOW)


INPUTS: JsonValue = {
    "day": {"type": "string"},
    "size": {"type": "number", "default": 5},
    "key": {"type": "string", "secret": True, "required": False},
}
VARS: JsonValue = {"base": "of {{ inputs.day }}", "path": "{{ vars.base }}/x", "other": "{{ execution.run }}"}
GIVEN: dict[str, JsonValue] = {"day": "mon"}


@pytest.mark.parametrize(
    ("reads", "found"),
    [
        ("{{ inputs.day }}", True),
        ("{{ inputs.size }}", False),
        ("{{ vars.path }}", True),
        ("{{ vars.other }}", False),
        ("{{ execution.id }}", False),
        ("plain", False),
    ],
)
def test_a_node_reads_what_has_changed_directly_or_through_vars(reads: str, found: bool) -> None:
    """And no other node begins again."""
    plan = plan_of(reading("a", reads), inputs=INPUTS, vars=VARS)
    assert changed(plan, GIVEN, {"day": "tue"}).readers == (("a",) if found else ())


def test_the_list_of_a_map_reads_as_configs_do() -> None:
    """Also what names its items, and bounds them."""
    patch: dict[str, JsonValue] = {"day": "tue"}
    lists: list[JsonValue] = [{"items": "{{ [inputs.day] }}"}, {"items": [1], "key": "{{ inputs.day }}"}]
    for said in lists:
        plan = plan_of(node("a", map=said), inputs=INPUTS)
        assert changed(plan, GIVEN, patch).readers == ("a",)


def test_conditions_read_as_configs_do() -> None:
    """`when`, and the `when` of `retry`."""
    plan = plan_of(
        node("a", when="{{ inputs.day == 'mon' }}"),
        node("b", retry={"when": "{{ inputs.day == 'mon' }}"}),
        node("c"),
        inputs=INPUTS,
    )
    assert changed(plan, GIVEN, {"day": "tue"}).readers == ("a", "b")


def test_all_inputs_read_whole_are_read() -> None:
    """Where the document declares none."""
    assert changed(plan_of(reading("a", "{{ inputs }}")), GIVEN, {"new": 1}).readers == ("a",)


def test_the_same_value_changes_nothing() -> None:
    """Another type is another value."""
    plan = plan_of(reading("a", "{{ inputs.n }}"))
    assert changed(plan, {"n": 1}, {"n": 1}).readers == ()
    assert changed(plan, {"n": 1}, {"n": True}).readers == ("a",)


def test_a_var_that_reads_a_secret_is_read_through_too() -> None:
    """Though it is not stored."""
    plan = plan_of(
        node(
            "a",
            handler="http_request",
            config={"url": "http://x.example", "headers": {"A": "{{ vars.key }}"}},
        ),
        inputs=INPUTS,
        vars={"key": "{{ inputs.day }} {{ secrets.KEY }}"},
    )
    found = changed(plan, GIVEN, {"day": "tue"})
    assert (found.readers, found.vars) == (("a",), {})


def test_only_vars_that_read_what_has_changed_are_made_anew() -> None:
    """What stays was made of the others."""
    plan = plan_of(
        node("a"),
        inputs=INPUTS,
        vars={
            "base": "of {{ inputs.day }}",
            "at": "{{ execution.run }}",
            "all": "{{ vars.base }} {{ vars.at }}",
        },
    )
    before = begin(plan, GIVEN, THEN).vars
    found = change(plan, GIVEN, before, {"day": "tue"}, NOW).vars
    assert found == {"base": "of tue", "at": 1, "all": "of tue 1"}


def test_inputs_that_a_default_gave_stay() -> None:
    """The others too."""
    assert changed(plan_of(node("a"), inputs=INPUTS), GIVEN, {"day": "tue"}).inputs == {
        "day": "tue",
        "size": 5,
    }


@pytest.mark.parametrize(
    ("patch", "code"),
    [({"dya": "x"}, "unknown_input"), ({"day": 5}, "invalid_input"), ({"key": "x"}, "invalid_input")],
)
def test_a_patch_that_does_not_fit_is_refused(patch: dict[str, JsonValue], code: str) -> None:
    """As at the trigger, with its place."""
    with pytest.raises(InputsInvalidError) as refused:
        changed(plan_of(node("a"), inputs=INPUTS), GIVEN, patch)
    (problem,) = refused.value.problems
    assert (problem.code, problem.pointer) == (code, f"/inputs/{next(iter(patch))}")


def test_a_var_that_cannot_be_made_anew_is_refused() -> None:
    """With its place."""
    plan = plan_of(node("a"), vars={"v": "{{ inputs.n.deep }}"})
    with pytest.raises(VarsInvalidError) as refused:
        changed(plan, {"n": {"deep": 1}}, {"n": 1})
    assert refused.value.problems[0].pointer == "/vars/v"
