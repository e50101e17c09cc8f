"""The workflow document as the body of a request: read, checked, compiled; and how it is documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request

from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES, Body, read_document, read_optional
from flowengine.api.openapi.operation import BodyExample, JsonObject, RequestBody
from flowengine.api.openapi.schemas import POSTED
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.starting.idempotent_requests import idempotency_key, identified
from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.settings import Limits, Settings
from flowengine.workflow.children.call_reading import NamedDefinition
from flowengine.workflow.definitions.start_body import PostedStart
from flowengine.workflow.labels import Labels
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.answers import PostedDecision, PostedPayload
from flowengine.workflow.posting.posted import (
    JudgeCallback,
    PostedCancel,
    PostedOverruling,
    PostedTrigger,
    check_posted,
)
from flowengine.workflow.posting.posted_document import pack
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.rerun import PostedRerun
from flowengine.workflow.validation import Form

T = TypeVar("T")
PostedT = TypeVar(
    "PostedT",
    PostedTrigger,
    PostedCancel,
    PostedRerun,
    PostedOverruling,
    PostedStart,
    PostedPayload,
    PostedDecision,
)

ARITHMETIC: Final[JsonObject] = {
    "name": "Add and shout",
    "nodes": [
        {"id": "sum", "handler": "compute", "config": {"operation": "add", "a": 40, "b": 2}},
        {
            "id": "shout",
            "handler": "transform",
            "config": {"input": "the sum is {{ sum.result }}", "transform_type": "uppercase"},
            "dependencies": ["sum"],
        },
    ],
}
WITH_INPUTS: Final[JsonObject] = {
    "workflow": {
        "name": "Greet somebody",
        "inputs": {"whom": {"type": "string", "minLength": 1}},
        "nodes": [{"id": "greet", "handler": "set", "config": {"value": "hello, {{ inputs.whom }}"}}],
    },
    "inputs": {"whom": "Ada"},
    "labels": {"team": "welcome"},
    "trigger": True,
}
WORKFLOW_BODY: Final = RequestBody(
    description="The workflow document, as JSON or YAML, alone or in an envelope with the inputs and "
    "labels of its execution, with a `callback_url` to which its results are sent, and with `trigger` where "
    "it shall start at once. "
    f"Other names of YAML are taken too: {', '.join(YAML_TYPES[1:])}.",
    schema=POSTED,
    media_types=(*JSON_TYPES, YAML_TYPES[0]),
    examples={
        "arithmetic": BodyExample("Runs anywhere", ARITHMETIC),
        "http_and_llm": BodyExample("Calls an HTTP service and a model", example.WORKFLOW),
        "with_inputs": BodyExample("In an envelope, with inputs and labels; starts at once", WITH_INPUTS),
    },
)


SMALL_BODY_BYTES: Final = 16 * 1024
"""A workflow of up to so many bytes is checked on the thread that stores it: to hand it from one thread to
another takes a third as long as to check an ordinary one."""

NO_KEY: Final = (
    "this service has no key to sign with; set FLOWENGINE_WEBHOOK_KEY for the API and the workers, to what "
    "`openssl rand -base64 32` prints, for example"
)


class Accepted(msgspec.Struct, frozen=True):
    """A workflow that is right, what may go wrong with it, and what its execution is given.

    `starts`: its body says that it shall begin at once. `document`: in its form, packed. `request`: as it is
    told from others, if it has an Idempotency-Key. `callback_url`: where its results are sent. `calls`: the
    definitions that its nodes name.
    """

    plan: Plan
    warnings: tuple[Problem, ...]
    inputs: JsonObject
    labels: Labels
    starts: bool
    document: bytes | None
    request: IdempotentRequest | None
    callback_url: str | None
    calls: tuple[NamedDefinition, ...] = ()


async def store_workflow(
    request: Request[Any, Any, Any],
    backend: Backend,
    store: Callable[[Accepted], T],
    advice: Callable[[Accepted | None], str],
) -> T:
    """What `store` makes of the workflow in the request's body. `advice`: for a caller who does not learn
    whether it was stored, by the workflow, if that is known.

    Raises RefusalError as `read_document`, and with every problem of the document; AlreadyAnsweredError and
    IdempotencyConflictError before the document is looked at.
    """
    found = await _body_or_workflow(request, backend)
    accepted = [found] if isinstance(found, Accepted) else []

    def carry_out() -> T:
        if isinstance(found, Body):
            accepted.append(_accepted(found, backend, None))
        return store(accepted[0])

    with outcome_unknown(lambda: advice(accepted[0] if accepted else None)):
        return await backend.calls.store(carry_out)


async def _body_or_workflow(request: Request[Any, Any, Any], backend: Backend) -> Body | Accepted:
    """The body, where it is small and the request has no key; else the workflow, checked."""
    key = idempotency_key(request)
    with backend.request_budget.share() as share:
        body = await read_document(request, backend.limits, share)
        if key is None and len(body.data) <= SMALL_BODY_BYTES:
            return body
        sent = None
        if key is not None:
            sent = await backend.calls.store(lambda: _not_answered(request, key, body, backend))
        return await backend.calls.check(lambda: _accepted(body, backend, sent))


def _not_answered(
    request: Request[Any, Any, Any], key: str, body: Body, backend: Backend
) -> IdempotentRequest:
    found = identified(request, key, body.data)
    backend.executions.answered_before(found)
    return found


def _accepted(body: Body, backend: Backend, sent: IdempotentRequest | None) -> Accepted:
    judge = callback_judge(backend.settings)
    posted = check_posted(body.data, body.form, backend.registry, backend.limits, judge)
    checked = posted.checked
    if checked.plan is not None and not checked.problems:
        document = None if posted.document is None else pack(posted.document)
        return Accepted(
            checked.plan,
            checked.warnings,
            posted.inputs,
            posted.labels,
            posted.starts,
            document,
            sent,
            posted.callback_url,
            checked.calls,
        )
    raise refused("invalid_workflow", checked.problems, malformed=checked.malformed)


def callback_judge(settings: Settings) -> JudgeCallback:
    """Says why no results can be sent to a URL, as far as it is known without asking anybody."""

    def judge(url: str) -> str | None:
        from flowengine.handlers.webhooks.callback_url import wrong_with_callback_url

        if settings.webhook_key is None:
            return NO_KEY
        return wrong_with_callback_url(url, settings.egress)

    return judge


async def read_posted(
    request: Request[Any, Any, Any],
    backend: Backend,
    kind: str,
    read: Callable[[bytes, Form, Limits], PostedT],
) -> tuple[PostedT | None, bytes]:
    """What `read` makes of the request's body, and the body; None where there is none.

    Raises RefusalError as `read_optional`, and of this kind with every problem.
    """
    with backend.request_budget.share() as share:
        body = await read_optional(request, backend.limits, share)
        if body is None:
            return None, b""
        data, form = body.data, body.form
        posted = await backend.calls.check(lambda: read(data, form, backend.limits))
    if posted.problems:
        raise refused(kind, posted.problems, malformed=posted.malformed)
    return posted, data


def refused(kind: str, problems: tuple[Problem, ...], *, malformed: bool) -> RefusalError:
    """The refusal of a body with these problems. A malformed one could not be read at all."""
    if malformed:
        return RefusalError("malformed_document", _first(problems), problems=problems)
    count = len(problems)
    detail = f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: "
    return RefusalError(kind, detail + _first(problems), problems=problems)


def _first(problems: tuple[Problem, ...]) -> str:
    problem = problems[0]
    place = f"line {problem.line}, column {problem.column}: " if problem.line is not None else ""
    return f"{place}{problem.message}"
