"""What an editor may know of groups: the part of a node's JSON Schema that speaks of them."""

from __future__ import annotations

from typing import Any, Final

from flowengine.workflow.checking.execution_policy import MAX_S, MIN_S, ON_FAILURE
from flowengine.workflow.document import MAX_ID_CHARS

Schema = dict[str, Any]

OF_TASKS: Final = ("config", "wait_for_callback", "cache")
"""The fields that a group has not."""


def choice() -> Schema:
    """What a node is that is a group."""
    return {
        "required": ["nodes"],
        "properties": {
            **dict.fromkeys(OF_TASKS, False),
            "timeout_seconds": {"minimum": MIN_S, "maximum": MAX_S},
        },
        "dependentRequired": {"output_schema": ["outputs"]},
    }


def properties() -> Schema:
    """The fields of a group, of which its nodes are nodes as any other."""
    return {
        "nodes": {
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/Node"},
            "description": "In place of a handler: a group, a small graph that runs as a child execution.",
        },
        "outputs": {
            "type": ["object", "null"],
            "propertyNames": {"minLength": 1, "maxLength": MAX_ID_CHARS},
            "description": "What a group gives, by name; without it: the results of its last nodes.",
        },
        "on_node_failure": {
            "type": "string",
            "enum": list(ON_FAILURE),
            "default": ON_FAILURE[0],
            "description": "Whether the other branches of a group go on after a failure in it.",
        },
    }
