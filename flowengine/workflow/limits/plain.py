"""Reads limits as far as they are plain: numbers, keys without templates, and the `concurrency` of a node."""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import is_template
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.limits.declared import (
    FIELD,
    MAX_KEY_CHARS,
    MAX_LIMIT,
    MAX_PER_S,
    MAX_STARTS,
    MIN_PER_S,
    RATE_FIELD,
    NodeConcurrency,
    RateLimit,
)

NODE_FIELDS: Final = ("key", "limit")
RATE_FIELDS: Final = ("key", "limit", "per_seconds")


def read_node_concurrency(node: JsonObject, pointer: str, report: Report) -> NodeConcurrency | None:
    """The limit on the nodes of a key. A wrong field is reported, and counts as not given."""
    said = node.get(FIELD)
    if said is None:
        return None
    place = pointer_to(pointer, FIELD)
    if not isinstance(said, dict):
        report.add("wrong_type", place, f"'{FIELD}' must be an object, it is {type_name(said)}")
        return None
    refuse_unknown_fields(said, NODE_FIELDS, place, report)
    return NodeConcurrency(read_limit(said, place, report), _read_key_of_node(said, place, report))


def read_rate_limit(node: JsonObject, pointer: str, report: Report) -> RateLimit | None:
    """How often nodes of a key start. A wrong field is reported, and counts as not given."""
    said = node.get(RATE_FIELD)
    if said is None:
        return None
    place = pointer_to(pointer, RATE_FIELD)
    if not isinstance(said, dict):
        report.add("wrong_type", place, f"'{RATE_FIELD}' must be an object, it is {type_name(said)}")
        return None
    refuse_unknown_fields(said, RATE_FIELDS, place, report)
    limit = read_limit(said, place, report, MAX_STARTS)
    per_s = _read_per_seconds(said, place, report)
    return RateLimit(limit, round(per_s * 1000), _read_key_of_node(said, place, report))


def _read_per_seconds(said: JsonObject, pointer: str, report: Report) -> float:
    place = pointer_to(pointer, "per_seconds")
    if "per_seconds" not in said:
        report.add("missing_field", place, "the field 'per_seconds' is required: in what time")
        return 1
    per_s = said["per_seconds"]
    if not is_number(per_s):
        report.add("wrong_type", place, f"'per_seconds' must be a number, it is {type_name(per_s)}")
    elif not MIN_PER_S <= per_s <= MAX_PER_S:
        report.add("out_of_range", place, f"'per_seconds' is {MIN_PER_S} to {MAX_PER_S}, not {per_s}")
    else:
        return per_s
    return 1


def _read_key_of_node(said: JsonObject, pointer: str, report: Report) -> str | None:
    key, place = said.get("key"), pointer_to(pointer, "key")
    if isinstance(key, str) and is_template(key):
        return key  # checked with the templates of the node
    return read_plain_key(key, place, report)


def read_limit(said: JsonObject, pointer: str, report: Report, most: int = MAX_LIMIT) -> int:
    """How many; 1 where that is missing or wrong."""
    place = pointer_to(pointer, "limit")
    if "limit" not in said:
        report.add("missing_field", place, "the field 'limit' is required: how many at most")
        return 1
    limit = said["limit"]
    if not isinstance(limit, int) or isinstance(limit, bool):
        report.add("wrong_type", place, f"'limit' must be a whole number, it is {type_name(limit)}")
    elif not 1 <= limit <= most:
        report.add("out_of_range", place, f"'limit' is 1 to {most}, not {limit}")
    else:
        return limit
    return 1


def read_plain_key(key: JsonValue, place: str, report: Report) -> str | None:
    """A key without templates; None where it is missing or wrong."""
    if key is None:
        return None
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    if not isinstance(key, str):
        report.add("wrong_type", place, f"'key' is a text, this is {type_name(key)}")
    elif (wrong := wrong_key(key)) is not None:
        report.add("invalid_key", place, wrong)
    else:
        return key
    return None


def wrong_key(key: str) -> str | None:
    """Why a text cannot be a key; None: it can."""
    if not key.strip() or len(key) > MAX_KEY_CHARS:
        return f"a key has 1 to {MAX_KEY_CHARS} characters, this one {len(key)}"
    return None if key.isprintable() else "a key is one line of printable characters"
