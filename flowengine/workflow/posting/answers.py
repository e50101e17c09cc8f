"""What comes with an answer to a node that waits: what a signal carries."""

from __future__ import annotations

import msgspec

from flowengine.jsonvalue import UnencodableError, encode
from flowengine.settings import Limits
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import Form, read_text


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
