"""The part of the document's JSON Schema that says how many may run at once."""

from __future__ import annotations

from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.limits.declared import MAX_LIMIT, ON_LIMIT


def concurrency_schema() -> Schema:
    """`concurrency` of a workflow."""
    return {
        "type": ["object", "null"],
        "required": ["limit"],
        "additionalProperties": False,
        "description": "How many executions of one key run at once.",
        "properties": {
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "description": "So many at most.",
            },
            "key": {
                "type": ["string", "integer", "null"],
                "minLength": 1,
                "description": "Those with the same key count together; may hold templates. Without it, all "
                "of the workflow do.",
            },
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
