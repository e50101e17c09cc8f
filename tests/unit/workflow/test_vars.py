"""`vars` of a document: what they may read, and what an execution begins with."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue, decode
from flowengine.workflow import Checked
from flowengine.workflow.inputs.beginning import Beginning, VarsInvalidError, begin, read_vars_of
from flowengine.workflow.inputs.declared import MAX_BYTES
from flowengine.workflow.inputs.values import Occasion
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.problems import Problem
from tests.support.documents import accepted, checked, codes, node, only, reading, workflow

OCCASION = Occasion({"id": "e1", "name": "test", "run": 1}, 1_772_366_400_000)
INPUTS: JsonValue = {
    "day": {"type": "string", "default": "2026-03-01"},
    "go": {"type": "boolean", "default": False},
    "token": {"type": "string", "secret": True, "required": False},
}
OPEN_INPUTS: JsonValue = {"day": {"type": "string", "default": "2026-03-01"}, "go": {"default": False}}


def document(*nodes: JsonValue, inputs: JsonValue = INPUTS, **variables: JsonValue) -> Checked:
    """What the validator says of a document with these vars."""
    return checked(workflow(*(nodes or (node("a"),)), inputs=inputs, vars=variables))


def wrong(*nodes: JsonValue, **variables: JsonValue) -> Problem:
    """Its one problem."""
    return only(document(*nodes, **variables))


def plan_of(*nodes: JsonValue, **variables: JsonValue) -> Plan:
    """The plan of a right one, stored and read again."""
    plan = document(*nodes, **variables).plan
    assert plan is not None
    return decode_plan(encode_plan(plan))


def begun(plan: Plan, **inputs: JsonValue) -> Beginning:
    """What an execution begins with."""
    return begin(plan, inputs, OCCASION)


def sends(value: JsonValue) -> JsonValue:
    """A node that sends a value to a service."""
    return {"id": "a", "handler": "http_request", "config": {"url": "http://x/", "headers": {"A": value}}}


def test_vars_are_made_of_inputs_the_execution_and_vars_above() -> None:
    """Whole expressions keep their type; what has no template stays as it is."""
    plan = plan_of(
        base="http://x/{{ inputs.day }}",
        url="{{ vars.base }}/y",
        list=["{{ execution.run }}", {"k": "{{ vars.url }}"}],
        plain={"n": [1, None]},
        today="{{ today() }}",
    )
    assert begun(plan).vars == {
        "base": "http://x/2026-03-01",
        "url": "http://x/2026-03-01/y",
        "list": [1, {"k": "http://x/2026-03-01/y"}],
        "plain": {"n": [1, None]},
        "today": "2026-03-01",
    }


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("{{ vars.below }}", "unknown_field"),
        ("{{ vars.x }}", "unknown_field"),
        ("{{ inputs.dya }}", "unknown_field"),
        ("{{ execution.nme }}", "unknown_field"),
        ("{{ inputs }}", "template_forbidden"),
        ("{{ vars }}", "template_forbidden"),
        ("{{ a.result }}", "unknown_node_reference"),
        ("{{ statuses.a }}", "unknown_node_reference"),
        ("{{ inputs.token | upper }}", "secret_not_allowed"),
        ("{{ secrets.A | upper }}", "secret_not_allowed"),
        ("{{ 1 + }}", "template_syntax"),
    ],
)
def test_a_var_reads_nothing_else(value: str, code: str) -> None:
    """In the order of the document, so that none can read itself."""
    problem = wrong(x=[value], below=1)
    assert (problem.code, problem.pointer) == (code, "/vars/x/0")


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ([], "wrong_type"),
        ({f"v{n}": n for n in range(201)}, "out_of_range"),
        ({"x": "y" * MAX_BYTES}, "vars_too_large"),
        ({"a b": 1}, "invalid_name"),
    ],
)
def test_what_are_no_vars_is_refused(variables: JsonValue, code: str) -> None:
    """With their place."""
    problem = only(checked(workflow(node("a"), vars=variables)))
    assert (problem.code, problem.pointer) == (code, "/vars/a b" if code == "invalid_name" else "/vars")


@pytest.mark.proves("vars-invalid")
@pytest.mark.parametrize(
    "value", ["{{ inputs.day.year }}", "{{ 1 // 0 }}", "{{ inputs.note.x }}", "{{ range(10000) | map('x') }}"]
)
def test_a_var_that_cannot_be_made_refuses_the_trigger(value: str) -> None:
    """As an input that does not fit does: nothing starts."""
    plan = accepted(workflow(node("a"), vars={"x": {"y": value}})).plan
    assert plan is not None
    with pytest.raises(VarsInvalidError) as refused:
        begin(plan, {"day": "x", "note": {}}, OCCASION)
    assert [(p.code, p.pointer) for p in refused.value.problems] == [("vars_invalid", "/vars/x/y")]


@pytest.mark.proves("vars-invalid")
def test_vars_that_become_too_large_refuse_the_trigger() -> None:
    """Several that are small in the document may be large once they are made."""
    plan = accepted(workflow(node("a"), vars={f"v{n}": "{{ inputs.x }}" for n in range(3)})).plan
    assert plan is not None
    with pytest.raises(VarsInvalidError, match="limit"):
        begin(plan, {"x": ["y" * (MAX_BYTES // 2)]}, OCCASION)


def test_a_var_that_there_is_none_of_is_refused_in_a_template() -> None:
    """With the nearest name; a document without vars has none."""
    assert "did you mean 'base'?" in wrong(reading("a", "{{ vars.bsae }}"), base=1).message
    assert codes(checked(workflow(reading("a", "{{ vars.x | default(1) }}")))) == ["unknown_field"]


@pytest.mark.proves("hostile-document")
def test_templates_of_vars_and_inputs_take_bounded_work() -> None:
    """Each different one is read by a compiler: some thousands of them are refused, not read."""
    many: JsonValue = [f"{{{{ (inputs.day ~ {n}) | regex_search('{n}\\\\d+') }}}}" for n in range(5000)]
    assert codes(document(x=many)) == ["too_many_templates"]
    assert codes(checked(workflow(node("a"), inputs={"day": {}, "x": {"default": many}}))) == [
        "too_many_templates"
    ]


# -- vars with secrets


def test_a_var_with_a_secret_is_not_made_at_the_trigger() -> None:
    """Nor is one that reads it. It would be stored."""
    plan = plan_of(
        key="Bearer {{ secrets.API }}",
        auth={"Authorization": "{{ vars.key }}"},
        own="{{ inputs.token }}",
        day="{{ inputs.day }}",
    )
    assert {name: one.secret for name, one in plan.vars.items()} == {
        "key": True,
        "auth": True,
        "own": True,
        "day": False,
    }
    assert begun(plan, token="0123456789").vars == {"day": "2026-03-01"}


def test_only_the_vars_that_a_node_reads_are_made_for_it() -> None:
    """One whose secret a worker does not have fails no node that does not read it."""
    late: dict[str, JsonValue] = {"a": "{{ secrets.A }}", "b": ["{{ vars.a }}"], "c": "{{ secrets.C }}"}
    assert list(read_vars_of(late, [{"x": "{{ vars.b }}"}])) == ["a", "b"]
    assert read_vars_of(late, [{"x": "{{ vars.other }}"}, None]) == {}


@pytest.mark.proves("secret-input-altered")
@pytest.mark.parametrize(
    "template",
    [
        "{{ vars.auth | upper }}",
        "{{ vars.auth == 'x' }}",
        "{{ vars | tojson }}",
        "{{ vars['auth'][0] ~ 'x' }}",
    ],
)
def test_a_var_with_a_secret_is_a_secret(template: str) -> None:
    """It is handed on whole, or not at all."""
    assert codes(document(sends(template), auth="Bearer {{ secrets.API }}")) == ["secret_not_allowed"]
    assert codes(document(sends("{{ vars.auth }}"), auth="Bearer {{ secrets.API }}")) == []
    assert "secret_not_allowed" in codes(
        document(reading("a", "{{ vars.auth }}"), auth="Bearer {{ secrets.API }}")
    )
    assert "secret_not_allowed" in codes(
        document(node("a", when="{{ vars.auth is defined }}"), auth="{{ inputs.token }}")
    )


@pytest.mark.proves("secret-input-altered")
@pytest.mark.parametrize(
    "inner", ["{{ secrets.API | b64encode }}", "{{ secrets.API | urlencode }}", "{{ secrets.API }}"]
)
def test_a_var_with_a_secret_is_not_written_in_base64(inner: str) -> None:
    """It may be written in a way that is not looked for inside base64, as in one expression."""
    assert codes(document(sends("{{ vars.auth | b64encode }}"), auth=inner)) == ["secret_not_allowed"]
    assert codes(document(sends("{{ secrets.API | b64encode }}"), auth=inner)) == []


def test_a_node_that_reads_a_var_with_a_secret_is_given_what_that_reads() -> None:
    """It is made where it is read."""
    plan = plan_of(sends("{{ vars.auth }}"), auth="{{ secrets.API }}{{ inputs.day }}{{ execution.id }}")
    assert plan.policy(0).given == ("execution", "inputs", "vars")
    more = plan_of(sends("{{ vars.auth }}"), auth="{{ secrets.API }}{{ trigger.kind }}")
    assert more.policy(0).given == ("execution", "inputs", "trigger", "vars")


# -- conditions


@pytest.mark.proves("when-at-trigger")
@pytest.mark.parametrize(
    ("when", "gives"),
    [
        ("{{ inputs.go }}", False),
        ("{{ not inputs.go }}", True),
        ("{{ inputs.none }}", False),
        ("{{ vars.n == 5 and execution.run == 1 }}", True),
        ("{{ inputs.day > '2026' and now() > inputs.day }}", True),
    ],
)
def test_a_condition_that_reads_what_is_given_is_decided_at_the_trigger(when: str, gives: bool) -> None:
    """It costs no task."""
    found = checked(
        workflow(
            node("a", when=when),
            inputs={"day": {"default": "2026-03-01"}, "go": {"default": False}, "none": {"default": None}},
            vars={"n": 5},
        )
    )
    assert found.plan is not None
    assert begun(found.plan).conditions == {"a": gives}


@pytest.mark.parametrize(
    "when",
    [
        "{{ true }}",
        "{{ a.result == inputs.day }}",
        "{{ statuses.a == inputs.day }}",
        "{{ statuses == inputs.day }}",
        "{{ inputs.day }}",
        "{{ 1 // (inputs.day | length - 10) }}",
    ],
)
def test_every_other_condition_is_left_to_a_worker(when: str) -> None:
    """Also one that gives no boolean or fails: its node fails with the reason, as elsewhere."""
    found = checked(workflow(node("a"), node("b", "a", when=when), inputs=OPEN_INPUTS))
    assert found.plan is not None
    assert begun(found.plan).conditions == {}


def test_vars_are_stored_with_the_plan_as_they_are() -> None:
    """Templates unrendered."""
    plan = plan_of(x={"y": "{{ inputs.day }}"})
    assert decode(bytes(plan.vars["x"].value)) == {"y": "{{ inputs.day }}"}
