"""Config structs as JSON Schema, in which a template may stand wherever a field takes no free text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

Schema = dict[str, Any]

TEMPLATE: Final = "Template"
"""The definition of a templated string, which the schema of the document holds."""

RULES: Final = "SCHEMA_RULES"
"""A class attribute of a config struct: what its own check demands beyond its fields, as JSON Schema.
A config without any field does not meet it."""

_REF_START: Final = "#/$defs/"
_TEMPLATE_REF: Final[Schema] = {"$ref": f"{_REF_START}{TEMPLATE}"}


class WorkSchema(msgspec.Struct, frozen=True):
    """What the schema of a node says of the work it does.

    `conditions` are schemas that each node must match; `whole` are those that it must match as well if the
    document has no `defaults.config`. `choices`: each node must match one of these. `defaults` is the schema
    of that. `definitions` are those of all that is referred to.
    """

    choices: list[Schema]
    properties: Schema
    conditions: list[Schema]
    whole: list[Schema]
    defaults: Schema
    definitions: Schema


class ConfigSchema(msgspec.Struct, frozen=True):
    """A config's schema. `part` holds for a part of it too, `whole` says what else a whole one needs."""

    part: Schema
    whole: Schema


def config_schemas(types: Iterable[type[msgspec.Struct]]) -> tuple[list[ConfigSchema], Schema]:
    """A schema for each config struct, and the definitions that these schemas refer to."""
    kinds = list(types)
    configs, components = msgspec.json.schema_components(
        kinds, schema_hook=_any_schema, ref_template=_REF_START + "{name}"
    )
    definitions = {name: _admitting_fields(schema) for name, schema in components.items()}
    found = []
    for kind, config in zip(kinds, configs, strict=True):
        definition = definitions.get(config.get("$ref", "").removeprefix(_REF_START), {})
        required = definition.get("required", [])
        rules = getattr(kind, RULES, {})
        whole = {"required": required, **rules} if required or rules else {}
        found.append(ConfigSchema(config, whole))
    for config in configs:  # several handlers may take the same
        definitions.get(config.get("$ref", "").removeprefix(_REF_START), {}).pop("required", None)
    return found, definitions


def _any_schema(kind: type) -> Schema:
    return {"description": f"A {kind.__name__}."}


def _admitting_fields(schema: Schema) -> Schema:
    """A struct's schema, in which every field admits a template and no field is unknown."""
    if "properties" not in schema:
        return schema
    fields = {name: _admitting(field) for name, field in schema["properties"].items()}
    return {**schema, "properties": fields, "additionalProperties": False}


def _admitting(schema: Schema) -> Schema:
    """The schema of a value, which may be a template and whose parts may be templates."""
    inner = _admitting_parts(schema)
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
    """The schema of a value whose parts may be templates; the caller says whether it may be one itself."""
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
