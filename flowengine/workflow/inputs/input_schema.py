"""The inputs of a workflow as one JSON Schema (2020-12): for a form, or for who sends them. Pure."""

from __future__ import annotations

from flowengine.jsonvalue import JsonValue, decode
from flowengine.workflow.inputs.declared import Declared, Input


def input_schema(declared: Declared) -> dict[str, JsonValue]:
    """What the object `inputs` of a start must be; of a workflow that says nothing of its inputs, any object.

    A secret input is `writeOnly`. A default that is made by a template is left out: it is no value.
    """
    if declared is None:
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {name: _schema_of(name, one) for name, one in declared.items()},
        "required": [name for name, one in declared.items() if one.must_be_given],
        "additionalProperties": False,
    }


def _schema_of(name: str, one: Input) -> JsonValue:
    schema = decode(bytes(one.schema))
    made: dict[str, JsonValue] = dict(schema) if isinstance(schema, dict) else {}
    if b'"$ref"' in bytes(one.schema):
        # Its references are to its own parts: with a name of its own they still are.
        made.setdefault("$id", f"urn:flowengine:input:{name}")
    if one.has_default and not any(mark in bytes(one.default) for mark in (b"{{", b"{%")):
        made["default"] = decode(bytes(one.default))
    if one.secret:
        made["writeOnly"] = True
    return made
