"""The JSON Schema for editors: it is one, and it agrees with the validator where it can."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.children.reading import OWN_FIELDS
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.yaml_parser import parse_yaml
from flowengine.workflow.schema import document_schema
from tests.support.documents import EXAMPLES, catalog, checked, node, only, reading, workflow


def is_valid(document: JsonValue) -> bool:
    """Whether an editor would show no error."""
    return bool(Draft202012Validator(document_schema(catalog())).is_valid(document))


def test_it_is_a_schema() -> None:
    """Of the dialect that it names."""
    schema = document_schema(catalog())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_knows_the_fields_of_a_node_that_the_validator_knows() -> None:
    """Those that every node has, and those of its kind, in the same order."""
    fields = document_schema(catalog())["$defs"]["Node"]["properties"]
    problem = only(checked(workflow(node("a", zz=1))))
    known = [field for field in fields if field not in OWN_FIELDS]
    assert problem.message.endswith(f"Known fields: {', '.join(known)}")
    problem = only(checked(workflow({"id": "g", "nodes": [node("a")], "zz": 1})))
    of_tasks = ("handler", "config", "wait_for_callback", "cache")
    known = [field for field in fields if field not in of_tasks]
    assert problem.message.endswith(f"Known fields: {', '.join(known)}")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_match(path: Path) -> None:
    """Editors show no error in what users copy from."""
    parse = parse_json if path.suffix == ".json" else parse_yaml
    assert is_valid(parse(path.read_bytes())[0])


@pytest.mark.parametrize(
    "document",
    [
        workflow(node("a")),
        workflow(reading("a", "{{ b.result }}")),
        workflow(node("a", handler="compute", config={"operation": "{{ b.x }}", "a": 1, "b": "{{ b.y }}"})),
        workflow(node("a", handler="aggregate", config={"inputs": "{{ b.x }}", "aggregate_type": "sum"})),
        workflow(node("a", handler="http_request", config={"url": "http://x", "headers": {"a": "{{ b }}"}})),
        workflow(node("a", handler="llm_service", config={"prompt": "x", "temperature": "{{ b.x }}"})),
        workflow(
            node("a", handler="llm_service", config={"messages": [{"role": "user", "content": "{{ b.x }}"}]})
        ),
        workflow(node("a", description="why", when="{{ true }}", trigger_rule="all_done")),
        workflow(node("a"), node("b", "a", trigger_rule="one_failed", when="{{ statuses.a == 'failed' }}")),
        workflow(node("a", retry={"max_attempts": 5, "jitter": 0.2, "only": ["http_5xx"], "except": ["x"]})),
        workflow(node("a", retry={}, on_error="continue")),
        workflow(node("a", on_error={"continue": ["http_404"]})),
        workflow(
            node("a"),
            defaults={"node": {"timeout_seconds": 9, "retry": {"max_attempts": 2}, "on_error": "fail"}},
        ),
        workflow(node("a"), defaults={"config": {"http_request": {"headers": {"A": "{{ secrets.A }}"}}}}),
        workflow({"id": "a", "handler": "compute"}, defaults={"config": {"compute": {"operation": "add"}}}),
        workflow(node("a"), defaults={"config": {"set": {"any": [1]}, "llm_service": {"temperature": 0}}}),
        workflow(node("a", handler="set", config={"anything": {"at": "all"}})),
        workflow(node("a", handler="assert", config={"that": "{{ true }}"})),
    ],
)
def test_what_is_right_matches(document: JsonValue) -> None:
    """Templates are admitted in place of any value."""
    assert is_valid(document)


@pytest.mark.parametrize(
    "fields",
    [
        {"description": 1},
        {"when": True},
        {"when": "a.result"},
        {"when": "not {{ a.result }}"},
        {"trigger_rule": "always"},
        {"trigger_rule": "one_failed"},
        {"retry": 3},
        {"retry": {"max_attempts": 0}},
        {"retry": {"jitter": 2}},
        {"retry": {"only": []}},
        {"retry": {"except": ["http 500"]}},
        {"retry": {"on": ["timeout"]}},
        {"on_error": "ignore"},
        {"on_error": {"continue": "http_404"}},
        {"on_error": {}},
    ],
)
def test_both_refuse_a_wrong_policy(fields: dict[str, JsonValue]) -> None:
    """What an editor marks in these fields is what the validator refuses."""
    document = workflow(node("a", **fields))
    assert not is_valid(document)
    assert checked(document).problems


@pytest.mark.parametrize(
    "defaults",
    [
        {"nodes": {}},
        {"node": {"handler": "compute"}},
        {"node": {"retry": {"max_attempts": "3"}}},
        {"config": []},
        {"config": {"no_such": {}}},
        {"config": {"http_request": {"hedders": {}}}},
        {"config": {"compute": {"operation": 3}}},
    ],
)
def test_both_refuse_wrong_defaults(defaults: JsonValue) -> None:
    """The same of what holds for all nodes."""
    document = workflow(node("a"), defaults=defaults)
    assert not is_valid(document)
    assert checked(document).problems


def test_both_refuse_a_schema_of_outputs_that_nobody_waits_for() -> None:
    """With `wait: false` there are none."""
    call = node("a", handler="workflow", output_schema={}, config={"name": "x", "wait": False})
    assert not is_valid(workflow(call))
    assert only(checked(workflow(call))).code == "not_without_wait"
    unchecked: JsonValue = {**call, "output_schema": None}
    awaited: JsonValue = {**call, "config": {"name": "x"}}
    for fine in (unchecked, awaited):
        assert is_valid(workflow(fine))
        assert not checked(workflow(fine)).problems


def test_it_knows_the_fields_of_a_retry_that_the_validator_knows() -> None:
    """In the same order."""
    fields = document_schema(catalog())["$defs"]["Retry"]["properties"]
    problem = only(checked(workflow(node("a", retry={"zz": 1}))))
    assert problem.message.endswith(f"Known fields: {', '.join(fields)}")


@pytest.mark.parametrize(
    "document",
    [
        {},
        workflow(),
        workflow(node("a"), nodez=[]),
        workflow(node("1a")),
        workflow(node("nodes")),
        workflow(node("a", handler="no_such")),
        workflow(node("a", timeout_seconds=0)),
        workflow(node("a", depends_on=[])),
        workflow(node("a", config={"input": 1, "transform_type": "no_such"})),
        workflow(node("a", config={"input": 1, "transform_type": "trim", "extra": 1})),
        workflow({"id": "a", "handler": "compute"}),
        workflow(node("a", handler="compute", config={"operation": "add", "a": 1})),
        workflow(node("a", handler="llm_service", config={"prompt": "x", "temperature": "hot"})),
    ],
)
def test_what_is_wrong_does_not(document: JsonValue) -> None:
    """Editors show the mistakes that need no look at other nodes."""
    assert not is_valid(document)
