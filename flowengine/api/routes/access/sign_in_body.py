"""The key with which a page signs in, as the body of a request. No message repeats what is sent."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import Body, read_document
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.workflow_body import refused
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import Problem
from flowengine.workflow.validation import read_text

MOST_BYTES: Final = 4096
_LIMITS: Final = Limits(max_body_bytes=MOST_BYTES, max_yaml_bytes=MOST_BYTES)


async def read_sign_in(request: Request[Any, Any, Any], backend: Backend) -> str:
    """The key. Raises RefusalError as `read_document`, and with every problem."""
    with backend.request_budget.share() as share:
        body = await read_document(request, _LIMITS, share)
    return _key(body)


def _key(body: Body) -> str:
    if body.form != "json":
        raise RefusalError("unsupported_media_type", "Content-Type must be application/json.")
    text = read_text(body.data, body.form, _LIMITS)
    if isinstance(text, Problem):
        raise refused("malformed_document", (text,), malformed=True)
    report, found = Report(), None
    if isinstance(text.value, dict):
        refuse_unknown_fields(text.value, ("key",), "", report)
        found = text.value.get("key")
        if not isinstance(found, str):
            report.add("wrong_type", "/key", f"'key' must be the text of a key, it is {type_name(found)}")
    else:
        report.add("wrong_type", "", f"the body is an object with 'key', this is {type_name(text.value)}")
    problems = text.located(report.problems())
    if problems or not isinstance(found, str):
        raise refused("invalid_body", problems, malformed=False)
    return found
