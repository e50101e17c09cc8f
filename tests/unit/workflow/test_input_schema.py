"""The inputs of a workflow as one JSON Schema, before an independent judge."""

from __future__ import annotations

from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from flowengine.handlers.loading import load_registry
from flowengine.settings import Limits
from flowengine.workflow import check
from flowengine.workflow.inputs.input_schema import input_schema


def schema_of(inputs: object) -> dict[str, Any]:
    """The schema of the inputs of a document that says this of them."""
    node = {"id": "a", "handler": "set", "config": {"value": 1}}
    document = {"name": "x", "nodes": [node], **({} if inputs is None else {"inputs": inputs})}
    checked = check(msgspec.json.encode(document), "json", load_registry(()), Limits())
    assert checked.plan is not None, checked.problems
    made = input_schema(checked.plan.inputs)
    Draft202012Validator.check_schema(made)
    return made


def test_what_must_be_given_is_required_and_nothing_else_may_be() -> None:
    """An input with a default, or one that says so, may be missing."""
    schema = schema_of(
        {
            "day": {"type": "string", "description": "which day"},
            "limit": {"type": "integer", "default": 50},
            "note": {"type": "string", "required": False},
        }
    )
    assert schema["required"] == ["day"]
    assert schema["properties"]["limit"] == {"type": "integer", "default": 50}
    assert schema["properties"]["day"]["description"] == "which day"
    judge = Draft202012Validator(schema)
    assert judge.is_valid({"day": "2026-03-01"})
    assert not any(map(judge.is_valid, ({}, {"day": 1}, {"day": "x", "other": 1}, [])))


def test_a_default_that_is_made_is_no_value() -> None:
    """A form would send the template as text."""
    schema = schema_of({"day": {"type": "string", "default": "{{ today() }}"}})
    assert schema["properties"]["day"] == {"type": "string"}
    assert schema["required"] == []


def test_a_secret_input_is_never_shown() -> None:
    """`writeOnly` says so."""
    schema = schema_of({"token": {"type": "string", "secret": True}})
    assert schema["properties"]["token"] == {"type": "string", "writeOnly": True}


def test_references_of_an_input_stay_its_own() -> None:
    """Two inputs may have parts of the same name."""
    inputs = {
        name: {"$defs": {"part": {"type": kind}}, "type": "array", "items": {"$ref": "#/$defs/part"}}
        for name, kind in (("numbers", "number"), ("texts", "string"))
    }
    judge = Draft202012Validator(schema_of(inputs))
    assert judge.is_valid({"numbers": [1], "texts": ["a"]})
    assert not judge.is_valid({"numbers": ["a"], "texts": [1]})


def test_a_workflow_that_says_nothing_takes_any_object() -> None:
    """One that names no inputs takes none."""
    assert Draft202012Validator(schema_of(None)).is_valid({"anything": 1})
    assert not Draft202012Validator(schema_of({})).is_valid({"anything": 1})
