"""Reads the `repeat` of one node: its types and bounds. What its templates read is checked elsewhere."""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import pointer_to
from flowengine.template import is_template
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.conditions import read_condition
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import did_you_mean, quoted
from flowengine.workflow.repeating.bounds import what_is_wrong
from flowengine.workflow.repeating.repeat import Repeat, Templated

FIELD: Final = "repeat"
FIELDS: Final = (
    "until",
    "max_iterations",
    "delay_seconds",
    "initial_delay_seconds",
    "on_exhausted",
    "collect",
    "max_seconds",
)
ON_EXHAUSTED: Final = ("fail", "continue")


def read_repeat(node: JsonObject, pointer: str, report: Report) -> Repeat | None:
    """The `repeat` of the node at `pointer`; what it leaves out has its default. None where there is none, or
    one without a condition, which is reported."""
    given = node.get(FIELD)
    place = pointer_to(pointer, FIELD)
    if given is None:
        return None
    if not isinstance(given, dict):
        report.add("wrong_type", place, f"'repeat' must be an object, it is {type_name(given)}")
        return None
    refuse_unknown_fields(given, FIELDS, place, report)
    plain = Repeat("")
    until = read_condition(given, "until", "repeat.until", place, report)
    if given.get("until") is None:
        report.add(
            "missing_field",
            pointer_to(place, "until"),
            "the field 'until' is required: the condition that ends the repetition",
        )
    return Repeat(
        until=until or "",
        max_iterations=_number(given, "max_iterations", plain.max_iterations, place, report),
        delay_s=_number(given, "delay_seconds", plain.delay_s, place, report),
        initial_delay_s=_number(given, "initial_delay_seconds", plain.initial_delay_s, place, report),
        goes_on=_on_exhausted(given, place, report) == "continue",
        collects=_collects(given, place, report),
        max_s=None if given.get("max_seconds") is None else _number(given, "max_seconds", 1, place, report),
    )


def _number(owner: JsonObject, field: str, default: Templated, pointer: str, report: Report) -> Templated:
    given = owner.get(field, default)
    if isinstance(given, str) and is_template(given):
        return given
    wrong = what_is_wrong(field, given)
    if wrong is None and isinstance(given, int | float):
        return given
    code, message = wrong or ("wrong_type", "")
    report.add(code, pointer_to(pointer, field), message)
    return default


def _on_exhausted(owner: JsonObject, pointer: str, report: Report) -> str:
    given = owner.get("on_exhausted", "fail")
    if isinstance(given, str) and given in ON_EXHAUSTED:
        return given
    said = quoted(given) if isinstance(given, str) else type_name(given)
    nearest = did_you_mean(report.nearest(given, ON_EXHAUSTED)) if isinstance(given, str) else ""
    place = pointer_to(pointer, "on_exhausted")
    report.add("invalid_value", place, f"'on_exhausted' is 'fail' or 'continue', not {said}{nearest}")
    return "fail"


def _collects(owner: JsonObject, pointer: str, report: Report) -> bool:
    given = owner.get("collect", False)
    if isinstance(given, bool):
        return given
    place = pointer_to(pointer, "collect")
    report.add("wrong_type", place, f"'collect' must be true or false, it is {type_name(given)}")
    return False
