"""In which order the fields of a workflow and of its nodes stand. Those of configs keep theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flowengine.jsonvalue import JsonValue

NODE_LISTS: Final = ("nodes", "on_failure", "finally")
WORKFLOW_ORDER: Final = (
    "name",
    "description",
    "labels",
    "priority",
    "inputs",
    "vars",
    "schedules",
    "after",
    "defaults",
    "timeout_seconds",
    "on_node_failure",
    "hooks_timeout_seconds",
    "concurrency",
    "nodes",
    "on_failure",
    "finally",
    "outputs",
)
NODE_ORDER: Final = (
    "id",
    "description",
    "map",
    "handler",
    "config",
    "nodes",
    "outputs",
    "on_node_failure",
    "dependencies",
    "trigger_rule",
    "when",
    "timeout_seconds",
    "retry",
    "on_error",
    "repeat",
    "concurrency",
    "rate_limit",
    "wait_for_callback",
    "cache",
    "output_schema",
)


def ranked(names: Sequence[str], order: Sequence[str]) -> list[int]:
    """The places of `names` in the order in which they should stand. Unknown ones come last, as they were."""
    return sorted(
        range(len(names)), key=lambda at: order.index(names[at]) if names[at] in order else len(order)
    )


def ordered(document: JsonValue) -> JsonValue:
    """The document with its fields in order: two that are equal as JSON text then say the same."""
    return _ordered(document, WORKFLOW_ORDER, NODE_LISTS)


def _ordered(value: JsonValue, order: Sequence[str], lists: Iterable[str]) -> JsonValue:
    if not isinstance(value, dict):
        return value
    names = list(value)
    found: dict[str, JsonValue] = {names[at]: value[names[at]] for at in ranked(names, order)}
    for name in lists:
        listed = found.get(name)
        if isinstance(listed, list):
            found[name] = [_ordered(node, NODE_ORDER, ("nodes",)) for node in listed]
    return found
