"""What comes with an answer to a node that waits: what a signal carries, what a person decides."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.jsonvalue import UnencodableError, encode
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.node_policy import CODE
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.posting.posted import MAX_REASON_CHARS, check_text, read_number
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Form, read_text

DECISION_FIELDS: Final = ("approved", "comment", "data", "run", "attempt", "item", "iteration")


MAX_KEY_CHARS: Final = 200


class PostedPayload(msgspec.Struct, frozen=True):
    """What a signal carries, as JSON, or what is wrong with it."""

    data: bytes = b"null"
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def read_payload(body: bytes, form: Form, limits: Limits) -> PostedPayload:
    """Read what came with a signal: any value."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedPayload(problems=(text,), malformed=True)
    try:
        return PostedPayload(encode(text.value))
    except UnencodableError as error:
        report = Report()
        report.add("wrong_type", "", f"what a signal carries is a JSON value: {error}")
        return PostedPayload(problems=text.located(report.problems()))


class PostedCallback(msgspec.Struct, frozen=True):
    """What a callback carries, as JSON, or the failure that it tells of, or what is wrong with it."""

    data: bytes = b"null"
    error: tuple[str, str] | None = None
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def read_callback(body: bytes, limits: Limits) -> PostedCallback:
    """Read what came to a callback URL: any value. An object with nothing but an object `error` is a
    failure."""
    text = read_text(body, "json", limits)
    if isinstance(text, Problem):
        return PostedCallback(problems=(text,), malformed=True)
    found = text.value
    if isinstance(found, dict) and list(found) == ["error"] and isinstance(found["error"], dict):
        report = Report()
        told = _failure(found["error"], report)
        return PostedCallback(error=told, problems=text.located(report.problems()))
    payload = read_payload(body, "json", limits)
    return PostedCallback(payload.data, None, payload.problems, payload.malformed)


def _failure(error: JsonObject, report: Report) -> tuple[str, str]:
    """The code and the message of a failure."""
    refuse_unknown_fields(error, ("code", "message"), "/error", report)
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or CODE.fullmatch(code) is None:
        text = "'code' is an error code: letters, digits, _, - and ., beginning with a letter, up to 100"
        report.add("invalid_code", "/error/code", text)
    if not isinstance(message, str) or len(message) > MAX_REASON_CHARS:
        text = f"'message' is a text of up to {MAX_REASON_CHARS} characters"
        report.add("wrong_type", "/error/message", text)
    return str(code), str(message)


class PostedDecision(msgspec.Struct, frozen=True):
    """What a person decides, or what is wrong with it. `data`: as JSON. `item`, `iteration`: about which of
    several nodes."""

    approved: bool = False
    comment: str | None = None
    data: bytes = b"null"
    run: int | None = None
    attempt: int | None = None
    item: str | None = None
    iteration: int | None = None
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def read_decision(body: bytes, form: Form, limits: Limits) -> PostedDecision:
    """Read a decision."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedDecision(problems=(text,), malformed=True)
    report = Report()
    found = text.value
    if not isinstance(found, dict):
        fields = ", ".join(f"'{field}'" for field in DECISION_FIELDS)
        report.add("wrong_type", "", f"the body is an object with {fields}, this is {type_name(found)}")
        return PostedDecision(problems=text.located(report.problems()))
    refuse_unknown_fields(found, DECISION_FIELDS, "", report)
    approved, comment = found.get("approved"), found.get("comment")
    if "approved" not in found:
        report.add("missing_field", "", "'approved' is missing: true or false")
    elif not isinstance(approved, bool):
        report.add("wrong_type", "/approved", f"'approved' is true or false, this is {type_name(approved)}")
    check_text("comment", comment, MAX_REASON_CHARS, report)
    item = found.get("item")
    check_text("item", item, MAX_KEY_CHARS, report)
    return PostedDecision(
        approved is True,
        comment if isinstance(comment, str) else None,
        _data(found, limits, report),
        read_number("run", found, 1, report),
        read_number("attempt", found, 0, report),
        item if isinstance(item, str) else None,
        read_number("iteration", found, 1, report),
        text.located(report.problems()),
    )


def _data(posted: JsonObject, limits: Limits, report: Report) -> bytes:
    try:
        data = encode(posted.get("data"))
    except UnencodableError as error:
        report.add("wrong_type", "/data", f"'data' must be a JSON value: {error}")
        return b"null"
    if len(data) > limits.max_result_bytes:
        report.add(
            "out_of_range",
            "/data",
            f"'data' has {len(data)} bytes, the limit is {limits.max_result_bytes} "
            "(FLOWENGINE_MAX_RESULT_BYTES)",
        )
    return data
