"""The JSON Schema (draft 2020-12) of the workflow document, for editors.

It says what can be said without a look across nodes; the validator decides. Each kind of node describes its
own part.
"""

from __future__ import annotations

from typing import Final

from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.template import RESERVED_NAMES
from flowengine.workflow import policy_schema
from flowengine.workflow.chains.declared import FIELD as AFTER
from flowengine.workflow.chains.schema import after_schema
from flowengine.workflow.children import call_reading
from flowengine.workflow.document import MAX_DESCRIPTION_CHARS, MAX_ID_CHARS, MAX_NAME_CHARS, NODE_ID
from flowengine.workflow.inputs.reading import MAX_INPUTS
from flowengine.workflow.inputs.variables import MAX_VARS
from flowengine.workflow.kinds.all_kinds import work_schema
from flowengine.workflow.kinds.config_schema import TEMPLATE, Schema, WorkSchema
from flowengine.workflow.labels import MAX_CHARS, MAX_LABELS, NOT_IN_NAMES
from flowengine.workflow.limits.caching import cache_schema
from flowengine.workflow.limits.declared import CACHE_FIELD
from flowengine.workflow.limits.declared import FIELD as CONCURRENCY
from flowengine.workflow.limits.declared import RATE_FIELD as RATE_LIMIT
from flowengine.workflow.limits.schema import concurrency_schema, node_concurrency_schema, rate_limit_schema
from flowengine.workflow.maps.schema import map_schema
from flowengine.workflow.schedules.declared import FIELD as SCHEDULES
from flowengine.workflow.schedules.schema import schedules_schema
from flowengine.workflow.stages import HOOKS
from flowengine.workflow.waits.callback_reading import FIELD as CALLBACK
from flowengine.workflow.waits.callback_reading import callback_schema

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def document_schema(registry: Registry, limits: Limits | None = None) -> Schema:
    """The schema of a whole document, every handler's config in it. Without `limits`, the defaults hold."""
    bounds = limits or Limits()
    work = work_schema(registry)
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
            "description": _description(),
            "labels": labels_schema(),
            "inputs": _inputs(),
            "vars": {
                "type": ["object", "null"],
                "maxProperties": MAX_VARS,
                "propertyNames": {"pattern": f"^{NODE_ID.pattern}$", "maxLength": MAX_ID_CHARS},
                "description": "Values with names, made of inputs, the execution and vars above.",
            },
            "defaults": policy_schema.defaults(work.defaults),
            **policy_schema.execution(),
            "priority": policy_schema.priority(),
            CONCURRENCY: concurrency_schema(),
            SCHEDULES: schedules_schema(),
            AFTER: after_schema(),
            "nodes": {
                "type": "array",
                "minItems": 1,
                "maxItems": bounds.max_nodes,
                "items": {"$ref": "#/$defs/Node"},
                "description": "The steps, in any order.",
            },
            **policy_schema.stages(bounds.max_nodes),
        },
        "$defs": {
            **work.definitions,
            **policy_schema.definitions(bounds.max_template_chars),
            TEMPLATE: _template(bounds),
            "Node": _node(work, bounds),
        },
        "if": {"required": ["defaults"], "properties": {"defaults": {"required": ["config"]}}},
        "else": {
            "properties": {field: {"items": {"allOf": work.whole}} for field in ("nodes", *HOOKS)},
        },
    }


def _description() -> Schema:
    return {
        "type": ["string", "null"],
        "maxLength": MAX_DESCRIPTION_CHARS,
        "description": "What it is for.",
    }


def labels_schema() -> Schema:
    """The labels of a document, or of one execution."""
    return {
        "type": ["object", "null"],
        "maxProperties": MAX_LABELS,
        "propertyNames": {"minLength": 1, "maxLength": MAX_CHARS, "pattern": f"^[^{NOT_IN_NAMES}]+$"},
        "additionalProperties": {"type": "string", "maxLength": MAX_CHARS},
        "description": "Names with values, by which executions are found; no templates.",
    }


def _inputs() -> Schema:
    return {
        "type": ["object", "null"],
        "maxProperties": MAX_INPUTS,
        "propertyNames": {"pattern": f"^{NODE_ID.pattern}$", "maxLength": MAX_ID_CHARS},
        "additionalProperties": {
            "type": "object",
            "additionalProperties": True,
            "description": "A JSON Schema, and what the language adds to it.",
            "properties": {
                "default": {"description": "The value where none is given; may hold templates."},
                "required": {
                    "type": ["boolean", "array"],
                    "items": {"type": "string"},
                    "default": True,
                    "description": "false: it need not be given. A list: the fields that an object needs.",
                },
                "secret": {
                    "type": "boolean",
                    "default": False,
                    "description": "It is shown as ***.",
                },
            },
        },
        "description": "What an execution is given, by name; each is a JSON Schema (draft 2020-12).",
    }


def _template(limits: Limits) -> Schema:
    return {
        "type": "string",
        "pattern": r"\{\{",
        "description": "A template. One whole expression, {{ node.result }}, keeps its value's type. "
        f"Each {{{{ ... }}}} has at most {limits.max_template_chars} characters.",
    }


def _node(work: WorkSchema, limits: Limits) -> Schema:
    return {
        "type": "object",
        "required": ["id"],
        "oneOf": work.choices,
        "additionalProperties": False,
        "properties": {
            "id": {
                "type": "string",
                "pattern": f"^{NODE_ID.pattern}$",
                "maxLength": MAX_ID_CHARS,
                "not": {"enum": sorted(RESERVED_NAMES)},
                "description": "Unique in the workflow. Other nodes read the output as {{ id.result }}.",
            },
            "description": _description(),
            **work.properties,
            "dependencies": {
                "type": "array",
                "uniqueItems": True,
                "items": {"type": "string"},
                "default": [],
                "description": "Ids of the nodes that must have ended before this one starts.",
            },
            **policy_schema.properties(limits.max_template_chars),
            CONCURRENCY: node_concurrency_schema(),
            RATE_LIMIT: rate_limit_schema(),
            "output_schema": {
                "type": ["object", "null"],
                "description": "The JSON Schema of its primary value; a mismatch fails the node.",
            },
            "map": map_schema(),
            CALLBACK: callback_schema(),
            CACHE_FIELD: cache_schema(),
        },
        "allOf": [*work.conditions, *policy_schema.conditions(), *call_reading.conditions()],
    }
