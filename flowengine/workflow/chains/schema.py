"""The part of the document's JSON Schema that says which ends start its executions."""

from __future__ import annotations

from flowengine.workflow.chains.declared import END_STATUSES, MAX_AFTER
from flowengine.workflow.document import MAX_NAME_CHARS
from flowengine.workflow.kinds.config_schema import Schema


def after_schema() -> Schema:
    """`after` of a document."""
    return {
        "type": ["array", "null"],
        "maxItems": MAX_AFTER,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["workflow"],
            "properties": {
                "workflow": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_NAME_CHARS,
                    "description": "The name of another applied definition.",
                },
                "status": {
                    "type": ["array", "null"],
                    "minItems": 1,
                    "items": {"enum": [*END_STATUSES]},
                    "default": ["completed"],
                    "description": "How its executions have to end.",
                },
                "inputs": {
                    "type": ["object", "null"],
                    "description": "What each execution is given; may hold templates that read `trigger` and "
                    "`execution`.",
                },
            },
        },
        "description": "Whose ends start executions, once the document is applied.",
    }
