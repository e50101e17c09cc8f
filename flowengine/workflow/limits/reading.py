"""Reads a document's `concurrency` (LANGUAGE section 8).

Its key is made when an execution is triggered, so it reads what is known then: `inputs`, `vars`,
`execution` and `trigger`. It is shown to everybody, so it reads nothing that is secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import Analysis, is_template
from flowengine.template.json_values import type_name
from flowengine.template.reference import EXECUTION, INPUTS, TRIGGER, VARS
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.given_references import GivenCheck
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.limits.declared import FIELD, ON_LIMIT, Concurrency, OnLimit
from flowengine.workflow.limits.plain import read_limit, read_plain_key
from flowengine.workflow.problems import did_you_mean, quoted

FIELDS: Final = ("key", "limit", "on_limit", "shared")
_GIVEN: Final = (INPUTS, VARS, EXECUTION, TRIGGER)


def read_concurrency(
    document: JsonObject, given: GivenCheck, report: Report, work: TemplateWork
) -> Concurrency | None:
    """The limit on a workflow's executions. A wrong field is reported, and counts as not given."""
    said = document.get(FIELD)
    if said is None:
        return None
    pointer = f"/{FIELD}"
    if not isinstance(said, dict):
        report.add("wrong_type", pointer, f"'{FIELD}' must be an object, it is {type_name(said)}")
        return None
    refuse_unknown_fields(said, FIELDS, pointer, report)
    limit = read_limit(said, pointer, report)
    key = read_key(said, pointer, given, report, work)
    on_limit = _on_limit(said, pointer, report)
    return Concurrency(limit, key, on_limit, _flag(said, "shared", pointer, report))


def read_key(
    said: JsonObject, pointer: str, given: GivenCheck, report: Report, work: TemplateWork
) -> str | None:
    """The key as it is written; None where it is missing or wrong."""
    key = said.get("key")
    place = pointer_to(pointer, "key")
    if isinstance(key, str) and is_template(key):
        _check_template(key, place, given, report, work)
        return key
    return read_plain_key(key, place, report)


def _check_template(key: str, place: str, given: GivenCheck, report: Report, work: TemplateWork) -> None:
    analysis = work.analysed(place, key)
    if analysis is None:
        return
    for code, message in _wrong(key, analysis, given, report):
        report.add(code, place, message)


def _wrong(key: str, analysis: Analysis, given: GivenCheck, report: Report) -> Iterator[tuple[str, str]]:
    for node in dict.fromkeys((*analysis.nodes, *analysis.fates)):
        yield (
            "unknown_node_reference",
            f"a key is made before any node runs: it reads {', '.join(_GIVEN)}, not {quoted(node)}",
        )
    if analysis.secrets or given.reads_secret(analysis):
        yield "secret_not_allowed", "a key takes no secrets: it is shown to all who look at the limits"
        return
    for wrong in (*given.unreadable(key, analysis), *given.unreadable_in("main", analysis)):
        hint = did_you_mean(report.nearest(wrong.name, wrong.known)) or "." if wrong.name else ""
        yield wrong.code, f"{wrong.message}{hint}"


def _on_limit(said: JsonObject, pointer: str, report: Report) -> OnLimit:
    value = said.get("on_limit", "queue")
    place = pointer_to(pointer, "on_limit")
    if isinstance(value, str):
        for word in ON_LIMIT:
            if value == word:
                return word
        nearest = did_you_mean(report.nearest(value, ON_LIMIT)) or "."
        report.add(
            "invalid_value", place, f"'on_limit' is {' or '.join(ON_LIMIT)}, not {quoted(value)}{nearest}"
        )
    else:
        report.add("wrong_type", place, f"'on_limit' is {' or '.join(ON_LIMIT)}, this is {type_name(value)}")
    return "queue"


def _flag(said: JsonObject, field: str, pointer: str, report: Report) -> bool:
    value: JsonValue = said.get(field, False)
    if isinstance(value, bool):
        return value
    report.add(
        "wrong_type", pointer_to(pointer, field), f"'{field}' is true or false, this is {type_name(value)}"
    )
    return False
