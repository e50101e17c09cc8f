"""The JSON Schema (draft 2020-12) of the workflow document, for editors.

It says what can be said without looking across nodes; the validator decides. Wherever a handler's config
takes something else than free text, a templated string is admitted beside it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flowengine.plugin import Handler, Registry
from flowengine.settings import Limits
from flowengine.workflow.document import (
    DEFAULT_TIMEOUT_S,
    MAX_DESCRIPTION_CHARS,
    MAX_ID_CHARS,
    MAX_NAME_CHARS,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    NODE_ID,
)

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE: Final = "Template"
_TEMPLATE_REF: Final[Schema] = {"$ref": f"#/$defs/{_TEMPLATE}"}


def document_schema(registry: Registry, limits: Limits | None = None) -> Schema:
    """The schema of a whole document, every handler's config in it. `limits`: default, the defaults."""
    bounds = limits or Limits()
    handlers = list(registry)
    configs, components = msgspec.json.schema_components(
        [handler.config_type for handler in handlers],
        schema_hook=_any_schema,
        ref_template="#/$defs/{name}",
    )
    definitions = {name: _admitting_fields(schema) for name, schema in components.items()}
    definitions[_TEMPLATE] = {
        "type": "string",
        "pattern": r"\{\{",
        "maxLength": bounds.max_template_chars,
        "description": "A template. One whole expression, {{ node.result }}, keeps its value's type.",
    }
    definitions["Node"] = _node(handlers, list(configs))
    return {
        "$schema": _DIALECT,
        "title": "FlowEngine workflow",
        "description": "A directed acyclic graph of nodes; each names a handler and what it waits for.",
        "type": "object",
        "required": ["name", "nodes"],
        "additionalProperties": False,
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARS,
                "description": "What people call the workflow.",
            },
            "description": {
                "type": ["string", "null"],
                "maxLength": MAX_DESCRIPTION_CHARS,
                "description": "What it is for.",
            },
            "nodes": {
                "type": "array",
                "minItems": 1,
                "maxItems": bounds.max_nodes,
                "items": {"$ref": "#/$defs/Node"},
                "description": "The steps, in any order.",
            },
        },
        "$defs": definitions,
    }


def _any_schema(kind: type) -> Schema:
    return {"description": f"A {kind.__name__}."}


def _node(handlers: list[Handler], configs: list[Schema]) -> Schema:
    return {
        "type": "object",
        "required": ["id", "handler"],
        "additionalProperties": False,
        "properties": {
            "id": {
                "type": "string",
                "pattern": f"^{NODE_ID.pattern}$",
                "maxLength": MAX_ID_CHARS,
                "not": {"enum": ["nodes", "secrets"]},
                "description": "Unique in the workflow. Other nodes read the output as {{ id.result }}.",
            },
            "handler": {
                "enum": [handler.name for handler in handlers],
                "description": "\n".join(f"{handler.name}: {handler.summary}" for handler in handlers),
            },
            "config": {"type": "object", "description": "What the handler is told.", "default": {}},
            "dependencies": {
                "type": "array",
                "uniqueItems": True,
                "items": {"type": "string"},
                "default": [],
                "description": "Ids of the nodes that must complete before this one starts.",
            },
            "timeout_seconds": {
                "type": "number",
                "minimum": MIN_TIMEOUT_S,
                "maximum": MAX_TIMEOUT_S,
                "default": DEFAULT_TIMEOUT_S,
                "description": "The node fails when it has run for longer.",
            },
        },
        "allOf": [_for_handler(*pair) for pair in zip(handlers, configs, strict=True)],
    }


def _for_handler(handler: Handler, config: Schema) -> Schema:
    required = any(field.required for field in msgspec.structs.fields(handler.config_type))
    then: Schema = {"properties": {"config": config}}
    if required:
        then["required"] = ["config"]
    return {
        "if": {"properties": {"handler": {"const": handler.name}}, "required": ["handler"]},
        "then": then,
    }


def _admitting_fields(schema: Schema) -> Schema:
    """A struct's schema, in which every field admits a template and no field is unknown."""
    if "properties" not in schema:
        return schema
    fields = {name: _admitting(field) for name, field in schema["properties"].items()}
    return {**schema, "properties": fields, "additionalProperties": False}


def _admitting(schema: Schema) -> Schema:
    inner = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), dict):
            inner[key] = _admitting(inner[key])
    if isinstance(inner.get("prefixItems"), list):
        inner["prefixItems"] = [_admitting(item) for item in inner["prefixItems"]]
    if "anyOf" in inner:
        inner["anyOf"] = [_admitting_parts(item) for item in inner["anyOf"]]
    if _takes_any_text(schema):
        return inner
    outer: Schema = {key: inner.pop(key) for key in ("default", "description", "title") if key in inner}
    if set(inner) == {"anyOf"}:
        return {**outer, "anyOf": [*inner["anyOf"], _TEMPLATE_REF]}
    return {**outer, "anyOf": [inner, _TEMPLATE_REF]}


def _admitting_parts(schema: Schema) -> Schema:
    """An alternative: its parts admit templates; that it may be one itself is said beside it."""
    inner = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(inner.get(key), dict):
            inner[key] = _admitting(inner[key])
    return inner


def _takes_any_text(schema: Schema) -> bool:
    if not set(schema) - {"description", "default", "title"}:
        return True
    if "anyOf" in schema:
        return any(_takes_any_text(item) for item in schema["anyOf"])
    kinds = schema.get("type")
    bounded = {"enum", "pattern", "format", "minLength", "maxLength"} & set(schema)
    return not bounded and (kinds == "string" or (isinstance(kinds, list) and "string" in kinds))
