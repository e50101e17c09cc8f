"""A node's `output_schema`: what is taken, what is refused, and which templates it rules out."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.json_schema import Misfit, misfits
from flowengine.workflow.output_schema import MAX_SCHEMA_BYTES, MAX_SCHEMAS_BYTES, absent_field, kinds_at
from tests.hostile.measured import bounded
from tests.support.documents import JsonObject, accepted, checked, codes, node, only, reading, workflow

ORDER: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "to": {"$ref": "#/$defs/address"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
        "any": {},
    },
    "$defs": {"address": {"type": "object", "additionalProperties": False, "properties": {"city": {}}}},
}


def giving(schema: JsonValue, *readers: JsonObject, handler: str = "http_request") -> JsonObject:
    """A document whose node `a` has this schema, and nodes that read it."""
    config: JsonObject = {"url": "http://a.test"} if handler == "http_request" else {}
    first: JsonObject = {"id": "a", "handler": handler, "config": config, "output_schema": schema}
    return workflow(first, *readers)


def test_the_plan_carries_the_schema() -> None:
    """As it was written; a node without one has no policy."""
    plan = accepted(giving(ORDER)).plan
    assert plan is not None
    schema = plan.policy(0).output_schema
    assert schema is not None
    assert msgspec.json.decode(schema) == ORDER
    plain = accepted(giving(None)).plan
    assert plain is not None
    assert plain.policies == {}


@pytest.mark.parametrize(
    ("schema", "code", "place", "words"),
    [
        ([], "wrong_type", "", "is a JSON Schema"),
        (True, "wrong_type", "", "a boolean"),
        ({"type": "strin"}, "invalid_schema", "/type", "is no type"),
        ({"properties": {"a": {"type": 3}}}, "invalid_schema", "/properties/a/type", "no type"),
        ({"$ref": "http://a.test/x"}, "invalid_schema", "/$ref", "nothing is fetched"),
        ({"$ref": "#/$defs/no"}, "invalid_schema", "/$ref", "leads to no schema here"),
        ({"$id": "http://a.test"}, "invalid_schema", "/$id", "not taken"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "invalid_schema", "/$schema", "2020-12"),
        ({"pattern": "(?=a)"}, "invalid_schema", "/pattern", "regular expression"),
        ({"pattern": "(a)\\1"}, "invalid_schema", "/pattern", "regular expression"),
        ({"format": "datetime"}, "invalid_schema", "/format", "no format called"),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "schema_too_large", "", "the limit is 65536"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_in_its_place(
    schema: JsonValue, code: str, place: str, words: str
) -> None:
    """When the document is accepted, not when the node has run."""
    problem = only(checked(giving(schema)))
    assert (problem.code, problem.pointer) == (code, f"/nodes/0/output_schema{place}")
    assert words in problem.message


def test_all_schemas_of_a_document_have_a_limit_together() -> None:
    """1 MiB."""
    schema: JsonObject = {"description": "x" * 60_000}
    nodes = [node(f"n{place}", output_schema=schema) for place in range(MAX_SCHEMAS_BYTES // 60_000 + 1)]
    assert codes(checked(workflow(*nodes))) == ["schema_too_large"]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ a.result.nme }}", "did you mean 'name'?"),
        ("{{ a.data.nme }}", "'a'.data (by its output_schema) has no field 'nme'"),
        ("{{ a.result.to.town }}", "has no field 'town'"),
        ("{{ a.result.id.x }}", "is a number, which has no 'x'"),
        ("{{ a.result.lines.sku }}", "is a list, which has no 'sku'"),
        ("{{ a.result.lines[0].sku.x }}", "is text, which has no 'x'"),
        ("{{ a.result[0] }}", "is an object, which has no 0"),
        ("x {{ a.result.nme | upper }}", "has no field 'nme'"),
        ("{{ a.headrs }}", "did you mean 'headers'?"),
    ],
)
def test_a_template_that_reads_what_cannot_be_there_is_refused(template: str, words: str) -> None:
    """With the nearest name; what the handler declares holds besides."""
    problem = only(checked(giving(ORDER, reading("b", template, "a"))))
    assert (problem.code, problem.pointer) == ("unknown_field", "/nodes/1/config/input")
    assert words in problem.message


@pytest.mark.parametrize(
    "template",
    [
        "{{ a.result.id }}",
        "{{ a.data.name }}",
        "{{ a.result.nme | default('none') }}",
        "{{ a.result.any.thing[3].x }}",
        "{{ a.result.lines[0].other }}",
        "{{ a.status_code }}",
        "{{ a.result }}",
    ],
)
def test_a_template_that_reads_what_may_be_there_is_accepted(template: str) -> None:
    """Also where the schema leaves it open."""
    accepted(giving(ORDER, reading("b", template, "a")))


@pytest.mark.parametrize(
    ("config", "given", "taken"),
    [
        ({"operation": "add", "a": 1, "b": "{{ a.result.to }}"}, "object", "number"),
        ({"operation": "{{ a.result.id }}", "a": 1, "b": 2}, "integer", "string"),
        ({"operation": "add", "a": "{{ a.result.lines }}", "b": 2}, "array", "number"),
    ],
)
def test_a_template_that_gives_a_wrong_type_is_refused(config: JsonObject, given: str, taken: str) -> None:
    """Where the schema says the type and the handler takes another."""
    reader = node("b", "a", handler="compute", config=config)
    problem = only(checked(giving(ORDER, reader)))
    assert problem.code == "type_mismatch"
    assert f"the template gives {given}" in problem.message
    assert taken in problem.message


def test_the_whole_primary_value_has_the_schemas_type() -> None:
    """Of a handler that declares nothing of its output, too."""
    reader = node(
        "b", "a", handler="http_request", config={"url": "http://x", "accept_status": "{{ a.result }}"}
    )
    problem = only(checked(giving({"type": "string"}, reader, handler="set")))
    assert (problem.code, problem.pointer) == ("type_mismatch", "/nodes/1/config/accept_status")
    accepted(giving({"type": ["string", "array"]}, reader, handler="set"))
    accepted(giving({"minLength": 1}, reader, handler="set"))


@pytest.mark.parametrize(
    ("template", "given"), [("{{ a.status_code }}", "integer"), ("{{ a.headers }}", "object")]
)
def test_what_a_handler_declares_has_a_type_too(template: str, given: str) -> None:
    """A number is no method."""
    reader = node("b", "a", handler="http_request", config={"url": "http://x", "method": template})
    problem = only(checked(giving(None, reader)))
    assert problem.code == "type_mismatch"
    assert f"gives {given}, and this field takes string" in problem.message


def test_a_reference_that_leads_to_itself_ends() -> None:
    """Nothing is known of what it leads to."""
    schema: JsonObject = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert absent_field(schema, ("x", "y"), "a") is None
    assert kinds_at(schema, ("x",)) is None
    tree: JsonObject = {"$defs": {"t": {"type": "object", "properties": {"next": {"$ref": "#/$defs/t"}}}}}
    tree |= {"properties": {"t": {"$ref": "#/$defs/t"}}}
    assert kinds_at(tree, ("t", "next", "next")) == frozenset({"object"})


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(a{1000}){1000}"},
        {"allOf": [{"pattern": f"[a-z]{{1,{number}}}"} for number in range(200, 400)]},
        {"properties": {f"p{number}": {"$ref": f"#/properties/p{number + 1}"} for number in range(900)}},
        {"enum": [str(number) for number in range(7000)]},
        {"$defs": {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 9} for n in range(99)} | {"d99": {}}},
    ],
    ids=["repeats", "patterns", "references", "enum", "branches"],
)
def test_a_hostile_schema_is_checked_within_bounds(schema: JsonObject) -> None:
    """Once for each node that has it, up to the limit."""
    size = len(msgspec.json.encode(schema))
    nodes = [node(f"n{n}", output_schema=schema) for n in range(min(1000, MAX_SCHEMAS_BYTES // size))]
    bounded(lambda: checked(workflow(*nodes)))


# -- values


def found(schema: JsonObject, value: JsonValue) -> tuple[Misfit, ...]:
    """What is wrong with a value, found within bounds."""
    size = len(msgspec.json.encode(value))
    return bounded(lambda: misfits(msgspec.json.encode(schema), value, size))


RECORDS: JsonObject = {
    "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
}


def test_a_large_value_is_checked_by_a_simple_schema() -> None:
    """A MiB of tiny objects: to count the work first would take a hundred times as long."""
    records: list[JsonValue] = [{"id": number % 10} for number in range(110_000)]
    assert found(RECORDS, records) == ()
    assert [misfit.pointer for misfit in found(RECORDS, [*records, {"id": "x"}])] == ["/110000/id"]
    named: JsonObject = {"$defs": {"r": RECORDS["items"]}, "items": {"$ref": "#/$defs/r"}}
    assert found(named, records) == ()


def test_a_small_value_is_told_all_that_is_wrong() -> None:
    """Each place, in order."""
    wrong: list[JsonValue] = [{"id": "x"}, {"id": 1}, {}]
    assert [misfit.pointer for misfit in found(RECORDS, wrong)] == ["/0/id", "/2"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"allOf": [{"items": {"minimum": number}} for number in range(2000)]}, [0] * 200_000),
        ({"allOf": [{"required": [f"k{number}"]} for number in range(2000)]}, {"a": ["x" * 10] * 70_000}),
        ({"items": {"enum": [str(number) for number in range(6000)]}}, ["x"] * 200_000),
        ({"items": {"pattern": "(a|b)*c"}}, ["a" * 100_000] * 10),
        ({"uniqueItems": True}, [[number] for number in range(100_000)]),
        ({"oneOf": [RECORDS] * 100}, [{"id": 1}] * 100_000),
        (
            {"$defs": {"t": {"items": {"anyOf": [{"$ref": "#/$defs/t"}] * 9}}}, "$ref": "#/$defs/t"},
            [[[[[[1]]]]]] * 9,
        ),
    ],
    ids=["many", "copies", "enum", "pattern", "unique", "branches", "recursion"],
)
def test_no_schema_and_value_take_long_together(schema: JsonObject, value: JsonValue) -> None:
    """What would is told to be too much."""
    found(schema, value)
