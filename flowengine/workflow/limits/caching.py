"""Reads the `cache` of a node: LANGUAGE section 8. Its key is checked with the templates of the config."""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import pointer_to
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.kinds.config_schema import Schema
from flowengine.workflow.limits.declared import CACHE_FIELD, CachePolicy

FIELDS: Final = ("ttl_seconds", "key")
MIN_TTL_S: Final = 1
MAX_TTL_S: Final = 30 * 86_400
NOT_BESIDE: Final = ("wait", "signal", "approval", "end", "workflow")
"""Handlers whose nodes do not end with what their handler has given."""


def read_cache(node: JsonObject, pointer: str, report: Report, owner: str) -> CachePolicy | None:
    """What the node at `pointer` says of its cache; None where it has none. What is wrong is reported."""
    said = node.get(CACHE_FIELD)
    if said is None:
        return None
    place = pointer_to(pointer, CACHE_FIELD)
    if not isinstance(said, dict):
        message = f"'{CACHE_FIELD}' is an object, as in {{ttl_seconds: 3600}}; this is {type_name(said)}"
        report.add("wrong_type", place, message)
        return None
    refuse_unknown_fields(said, FIELDS, place, report)
    _refuse_beside(node, pointer, report)
    key = said.get("key")
    if key is not None and (not isinstance(key, str) or not key):
        message = f"'key' is a text, as in \"{{{{ inputs.day }}}}\"; this is {type_name(key)}"
        report.add("wrong_type", pointer_to(place, "key"), message)
    return CachePolicy(_ttl_s(said, place, report), owner, key if isinstance(key, str) else None)


def cache_schema() -> Schema:
    """The field of a node."""
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "required": ["ttl_seconds"],
        "description": "What the node has given is given again, without a call of its handler.",
        "properties": {
            "ttl_seconds": {
                "type": "integer",
                "minimum": MIN_TTL_S,
                "maximum": MAX_TTL_S,
                "description": "For how long.",
            },
            "key": {
                "type": ["string", "null"],
                "minLength": 1,
                "description": "What is the same; without it, the rendered config says so.",
            },
        },
    }


def _ttl_s(said: JsonObject, place: str, report: Report) -> int:
    given = said.get("ttl_seconds")
    at = pointer_to(place, "ttl_seconds")
    if given is None:
        report.add("missing_field", at, "the field 'ttl_seconds' is required: for how long a result is kept")
    elif not isinstance(given, int) or isinstance(given, bool):
        said_type = "a number with a fraction" if is_number(given) else type_name(given)
        report.add("wrong_type", at, f"'ttl_seconds' is a whole number of seconds, it is {said_type}")
    elif not MIN_TTL_S <= given <= MAX_TTL_S:
        report.add("out_of_range", at, f"'ttl_seconds' is {MIN_TTL_S} to {MAX_TTL_S} (30 days), not {given}")
    else:
        return given
    return MIN_TTL_S


def _refuse_beside(node: JsonObject, pointer: str, report: Report) -> None:
    """Report what a node with a cache cannot have as well."""
    place = pointer_to(pointer, CACHE_FIELD)
    if node.get("handler") in NOT_BESIDE:
        message = (
            f"what a node of the handler '{node['handler']}' gives is kept for no other: take 'cache' out"
        )
        report.add("not_with_cache", place, message)
    if node.get("wait_for_callback") is not None:
        report.add("not_with_cache", place, "a node that waits for a callback has no 'cache': take it out")
