"""The part of the document's JSON Schema that says how many may run at once."""

from __future__ import annotations

from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.limits.declared import MAX_LIMIT, MAX_PER_S, MAX_STARTS, MIN_PER_S, ON_LIMIT


def node_concurrency_schema() -> Schema:
    """`concurrency` of a node."""
    return {
        "type": ["object", "null"],
        "required": ["limit"],
        "additionalProperties": False,
        "description": "How many nodes of one key run at once, of all executions.",
        "properties": {
            "limit": _at_most(MAX_LIMIT, "So many at most."),
            "key": _key(", of all workflows. Without it, it is this node of this workflow."),
        },
    }


def rate_limit_schema() -> Schema:
    """`rate_limit` of a node."""
    return {
        "type": ["object", "null"],
        "required": ["limit", "per_seconds"],
        "additionalProperties": False,
        "description": "How often nodes of one key start, of all executions.",
        "properties": {
            "limit": _at_most(MAX_STARTS, "So many starts at most,"),
            "per_seconds": {
                "type": "number",
                "minimum": MIN_PER_S,
                "maximum": MAX_PER_S,
                "description": "in any time of so many seconds.",
            },
            "key": _key(", of all workflows. Without it, it is this node of this workflow."),
        },
    }


def concurrency_schema() -> Schema:
    """`concurrency` of a workflow."""
    return {
        "type": ["object", "null"],
        "required": ["limit"],
        "additionalProperties": False,
        "description": "How many executions of one key run at once.",
        "properties": {
            "limit": _at_most(MAX_LIMIT, "So many at most."),
            "key": _key("; may hold templates. Without it, all of the workflow do."),
            "on_limit": {
                "type": "string",
                "enum": list(ON_LIMIT),
                "default": "queue",
                "description": "One more waits for its turn, is refused, or has the oldest cancelled.",
            },
            "shared": {
                "type": "boolean",
                "default": False,
                "description": "Whether other workflows that say the same key count as well.",
            },
        },
    }


def _at_most(most: int, description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most, "description": description}


def _key(which: str) -> Schema:
    return {
        "type": ["string", "integer", "null"],
        "minLength": 1,
        "description": f"Those with the same key count together{which}",
    }
