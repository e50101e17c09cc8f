"""What comes with the start of a definition: the envelope of a post, without a workflow. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.execution_policy import read_priority
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.labels import FIELD as LABELS
from flowengine.workflow.labels import Labels, read_labels
from flowengine.workflow.posting.posted import (
    CALLBACK_URL,
    PRIORITY,
    TRIGGER,
    JudgeCallback,
    given_callback_url,
    given_flag,
    given_inputs,
)
from flowengine.workflow.priority import Priority
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Form, read_text

START_FIELDS: Final = ("inputs", LABELS, PRIORITY, CALLBACK_URL, TRIGGER)


class PostedStart(msgspec.Struct, frozen=True):
    """What an execution of a definition is given, or what is wrong with that."""

    inputs: JsonObject = {}
    labels: Labels = {}
    callback_url: str | None = None
    problems: tuple[Problem, ...] = ()
    malformed: bool = False
    priority: Priority | None = None


def read_start(body: bytes, form: Form, limits: Limits, judge: JudgeCallback) -> PostedStart:
    """Read what came with a start. `judge`: of a `callback_url`."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedStart(problems=(text,), malformed=True)
    report = Report()
    given = text.value
    if not isinstance(given, dict):
        message = f"the body of a start is an object with 'inputs', this is {type_name(given)}"
        report.add("wrong_type", "", message)
        return PostedStart(problems=text.located(report.problems()))
    refuse_unknown_fields(given, START_FIELDS, "", report)
    inputs, labels = given_inputs(given, report), read_labels(given, report)
    callback_url = given_callback_url(given, report, judge)
    priority = None if given.get(PRIORITY) is None else read_priority(given, report)
    if given.get(TRIGGER) is not None and not given_flag(given, TRIGGER, report) and not report:
        report.add("invalid_value", f"/{TRIGGER}", "an applied definition always starts at once: take it out")
    problems = text.located(report.problems())
    return PostedStart(inputs, labels, callback_url, problems, priority=priority)
