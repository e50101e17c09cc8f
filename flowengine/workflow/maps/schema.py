"""The part of the schema that says what a map is."""

from __future__ import annotations

from typing import Final

from flowengine.workflow.document import MAX_ID_CHARS
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.maps.reading import MAX_AT_ONCE, MAX_S, MIN_S

_TEMPLATE: Final = {"type": "string", "pattern": r"\{\{"}


def map_schema() -> Schema:
    """The field `map` of a node."""
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "required": ["items"],
        "description": "The node runs once for each item; its output is the list of what they give.",
        "properties": {
            "items": {
                "anyOf": [_TEMPLATE, {"type": "array"}, {"type": "object"}],
                "description": "A list or an object, or an expression that gives one.",
            },
            "key": {
                "anyOf": [_TEMPLATE, {"type": "null"}],
                "description": "What an item is called, an expression over it; unique. Default: its index.",
            },
            "as": {
                "type": ["string", "null"],
                "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$",
                "maxLength": MAX_ID_CHARS - len("_index"),
                "default": "item",
                "description": "What templates call the item; its index is NAME_index, its key NAME_key.",
            },
            "max_concurrent": {
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": MAX_AT_ONCE},
                    _TEMPLATE,
                    {"type": "null"},
                ],
                "default": 0,
                "description": "How many items run at a time at most; 0: as many as workers take.",
            },
            "tolerated_failures": {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"},
                    _TEMPLATE,
                    {"type": "null"},
                ],
                "default": 0,
                "description": "How many items may fail, or which share of them, rounded down.",
            },
            "max_seconds": {
                "anyOf": [
                    {"type": "number", "minimum": MIN_S, "maximum": MAX_S},
                    _TEMPLATE,
                    {"type": "null"},
                ],
                "description": "How long all items may take together, from when they are known.",
            },
        },
    }
