"""Reads what a node says about when it runs and what becomes of its failure: LANGUAGE sections 3 and 4.

Looks at one node at a time. What its `when` reads is checked with the templates of its config.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.conditions import read_condition
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.limits.declared import FIELD as CONCURRENCY
from flowengine.workflow.limits.declared import RATE_FIELD, NodeConcurrency, RateLimit
from flowengine.workflow.limits.plain import read_node_concurrency, read_rate_limit
from flowengine.workflow.policy import (
    ANY_CODE,
    RULES_WITHOUT_DEPENDENCIES,
    TRIGGER_RULES,
    Retry,
    TriggerRule,
)
from flowengine.workflow.problems import did_you_mean, quoted
from flowengine.workflow.repeating.reading import read_repeat
from flowengine.workflow.repeating.repeat import Repeat

FIELDS: Final = ("when", "trigger_rule", "retry", "on_error", "repeat", CONCURRENCY, RATE_FIELD)
RETRY_FIELDS: Final = (
    "max_attempts",
    "delay_seconds",
    "multiplier",
    "max_delay_seconds",
    "jitter",
    "max_seconds",
    "only",
    "except",
    "when",
)
MONTH_S: Final = 30 * 86_400
MAX_ATTEMPTS: Final = 1000
MAX_CODES: Final = 100
CODE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")

RETRY_LIMITS: Final = {
    "delay_seconds": (0, MONTH_S),
    "multiplier": (1, 100),
    "max_delay_seconds": (0, MONTH_S),
    "jitter": (0, 1),
    "max_seconds": (0, MONTH_S),
}


class PolicyFields(msgspec.Struct, frozen=True):
    """What could be read of these fields; a wrong one has been reported and counts as not given.

    `retry_pointer` leads to the `retry`, which may be that of the defaults.
    """

    trigger_rule: TriggerRule = "all_success"
    when: str | None = None
    retry: Retry | None = None
    tolerates: bool | tuple[str, ...] = False
    retry_pointer: str = ""
    repeat: Repeat | None = None
    concurrency: NodeConcurrency | None = None
    rate_limit: RateLimit | None = None


NO_POLICY: Final = PolicyFields()


def read_policy(node: JsonObject, pointer: str, report: Report, given: PolicyFields) -> PolicyFields:
    """The fields of the node at `pointer`. `given`: what holds for a node that does not say."""
    own_retry = node.get("retry")
    place = pointer_to(pointer, "retry")
    return PolicyFields(
        trigger_rule=_rule(node, pointer, report),
        when=read_condition(node, "when", "when", pointer, report),
        retry=given.retry if own_retry is None else read_retry(own_retry, place, report),
        retry_pointer=given.retry_pointer if own_retry is None else place,
        tolerates=read_on_error(node["on_error"], pointer_to(pointer, "on_error"), report)
        if "on_error" in node
        else given.tolerates,
        repeat=read_repeat(node, pointer, report),
        concurrency=read_node_concurrency(node, pointer, report),
        rate_limit=read_rate_limit(node, pointer, report),
    )


def _rule(node: JsonObject, pointer: str, report: Report) -> TriggerRule:
    rule = node.get("trigger_rule", "all_success")
    place = pointer_to(pointer, "trigger_rule")
    if not isinstance(rule, str):
        report.add("wrong_type", place, f"'trigger_rule' is the name of a rule, this is {type_name(rule)}")
    elif rule not in TRIGGER_RULES:
        nearest = did_you_mean(report.nearest(rule, TRIGGER_RULES)) or "."
        report.add(
            "unknown_trigger_rule",
            place,
            f"no trigger rule called {quoted(rule)}{nearest} There are: {', '.join(TRIGGER_RULES)}",
        )
    elif not node.get("dependencies") and rule not in RULES_WITHOUT_DEPENDENCIES:
        report.add(
            "rule_needs_dependencies",
            place,
            f"'{rule}' asks how the dependencies have ended, and the node has none; without dependencies "
            f"a node may have {', '.join(RULES_WITHOUT_DEPENDENCIES)}",
        )
    else:
        return rule
    return "all_success"


def read_on_error(value: JsonValue, pointer: str, report: Report) -> bool | tuple[str, ...]:
    """What `on_error` tolerates: nothing (`fail`), every failure of the node (`continue`), or these codes."""
    if value == "fail" or value is None:
        return False
    if value == "continue":
        return True
    if isinstance(value, dict):
        refuse_unknown_fields(value, ("continue",), pointer, report)
        if "continue" in value:
            return read_codes(value["continue"], pointer_to(pointer, "continue"), report)
        report.add("missing_field", pointer_to(pointer, "continue"), "the field 'continue' is required")
        return False
    said = quoted(value) if isinstance(value, str) else type_name(value)
    report.add(
        "invalid_on_error", pointer, f"'on_error' is fail, continue or {{continue: [codes]}}, not {said}"
    )
    return False


def read_codes(value: JsonValue, pointer: str, report: Report) -> tuple[str, ...]:
    """A list of error codes; those that cannot be one are reported."""
    if not isinstance(value, list) or not value:
        report.add("wrong_type", pointer, f"this is a list of error codes, it is {_said(value)}")
        return ()
    if len(value) > MAX_CODES:
        report.add("out_of_range", pointer, f"at most {MAX_CODES} error codes, these are {len(value)}")
        return ()
    found = []
    for place, code in enumerate(value):
        if isinstance(code, str) and CODE.fullmatch(code):
            found.append(code)
        else:
            text = quoted(code) if isinstance(code, str) else type_name(code)
            report.add("invalid_code", pointer_to(pointer, place), f"{text} is no error code")
    return tuple(found)


def _said(value: JsonValue) -> str:
    return "empty" if value == [] else type_name(value)


def read_retry(value: JsonValue, pointer: str, report: Report) -> Retry | None:
    """A `retry`; what it leaves out has its default."""
    if not isinstance(value, dict):
        report.add("wrong_type", pointer, f"'retry' must be an object, it is {type_name(value)}")
        return None
    refuse_unknown_fields(value, RETRY_FIELDS, pointer, report)
    plain = Retry()
    return Retry(
        max_attempts=_attempts(value, pointer, report),
        delay_ms=_milliseconds(value, "delay_seconds", plain.delay_ms, pointer, report),
        multiplier=_number(value, "multiplier", plain.multiplier, pointer, report),
        max_delay_ms=_milliseconds(value, "max_delay_seconds", plain.max_delay_ms, pointer, report),
        jitter=_number(value, "jitter", plain.jitter, pointer, report),
        max_ms=_milliseconds(value, "max_seconds", plain.max_ms, pointer, report),
        only=read_codes(value["only"], pointer_to(pointer, "only"), report) if "only" in value else (),
        exclude=_excluded(value, pointer, report),
        when=read_condition(value, "when", "retry.when", pointer, report),
    )


def _excluded(value: JsonObject, pointer: str, report: Report) -> tuple[str, ...]:
    if "except" not in value:
        return ()
    place = pointer_to(pointer, "except")
    found = read_codes(value["except"], place, report)
    if ANY_CODE in found:
        report.add(
            "invalid_code", place, f"'{ANY_CODE}' is a word of 'only': max_attempts: 1 never tries again"
        )
    return found


def _attempts(value: JsonObject, pointer: str, report: Report) -> int:
    given = value.get("max_attempts", Retry().max_attempts)
    place = pointer_to(pointer, "max_attempts")
    if not isinstance(given, int) or isinstance(given, bool):
        report.add("wrong_type", place, f"'max_attempts' must be a whole number, it is {type_name(given)}")
    elif not 1 <= given <= MAX_ATTEMPTS:
        report.add(
            "out_of_range", place, f"'max_attempts' counts all tries: 1 to {MAX_ATTEMPTS}, not {given}"
        )
    else:
        return given
    return 1


def _milliseconds(value: JsonObject, key: str, default: int, pointer: str, report: Report) -> int:
    return round(_number(value, key, default / 1000, pointer, report) * 1000)


def _number(value: JsonObject, key: str, default: float, pointer: str, report: Report) -> float:
    given = value.get(key, default)
    lowest, highest = RETRY_LIMITS[key]
    place = pointer_to(pointer, key)
    if not is_number(given):
        report.add("wrong_type", place, f"'{key}' must be a number, it is {type_name(given)}")
    elif not lowest <= given <= highest:
        report.add("out_of_range", place, f"'{key}' is {lowest} to {highest}, not {given}")
    else:
        return given
    return default
