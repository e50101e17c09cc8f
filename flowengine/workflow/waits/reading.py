"""Reads what nodes say that wait: LANGUAGE section 7. Looks at one node at a time."""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import pointer_to
from flowengine.template.json_values import is_number
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.waits.wait_policy import (
    DEFAULT_TIMEOUT_S,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    WAIT_HANDLERS,
    WaitPolicy,
)

_BOUNDS: Final = (MIN_TIMEOUT_S, MAX_TIMEOUT_S)


def read_waiting(node: JsonObject, pointer: str, report: Report) -> WaitPolicy | None:
    """What the node at `pointer` waits for; None where it is no node that waits. What is wrong is
    reported."""
    handler = node.get("handler")
    kind = WAIT_HANDLERS.get(handler) if isinstance(handler, str) else None
    if kind is None:
        return None
    timeout_s = read_timeout(node, pointer, report, DEFAULT_TIMEOUT_S, _BOUNDS)
    config = node.get("config")
    if kind == "wait" and isinstance(config, dict):
        _check_length(config, timeout_s, pointer_to(pointer, "config"), report)
    return WaitPolicy(kind, round(timeout_s * 1000))


def _check_length(config: JsonObject, timeout_s: float, pointer: str, report: Report) -> None:
    seconds = config.get("seconds")
    if is_number(seconds) and timeout_s < seconds <= MAX_TIMEOUT_S:
        report.add(
            "out_of_range",
            pointer_to(pointer, "seconds"),
            f"the node would wait for {seconds:g} s, and its timeout_seconds is {timeout_s:g}: say a longer "
            f"timeout_seconds, up to {MAX_TIMEOUT_S} (30 days)",
        )
