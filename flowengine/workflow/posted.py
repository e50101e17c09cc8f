"""What a caller posts: a workflow document, alone or in an envelope with inputs, or a trigger's inputs.

The envelope is `{"workflow": {...}, "inputs": {...}}`. Every problem has its place in the whole text.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Checked, Form, check_document, read_text

WORKFLOW: Final = "workflow"
ENVELOPE_FIELDS: Final = (WORKFLOW, "inputs")
FUTURE_ENVELOPE_FIELDS: Final = ("labels", "priority", "callback_url", "trigger")
TRIGGER_FIELDS: Final = ("inputs",)
FUTURE_TRIGGER_FIELDS: Final = ("labels",)
CANCEL_FIELDS: Final = ("reason",)
MAX_REASON_CHARS: Final = 1000


class Posted(msgspec.Struct, frozen=True):
    """A workflow as it was posted, and what is given to its execution."""

    checked: Checked
    inputs: JsonObject


class PostedTrigger(msgspec.Struct, frozen=True):
    """What came with a trigger, or what is wrong with it."""

    inputs: JsonObject
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def check_posted(body: bytes, form: Form, registry: Registry, limits: Limits) -> Posted:
    """Read and check what was posted to be stored. The inputs are not checked against the workflow yet."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return Posted(Checked(None, (text,), malformed=True), {})
    report = Report()
    document, inputs = text.value, {}
    envelope = isinstance(document, dict) and WORKFLOW in document
    if envelope and isinstance(document, dict):
        refuse_unknown_fields(document, ENVELOPE_FIELDS, "", report, future=FUTURE_ENVELOPE_FIELDS)
        inputs = _inputs(document, report)
        document = document[WORKFLOW]
    checked = check_document(document, registry, limits)
    if checked.malformed:
        return Posted(checked, {})
    if envelope:
        checked = _below(checked, pointer_to("", WORKFLOW))
    problems = (*report.problems(), *checked.problems)
    plan = None if problems else checked.plan
    return Posted(text.placed(Checked(plan, problems, warnings=checked.warnings)), inputs)


def read_trigger(body: bytes, form: Form, limits: Limits) -> PostedTrigger:
    """Read what came with a trigger."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedTrigger({}, (text,), malformed=True)
    report = Report()
    inputs: JsonObject = {}
    if isinstance(text.value, dict):
        refuse_unknown_fields(text.value, TRIGGER_FIELDS, "", report, future=FUTURE_TRIGGER_FIELDS)
        inputs = _inputs(text.value, report)
    else:
        message = f"the body of a trigger is an object with 'inputs', this is {type_name(text.value)}"
        report.add("wrong_type", "", message)
    return PostedTrigger(inputs, text.located(report.problems()))


class PostedCancel(msgspec.Struct, frozen=True):
    """What came with a cancel, or what is wrong with it."""

    reason: str | None = None
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def read_cancel(body: bytes, form: Form, limits: Limits) -> PostedCancel:
    """Read what came with a cancel."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedCancel(None, (text,), malformed=True)
    report = Report()
    reason: JsonValue = None
    if isinstance(text.value, dict):
        refuse_unknown_fields(text.value, CANCEL_FIELDS, "", report)
        reason = text.value.get("reason")
        _check_reason(reason, report)
    else:
        message = f"the body of a cancel is an object with 'reason', this is {type_name(text.value)}"
        report.add("wrong_type", "", message)
    return PostedCancel(reason if isinstance(reason, str) else None, text.located(report.problems()))


def _check_reason(reason: JsonValue, report: Report) -> None:
    if reason is None:
        return
    if not isinstance(reason, str):
        report.add("wrong_type", "/reason", f"'reason' must be text, it is {type_name(reason)}")
    elif len(reason) > MAX_REASON_CHARS:
        report.add(
            "out_of_range",
            "/reason",
            f"'reason' has at most {MAX_REASON_CHARS} characters, not {len(reason)}",
        )


def _inputs(owner: JsonObject, report: Report) -> JsonObject:
    inputs: JsonValue = owner.get("inputs")
    if inputs is None or isinstance(inputs, dict):
        return inputs or {}
    report.add("wrong_type", "/inputs", f"'inputs' must be an object, it is {type_name(inputs)}")
    return {}


def _below(checked: Checked, pointer: str) -> Checked:
    """The same, of a document that stands at this place."""

    def moved(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        return tuple(
            msgspec.structs.replace(problem, pointer=pointer + problem.pointer) for problem in problems
        )

    return msgspec.structs.replace(
        checked, problems=moved(checked.problems), warnings=moved(checked.warnings)
    )
