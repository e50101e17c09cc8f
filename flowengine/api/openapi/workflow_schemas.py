"""The workflow document's schema as generated clients can use it: one schema for each choice that there is.

The schema for editors says with `if` and `then` which config belongs to which handler, and with conditions
beside the fields which of them exclude each other. Editors follow that. Generators of clients ignore it, and
would give every node a config without fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flowengine.plugin import Registry
from flowengine.workflow.children.group import GROUP
from flowengine.workflow.children.group_schema import OF_TASKS
from flowengine.workflow.children.reading import NODES, OWN_FIELDS
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.schema import document_schema

_NODE: Final = "Node"
_NULL: Final[Schema] = {"type": "null"}


def workflow_schemas(registry: Registry) -> tuple[Schema, dict[str, Schema]]:
    """The schema of the document, and the definitions that it refers to as `#/$defs/NAME`."""
    schema = document_schema(registry)
    definitions: dict[str, Schema] = schema.pop("$defs")
    for name in ("$schema", "$id", "if"):
        schema.pop(name, None)
    _complete(schema, definitions)
    definitions[_NODE].pop("oneOf")  # it becomes one schema for each handler, and one for groups
    for name, definition in list(definitions.items()):
        if "oneOf" in definition and "properties" in definition:
            variants = {f"{name}With{words}": made for words, made in _alternatives(definition)}
            definitions |= {**variants, name: _one_of(variants, definition.get("description", ""))}
    nodes = _nodes(definitions.pop(_NODE), definitions)
    description = "A step: its handler decides what its config holds. Or a group of steps."
    return schema, {**definitions, **nodes, _NODE: _one_of(nodes, description)}


def _complete(schema: Schema, definitions: dict[str, Schema]) -> None:
    """Make each config a whole one. That a document's defaults may give a part of it takes an `if` to say."""
    conditions = _configs(definitions[_NODE]["allOf"])
    for handler, whole in _configs(schema.pop("else")["properties"]["nodes"]["items"]["allOf"]).items():
        then = conditions[handler]
        name = then["properties"]["config"]["$ref"].removeprefix("#/$defs/")
        definitions[name].update(whole["properties"]["config"])
        then["required"] = whole["required"]
    defaults = schema["properties"]["defaults"]["properties"]
    described = defaults["config"]["description"]
    defaults["config"] = {
        "type": "object",
        "additionalProperties": {"type": "object"},
        "description": described,
    }


def _one_of(names: dict[str, Schema], description: str) -> Schema:
    return {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names], "description": description}


def _nodes(node: Schema, taken: dict[str, Schema]) -> dict[str, Schema]:
    """The node of each handler, by the name of its definition, such as NodeHttpRequest."""
    made: dict[str, Schema] = {}
    configs = _configs(node["allOf"])
    for handler in node["properties"]["handler"]["enum"]:
        name = f"{_NODE}{_capitalized(handler)}"
        if name in taken or name in made:
            name += str(len(made))
        made[name] = _node_of(node, handler, configs.get(handler, {}))
    made[f"{_NODE}{_capitalized(GROUP)}"] = _group_of(node)
    return made


def _configs(conditions: list[Schema]) -> dict[str, Schema]:
    """What holds for the nodes of each handler. Those that take any object have no condition, and some
    conditions ask about other fields, or about these as well."""
    asked = [(condition["if"]["properties"], condition["then"]) for condition in conditions]
    return {
        of["handler"]["const"]: then
        for of, then in asked
        if [*of] == ["handler"] and "const" in of["handler"]
    }


def _group_of(node: Schema) -> Schema:
    """What a node has that is a group."""
    fields = {name: part for name, part in node["properties"].items() if name not in ("handler", *OF_TASKS)}
    return {
        **{name: part for name, part in node.items() if name != "allOf"},
        "required": [*node["required"], NODES],
        "properties": fields,
    }


def _node_of(node: Schema, handler: str, then: Schema) -> Schema:
    """What every node has, with this handler's name and config."""
    described = {"type": "string", "const": handler, "description": "Who does the work."}
    fields = {name: part for name, part in node["properties"].items() if name not in OWN_FIELDS}
    return {
        **{name: part for name, part in node.items() if name != "allOf"},
        "required": [*node["required"], "handler", *then.get("required", [])],
        "properties": {**fields, "handler": described, **then.get("properties", {})},
    }


def _alternatives(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """For each alternative the fields that it requires, capitalized, and the whole object.

    It has no field that another one requires, not even as null, so that only one of them can fit.
    """
    required = [set(choice["required"]) for choice in schema["oneOf"]]
    for mine in required:
        others = set().union(*required) - mine
        fields = {
            name: _without_null(field) if name in mine else field
            for name, field in schema["properties"].items()
            if name not in others
        }
        rest = {name: part for name, part in schema.items() if name not in ("oneOf", "title")}
        words = "And".join(_capitalized(name) for name in sorted(mine))
        yield words, {**rest, "properties": fields, "required": [*schema["required"], *sorted(mine)]}


def _without_null(field: Schema) -> Schema:
    choices = [choice for choice in field.get("anyOf", ()) if choice != _NULL]
    rest = {name: part for name, part in field.items() if name not in ("anyOf", "default")}
    if not choices:
        return rest
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _capitalized(name: str) -> str:
    return "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", name))
