"""`POST /definitions/{name}/trigger`: starts an execution of an applied definition."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.blocking_calls import outcome_unknown
from flowengine.api.edge.correlation_id import correlation_of
from flowengine.api.edge.outer_middleware import EXECUTION_ID
from flowengine.api.edge.request_bodies import JSON_TYPES, YAML_TYPES
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, BodyExample, Operation, RequestBody, ViewResponse
from flowengine.api.openapi.schemas import START
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions.definition_name import NAME_PARAMETER, VERSION_PARAMETER, version_of
from flowengine.api.routes.executions import create_execution
from flowengine.api.routes.executions.execution_id import TO_RESULTS, TO_STATUS
from flowengine.api.routes.executions.workflow_body import callback_judge, read_posted
from flowengine.api.routes.starting.idempotent_requests import (
    IDEMPOTENCY_KEY_PARAMETER,
    REFUSALS,
    SEND_IT_AGAIN,
    idempotency_key,
    identified,
    replayed,
)
from flowengine.api.routes.starting.waiting_for_the_end import (
    ENDED,
    WAIT_PARAMETER,
    held,
    seconds_to_wait,
)
from flowengine.engine.definitions.definitions import Start
from flowengine.execution.requests.idempotency import AlreadyAnsweredError
from flowengine.execution.views.executions import StartedView
from flowengine.settings import Limits
from flowengine.workflow.definitions.start_body import PostedStart, read_start
from flowengine.workflow.validation import Form

MAY_HAVE_STARTED: Final = (
    "An execution may have been started, or may still be. Sending this again may start another one."
)
STARTED: Final = msgspec.structs.replace(create_execution.STARTED, version=2)
START_DEFINITION: Final = Operation(
    summary="Start an execution of a definition",
    description="Of the version in force, or of another one. The execution stays with its version, whatever "
    "is applied later. Its labels are those of the document and those that are given here.",
    parameters=(NAME_PARAMETER, VERSION_PARAMETER, WAIT_PARAMETER, IDEMPOTENCY_KEY_PARAMETER),
    body=RequestBody(
        description="The inputs, where the workflow needs some, labels, and a `callback_url`.",
        schema=START,
        media_types=(*JSON_TYPES, YAML_TYPES[0]),
        examples={
            "inputs": BodyExample("Two inputs", {"inputs": {"day": "2026-03-01", "threshold": 50}}),
            "labels": BodyExample("A label", {"labels": {"customer": "4711"}}),
        },
        required=False,
    ),
    responses={
        200: ENDED,
        202: ViewResponse(
            "Started",
            StartedView,
            {"started": STARTED},
            links=(TO_STATUS, TO_RESULTS),
            has_location=True,
        ),
    },
    refusals=(
        "malformed_document",
        "definition_not_found",
        "request_timeout",
        "body_too_large",
        "unsupported_media_type",
        "inputs_invalid",
        "vars_invalid",
        "unknown_parameter",
        "too_many_executions",
        "concurrency_limit",
        *REFUSALS,
    ),
    tag="definitions",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @post("/definitions/{name:str}/trigger", opt={OPERATION: START_DEFINITION, NEEDS_ROLE: "run"})
    async def start_definition(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        seconds = seconds_to_wait(request)
        execution, answer = await _answer(request, backend, name)
        return await held(request, backend, execution, answer, seconds)

    return start_definition


async def _answer(
    request: Request[Any, Any, Any], backend: Backend, name: str
) -> tuple[str, Response[bytes]]:
    """The execution and the usual answer. What was sent is let go of with this: a wait comes after it."""
    key, version = idempotency_key(request), version_of(request)
    judge = callback_judge(backend.settings)

    def read(body: bytes, form: Form, limits: Limits) -> PostedStart:
        return read_start(body, form, limits, judge)

    posted, body = await read_posted(request, backend, "inputs_invalid", read)
    given = posted or PostedStart()
    correlation_id = correlation_of(request.scope)

    def start() -> StartedView:
        asked = Start(
            correlation_id=correlation_id,
            version=version,
            inputs=given.inputs,
            labels=given.labels,
            request=None if key is None else identified(request, key, body, name),
            callback_url=given.callback_url,
            priority=given.priority,
        )
        return backend.executions.definitions.start(name, asked)

    try:
        with outcome_unknown(MAY_HAVE_STARTED if key is None else SEND_IT_AGAIN):
            view = await backend.calls.store(start)
    except AlreadyAnsweredError as before:
        return before.view.execution_id, replayed(request, before)
    request.scope["state"][EXECUTION_ID] = view.execution_id
    location = {"Location": f"/workflows/{view.execution_id}"}
    return view.execution_id, json_response(msgspec.json.encode(view), 202, location)
