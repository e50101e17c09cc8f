"""The part of the document's JSON Schema that says when executions start by themselves."""

from __future__ import annotations

from flowengine.workflow.document import NODE_ID
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.schedules.declared import (
    CATCH_UP,
    DEFAULT_ID,
    MACROS,
    MAX_CRON_CHARS,
    MAX_EVERY_S,
    MAX_ID_CHARS,
    MAX_SCHEDULES,
    MIN_EVERY_S,
    OVERLAP,
)


def schedules_schema() -> Schema:
    """`schedules` of a document."""
    return {
        "type": ["array", "null"],
        "maxItems": MAX_SCHEDULES,
        "items": _schedule(),
        "description": "When executions start by themselves, once the document is applied.",
    }


def _schedule() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["cron"]}, {"required": ["every_seconds"]}],
        "properties": {
            "id": {
                "type": "string",
                "pattern": f"^{NODE_ID.pattern}$",
                "maxLength": MAX_ID_CHARS,
                "default": DEFAULT_ID,
                "description": "Unique among the schedules of the workflow.",
            },
            "cron": {
                "type": "string",
                "maxLength": MAX_CRON_CHARS,
                "examples": ["0 2 * * *", *MACROS],
                "description": "Minute, hour, day of the month, month, day of the week; or @daily.",
            },
            "every_seconds": {
                "type": "integer",
                "minimum": MIN_EVERY_S,
                "maximum": MAX_EVERY_S,
                "description": "Every so many seconds, counted from when it was applied first.",
            },
            "timezone": {
                "type": ["string", "null"],
                "default": "UTC",
                "description": "The time zone of `cron`, as Europe/Berlin.",
            },
            "inputs": {
                "type": ["object", "null"],
                "description": "What each execution is given; may hold templates that read `execution`.",
            },
            "catch_up": {
                "type": ["string", "null"],
                "enum": [*CATCH_UP, None],
                "default": "latest",
                "description": "Which of the times that were missed start an execution.",
            },
            "overlap": {
                "type": ["string", "null"],
                "enum": [*OVERLAP, None],
                "default": "skip",
                "description": "What becomes of a time while an execution of the schedule has not ended.",
            },
            "paused": {
                "type": ["boolean", "null"],
                "default": False,
                "description": "Whether it starts nothing until somebody resumes it.",
            },
        },
    }
