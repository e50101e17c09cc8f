"""What a caller posts: a workflow document, alone or in an envelope, or what comes with a trigger.

The envelope is `{"workflow": {...}, "inputs": {...}, "labels": {...}, "priority": "high", "callback_url":
"https://...", "trigger": true}`. Every problem has its place in the whole text. The workflow may be a text as
well, in JSON if it begins with a brace, else in YAML: then its problems have their places in that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, encode, pointer_to
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.chains.declared import FIELD as AFTER
from flowengine.workflow.checking.execution_policy import read_priority
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_order import by_line
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.labels import FIELD as LABELS
from flowengine.workflow.labels import MAX_LABELS, Labels, read_labels, too_many
from flowengine.workflow.posting.posted_document import JSON, YAML, PostedDocument, from_envelope
from flowengine.workflow.problems import Problem
from flowengine.workflow.schedules.declared import FIELD as SCHEDULES
from flowengine.workflow.validation import Checked, Form, ProblemT, Text, check_document, read_text

WORKFLOW: Final = "workflow"
TRIGGER: Final = "trigger"
CALLBACK_URL: Final = "callback_url"
PRIORITY: Final = "priority"
ENVELOPE_FIELDS: Final = (WORKFLOW, "inputs", LABELS, PRIORITY, CALLBACK_URL, TRIGGER)
TRIGGER_FIELDS: Final = ("inputs", LABELS)
CANCEL_FIELDS: Final = ("reason",)
MAX_REASON_CHARS: Final = 1000
MAX_MESSAGE_CHARS: Final = 2000
CODE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,99}(?![\s\S])"
"""What a handler of a workflow may have as an error's code."""

Said: TypeAlias = Literal["skip", "complete", "fail"]
OVERRULE_FIELDS: Final[Mapping[Said, tuple[str, ...]]] = MappingProxyType(
    {
        "skip": ("reason", "run", "attempt"),
        "complete": ("result", "reason", "run", "attempt"),
        "fail": ("code", "message", "reason", "run", "attempt"),
    }
)
"""What comes with an operator's word about a node."""


JudgeCallback: TypeAlias = Callable[[str], str | None]
"""Says why results cannot be sent to a URL, or None."""


class Posted(msgspec.Struct, frozen=True):
    """A workflow as it was posted, and what is given to its execution.

    `labels`: those of the document and of the caller. `starts`: whether it shall begin at once.
    `document`: that of a right one, in its form. `callback_url`: where its results are sent. `source`: the
    text that the document stands in, and the pointer to it there; None where it cannot be read.
    """

    checked: Checked
    inputs: JsonObject = {}
    labels: Labels = {}
    starts: bool = False
    document: PostedDocument | None = None
    callback_url: str | None = None
    source: Source | None = None


class Source(msgspec.Struct, frozen=True):
    """A text, and where in it the document stands. `value`: the document."""

    text: Text
    pointer: str
    value: JsonValue


class PostedTrigger(msgspec.Struct, frozen=True):
    """What came with a trigger, or what is wrong with it."""

    inputs: JsonObject
    labels: Labels = {}
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def check_posted(
    body: bytes, form: Form, registry: Registry, limits: Limits, judge: JudgeCallback = lambda url: None
) -> Posted:
    """Read and check what was posted to be stored. The inputs are not checked against the workflow yet.

    `judge`: of a `callback_url`.
    """
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return Posted(Checked(None, (text,), malformed=True))
    document = text.value
    if isinstance(document, dict) and WORKFLOW in document:
        written = document[WORKFLOW]
        if isinstance(written, str):
            return _check_written(text, document, written, registry, limits, judge)
        source = Source(text, pointer_to("", WORKFLOW), written)
        posted = _check_envelope(text, document, source, registry, limits, judge)
        if posted.checked.problems:
            return posted
        taken = from_envelope(body, written, is_json=form == "json")
        return msgspec.structs.replace(posted, document=taken)
    checked = _not_armed(check_document(document, registry, limits))
    if checked.malformed:
        return Posted(checked)
    taken = PostedDocument(body, JSON if form == "json" else YAML)
    source = Source(text, "", document)
    return Posted(text.placed(checked), labels=checked.labels, document=taken, source=source)


def _check_written(
    text: Text, envelope: JsonObject, written: str, registry: Registry, limits: Limits, judge: JudgeCallback
) -> Posted:
    """An envelope whose workflow is a text."""
    # What is no Unicode is refused by the parser, with its place.
    body = written.encode(errors="surrogatepass")
    form: Form = "json" if written.lstrip("\ufeff \t\r\n").startswith("{") else "yaml"
    inner = read_text(body, form, limits)
    if isinstance(inner, Problem):
        return Posted(_below(Checked(None, (inner,), malformed=True), pointer_to("", WORKFLOW)))
    posted = _check_envelope(text, envelope, Source(inner, "", inner.value), registry, limits, judge)
    if posted.checked.problems:
        return posted
    return msgspec.structs.replace(posted, document=PostedDocument(body, JSON if form == "json" else YAML))


def _check_envelope(
    text: Text,
    envelope: JsonObject,
    source: Source,
    registry: Registry,
    limits: Limits,
    judge: JudgeCallback,
) -> Posted:
    report = Report()
    refuse_unknown_fields(envelope, ENVELOPE_FIELDS, "", report)
    inputs = given_inputs(envelope, report)
    labels = read_labels(envelope, report)
    starts = given_flag(envelope, TRIGGER, report)
    callback_url = given_callback_url(envelope, report, judge)
    priority = None if envelope.get(PRIORITY) is None else read_priority(envelope, report)
    checked = _not_armed(check_document(source.value, registry, limits))
    if checked.malformed:
        return Posted(checked)
    labels = {**checked.labels, **labels}
    if len(labels) > MAX_LABELS:
        report.add("out_of_range", pointer_to("", LABELS), f"{too_many(len(labels))} with the document's")
    checked = _placed_below(checked, source)
    problems = (*text.located(report.problems()), *checked.problems)
    plan = None if problems else checked.plan
    if plan is not None and priority is not None:
        plan = plan.prioritised(priority)
    # Lines of two texts have no order.
    in_order = by_line(problems) if source.pointer else problems
    found = Checked(plan, in_order, warnings=checked.warnings, calls=checked.calls)
    return Posted(found, inputs, labels, starts, callback_url=callback_url, source=source)


def _not_armed(checked: Checked) -> Checked:
    """The same, with a warning of what does nothing in a document that is posted."""
    found = [field for field, said in ((SCHEDULES, checked.schedules), (AFTER, checked.after)) if said]
    warnings = [
        Problem(
            code="not_armed",
            pointer=pointer_to("", field),
            message=f"'{field}' acts when the document is applied (flowengine apply, PUT /definitions/NAME): "
            "posted, it starts nothing by itself",
        )
        for field in found
    ]
    return msgspec.structs.replace(checked, warnings=(*checked.warnings, *warnings))


def given_callback_url(owner: JsonObject, report: Report, judge: JudgeCallback) -> str | None:
    """The field `callback_url`. Whatever is wrong is reported."""
    value = owner.get(CALLBACK_URL)
    if value is None:
        return None
    place = pointer_to("", CALLBACK_URL)
    if not isinstance(value, str):
        report.add("wrong_type", place, f"'{CALLBACK_URL}' must be text, it is {type_name(value)}")
        return None
    if why := judge(value):
        report.add("invalid_callback_url", place, f"'{CALLBACK_URL}' cannot be used: {why}")
    return value


def given_flag(owner: JsonObject, key: str, report: Report) -> bool:
    """A field that is true or false; false where it is not there. Whatever is wrong is reported."""
    value = owner.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    report.add("wrong_type", pointer_to("", key), f"'{key}' must be true or false, it is {type_name(value)}")
    return False


def read_trigger(body: bytes, form: Form, limits: Limits) -> PostedTrigger:
    """Read what came with a trigger."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedTrigger({}, problems=(text,), malformed=True)
    report = Report()
    inputs: JsonObject = {}
    labels: Labels = {}
    if isinstance(text.value, dict):
        refuse_unknown_fields(text.value, TRIGGER_FIELDS, "", report)
        inputs = given_inputs(text.value, report)
        labels = read_labels(text.value, report)
    else:
        message = f"the body of a trigger is an object with 'inputs', this is {type_name(text.value)}"
        report.add("wrong_type", "", message)
    return PostedTrigger(inputs, labels, text.located(report.problems()))


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
        check_reason(reason, report)
    else:
        message = f"the body of a cancel is an object with 'reason', this is {type_name(text.value)}"
        report.add("wrong_type", "", message)
    return PostedCancel(reason if isinstance(reason, str) else None, text.located(report.problems()))


def check_reason(reason: JsonValue, report: Report) -> None:
    """Report what is wrong with the reason of a cancel, or of an operator's word."""
    check_text("reason", reason, MAX_REASON_CHARS, report)


def check_text(name: str, value: JsonValue, most: int, report: Report) -> None:
    """Report what is wrong with a text that may be missing."""
    if value is None:
        return
    if not isinstance(value, str):
        report.add("wrong_type", f"/{name}", f"'{name}' must be text, it is {type_name(value)}")
    elif len(value) > most:
        report.add("out_of_range", f"/{name}", f"'{name}' has at most {most} characters, not {len(value)}")


class PostedOverruling(msgspec.Struct, frozen=True):
    """What came with an operator's word about a node, or what is wrong with it. `result`: as JSON."""

    result: bytes | None = None
    code: str | None = None
    message: str | None = None
    reason: str | None = None
    run: int | None = None
    attempt: int | None = None
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def read_overruling(said: Said, body: bytes, form: Form, limits: Limits) -> PostedOverruling:
    """Read what came with an operator's word."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedOverruling(problems=(text,), malformed=True)
    report = Report()
    found = text.value
    if not isinstance(found, dict):
        fields = ", ".join(f"'{field}'" for field in OVERRULE_FIELDS[said])
        report.add("wrong_type", "", f"the body is an object with {fields}, this is {type_name(found)}")
        return PostedOverruling(problems=text.located(report.problems()))
    refuse_unknown_fields(found, OVERRULE_FIELDS[said], "", report)
    result = _result(found, limits, report) if said == "complete" else None
    code, message, reason = found.get("code"), found.get("message"), found.get("reason")
    _check_code(code, report)
    check_text("message", message, MAX_MESSAGE_CHARS, report)
    check_reason(reason, report)
    return PostedOverruling(
        result,
        code if isinstance(code, str) else None,
        message if isinstance(message, str) else None,
        reason if isinstance(reason, str) else None,
        read_number("run", found, 1, report),
        read_number("attempt", found, 0, report),
        text.located(report.problems()),
    )


def _result(posted: JsonObject, limits: Limits, report: Report) -> bytes | None:
    if "result" not in posted:
        report.add("missing_field", "", "'result' is missing: what the node gives, any JSON value")
        return None
    try:
        data = encode(posted["result"])
    except UnencodableError as error:
        report.add("wrong_type", "/result", f"'result' must be a JSON value: {error}")
        return None
    if len(data) > limits.max_result_bytes:
        report.add(
            "out_of_range",
            "/result",
            f"'result' has {len(data)} bytes, the limit is {limits.max_result_bytes} "
            "(FLOWENGINE_MAX_RESULT_BYTES)",
        )
    return data


def _check_code(code: JsonValue, report: Report) -> None:
    if code is None:
        return
    if not isinstance(code, str):
        report.add("wrong_type", "/code", f"'code' must be text, it is {type_name(code)}")
    elif code == "upstream_failed":
        report.add("invalid_value", "/code", "'upstream_failed' is what follows from a failure: name another")
    elif re.search(CODE_PATTERN, code) is None:
        report.add(
            "invalid_value",
            "/code",
            "'code' is made of letters, digits and underscores, at most 100, and begins with no digit",
        )


def read_number(name: str, posted: JsonObject, least: int, report: Report) -> int | None:
    """A whole number that may be missing; what is wrong with it is reported."""
    value = posted.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        report.add("wrong_type", f"/{name}", f"'{name}' must be a whole number, it is {type_name(value)}")
        return None
    if value < least:
        report.add("out_of_range", f"/{name}", f"'{name}' is at least {least}, not {value}")
    return value


def given_inputs(owner: JsonObject, report: Report) -> JsonObject:
    """The field `inputs`. Whatever is wrong is reported."""
    inputs: JsonValue = owner.get("inputs")
    if inputs is None or isinstance(inputs, dict):
        return inputs or {}
    report.add("wrong_type", "/inputs", f"'inputs' must be an object, it is {type_name(inputs)}")
    return {}


def _placed_below(checked: Checked, source: Source) -> Checked:
    """The same, of the document of an envelope, with the places in its source."""
    if source.pointer:
        return source.text.placed(_below(checked, source.pointer))
    return _below(source.text.placed(checked), pointer_to("", WORKFLOW))


def _below(checked: Checked, pointer: str) -> Checked:
    """The same, of a document that stands at this place."""

    def moved(problems: tuple[ProblemT, ...]) -> tuple[ProblemT, ...]:
        return tuple(
            msgspec.structs.replace(problem, pointer=pointer + problem.pointer) for problem in problems
        )

    return msgspec.structs.replace(
        checked,
        problems=moved(checked.problems),
        warnings=moved(checked.warnings),
        calls=moved(checked.calls),
    )
