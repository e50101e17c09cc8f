"""The part of the schema that describes `repeat`."""

from __future__ import annotations

from typing import Any, Final

from flowengine.workflow.repeating.bounds import LIMITS
from flowengine.workflow.repeating.reading import ON_EXHAUSTED
from flowengine.workflow.repeating.repeat import Repeat

_WORDS: Final = {
    "max_iterations": "So many iterations at most.",
    "delay_seconds": "The wait between two iterations.",
    "initial_delay_seconds": "The wait before the first one.",
    "max_seconds": "No iteration begins later than this after the first.",
}


def repeat_schema(max_template_chars: int) -> dict[str, Any]:
    """A node's `repeat`."""
    plain = Repeat("")
    given = {
        "max_iterations": plain.max_iterations,
        "delay_seconds": plain.delay_s,
        "initial_delay_seconds": plain.initial_delay_s,
        "max_seconds": None,
    }
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "required": ["until"],
        "description": "Runs the node again until a condition holds.",
        "properties": {
            "until": {
                "type": "string",
                "pattern": r"^\{\{[\s\S]*\}\}$",
                "maxLength": max_template_chars,
                "description": "One expression that gives true or false; if true, nothing follows.",
            },
            **{name: _number(name, default) for name, default in given.items()},
            "on_exhausted": {
                "type": "string",
                "enum": list(ON_EXHAUSTED),
                "default": ON_EXHAUSTED[0],
                "description": "Whether it fails or completes if no iteration is left.",
            },
            "collect": {
                "type": "boolean",
                "default": False,
                "description": "Its result is the list of the results of all iterations.",
            },
        },
    }


def _number(name: str, default: float | str | None) -> dict[str, Any]:
    lowest, highest = LIMITS[name]
    kind = "integer" if name == "max_iterations" else "number"
    literal = {"type": kind, "minimum": lowest, "maximum": highest}
    known = {"anyOf": [literal, {"type": "string", "pattern": r"\{\{"}], "description": _WORDS[name]}
    if default is None:
        return {**known, "anyOf": [*known["anyOf"], {"type": "null"}]}
    return {**known, "default": default}
