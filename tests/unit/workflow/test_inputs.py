"""`inputs` of a document: what is refused when it is accepted, and what its templates may read of them."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow import Checked
from flowengine.workflow.inputs.declared import MAX_BYTES
from flowengine.workflow.plan import decode_plan, encode_plan
from flowengine.workflow.problems import Problem
from tests.support.documents import accepted, checked, codes, node, only, reading, workflow


def declaring(*nodes: JsonValue, **inputs: JsonValue) -> Checked:
    """What the validator says of a document with these inputs."""
    return checked(workflow(*(nodes or (node("a"),)), inputs=inputs))


def wrong(*nodes: JsonValue, **inputs: JsonValue) -> Problem:
    """Its one problem."""
    return only(declaring(*nodes, **inputs))


def sends(template: str) -> JsonValue:
    """A node that sends a template to a service."""
    return {"id": "a", "handler": "http_request", "config": {"url": "http://x/", "headers": {"A": template}}}


def test_inputs_are_stored_with_the_plan() -> None:
    """Schema, default and the rest, as the engine needs them."""
    document = workflow(
        node("a"),
        inputs={
            "day": {"type": "string", "format": "date", "default": "2026-03-01"},
            "note": {"type": "string", "required": False},
            "place": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
        },
    )
    plan = accepted(document).plan
    assert plan is not None
    assert plan.inputs is not None
    assert decode_plan(encode_plan(plan)) == plan
    day, note, place = plan.inputs.values()
    assert msgspec.json.decode(day.schema) == {"type": "string", "format": "date"}
    assert (bytes(day.default), day.must_be_given) == (b'"2026-03-01"', False)
    assert (note.must_be_given, place.must_be_given) == (False, True)
    assert msgspec.json.decode(place.schema)["required"] == ["city"]


def test_a_plan_of_before_has_no_inputs() -> None:
    """It is stored as it was, with policies or without, and takes anything."""
    for document in (workflow(node("a")), workflow(node("a", when="{{ true }}"))):
        plan = accepted(document).plan
        assert plan is not None
        stored = msgspec.json.decode(encode_plan(plan))
        assert len(stored[1]) == (2 if stored[0] == 2 else 3)
        assert decode_plan(encode_plan(plan)).inputs is None


@pytest.mark.parametrize(
    ("schema", "pointer", "said"),
    [
        ({"type": "strin"}, "/type", "'strin' is no type; there are string, number"),
        ({"minimum": "x"}, "/minimum", "no JSON Schema"),
        ({"properties": {"b": {"pattern": "("}}}, "/properties/b/pattern", "no regular expression"),
        ({"pattern": "(?=a)"}, "/pattern", "look-around"),
        ({"format": "dat"}, "/format", "did you mean 'date'?"),
        ({"items": {"$ref": "#/$defs/no"}}, "/items/$ref", "leads to no schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "leave this out"),
        ({"$id": "x"}, "/$id", "is not taken"),
    ],
)
def test_a_schema_that_is_none_is_refused_where_it_is_wrong(
    schema: JsonValue, pointer: str, said: str
) -> None:
    """When the document is accepted, not when the first value comes."""
    problem = wrong(x=schema)
    assert (problem.code, problem.pointer) == ("invalid_schema", f"/inputs/x{pointer}")
    assert said in problem.message


@pytest.mark.proves("schema-elsewhere")
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/s.json", "file:///etc/passwd", "//x/y", "other.json", "#name"]
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_schema_that_refers_elsewhere_is_refused_and_nothing_is_fetched(address: str, keyword: str) -> None:
    """A document must not make the API call an address or read a file."""
    problem = wrong(x={"items": {keyword: address}})
    assert (problem.code, problem.pointer) == ("invalid_schema", f"/inputs/x/items/{keyword}")


def test_what_looks_like_a_keyword_in_a_value_is_none() -> None:
    """Values of `const`, `enum`, `default` and names of fields are no schemas."""
    schema: dict[str, JsonValue] = {
        "const": {"$ref": "http://x/"},
        "properties": {"$id": {"type": "string"}, "format": {"type": "string"}},
    }
    assert codes(declaring(x={**schema, "default": {"$ref": "http://x/"}})) == []


@pytest.mark.parametrize(
    ("inputs", "code", "pointer"),
    [
        ([], "wrong_type", "/inputs"),
        ({"x": 5}, "wrong_type", "/inputs/x"),
        ({"a b": {}}, "invalid_name", "/inputs/a b"),
        ({"__x": {}}, "invalid_name", "/inputs/__x"),
        ({"x": {"required": "yes"}}, "wrong_type", "/inputs/x/required"),
        ({"x": {"secret": 1}}, "wrong_type", "/inputs/x/secret"),
        ({f"x{n}": {} for n in range(201)}, "out_of_range", "/inputs"),
        ({"x": {"enum": ["x" * MAX_BYTES]}}, "schema_too_large", "/inputs"),
    ],
)
def test_what_is_no_input_is_refused_with_its_place(inputs: JsonValue, code: str, pointer: str) -> None:
    """One problem for each."""
    problem = only(checked(workflow(node("a"), inputs=inputs)))
    assert (problem.code, problem.pointer) == (code, pointer)


def test_every_wrong_input_is_reported_at_once() -> None:
    """Nobody corrects a document one problem a time."""
    found = declaring(reading("a", "{{ inputs.d }}"), x={"type": 5}, y={"format": "dat"}, z={"default": "("})
    assert sorted(codes(found)) == ["invalid_schema", "invalid_schema", "unknown_field"]


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "integer", "default": "x"}, "/default"),
        ({"type": "string", "format": "date", "default": "2026-02-30"}, "/default"),
        ({"type": "object", "properties": {"n": {"type": "integer"}}, "default": {"n": "x"}}, "/default/n"),
    ],
)
def test_a_literal_default_that_does_not_fit_is_refused(schema: JsonValue, pointer: str) -> None:
    """It would fail every trigger that does without a value."""
    problem = wrong(x=schema)
    assert (problem.code, problem.pointer) == ("invalid_default", f"/inputs/x{pointer}")


@pytest.mark.parametrize(
    ("default", "code"),
    [
        ("{{ inputs.nope }}", "unknown_field"),
        ("{{ inputs }}", "template_forbidden"),
        ("{{ a.result }}", "unknown_node_reference"),
        ("{{ statuses.a }}", "unknown_node_reference"),
        ("{{ secrets.A }}", "secret_not_allowed"),
        ("{{ inputs.token }}", "secret_not_allowed"),
        ("{{ execution.nme }}", "unknown_field"),
        ("{{ 1 + }}", "template_syntax"),
        ("{{ x() }}", "template_forbidden"),
        ("{{ inputs.day" + " " * 500 + "}}", "template_too_long"),
    ],
)
def test_a_default_reads_inputs_and_the_execution_only(default: str, code: str) -> None:
    """It is evaluated before anything has run, and is shown."""
    problem = wrong(
        day={"type": "string"}, token={"type": "string", "secret": True}, x={"default": [default]}
    )
    assert (problem.code, problem.pointer) == (code, "/inputs/x/default/0")


def test_defaults_that_read_each_other_in_a_circle_are_refused() -> None:
    """Each of them is named."""
    found = declaring(
        a={"default": "{{ inputs.b }}"}, b={"default": "{{ inputs.a }}"}, c={"default": "{{ inputs.a }}"}
    )
    assert {(problem.code, problem.pointer) for problem in found.problems} == {
        ("cycle", f"/inputs/{name}/default") for name in "abc"
    }


# -- what templates read


def test_a_template_reads_an_input_and_the_plan_says_so() -> None:
    """Nodes that read none are not told of any."""
    nodes = [
        reading("a", "{{ inputs.x }}"),
        node("b"),
        node("c", when="{{ inputs.x == 1 }}"),
        reading("d", "{{ execution.id }}"),
        reading("e", "{{ inputs['x'] ~ execution.run }}"),
    ]
    plan = declaring(*nodes, x={"type": "integer"}).plan
    assert plan is not None
    given = [plan.policy(place).given for place in range(5)]
    assert given == [("inputs",), (), ("inputs",), ("execution",), ("execution", "inputs")]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ inputs.dy }}", "did you mean 'day'?"),
        ("{{ inputs.dy | default(1) }}", "did you mean 'day'?"),
        ("{{ inputs['dy'] ~ 'x' }}", "did you mean 'day'?"),
        ("{{ inputs.place.cty }}", "did you mean 'city'?"),
        ("{{ inputs.day.year }}", "inputs.day is text, which has no 'year'"),
        ("{{ inputs.places[0].cty }}", "did you mean 'city'?"),
        ("{{ execution.nme }}", "did you mean 'name'?"),
    ],
)
def test_a_field_that_no_input_can_have_is_refused(template: str, said: str) -> None:
    """With the nearest name, before anything runs."""
    place: JsonValue = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"city": {"type": "string"}},
    }
    problem = wrong(
        reading("a", template),
        day={"type": "string"},
        place=place,
        places={"type": "array", "items": {"$ref": "#/$defs/p"}, "$defs": {"p": place}},
    )
    assert problem.code == "unknown_field"
    assert said in problem.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.any.x.y }}",
        "{{ inputs.open.x }}",
        "{{ inputs.either.x }}",
        "{{ inputs.day[0] }}",
        "{{ inputs }}",
    ],
)
def test_nothing_is_said_against_a_field_that_may_be_there(template: str) -> None:
    """A schema that says little allows much."""
    found = declaring(
        reading("a", template),
        any={},
        open={"type": "object", "properties": {"city": {}}},
        either={"type": ["string", "object"]},
        day={"type": "string"},
    )
    assert codes(found) == []


def test_without_inputs_in_the_document_any_may_be_read() -> None:
    """Nothing is known of them."""
    assert codes(checked(workflow(reading("a", "{{ inputs.x.y ~ inputs.z }}")))) == []


@pytest.mark.parametrize(
    ("kind", "template", "fits"),
    [
        ("object", "{{ inputs.x }}", False),
        ("boolean", "{{ inputs.x }}", False),
        ("array", "{{ inputs.x }}", False),
        ("integer", "{{ inputs.x }}", True),
        ("number", "{{ inputs.x }}", True),
        (["string", "integer"], "{{ inputs.x }}", True),
        ("array", "{{ inputs.x | length }}", True),
    ],
)
def test_an_input_of_another_type_than_the_field_takes_is_refused(
    kind: JsonValue, template: str, fits: bool
) -> None:
    """`compute` wants numbers: a list would fail there when it runs."""
    compute: JsonValue = {
        "id": "a",
        "handler": "compute",
        "config": {"operation": "add", "a": template, "b": 1},
    }
    found = declaring(compute, x={"type": kind})
    assert codes(found) == ([] if fits else ["type_mismatch"])
    if not fits:
        assert found.problems[0].pointer == "/nodes/0/config/a"
        assert f"gives {kind}" in found.problems[0].message


def test_an_input_that_need_not_be_given_is_a_warning_where_it_must_be_there() -> None:
    """A default in the template, or of the input, makes it certain."""
    inputs: JsonValue = {"x": {"required": False}, "y": {"required": False, "default": 1}}
    document = workflow(
        reading("a", "{{ inputs.x }}"),
        reading("b", "{{ inputs.x | default(1) }}"),
        reading("c", "{{ inputs.y }}"),
        inputs=inputs,
    )
    (warning,) = accepted(document).warnings
    assert (warning.code, warning.pointer) == ("may_be_missing", "/nodes/0/config/input")


# -- secret inputs


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({}, "/type"),
        ({"type": "integer"}, "/type"),
        ({"type": "string", "default": "0123456789"}, "/default"),
        ({"type": "string", "maxLength": 7}, "/maxLength"),
    ],
)
def test_a_secret_input_is_a_long_text_without_a_default(said: dict[str, JsonValue], pointer: str) -> None:
    """Anything else could not be kept out of results, or stands in the document."""
    problem = wrong(x={**said, "secret": True})
    assert (problem.code, problem.pointer) == ("invalid_secret", f"/inputs/x{pointer}")


@pytest.mark.proves("secret-input-altered")
@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.token | upper }}",
        "{{ inputs['token'] | upper }}",
        "{{ inputs.token[0:3] }}",
        "{{ inputs.token == 'x' }}",
        "{{ inputs | tojson }}",
        "{{ inputs }}",
        "{{ inputs[a.result] }}",
        "{{ [inputs][0].token }}",
        "{{ inputs | map('upper') }}",
        "{{ coalesce(inputs.token, 1) | length }}",
    ],
)
def test_a_template_that_would_alter_a_secret_input_is_refused(template: str) -> None:
    """As with `secrets.NAME`: another text of it could not be found in results."""
    reader: JsonValue = {
        "id": "b",
        "handler": "http_request",
        "dependencies": ["a"],
        "config": {"url": template},
    }
    found = declaring(node("a"), reader, token={"type": "string", "secret": True})
    assert codes(found) == ["secret_not_allowed"]


@pytest.mark.proves("secret-input-altered")
@pytest.mark.parametrize(
    "reader",
    [
        reading("a", "{{ inputs.token }}"),
        node("a", handler="set", config={"value": "{{ inputs.token }}"}),
        node("a", when="{{ inputs.token is defined }}"),
        node("a", handler="llm_service", config={"model": "m", "prompt": "{{ inputs.token }}"}),
    ],
    ids=["transform", "set", "when", "prompt"],
)
def test_a_secret_input_is_refused_where_a_secret_is(reader: JsonValue) -> None:
    """What is made of a config, whether a node runs, and what a model reads."""
    assert "secret_not_allowed" in codes(declaring(reader, token={"type": "string", "secret": True}))


@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.token }}",
        "Bearer {{ inputs.token }}",
        "{{ inputs.token ~ 'x' }}",
        "{{ ('me:' ~ inputs.token) | b64encode }}",
    ],
)
def test_a_secret_input_may_be_handed_on(template: str) -> None:
    """Alone, in a text, and in a spelling that is looked for."""
    assert codes(declaring(sends(template), token={"type": "string", "secret": True})) == []


def test_every_node_learns_the_secrets_of_its_execution() -> None:
    """A service may repeat to one node what another has sent."""
    plan = declaring(sends("{{ inputs.token }}"), node("b"), token={"type": "string", "secret": True}).plan
    assert plan is not None
    assert [plan.policy(place).given for place in range(2)] == [("inputs",), ("inputs",)]
