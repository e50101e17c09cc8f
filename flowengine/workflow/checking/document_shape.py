"""Reads a document's own fields, one by one, so that every wrong one is reported.

Knows types, limits and names; nothing of graphs, handlers or templates.
"""

from __future__ import annotations

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.settings import Limits
from flowengine.template import RESERVED_ROOTS
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import (
    DEFAULT_TIMEOUT_S,
    MAX_DESCRIPTION_CHARS,
    MAX_ID_CHARS,
    MAX_NAME_CHARS,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    NODE_FIELDS,
    NODE_ID,
    WORKFLOW_FIELDS,
)
from flowengine.workflow.problems import did_you_mean, quoted

JsonObject = dict[str, JsonValue]


class DraftNode(msgspec.Struct, frozen=True):
    """What could be read of a node; None where the field is missing or wrong.

    `dependencies` is the document's own list: what in it is no text has been reported.
    """

    pointer: str
    id: str | None
    handler: str | None
    config: JsonObject | None
    dependencies: list[JsonValue]
    timeout_s: float


class Draft(msgspec.Struct, frozen=True):
    """What could be read of a document. `nodes` is None when there is no sense in looking at them."""

    name: str
    nodes: tuple[DraftNode, ...] | None


def read_draft(document: JsonObject, limits: Limits, report: Report) -> Draft:
    """The document's fields; whatever is wrong with them is reported."""
    refuse_unknown_fields(document, WORKFLOW_FIELDS, "", report)
    name = _text(document, "name", "", report, required=True)
    if name is not None:
        _check_name(name, report)
    if document.get("description") is not None:
        _check_description(_text(document, "description", "", report, required=False) or "", report)
    return Draft(name or "", _nodes(document, limits, report))


def refuse_unknown_fields(owner: JsonObject, known: tuple[str, ...], pointer: str, report: Report) -> None:
    """Report every key that is not known, naming the nearest one that is."""
    unknown = [key for key in owner if key not in known]
    for place, key in enumerate(unknown):
        if report.is_full:
            report.leave_out(len(unknown) - place)
            return
        nearest = did_you_mean(report.nearest(key, known, always=True))
        fields = f" Known fields: {', '.join(known)}" if known else " It takes no fields"
        report.add(
            "unknown_field",
            pointer_to(pointer, key[:MAX_ID_CHARS]),
            f"unknown field {quoted(key)}{nearest or '.'}{fields}",
        )


def _check_name(name: str, report: Report) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        report.add(
            "invalid_name", "/name", f"a name has 1 to {MAX_NAME_CHARS} characters, this one {len(name)}"
        )
    elif not name.isprintable():
        report.add("invalid_name", "/name", "a name is one line of printable characters")


def _check_description(description: str, report: Report) -> None:
    if len(description) > MAX_DESCRIPTION_CHARS:
        report.add(
            "invalid_description",
            "/description",
            f"a description has at most {MAX_DESCRIPTION_CHARS} characters, this one has {len(description)}: "
            "keep the rest with your documentation",
        )


def _text(owner: JsonObject, key: str, pointer: str, report: Report, *, required: bool) -> str | None:
    place = pointer_to(pointer, key)
    if key not in owner:
        if required:
            report.add("missing_field", place, f"the field '{key}' is required")
        return None
    value = owner[key]
    if isinstance(value, str):
        return value
    report.add("wrong_type", place, f"'{key}' must be text, it is {type_name(value)}{_quoting(value)}")
    return None


def _quoting(value: JsonValue) -> str:
    return ": quote it" if isinstance(value, bool | int | float) else ""


def _nodes(document: JsonObject, limits: Limits, report: Report) -> tuple[DraftNode, ...] | None:
    if "nodes" not in document:
        report.add("missing_field", "/nodes", "the field 'nodes' is required: a list of nodes")
        return None
    nodes = document["nodes"]
    if not isinstance(nodes, list):
        report.add("wrong_type", "/nodes", f"'nodes' must be a list, it is {type_name(nodes)}")
        return None
    if not nodes:
        report.add("empty_workflow", "/nodes", "a workflow has at least one node")
        return None
    if len(nodes) > limits.max_nodes:
        report.add(
            "too_many_nodes",
            "/nodes",
            f"the workflow has {len(nodes)} nodes, the limit is {limits.max_nodes} "
            "(FLOWENGINE_MAX_NODES): split it",
        )
        return None
    return tuple(_node(node, pointer_to("/nodes", place), report) for place, node in enumerate(nodes))


def _node(node: JsonValue, pointer: str, report: Report) -> DraftNode:
    if not isinstance(node, dict):
        report.add("wrong_type", pointer, f"a node must be an object, it is {type_name(node)}")
        return DraftNode(pointer, None, None, None, [], DEFAULT_TIMEOUT_S)
    refuse_unknown_fields(node, NODE_FIELDS, pointer, report)
    node_id = _text(node, "id", pointer, report, required=True)
    if node_id is not None:
        _check_id(node_id, pointer_to(pointer, "id"), report)
    return DraftNode(
        pointer,
        node_id,
        _text(node, "handler", pointer, report, required=True),
        _config(node, pointer, report),
        _dependencies(node, pointer, report),
        _timeout(node, pointer, report),
    )


def _check_id(node_id: str, pointer: str, report: Report) -> None:
    if node_id in RESERVED_ROOTS:
        report.add(
            "reserved_id", pointer, f"'{node_id}' has a meaning of its own in templates: choose another id"
        )
    elif len(node_id) > MAX_ID_CHARS:
        report.add(
            "invalid_id", pointer, f"an id has at most {MAX_ID_CHARS} characters, this one {len(node_id)}"
        )
    elif NODE_ID.fullmatch(node_id) is None:
        report.add(
            "invalid_id",
            pointer,
            f"{quoted(node_id)} is no id: letters, digits, _ and -, beginning with a letter or _",
        )


def _config(node: JsonObject, pointer: str, report: Report) -> JsonObject | None:
    config = node.get("config", {})
    if isinstance(config, dict):
        return config
    report.add(
        "wrong_type", pointer_to(pointer, "config"), f"'config' must be an object, it is {type_name(config)}"
    )
    return None


def _dependencies(node: JsonObject, pointer: str, report: Report) -> list[JsonValue]:
    place = pointer_to(pointer, "dependencies")
    given = node.get("dependencies", [])
    if not isinstance(given, list):
        report.add(
            "wrong_type", place, f"'dependencies' must be a list of node ids, it is {type_name(given)}"
        )
        return []
    for index, name in enumerate(given):
        if not isinstance(name, str):
            report.add(
                "wrong_type",
                pointer_to(place, index),
                f"a dependency is the id of a node, this is {type_name(name)}{_quoting(name)}",
            )
    return given


def _timeout(node: JsonObject, pointer: str, report: Report) -> float:
    place = pointer_to(pointer, "timeout_seconds")
    given = node.get("timeout_seconds", DEFAULT_TIMEOUT_S)
    if not is_number(given):
        report.add(
            "wrong_type", place, f"'timeout_seconds' must be a number of seconds, it is {type_name(given)}"
        )
    elif not MIN_TIMEOUT_S <= given <= MAX_TIMEOUT_S:
        report.add(
            "out_of_range", place, f"'timeout_seconds' is {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S}, not {given}"
        )
    else:
        return given
    return DEFAULT_TIMEOUT_S
