"""Reads what a document says of its executions as a whole: LANGUAGE sections 1, 3 and 4.

Checks with it that the nodes which end an execution, those of the handler `end`, have no policy that would
contradict that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowengine.jsonvalue import pointer_to
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.policy import ExecutionPolicy
from flowengine.workflow.priority import NORMAL, PRIORITIES, Priority
from flowengine.workflow.problems import did_you_mean, quoted

FIELDS: Final = ("timeout_seconds", "on_node_failure")
MIN_S: Final = 1
MAX_S: Final = 30 * 86_400
ON_FAILURE: Final = ("finish", "stop")
REFUSED_WITH_END: Final = ("retry", "on_error", "repeat", "concurrency", "rate_limit", "map")


def read_execution_policy(document: JsonObject, report: Report, pointer: str = "") -> ExecutionPolicy:
    """The fields of the document, or of the group at `pointer`. A wrong one is reported, and counts as not
    given."""
    return ExecutionPolicy(
        timeout_ms=_timeout_ms(document, report, pointer),
        stops_on_failure=_on_failure(document, report, pointer) == "stop",
    )


def check_end(node: JsonObject, pointer: str, report: Report) -> None:
    """Refuse what has no meaning for a node that ends its execution."""
    for field in REFUSED_WITH_END:
        if node.get(field) is not None:
            report.add(
                "not_with_end",
                pointer_to(pointer, field),
                f"'{field}' has no meaning for an `end`, which ends the execution: take it out",
            )


def read_priority(document: JsonObject, report: Report) -> Priority:
    """That of the document. A wrong one is reported, and counts as not given."""
    given = document.get("priority")
    for priority in PRIORITIES:
        if given == priority:
            return priority
    if given is None:
        return NORMAL
    known = ", ".join(PRIORITIES)
    if isinstance(given, str):
        nearest = did_you_mean(report.nearest(given, PRIORITIES)) or "."
        message = f"there is no priority {quoted(given)}{nearest} Known: {known}"
        report.add("invalid_value", "/priority", message)
    else:
        message = f"'priority' must be text, it is {type_name(given)}. Known: {known}"
        report.add("wrong_type", "/priority", message)
    return NORMAL


def _timeout_ms(document: JsonObject, report: Report, pointer: str) -> int:
    if document.get("timeout_seconds") is None:
        return 0
    return round(1000 * read_timeout(document, pointer, report, default=0, bounds=(MIN_S, MAX_S)))


def _on_failure(document: JsonObject, report: Report, pointer: str) -> str:
    given = document.get("on_node_failure", "finish")
    place = pointer_to(pointer, "on_node_failure")
    if not isinstance(given, str):
        report.add("wrong_type", place, f"'on_node_failure' is {_or(ON_FAILURE)}, this is {type_name(given)}")
    elif given not in ON_FAILURE:
        nearest = did_you_mean(report.nearest(given, ON_FAILURE)) or "."
        report.add(
            "invalid_value",
            place,
            f"'on_node_failure' is {_or(ON_FAILURE)}, not {quoted(given)}{nearest} `stop` stops the other "
            "branches at the first failure that is not tolerated",
        )
    else:
        return given
    return "finish"


def _or(values: Iterable[str]) -> str:
    return " or ".join(f"'{value}'" for value in values)
