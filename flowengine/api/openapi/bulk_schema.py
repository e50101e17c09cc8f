"""The schema of what is posted to act on many executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowengine.execution.requests.bulk import MAX_IDS
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.posting.posted import MAX_REASON_CHARS

JsonObject = dict[str, JsonValue]

ACTIONS: Final[list[JsonValue]] = ["cancel", "pause", "resume", "rerun", "delete"]
MODES: Final[list[JsonValue]] = ["failed", "all"]


def bulk_schema(refer_to: Callable[[str], JsonObject]) -> JsonObject:
    """The schema. `refer_to`: what refers to the component of a name."""
    text: JsonObject = {"type": "string", "maxLength": 200}
    moment: JsonObject = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["action"],
        "properties": {
            "action": {"type": "string", "enum": ACTIONS},
            "ids": {"type": "array", "minItems": 1, "maxItems": MAX_IDS, "items": refer_to("ExecutionId")},
            "filter": {
                "type": "object",
                "additionalProperties": False,
                "description": "As the parameters of GET /workflows; what was created before the request.",
                "properties": {
                    "status": {"type": "array", "items": refer_to("ExecutionStatus")},
                    "name": text,
                    "label": {"type": "array", "items": {"type": "string"}},
                    "correlation_id": refer_to("CorrelationId"),
                    "created_after": moment,
                    "created_before": moment,
                    "q": text,
                },
            },
            "dry_run": {"type": "boolean", "description": "Whether only to count what would be done."},
            "reason": {
                "type": "string",
                "maxLength": MAX_REASON_CHARS,
                "description": "Why they are cancelled.",
            },
            "mode": {
                "type": "string",
                "enum": MODES,
                "description": "What a rerun begins again: what has failed or was cancelled, or everything.",
            },
            "force": {
                "type": "boolean",
                "description": "Whether what has not ended is cancelled, and deleted once it has ended.",
            },
        },
    }
